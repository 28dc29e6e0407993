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
    /// One more than the longest wait that was noted since it was last taken, in milliseconds; 0 if none was.
    inbox_age: AtomicU64,
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

    /// Notes that the inbox was listed, and that its oldest batch had waited for `age_ms`: 0 if it was empty.
    pub(crate) fn listed_inbox(&self, age_ms: u64) {
        let noted = age_ms.saturating_add(1);
        self.inbox_age.fetch_max(noted, Ordering::Relaxed);
    }

    /// The longest wait that was noted since this was last called; `None` if the inbox was not listed.
    pub(crate) fn take_inbox_age_ms(&self) -> Option<u64> {
        self.inbox_age.swap(0, Ordering::Relaxed).checked_sub(1)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_is_taken_once_and_an_empty_inbox_is_one_of_zero() {
        let counters = Counters::default();
        assert_eq!(counters.take_inbox_age_ms(), None);
        counters.listed_inbox(0);
        assert_eq!(counters.take_inbox_age_ms(), Some(0));
        for age_ms in [3, 7, 0] {
            counters.listed_inbox(age_ms);
        }
        assert_eq!(counters.take_inbox_age_ms(), Some(7));
        assert_eq!(counters.take_inbox_age_ms(), None);
    }
}
