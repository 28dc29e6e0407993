//! Following the versions of an index: the cold start, and the refresh of every request.
//!
//! A follower holds the newest snapshot it knows and the descriptor of its manifest. One coherent
//! read of that manifest's successor mark tells whether there is news. It never looks for a
//! version that may not exist by name, since a network file system remembers absences.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::task::JoinHandle;

use super::applied::AppliedLog;
use super::{Snapshot, Source};
use crate::concurrent;
use crate::counters::Counters;
use crate::error::{Error, Reason, Result};
use crate::format::manifest::{Applied, Cause, Manifest};
use crate::format::mark::ManifestId;
use crate::format::section::Sections;
use crate::layout::BatchId;
use crate::mount::{Access, MountFile};

/// Marks to follow before HEAD is asked whether it knows a shorter way.
const FOLLOW_BEFORE_HEAD: usize = 8;

/// Follows one index.
#[derive(Debug)]
pub struct Follower {
    pub(super) source: Source,
    pub(super) access: Access,
    current: RwLock<Option<Arc<Snapshot>>>,
    advancing: Mutex<()>,
    pub(super) starting: Mutex<()>,
    pub(super) applied: AppliedLog,
    /// Whether the next cold start must not begin with HEAD.
    pub(super) listing: AtomicBool,
    counters: Arc<Counters>,
}

/// A snapshot, and the check that it is the newest, if that is still under way.
pub struct Opened {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    pub(super) pending: Option<JoinHandle<Result<Option<ManifestId>>>>,
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
    error.is_stale()
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
            starting: Mutex::default(),
            applied: AppliedLog::default(),
            listing: AtomicBool::new(false),
            counters: Arc::default(),
        }
    }

    /// What an applied batch did, if this process has seen the version that applied it.
    pub fn applied(&self, batch: BatchId) -> Option<Applied> {
        self.applied.get(batch)
    }

    /// What this process has done with the index.
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
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

    /// Lets go of a snapshot whose files are gone, unless somebody else has done so, and looks at the manifests
    /// themselves next time.
    pub(crate) fn distrust(&self, stale: &Snapshot) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current
            .as_deref()
            .is_some_and(|held| std::ptr::eq(held, stale))
        {
            self.listing.store(true, Ordering::SeqCst);
            *current = None;
        }
    }

    fn let_go(&self) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The newest snapshot: every version that was acknowledged before this call is in it. Warm
    /// and without news, this costs one coherent read.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no index, or not any more;
    /// [`crate::ErrorKind::Corrupt`], [`crate::ErrorKind::Unavailable`].
    pub fn newest(&self) -> Result<Arc<Snapshot>> {
        let opened = self.open()?;
        match opened.pending {
            None => Ok(opened.snapshot),
            Some(task) => match concurrent::wait(task) {
                Ok(None) => Ok(opened.snapshot),
                Ok(Some(next)) => self.advance(opened.snapshot, next),
                Err(error) => self.restart_after(&opened.snapshot, error),
            },
        }
    }

    /// Holds the version that this process has just published after `base`, without reading it back.
    /// `file` is what it was written through.
    pub(crate) fn adopt(
        &self,
        base: &Snapshot,
        manifest: Manifest,
        file: Arc<dyn MountFile>,
    ) -> Result<Arc<Snapshot>> {
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
        self.applied.remember(&manifest.body.applied);
        let sections = Sections::default();
        let snapshot = Snapshot::open(manifest, &self.source, Some(base), &sections)?;
        self.hold(snapshot, Some(file))
    }

    /// Like [`Self::newest`], but after a cold start the check of the mark may still be under way,
    /// so that the first query's reads need not wait for it.
    pub fn open(&self) -> Result<Opened> {
        match self.held() {
            Some(snapshot) => self.checked(snapshot),
            None => self.cold(),
        }
    }

    /// The newest snapshot from one that is held.
    pub(super) fn checked(&self, snapshot: Arc<Snapshot>) -> Result<Opened> {
        let snapshot = match self.successor(&snapshot) {
            Ok(None) => snapshot,
            Ok(Some(next)) => self.advance(snapshot, next)?,
            Err(error) => self.restart_after(&snapshot, error)?,
        };
        Ok(Opened {
            snapshot,
            pending: None,
        })
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
                    Err(error) => return self.restart_after(&further, error),
                };
                (further, next)
            }
        };
        let Some(next) = next else { return Ok(from) };
        let mut sections = Sections::default();
        match self.follow(next, &mut sections) {
            Ok((manifest, file)) => {
                let opened = Snapshot::open(manifest, &self.source, Some(&from), &sections);
                match opened {
                    Ok(snapshot) => {
                        self.counters.refreshed();
                        self.hold(snapshot, Some(file))
                    }
                    Err(error) => self.restart_after(&from, error),
                }
            }
            Err(error) => self.restart_after(&from, error),
        }
    }

    /// The newest manifest, from `next` on along the marks. What the versions on the way carry of the sections that it
    /// refers to is added to `sections`.
    pub(super) fn follow(
        &self,
        mut next: ManifestId,
        sections: &mut Sections,
    ) -> Result<(Manifest, Arc<dyn MountFile>)> {
        let mut step = 0;
        loop {
            let (manifest, page, file) = self.read_manifest(next)?;
            // Only here: what the marks do not lead to may be no part of the history.
            self.applied.remember(&manifest.body.applied);
            match page.successor {
                None => return Ok((manifest, file)),
                Some(successor) => next = successor,
            }
            sections.follow(&manifest)?;
            step += 1;
            if step == FOLLOW_BEFORE_HEAD
                && self.access == Access::CoherentRead
                && let Ok(head) = self.read_head()
                && head.id.version > next.version
            {
                if let Some(manifest) = &head.manifest {
                    *sections = head.sections(manifest)?;
                }
                next = head.id;
            }
        }
    }

    fn restart_after(&self, stale: &Snapshot, error: Error) -> Result<Arc<Snapshot>> {
        if !is_stale(&error) {
            return Err(error);
        }
        tracing::info!(%error, "a held file is gone: starting over");
        self.distrust(stale);
        let snapshot = self.cold_start()?;
        // It may be somebody else's, who asked before this request began.
        let Some(next) = self.successor(&snapshot)? else {
            return Ok(snapshot);
        };
        let mut sections = Sections::default();
        let (manifest, file) = self.follow(next, &mut sections)?;
        let newest = Snapshot::open(manifest, &self.source, Some(&snapshot), &sections)?;
        self.hold(newest, Some(file))
    }

    pub(super) fn hold(
        &self,
        snapshot: Snapshot,
        file: Option<Arc<dyn MountFile>>,
    ) -> Result<Arc<Snapshot>> {
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
}

/// The error for an index that is not there.
pub(crate) fn no_index() -> Error {
    Error::new(Reason::IndexGone { name: None }, "there is no such index")
}
