//! What a commit leaves out while no other process writes: the look for a newer version, and the lock.

use std::time::{Duration, Instant};

use super::permit::Patience;

use crate::numbers::Version;

/// A process whose last version is older has to look whether there is a newer one.
const ALONE_FOR: Duration = Duration::from_secs(5);
/// Of so many commits in a row one takes the lock. A process that holds the lock, and whose large commits come second
/// again and again, is met then and has its turn.
const LOCKED_ONE_IN: u32 = 8;

/// Whether this process seems to be the only one that writes. Then its own last version is taken for the newest without
/// looking, and the lock is not taken. If that is wrong, the next version cannot be linked, and the work was for nothing.
/// Of the RPCs of a small post, looking is one and the lock is three.
#[derive(Debug, Default)]
pub(super) struct Alone {
    /// Commits in a row, with no version of another process in between.
    streak: u32,
    /// The version of the last of them, and when it was published.
    last: Option<(Version, Instant)>,
    /// How often that was wrong. Each time asks for a streak twice as long before the next.
    wrong: u32,
}

impl Alone {
    /// Whether version `held` may be taken for the newest version.
    pub(super) fn trusts(&self, held: Version, now: Instant) -> bool {
        let needed = 1_u32.checked_shl(self.wrong).unwrap_or(u32::MAX);
        self.streak > needed
            && self.last.is_some_and(|(version, at)| {
                version == held && now.saturating_duration_since(at) < ALONE_FOR
            })
    }

    /// Whether the version after `held` may be published without the lock.
    pub(super) fn skips_lock(&self, held: Version, now: Instant) -> bool {
        self.trusts(held, now) && !self.streak.is_multiple_of(LOCKED_ONE_IN)
    }

    /// Takes note of the version after `base`, which this process has published. Only commits make a streak: other work
    /// of the process holds the lock, and commits give it its turn.
    pub(super) fn published(&mut self, base: Version, patience: Patience, now: Instant) {
        let Patience::None = patience else {
            return self.met(false);
        };
        let in_a_row = self.last.is_some_and(|(last, _)| last == base);
        self.streak = if in_a_row {
            self.streak.saturating_add(1)
        } else {
            1
        };
        self.last = Some((base.next(), now));
    }

    /// Another process was met; `trusted` if its version came as a surprise.
    pub(super) fn met(&mut self, trusted: bool) {
        self.last = None;
        self.streak = 0;
        self.wrong += u32::from(trusted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(alone: &mut Alone, base: u64, now: Instant) {
        alone.published(Version::new(base), Patience::None, now);
    }

    fn trusts(alone: &Alone, held: u64, now: Instant) -> bool {
        alone.trusts(Version::new(held), now)
    }

    fn skips_lock(alone: &Alone, held: u64, now: Instant) -> bool {
        alone.skips_lock(Version::new(held), now)
    }

    #[test]
    fn trusts_a_streak_of_its_own_and_asks_for_longer_ones_once_it_was_wrong() {
        let now = Instant::now();
        let mut alone = Alone::default();
        assert!(!trusts(&alone, 1, now));
        commit(&mut alone, 1, now);
        assert!(!trusts(&alone, 2, now), "who wrote version 1?");
        commit(&mut alone, 2, now);
        assert!(trusts(&alone, 3, now));
        assert!(!trusts(&alone, 3, now + ALONE_FOR));
        assert!(!trusts(&alone, 4, now), "another process wrote it");
        commit(&mut alone, 4, now);
        assert!(!trusts(&alone, 5, now));
        commit(&mut alone, 5, now);
        assert!(trusts(&alone, 6, now));
        alone.met(true);
        for base in 7..9 {
            assert!(!trusts(&alone, base, now));
            commit(&mut alone, base, now);
        }
        assert!(!trusts(&alone, 9, now));
        commit(&mut alone, 9, now);
        assert!(trusts(&alone, 10, now));
    }

    #[test]
    fn one_of_some_commits_takes_the_lock() {
        let now = Instant::now();
        let mut alone = Alone::default();
        let locked = |base: &u64| {
            let locked = !skips_lock(&alone, *base, now);
            commit(&mut alone, *base, now);
            locked
        };
        let with_lock: Vec<u64> = (1..20).filter(locked).collect();
        assert_eq!(
            with_lock,
            [1, 2, 9, 17],
            "the first two, and then one in eight"
        );
        assert!(skips_lock(&alone, 20, now));
    }

    #[test]
    fn other_work_of_the_process_has_its_turn() {
        let now = Instant::now();
        let mut alone = Alone::default();
        (1..4).for_each(|base| commit(&mut alone, base, now));
        assert!(trusts(&alone, 4, now));
        alone.published(Version::new(4), Patience::Until(now), now);
        assert!(!trusts(&alone, 5, now));
    }
}
