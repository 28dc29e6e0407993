//! What a process has done with an index, for whoever watches over it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// Counts, from many threads. They order nothing.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    batches: AtomicU64,
    commit_us: AtomicU64,
    fenced: AtomicU64,
    refreshes: AtomicU64,
}

/// What was counted since an index was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Commits of batches that were published.
    pub commits: u64,
    /// Batches in them, also those of other processes that lay in the inbox.
    pub batches: u64,
    /// Microseconds that these commits took.
    pub commit_us: u64,
    /// Publications that were refused because another writer was first.
    pub fenced: u64,
    /// Moves to a version that another process had published.
    pub refreshes: u64,
}

impl Counters {
    pub(crate) fn committed(&self, batches: usize, took: Duration) {
        add(&self.commits, 1);
        add(&self.batches, u64::try_from(batches).unwrap_or(u64::MAX));
        add(
            &self.commit_us,
            u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        );
    }

    pub(crate) fn fenced(&self) {
        add(&self.fenced, 1);
    }

    pub(crate) fn refreshed(&self) {
        add(&self.refreshes, 1);
    }

    pub(crate) fn read(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            commits: read(&self.commits),
            batches: read(&self.batches),
            commit_us: read(&self.commit_us),
            fenced: read(&self.fenced),
            refreshes: read(&self.refreshes),
        }
    }
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

impl Counted {
    /// What was counted here and not yet `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    /// The sum of two indexes.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    fn with(self, other: Self, combine: fn(u64, u64) -> u64) -> Self {
        Self {
            commits: combine(self.commits, other.commits),
            batches: combine(self.batches, other.batches),
            commit_us: combine(self.commit_us, other.commit_us),
            fenced: combine(self.fenced, other.fenced),
            refreshes: combine(self.refreshes, other.refreshes),
        }
    }
}
