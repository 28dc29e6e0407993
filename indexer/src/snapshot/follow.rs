//! Following the versions of an index: the refresh of every request.
//!
//! A follower holds the newest version it knows (`Tip`) and the descriptor of its manifest. One coherent
//! read of that manifest's successor mark tells whether there is news. It never looks for a
//! version that may not exist by name, since a network file system remembers absences.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::task::JoinHandle;

use super::applied::AppliedLog;
use super::mark::read_successor;
use super::tip::{Start, Tip};
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
    tip: RwLock<Tip>,
    /// Held by the one thread that reads the next tip, so that the others get it without reading.
    moving: Mutex<()>,
    pub(super) applied: AppliedLog,
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
            tip: RwLock::default(),
            moving: Mutex::default(),
            applied: AppliedLog::default(),
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
        self.tip().held().cloned()
    }

    pub(super) fn tip(&self) -> RwLockReadGuard<'_, Tip> {
        self.tip.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change_tip(&self) -> RwLockWriteGuard<'_, Tip> {
        self.tip.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the thread that moves the tip, if one does.
    pub(super) fn moving(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of everything, so that the next call starts from HEAD.
    pub fn restart(&self) {
        self.change_tip().restart(Start::Head);
    }

    /// Lets go of everything, and looks at the manifests themselves next time: HEAD may name one that has
    /// been collected.
    pub(crate) fn restart_from_listing(&self) {
        self.change_tip().restart(Start::Listing);
    }

    /// Lets go of a snapshot whose files are gone, unless another thread has done so.
    pub(crate) fn invalidate(&self, stale: &Snapshot) {
        self.change_tip().invalidate(stale);
    }

    /// Gives this folder up: the index is to be opened again by its name.
    pub(crate) fn leave(&self) {
        self.change_tip().leave();
    }

    /// Whether the index was deleted, or its folder was given up.
    pub(crate) fn is_gone(&self) -> bool {
        self.tip().is_gone()
    }

    /// The newest snapshot: every version that was acknowledged before this call is in it. Warm
    /// and without news, this costs one coherent read.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no index, or not any more;
    /// [`crate::ErrorKind::Corrupt`], [`crate::ErrorKind::Unavailable`].
    pub fn newest(&self) -> Result<Arc<Snapshot>> {
        let Opened { snapshot, pending } = self.open()?;
        match pending {
            None => Ok(snapshot),
            Some(check) => self.newest_after(snapshot, concurrent::wait(check)),
        }
    }

    /// Like [`Self::newest`], but after a cold start the check of the mark may still be under way,
    /// so that the first query's reads need not wait for it.
    pub fn open(&self) -> Result<Opened> {
        let snapshot = match self.held() {
            Some(held) => held,
            None => self.start()?,
        };
        let hinted = matches!(*self.tip(), Tip::Hinted(_));
        if hinted && self.change_tip().claim_check(&snapshot) {
            let (source, access, hinted) =
                (self.source.clone(), self.access, Arc::clone(&snapshot));
            let check = concurrent::spawn(move || read_successor(&source, access, &hinted))?;
            let pending = Some(check);
            return Ok(Opened { snapshot, pending });
        }
        let successor = self.successor(&snapshot);
        Ok(Opened {
            snapshot: self.newest_after(snapshot, successor)?,
            pending: None,
        })
    }

    /// The newest snapshot, from one whose mark was just read.
    fn newest_after(
        &self,
        snapshot: Arc<Snapshot>,
        successor: Result<Option<ManifestId>>,
    ) -> Result<Arc<Snapshot>> {
        let newest = match successor {
            Ok(None) => return Ok(snapshot),
            Ok(Some(next)) => self.advance(Arc::clone(&snapshot), next),
            Err(error) => Err(error),
        };
        match newest {
            Err(error) if error.is_stale() => {
                tracing::info!(%error, "a held file is gone: starting over");
                self.invalidate(&snapshot);
                let started = self.start()?;
                // Another request may have started it, before this one began.
                match self.successor(&started)? {
                    None => Ok(started),
                    Some(next) => self.advance(started, next),
                }
            }
            newest => newest,
        }
    }

    /// Follows the marks from `from`, whose mark names `next`, to the newest version and holds it.
    fn advance(&self, from: Arc<Snapshot>, next: ManifestId) -> Result<Arc<Snapshot>> {
        let _turn = self.moving();
        // Another thread may have come further while this one waited for its turn.
        let further = self.held().filter(|held| held.version() > from.version());
        let Some(further) = further else {
            return self.advance_to(&from, next);
        };
        let advanced = match self.successor(&further) {
            Ok(None) => return Ok(further),
            Ok(Some(next)) => self.advance_to(&further, next),
            Err(error) => Err(error),
        };
        if advanced.as_ref().is_err_and(Error::is_stale) {
            self.invalidate(&further);
        }
        advanced
    }

    fn advance_to(&self, from: &Snapshot, next: ManifestId) -> Result<Arc<Snapshot>> {
        let mut sections = Sections::default();
        let (manifest, file) = self.follow(next, &mut sections)?;
        let snapshot = Snapshot::open(manifest, &self.source, Some(from), &sections)?;
        self.counters.refreshed();
        self.install_checked(snapshot, file)
    }

    /// Holds the version that this process has just published after `base`, without reading it back.
    /// `file` is what it was written through.
    pub(crate) fn install(
        &self,
        base: &Snapshot,
        manifest: Manifest,
        file: Arc<dyn MountFile>,
    ) -> Result<Arc<Snapshot>> {
        let _turn = self.moving();
        let as_new = |held: &Arc<Snapshot>| held.version() >= manifest.version;
        if let Some(held) = self.held().filter(as_new) {
            return Ok(held);
        }
        self.applied.remember(&manifest.body.applied);
        let sections = Sections::default();
        let snapshot = Snapshot::open(manifest, &self.source, Some(base), &sections)?;
        self.install_checked(snapshot, file)
    }

    pub(super) fn install_checked(
        &self,
        snapshot: Snapshot,
        file: Arc<dyn MountFile>,
    ) -> Result<Arc<Snapshot>> {
        let snapshot = self.undeleted(snapshot)?;
        snapshot.mark.get_or_init(|| file);
        self.change_tip().install(&snapshot);
        Ok(snapshot)
    }

    /// A version that may be held. The last version of a deleted index is none.
    pub(super) fn undeleted(&self, snapshot: Snapshot) -> Result<Arc<Snapshot>> {
        if snapshot.manifest().body.cause == Cause::Delete {
            self.leave();
            return Err(no_index());
        }
        Ok(Arc::new(snapshot))
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
}

/// The error for an index that is not there.
pub(crate) fn no_index() -> Error {
    Error::new(Reason::IndexGone { name: None }, "there is no such index")
}
