//! What a process knows of the newest version of an index: a state machine.
//!
//! ```text
//!              install                    claim_check
//! Unknown ──────────────────▶ Hinted ──────────────────▶ Checked ─┐ install
//!    ▲  └──────────────────────────────────────────────▶    ▲     │ (a later version)
//!    │                        install                       └─────┘
//!    └── invalidate, restart ── from every state but Gone
//!
//! any state ── leave ──▶ Gone
//! ```
//!
//! No state says that a version **is** the newest. That is only known at the moment at which its mark is read, which every
//! request does once.

use std::sync::Arc;

use super::Snapshot;

/// What is known of the newest version.
#[derive(Debug)]
pub(super) enum Tip {
    /// Nothing. The next start begins at `Start`.
    Unknown(Start),
    /// HEAD has named this version, and no request has read its mark yet.
    Hinted(Arc<Snapshot>),
    /// This version was the newest when a request read its mark.
    Checked(Arc<Snapshot>),
    /// The index was deleted, or another folder has its name. Requests that still use this one find nothing held and start
    /// from the listing. Others open the index again by its name.
    Gone,
}

/// Where a start begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// At the version that HEAD names.
    Head,
    /// At the newest version in a listing of the manifests: HEAD may name one that was collected.
    Listing,
}

impl Default for Tip {
    fn default() -> Self {
        Self::Unknown(Start::Head)
    }
}

impl Tip {
    /// The version that is held, however old.
    pub(super) fn held(&self) -> Option<&Arc<Snapshot>> {
        match self {
            Self::Hinted(snapshot) | Self::Checked(snapshot) => Some(snapshot),
            Self::Unknown(_) | Self::Gone => None,
        }
    }

    /// Where a start would begin.
    pub(super) fn start(&self) -> Start {
        match self {
            Self::Unknown(start) => *start,
            Self::Hinted(_) | Self::Checked(_) => Start::Head,
            Self::Gone => Start::Listing,
        }
    }

    /// Holds a version whose mark was read. An older one than the version that is held changes nothing.
    pub(super) fn install(&mut self, snapshot: &Arc<Snapshot>) {
        self.install_as(snapshot, Self::Checked);
    }

    /// Holds a version that HEAD has named.
    pub(super) fn install_hint(&mut self, snapshot: &Arc<Snapshot>) {
        self.install_as(snapshot, Self::Hinted);
    }

    fn install_as(&mut self, snapshot: &Arc<Snapshot>, state: fn(Arc<Snapshot>) -> Self) {
        let newer = |held: &Arc<Snapshot>| held.version() < snapshot.version();
        if !self.is_gone() && self.held().is_none_or(newer) {
            *self = state(Arc::clone(snapshot));
        }
    }

    /// Whether the caller is the one request that reads the mark of a hinted version alongside its other reads.
    pub(super) fn claim_check(&mut self, snapshot: &Arc<Snapshot>) -> bool {
        let claimed = matches!(self, Self::Hinted(held) if Arc::ptr_eq(held, snapshot));
        if claimed {
            *self = Self::Checked(Arc::clone(snapshot));
        }
        claimed
    }

    /// Lets go of a version whose files are gone, unless another request has done so.
    pub(super) fn invalidate(&mut self, stale: &Snapshot) {
        let same = |held: &Arc<Snapshot>| std::ptr::eq(Arc::as_ptr(held), stale);
        if self.held().is_some_and(same) {
            *self = Self::Unknown(Start::Listing);
        }
    }

    /// Lets go of everything.
    pub(super) fn restart(&mut self, start: Start) {
        if !self.is_gone() {
            *self = Self::Unknown(start);
        }
    }

    /// Gives the folder up: this is not, or no longer, the index of its name.
    pub(super) fn leave(&mut self) {
        *self = Self::Gone;
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::manifest::{Body, Cause, Manifest};
    use crate::format::section::Sections;
    use crate::mapping::Definition;
    use crate::mount::PosixMount;
    use crate::numbers::Version;
    use crate::snapshot::Source;
    use crate::snapshot::cache::RangeCache;

    fn version(version: u64) -> Arc<Snapshot> {
        let folder = tempfile::tempdir().unwrap();
        let source = Source {
            mount: Arc::new(PosixMount::open(folder.path()).unwrap()),
            cache: Arc::new(RangeCache::new(0)),
        };
        let body = Body::empty(Cause::Commit, 0, Definition::default());
        let manifest = Manifest::empty(Version::new(version), uuid::Uuid::nil(), body);
        Arc::new(Snapshot::open(manifest, &source, None, &Sections::default()).unwrap())
    }

    fn held(tip: &Tip) -> Option<u64> {
        tip.held().map(|held| held.version().get())
    }

    #[test]
    fn a_tip_only_moves_forward() {
        let (old, new) = (version(4), version(5));
        let mut tip = Tip::default();
        assert_eq!((held(&tip), tip.start()), (None, Start::Head));
        tip.install(&new);
        tip.install(&old);
        tip.install_hint(&old);
        assert_eq!(held(&tip), Some(5));
        assert!(matches!(tip, Tip::Checked(_)));
    }

    #[test]
    fn one_request_checks_a_hint() {
        let (hinted, other) = (version(4), version(4));
        let mut tip = Tip::default();
        tip.install_hint(&hinted);
        assert!(!tip.claim_check(&other), "it is not the one that is held");
        assert!(tip.claim_check(&hinted));
        assert!(!tip.claim_check(&hinted), "another request checks it");
        assert_eq!(held(&tip), Some(4));
    }

    #[test]
    fn a_stale_version_is_let_go_of_once_and_the_next_start_lists() {
        let (stale, new) = (version(4), version(5));
        let mut tip = Tip::default();
        tip.install(&stale);
        tip.invalidate(&stale);
        assert_eq!((held(&tip), tip.start()), (None, Start::Listing));
        tip.install(&new);
        tip.invalidate(&stale);
        assert_eq!(held(&tip), Some(5), "a later request has started over");
        tip.restart(Start::Head);
        assert_eq!((held(&tip), tip.start()), (None, Start::Head));
    }

    #[test]
    fn a_folder_that_was_left_holds_nothing_for_good() {
        let snapshot = version(4);
        let mut tip = Tip::default();
        tip.install(&snapshot);
        tip.leave();
        tip.install(&snapshot);
        tip.restart(Start::Head);
        tip.invalidate(&snapshot);
        assert!(tip.is_gone());
        assert_eq!((held(&tip), tip.start()), (None, Start::Listing));
    }
}
