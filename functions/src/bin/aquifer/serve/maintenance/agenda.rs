//! Which index is tidied next, and which is left alone.
//!
//! An index in which nothing has happened costs a visit: its folders say when they last changed. It is visited less
//! and less often, and tidied again when they have changed, when something may have become old enough to be removed,
//! or when a step failed. A name and some times are all that is kept of it.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use aquifer_indexer::index::Stamps;

/// How many times longer than usual the pause between two visits of an idle index becomes.
const IDLE_STRETCH: u32 = 10;
/// How many times longer than usual the pause after failures becomes: an hour, at the usual interval.
const FAILURE_STRETCH: u32 = 60;
/// An index is tidied so often though nothing seems to have happened: leavings of a crash may change none of the
/// folders that are looked at.
const AT_LEAST_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Of all indexes, when each is due.
#[derive(Debug)]
pub(super) struct Agenda {
    interval: Duration,
    retention: Duration,
    indexes: HashMap<String, Entry>,
    /// Those that changed lately, by when they are due.
    busy: BTreeSet<(Instant, String)>,
    /// The others.
    quiet: BTreeSet<(Instant, String)>,
    /// Whether a quiet one has its turn next.
    turn_of_quiet: bool,
}

/// What is kept of one index.
#[derive(Clone, Copy, Debug)]
struct Entry {
    due: Instant,
    /// How its folders looked before it was last tidied.
    stamps: Option<Stamps>,
    /// It was tidied twice while they looked so: whatever happened before has been seen.
    settled: bool,
    /// When something may be old enough to be removed.
    expires: Option<Instant>,
    /// Until the next visit, while nothing happens.
    pause: Duration,
    /// Rounds in a row in which a step failed.
    failures: u32,
}

/// How a round went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// A step failed.
    pub(super) failed: bool,
    /// There is more to do.
    pub(super) left: bool,
}

impl Agenda {
    pub(super) fn new(interval: Duration, retention: Duration) -> Self {
        Self {
            interval,
            retention,
            indexes: HashMap::new(),
            busy: BTreeSet::new(),
            quiet: BTreeSet::new(),
            turn_of_quiet: false,
        }
    }

    /// Takes up the indexes that are there, and forgets the others.
    pub(super) fn list(&mut self, names: Vec<String>, now: Instant) {
        let mut before = std::mem::take(&mut self.indexes);
        for name in names {
            let entry = before.remove(&name).unwrap_or_else(|| {
                self.quiet.insert((now, name.clone()));
                Entry {
                    due: now,
                    stamps: None,
                    settled: false,
                    expires: None,
                    pause: self.interval,
                    failures: 0,
                }
            });
            self.indexes.insert(name, entry);
        }
        for (name, entry) in before {
            let key = (entry.due, name);
            self.busy.remove(&key);
            self.quiet.remove(&key);
        }
    }

    /// When the next index is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let first = |set: &BTreeSet<(Instant, String)>| set.first().map(|(due, _)| *due);
        [first(&self.busy), first(&self.quiet)]
            .into_iter()
            .flatten()
            .min()
    }

    /// The index that is due. Busy and quiet ones have their turns alternately, so that a thousand of the one sort do not
    /// keep an index of the other waiting.
    pub(super) fn next(&mut self, now: Instant) -> Option<String> {
        self.turn_of_quiet = !self.turn_of_quiet;
        let (first, second) = if self.turn_of_quiet {
            (&mut self.quiet, &mut self.busy)
        } else {
            (&mut self.busy, &mut self.quiet)
        };
        for set in [first, second] {
            if set.first().is_some_and(|(due, _)| *due <= now) {
                return set.pop_first().map(|(_, name)| name);
            }
        }
        None
    }

    /// Whether an index that looks like `stamps` has to be tidied. If not, its next visit is planned.
    pub(super) fn is_due(&mut self, name: &str, stamps: Stamps, now: Instant) -> bool {
        let most = self.interval * IDLE_STRETCH;
        let Some(entry) = self.indexes.get_mut(name) else {
            return false;
        };
        let expired = entry.expires.is_some_and(|expires| expires <= now);
        if entry.stamps != Some(stamps) || !entry.settled || expired {
            return true;
        }
        entry.pause = (entry.pause * 2).min(most);
        let pause = entry.pause;
        self.plan(name, now, pause);
        false
    }

    /// Notes that an index was tidied which looked like `stamps` before.
    pub(super) fn tidied(&mut self, name: &str, stamps: Stamps, outcome: Outcome, now: Instant) {
        let Some(entry) = self.indexes.get_mut(name) else {
            return;
        };
        entry.pause = self.interval;
        let changed = entry.stamps != Some(stamps);
        if changed {
            // What was replaced or left over just now may go when retention is over.
            entry.expires = Some(now + self.retention);
        } else if entry.expires.is_none_or(|expires| expires <= now) {
            entry.expires = Some(now + AT_LEAST_EVERY);
        }
        entry.settled = !changed && !outcome.failed && !outcome.left;
        entry.stamps = Some(stamps);
        entry.failures = if outcome.failed {
            entry.failures + 1
        } else {
            0
        };
        let stretch = 2_u32.saturating_pow(entry.failures.saturating_sub(1));
        let pause = self.interval * stretch.min(FAILURE_STRETCH);
        self.plan(name, now, pause);
    }

    /// Comes back to an index that could not be looked at.
    pub(super) fn unreachable(&mut self, name: &str, now: Instant) {
        self.plan(name, now, self.interval);
    }

    /// Forgets an index that is gone.
    pub(super) fn remove(&mut self, name: &str) {
        self.indexes.remove(name);
    }

    fn plan(&mut self, name: &str, now: Instant, pause: Duration) {
        let Some(entry) = self.indexes.get_mut(name) else {
            return;
        };
        entry.due = match entry.expires {
            // After a failure the pause counts.
            Some(expires) if entry.failures == 0 => {
                (now + pause).min(expires.max(now + self.interval))
            }
            _ => now + pause,
        };
        let set = if entry.settled {
            &mut self.quiet
        } else {
            &mut self.busy
        };
        set.insert((entry.due, name.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use aquifer_indexer::config::Config;
    use aquifer_indexer::index::Aquifer;
    use aquifer_indexer::mapping::Definition;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);
    const FINE: Outcome = Outcome {
        failed: false,
        left: false,
    };

    /// Two looks at an index, before and after something happened in it.
    fn looks() -> [Stamps; 2] {
        let folder = tempfile::tempdir().unwrap();
        let root = Aquifer::open(folder.path(), Config::default()).unwrap();
        root.create_index("a", &Definition::default()).unwrap();
        let before = root.stamps("a").unwrap();
        let inbox = std::fs::File::open(folder.path().join("a/inbox")).unwrap();
        inbox
            .set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
        let after = root.stamps("a").unwrap();
        assert_ne!(before, after);
        [before, after]
    }

    /// Goes on until `end`, with an index that looks like `stamps`; gives when it was visited, and whether it was tidied.
    fn go_on(
        agenda: &mut Agenda,
        stamps: Stamps,
        outcome: Outcome,
        end: Instant,
    ) -> (usize, usize) {
        let (mut visits, mut rounds) = (0, 0);
        while let Some(due) = agenda.next_due().filter(|due| *due < end) {
            let name = agenda.next(due).unwrap();
            visits += 1;
            if agenda.is_due(&name, stamps, due) {
                rounds += 1;
                agenda.tidied(&name, stamps, outcome, due);
            }
        }
        (visits, rounds)
    }

    #[test]
    fn an_idle_index_is_tidied_until_nothing_can_expire_and_then_left_alone() {
        let [before, after] = looks();
        let start = Instant::now();
        let mut agenda = Agenda::new(MINUTE, HOUR);
        agenda.list(vec!["a".into()], start);
        // When it is first seen, a second time, and when what was there then may be removed.
        let (visits, rounds) = go_on(&mut agenda, before, FINE, start + 2 * HOUR);
        assert_eq!(rounds, 3);
        assert!((10..25).contains(&visits), "{visits}");
        let (_, rounds) = go_on(&mut agenda, before, FINE, start + 20 * HOUR);
        assert_eq!(rounds, 0);
        let (_, rounds) = go_on(&mut agenda, before, FINE, start + 30 * HOUR);
        assert_eq!(rounds, 1, "once a day whatever it looks like");
        let (_, rounds) = go_on(&mut agenda, after, FINE, start + 33 * HOUR);
        assert_eq!(rounds, 3, "something happened");
    }

    #[test]
    fn what_failed_is_tried_again_with_growing_pauses() {
        let [before, _] = looks();
        let start = Instant::now();
        let mut agenda = Agenda::new(MINUTE, HOUR);
        agenda.list(vec!["a".into()], start);
        let failed = Outcome {
            failed: true,
            left: false,
        };
        let (_, rounds) = go_on(&mut agenda, before, failed, start + 24 * HOUR);
        assert!((24..40).contains(&rounds), "{rounds}");
        let left = Outcome {
            failed: false,
            left: true,
        };
        let (_, rounds) = go_on(&mut agenda, before, left, start + 25 * HOUR);
        assert!((1..=60).contains(&rounds), "{rounds}");
    }

    #[test]
    fn a_busy_index_does_not_wait_for_many_quiet_ones() {
        let [before, _] = looks();
        let start = Instant::now();
        let mut agenda = Agenda::new(MINUTE, HOUR);
        agenda.list(vec!["busy".into()], start);
        assert_eq!(agenda.next(start).unwrap(), "busy");
        agenda.tidied("busy", before, FINE, start);
        let mut names: Vec<String> = (0..1000).map(|number| format!("n{number}")).collect();
        names.push("busy".into());
        agenda.list(names, start);
        let later = start + MINUTE;
        let turns: Vec<_> = (0..2).map(|_| agenda.next(later).unwrap()).collect();
        assert!(turns.contains(&"busy".to_owned()), "{turns:?}");
        agenda.list(vec!["n5".into()], later);
        assert_eq!((agenda.quiet.len(), agenda.indexes.len()), (1, 1));
    }
}
