//! What allows a writer to publish next, as a courtesy to other processes. Correctness does not depend on it.

use std::time::Instant;

use super::lock::Held;
use crate::numbers::LockGeneration;
use crate::snapshot::Snapshot;

/// How long to wait for the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Not at all: clients wait. What saves them time is done while no other process seems to write ([`super::alone`]).
    None,
    /// Until this time.
    Until(Instant),
}

impl Patience {
    pub(super) fn lasts_at(self, now: Instant) -> bool {
        matches!(self, Self::Until(deadline) if now < deadline)
    }
}

/// The permission to publish next.
pub(super) enum Permit {
    /// The lock is held.
    Locked(Held),
    /// No other process seems to write.
    Alone,
}

impl Permit {
    /// Whether a version after `tip` may be published with it. Otherwise the lock was overtaken while it was held.
    pub(super) fn serves(&self, tip: &Snapshot) -> bool {
        match self {
            Self::Locked(held) => held.serves(tip),
            Self::Alone => true,
        }
    }

    /// The lock that a version after `base` names.
    pub(super) fn generation(&self, base: &Snapshot) -> LockGeneration {
        match self {
            Self::Locked(held) => held.generation,
            Self::Alone => base.manifest().body.lock_generation,
        }
    }

    /// The permit for another attempt: a process that was not alone takes the lock.
    pub(super) fn again(self) -> Option<Self> {
        match self {
            Self::Locked(_) => Some(self),
            Self::Alone => None,
        }
    }
}
