//! Following the versions of an index: the cold start, and the refresh of every request.
//!
//! A follower holds the newest snapshot it knows and the descriptor of its manifest. One coherent
//! read of that manifest's successor mark tells whether there is news. It never looks for a
//! version that may not exist by name, since a network file system remembers absences.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tantivy::directory::OwnedBytes;
use tokio::task::JoinHandle;

use super::{Snapshot, Source};
use crate::concurrent;
use crate::error::{Error, ErrorKind, Result};
use crate::format::head::{self, Head, HotImage};
use crate::format::manifest::{Applied, Cause, ContainerId, Manifest};
use crate::format::mark::{ManifestId, MarkPage};
use crate::layout::{self, BatchId};
use crate::mount::{Access, COHERENT_PAGE, MountFile};

/// Marks to follow before HEAD is asked whether it knows a shorter way.
const FOLLOW_BEFORE_HEAD: usize = 8;
/// Manifests to try, newest first, when HEAD is of no use.
const LISTED_TRIES: usize = 16;
/// Results of applied batches that are remembered for requests that wait for them.
const APPLIED_REMEMBERED: usize = 100_000;
/// Attempts at a cold start while files are being collected under it.
const COLD_TRIES: usize = 4;
/// A mark that is being written may be seen half: read again this often.
const MARK_TRIES: usize = 3;

/// Follows one index.
#[derive(Debug)]
pub struct Follower {
    source: Source,
    access: Access,
    current: RwLock<Option<Arc<Snapshot>>>,
    advancing: Mutex<()>,
    applied: Mutex<AppliedLog>,
    /// Whether the next cold start must not begin with HEAD.
    listing: AtomicBool,
}

#[derive(Debug, Default)]
struct AppliedLog {
    by_id: BTreeMap<BatchId, Applied>,
    order: VecDeque<BatchId>,
}

/// A snapshot, and the check that it is the newest, if that is still under way.
pub struct Opened {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    pending: Option<JoinHandle<Result<Option<ManifestId>>>>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("version", &self.snapshot.version())
            .finish()
    }
}

impl Opened {
    /// Whether the snapshot was the newest when it was asked for. Waits for the check.
    pub fn is_newest(self) -> Result<bool> {
        match self.pending {
            None => Ok(true),
            Some(task) => Ok(concurrent::wait(task)?.is_none()),
        }
    }
}

/// Whether the files that were held are gone, so that starting over from HEAD may help.
pub fn is_stale(error: &Error) -> bool {
    let code = error.raw_os_error().map(std::io::Error::from_raw_os_error);
    code.is_some_and(|error| crate::mount::is_stale(&error))
}

impl Follower {
    /// Follows the index in `source`. `writable`: marks will be set through the held descriptor.
    pub fn new(source: Source, writable: bool) -> Self {
        let access = if writable {
            Access::CoherentUpdate
        } else {
            Access::CoherentRead
        };
        Self {
            source,
            access,
            current: RwLock::default(),
            advancing: Mutex::default(),
            applied: Mutex::default(),
            listing: AtomicBool::new(false),
        }
    }

    /// Where it reads from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The snapshot held, however old.
    pub fn held(&self) -> Option<Arc<Snapshot>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Lets go of everything, so that the next call starts from HEAD.
    pub fn forget(&self) {
        self.let_go();
    }

    /// Lets go of everything, and looks at the manifests themselves next time: HEAD may name one that has
    /// been collected.
    pub(crate) fn distrust_head(&self) {
        self.listing.store(true, Ordering::SeqCst);
        self.let_go();
    }

    fn let_go(&self) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The newest snapshot: every version that was acknowledged before this call is in it. Warm
    /// and without news, this costs one coherent read.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no index, or not any more;
    /// [`ErrorKind::Corrupt`], [`ErrorKind::Unavailable`].
    pub fn newest(&self) -> Result<Arc<Snapshot>> {
        let opened = self.open()?;
        match opened.pending {
            None => Ok(opened.snapshot),
            Some(task) => match concurrent::wait(task) {
                Ok(None) => Ok(opened.snapshot),
                Ok(Some(next)) => self.advance(opened.snapshot, next),
                Err(error) => self.restart_after(error),
            },
        }
    }

    /// Holds the version that this process has just published after `base`, without reading it back.
    pub(crate) fn adopt(&self, base: &Snapshot, manifest: Manifest) -> Result<Arc<Snapshot>> {
        let _turn = self
            .advancing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = self
            .held()
            .filter(|held| held.version() >= manifest.version)
        {
            return Ok(held);
        }
        self.remember(&manifest.body.applied);
        let image = HotImage::default();
        let snapshot = Snapshot::open(manifest, &self.source, Some(base), &image)?;
        self.hold(snapshot, None)
    }

    /// Like [`Self::newest`], but after a cold start the check of the mark may still be under way,
    /// so that the first query's reads need not wait for it.
    pub fn open(&self) -> Result<Opened> {
        let Some(snapshot) = self.held() else {
            return self.cold();
        };
        let snapshot = match self.successor(&snapshot) {
            Ok(None) => snapshot,
            Ok(Some(next)) => self.advance(snapshot, next)?,
            Err(error) => self.restart_after(error)?,
        };
        Ok(Opened {
            snapshot,
            pending: None,
        })
    }

    /// What an applied batch did, if this process has seen the version that applied it.
    pub fn applied(&self, batch: BatchId) -> Option<Applied> {
        self.lock_applied().by_id.get(&batch).copied()
    }

    /// Reads the successor mark of a snapshot.
    pub fn successor(&self, snapshot: &Snapshot) -> Result<Option<ManifestId>> {
        read_successor(&self.source, self.access, snapshot)
    }

    /// Sets the successor mark of a snapshot, durably.
    ///
    /// # Errors
    /// [`ErrorKind::Fenced`] when it names another manifest: what `successor` names is a ghost.
    pub(crate) fn set_successor(&self, snapshot: &Snapshot, successor: ManifestId) -> Result<()> {
        match self.successor(snapshot)? {
            Some(set) if set == successor => return Ok(()),
            Some(_) => {
                let message = "this version exists already: a newer writer has taken over";
                return Err(Error::new(ErrorKind::Fenced, message));
            }
            None => {}
        }
        let owner = snapshot.manifest().id();
        let page = MarkPage {
            owner,
            successor: Some(successor),
        }
        .encode();
        let file = mark_file(&self.source, self.access, snapshot)?;
        let offset = owner.len - COHERENT_PAGE as u64;
        let written = file.write_durably_at(&page, offset);
        written.map_err(|error| Error::io(snapshot.manifest().path(), error))
    }

    /// Reads a manifest and what follows it, given its identity.
    pub(crate) fn read_manifest(
        &self,
        id: ManifestId,
    ) -> Result<(Manifest, MarkPage, Arc<dyn MountFile>)> {
        let (manifest, page, file) = self.read_manifest_at(id.version, id.len)?;
        if manifest.id() != id {
            // Collected, and a writer that slept has used its name: the same as gone.
            let stale = std::io::Error::from_raw_os_error(rustix::io::Errno::STALE.raw_os_error());
            return Err(Error::io(manifest.path(), stale));
        }
        Ok((manifest, page, file))
    }

    /// Reads whatever manifest has this version.
    pub(crate) fn read_version(
        &self,
        version: u64,
    ) -> Result<(Manifest, MarkPage, Arc<dyn MountFile>)> {
        let path = layout::manifest(version);
        let len = self
            .source
            .mount
            .metadata(&path)
            .map_err(|error| Error::io(&path, error))?
            .len;
        self.read_manifest_at(version, len)
    }

    fn read_manifest_at(
        &self,
        version: u64,
        len: u64,
    ) -> Result<(Manifest, MarkPage, Arc<dyn MountFile>)> {
        let path = layout::manifest(version);
        let io = |error| Error::io(&path, error);
        let file = open_marked(&self.source, self.access, &path)?;
        let len = usize::try_from(len)
            .map_err(|error| crate::format::damaged(&path, "the length").because(error))?;
        let mut bytes = vec![0; len];
        let read = file.read_at(&mut bytes, 0).map_err(io)?;
        bytes.truncate(read);
        let (manifest, _) = Manifest::decode(&bytes, &path)?;
        let page = len
            .checked_sub(COHERENT_PAGE)
            .and_then(|start| bytes.get(start..));
        let page = MarkPage::decode(page.unwrap_or_default(), &path)?;
        if manifest.version != version || page.owner != manifest.id() {
            return Err(crate::format::damaged(
                &path,
                "the identity of the manifest",
            ));
        }
        self.keep_pages(&manifest, &bytes, &path)?;
        Ok((manifest, page, file))
    }

    /// The segments that travel inside a manifest came with it: no second read for them.
    pub(crate) fn keep_pages(&self, manifest: &Manifest, file: &[u8], path: &str) -> Result<()> {
        let id = ContainerId::Manifest(manifest.version);
        let own = manifest
            .body
            .containers
            .iter()
            .find(|container| container.id == id);
        if let Some(container) = own {
            let payload = container.pages().decode(file, path)?;
            self.source
                .cache
                .insert(container.uuid, 0, OwnedBytes::new(payload));
        }
        Ok(())
    }

    /// Follows the marks from `from`, whose mark names `next`, to the newest version and holds it.
    fn advance(&self, from: Arc<Snapshot>, next: ManifestId) -> Result<Arc<Snapshot>> {
        let _turn = self
            .advancing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have come further while this thread waited for its turn.
        let further = self.held().filter(|held| held.version() > from.version());
        let (from, next) = match further {
            None => (from, Some(next)),
            Some(further) => {
                let next = match self.successor(&further) {
                    Ok(next) => next,
                    Err(error) => return self.restart_after(error),
                };
                (further, next)
            }
        };
        let Some(next) = next else { return Ok(from) };
        match self.follow(next) {
            Ok((manifest, file)) => {
                let image = HotImage::default();
                let opened = Snapshot::open(manifest, &self.source, Some(&from), &image);
                match opened {
                    Ok(snapshot) => self.hold(snapshot, Some(file)),
                    Err(error) => self.restart_after(error),
                }
            }
            Err(error) => self.restart_after(error),
        }
    }

    /// The newest manifest, from `next` on along the marks.
    fn follow(&self, mut next: ManifestId) -> Result<(Manifest, Arc<dyn MountFile>)> {
        let mut step = 0;
        loop {
            let (manifest, page, file) = self.read_manifest(next)?;
            // Only here: what the marks do not lead to may be no part of the history.
            self.remember(&manifest.body.applied);
            match page.successor {
                None => return Ok((manifest, file)),
                Some(successor) => next = successor,
            }
            step += 1;
            if step == FOLLOW_BEFORE_HEAD
                && self.access == Access::CoherentRead
                && let Ok(head) = self.read_head()
                && head.id.version > next.version
            {
                next = head.id;
            }
        }
    }

    fn restart_after(&self, error: Error) -> Result<Arc<Snapshot>> {
        if !is_stale(&error) {
            return Err(error);
        }
        tracing::info!(%error, "a held file is gone: starting over");
        self.distrust_head();
        Ok(self.cold()?.snapshot)
    }

    /// Opens what HEAD says; without HEAD, what the newest readable manifest says.
    fn cold(&self) -> Result<Opened> {
        let mut attempt = if self.listing.swap(false, Ordering::SeqCst) {
            self.cold_from_listing()
        } else {
            self.cold_from_head()
        };
        for _ in 1..COLD_TRIES {
            match attempt {
                Err(error) if is_stale(&error) => attempt = self.cold_from_listing(),
                other => return other,
            }
        }
        attempt
    }

    fn cold_from_head(&self) -> Result<Opened> {
        let (id, copy, hot) = match self.read_head() {
            Ok(Head {
                id, manifest, hot, ..
            }) => (id, manifest, hot),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(error),
            Err(error) => {
                tracing::info!(%error, "HEAD cannot be read: listing the manifests");
                return self.cold_from_listing();
            }
        };
        let Some(manifest) = copy else {
            let (manifest, page, file) = self.read_manifest(id)?;
            return self.cold_from(manifest, page, file, &hot);
        };
        self.remember(&manifest.body.applied);
        let snapshot = Snapshot::open(manifest, &self.source, None, &hot)?;
        let snapshot = self.hold(snapshot, None)?;
        // The check runs while the caller already works with the snapshot.
        let (source, access) = (self.source.clone(), self.access);
        let checked = Arc::clone(&snapshot);
        let task = concurrent::spawn(move || read_successor(&source, access, &checked))?;
        Ok(Opened {
            snapshot,
            pending: Some(task),
        })
    }

    fn cold_from_listing(&self) -> Result<Opened> {
        let (manifest, page, file) = self.newest_listed()?;
        self.remember(&manifest.body.applied);
        self.cold_from(manifest, page, file, &HotImage::default())
    }

    fn cold_from(
        &self,
        manifest: Manifest,
        page: MarkPage,
        file: Arc<dyn MountFile>,
        hot: &HotImage,
    ) -> Result<Opened> {
        let (manifest, file) = match page.successor {
            None => (manifest, file),
            Some(next) => self.follow(next)?,
        };
        let snapshot = Snapshot::open(manifest, &self.source, None, hot)?;
        let snapshot = self.hold(snapshot, Some(file))?;
        Ok(Opened {
            snapshot,
            pending: None,
        })
    }

    fn newest_listed(&self) -> Result<(Manifest, MarkPage, Arc<dyn MountFile>)> {
        let names = self.source.mount.list(layout::MANIFESTS).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                return no_index();
            }
            Error::io(layout::MANIFESTS, error)
        })?;
        let mut versions: Vec<u64> = names
            .iter()
            .filter_map(|name| layout::parse_manifest(name))
            .collect();
        versions.sort_unstable_by(|a, b| b.cmp(a));
        let mut failure = no_index();
        for version in versions.into_iter().take(LISTED_TRIES) {
            match self.read_version(version) {
                Ok(newest) => return self.published(newest),
                // A damaged newest manifest must not be passed over silently: what it
                // acknowledged would be missing from the answers.
                Err(error) if error.kind() == ErrorKind::Corrupt => return Err(error),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The newest version that is published: `newest`, unless its writer died before it told the
    /// readers of the version before. Whoever writes next finds that mark empty, and sets it. A
    /// version before that `newest` was not built on is a ghost.
    fn published(
        &self,
        newest: (Manifest, MarkPage, Arc<dyn MountFile>),
    ) -> Result<(Manifest, MarkPage, Arc<dyn MountFile>)> {
        match self.read_version(newest.0.version.saturating_sub(1)) {
            // Collected, and its mark was set before that.
            Err(error) if is_stale(&error) => Ok(newest),
            Ok(before)
                if before.1.successor.is_none() && before.0.nonce == newest.0.body.previous =>
            {
                Ok(before)
            }
            Ok(_) => Ok(newest),
            // What the readers of a damaged version were told nobody can know; `check` names it.
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(newest),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn read_head(&self) -> Result<Head> {
        let io = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::new(ErrorKind::Unavailable, "HEAD is missing").at(layout::HEAD)
            }
            _ => Error::io(layout::HEAD, error),
        };
        let file = self
            .source
            .mount
            .open(layout::HEAD, Access::Read)
            .map_err(io)?;
        let mut bytes = vec![0; head::MAX];
        let read = file.read_at(&mut bytes, 0).map_err(io)?;
        bytes.truncate(read);
        head::decode(&bytes, layout::HEAD)
    }

    fn hold(&self, snapshot: Snapshot, file: Option<Arc<dyn MountFile>>) -> Result<Arc<Snapshot>> {
        if snapshot.manifest().body.cause == Cause::Delete {
            self.forget();
            return Err(no_index());
        }
        if let Some(file) = file {
            snapshot.mark.get_or_init(|| file);
        }
        let snapshot = Arc::new(snapshot);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    fn lock_applied(&self) -> MutexGuard<'_, AppliedLog> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, applied: &[Applied]) {
        let mut log = self.lock_applied();
        for entry in applied {
            if log.by_id.insert(entry.batch, *entry).is_none() {
                log.order.push_back(entry.batch);
            }
        }
        while log.order.len() > APPLIED_REMEMBERED {
            if let Some(oldest) = log.order.pop_front() {
                log.by_id.remove(&oldest);
            }
        }
    }
}

/// The error for an index that is not there.
pub(crate) fn no_index() -> Error {
    Error::not_found("there is no such index: create it with PUT /indexes/NAME or `create-index`")
}

fn mark_file(source: &Source, access: Access, snapshot: &Snapshot) -> Result<Arc<dyn MountFile>> {
    if let Some(file) = snapshot.mark.get() {
        return Ok(Arc::clone(file));
    }
    let path = snapshot.manifest().path();
    let file = open_marked(source, access, &path)?;
    Ok(Arc::clone(snapshot.mark.get_or_init(|| file)))
}

/// Opens a manifest. Where writing it is refused, for reading: a search goes on where a post is told why
/// it cannot.
fn open_marked(source: &Source, access: Access, path: &str) -> Result<Arc<dyn MountFile>> {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    let file = match source.mount.open(path, access) {
        Err(error) if matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem) => {
            source.mount.open(path, Access::CoherentRead)
        }
        file => file,
    };
    file.map_err(|error| Error::io(path, error))
}

fn read_successor(
    source: &Source,
    access: Access,
    snapshot: &Snapshot,
) -> Result<Option<ManifestId>> {
    let owner = snapshot.manifest().id();
    let path = snapshot.manifest().path();
    let file = mark_file(source, access, snapshot)?;
    let mut failure = Error::internal("a mark has no attempts");
    for _ in 0..MARK_TRIES {
        let mut page = vec![0; COHERENT_PAGE];
        let offset = owner.len - COHERENT_PAGE as u64;
        let read = file
            .read_at(&mut page, offset)
            .map_err(|error| Error::io(&path, error))?;
        if read < COHERENT_PAGE {
            // A mark that is cut off is not an empty one.
            return Err(crate::format::damaged(&path, "the length"));
        }
        match MarkPage::decode(&page, &path) {
            Ok(page) if page.owner == owner => return Ok(page.successor),
            Ok(_) => {
                return Err(crate::format::damaged(
                    &path,
                    "the identity of the manifest",
                ));
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
