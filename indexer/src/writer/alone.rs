//! Saving the look for a newer version that a commit begins with, where nobody else writes.

use std::time::{Duration, Instant};

/// A process whose last version is older has to look whether there is a newer one.
const ALONE_FOR: Duration = Duration::from_secs(5);

/// Whether this process seems to be the only one that writes. Then its own last version is taken for the
/// newest without looking: if it is not, the next one cannot be linked, and the work was for nothing.
#[derive(Debug, Default)]
pub(super) struct Alone {
    /// Versions published in a row, with nobody's in between.
    streak: u32,
    /// The last of them, and when it was published.
    last: Option<(u64, Instant)>,
    /// How often that was wrong. Each time asks for a streak twice as long before the next.
    wrong: u32,
}

impl Alone {
    /// Whether version `held` may be taken for the newest version.
    pub(super) fn trusts(&self, held: u64, now: Instant) -> bool {
        let needed = 1_u32.checked_shl(self.wrong).unwrap_or(u32::MAX);
        self.streak > needed
            && self.last.is_some_and(|(version, at)| {
                version == held && now.saturating_duration_since(at) < ALONE_FOR
            })
    }

    pub(super) fn published(&mut self, base: u64, version: u64, now: Instant) {
        let in_a_row = self.last.is_some_and(|(last, _)| last == base);
        self.streak = if in_a_row {
            self.streak.saturating_add(1)
        } else {
            1
        };
        self.last = Some((version, now));
    }

    /// Somebody else was met.
    pub(super) fn met(&mut self, trusted: bool) {
        self.last = None;
        self.streak = 0;
        self.wrong += u32::from(trusted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusts_a_streak_of_its_own_and_asks_for_longer_ones_once_it_was_wrong() {
        let now = Instant::now();
        let mut alone = Alone::default();
        assert!(!alone.trusts(1, now));
        alone.published(1, 2, now);
        assert!(!alone.trusts(2, now), "who wrote version 1?");
        alone.published(2, 3, now);
        assert!(alone.trusts(3, now));
        assert!(!alone.trusts(3, now + ALONE_FOR));
        assert!(!alone.trusts(4, now), "somebody else wrote it");
        alone.published(4, 5, now);
        assert!(!alone.trusts(5, now));
        alone.published(5, 6, now);
        assert!(alone.trusts(6, now));
        alone.met(true);
        for base in 7..9 {
            assert!(!alone.trusts(base, now));
            alone.published(base, base + 1, now);
        }
        assert!(!alone.trusts(9, now));
        alone.published(9, 10, now);
        assert!(alone.trusts(10, now));
    }
}
