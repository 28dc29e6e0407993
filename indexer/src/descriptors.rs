//! File descriptors: how many a process may have open, and who gets how many.
//!
//! A process that has no descriptor left can neither accept a connection nor open a file. So the limit is divided
//! beforehand: some are reserved, half of the rest is for connections, and half for what the indexes keep open. What
//! is only kept open to save a call can be closed at any time: `retry` does so when an open fails all the same.

use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::clock::{Clock as _, SystemClock};

/// Descriptors that nobody gets a share of: the standard streams, the runtime's own (about 10), and what a request or
/// a merge opens for a moment.
const RESERVED: u64 = 64;
/// Of a low limit only this share is reserved, in percent: with 64 descriptors in all, 24.
const RESERVED_PERCENT: u64 = 37;
/// What an open index holds while nobody uses it: its folder, four folders in it, the mark of its newest version, and
/// its lock file; one more for a lock that it watches.
const PER_INDEX: u64 = 8;
/// Indexes that stay open at most, however many descriptors there are: each holds a manifest, a schema and the hot
/// parts of its segments in memory, which is from some tens of kilobytes to some megabytes.
const INDEXES_MAX: u64 = 256;
/// Files of segments that stay open at most. EFS allows 32,768 open files to a client, which may run several processes.
const FILES_MAX: u64 = 4096;
/// Connections at most: beyond that, memory for their buffers is the limit.
const CONNECTIONS_MAX: u64 = 8192;
/// What is taken for the limit where the system does not say: what Linux gives by default.
const UNKNOWN_LIMIT: u64 = 1024;

/// How often an open is tried again while other threads close what they have open.
const TRIES: u32 = 250;
/// Pause before that, in which a read or a listing ends.
const PAUSE: Duration = Duration::from_millis(20);

/// Who may keep how many descriptors open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Connections of a server.
    pub connections: usize,
    /// Indexes that stay open while nobody uses them.
    pub indexes: usize,
    /// Files of segments that are open, over all indexes.
    pub files: usize,
}

impl Shares {
    /// The shares of a process that may open `limit` files.
    pub fn of(limit: u64) -> Self {
        let reserved = RESERVED.min(limit.saturating_mul(RESERVED_PERCENT).div_ceil(100));
        let half = limit.saturating_sub(reserved) / 2;
        let quarter = half / 2;
        Self {
            connections: bounded(half, CONNECTIONS_MAX),
            indexes: bounded(quarter / PER_INDEX, INDEXES_MAX),
            files: bounded(half - quarter, FILES_MAX),
        }
    }

    /// The shares of this process, as its limit is now.
    pub fn of_this_process() -> Self {
        Self::of(limit())
    }
}

/// At least one, since nothing works with none.
fn bounded(share: u64, max: u64) -> usize {
    usize::try_from(share.clamp(1, max)).unwrap_or(usize::MAX)
}

/// How many files this process may open.
pub fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(UNKNOWN_LIMIT)
}

/// Raises this process's limit to what it may be raised to. For programs, before they open anything: the soft limit is
/// low for the sake of programs that use `select(2)`.
pub fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, ?current, "the limit of open files stays");
    }
}

/// Keeps descriptors open only to save calls.
pub(crate) trait Spare: Send + Sync + Debug {
    /// Closes those that nobody uses at this moment.
    fn let_go(&self);
}

static SPARE: Mutex<Vec<Weak<dyn Spare>>> = Mutex::new(Vec::new());

fn spare() -> MutexGuard<'static, Vec<Weak<dyn Spare>>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has `keeper` close what it can spare when no descriptor is left.
pub(crate) fn register(keeper: Weak<dyn Spare>) {
    let mut spare = spare();
    spare.retain(|known| known.strong_count() > 0);
    spare.push(keeper);
}

fn relieve() {
    let keepers: Vec<_> = spare().iter().filter_map(Weak::upgrade).collect();
    keepers.iter().for_each(|keeper| keeper.let_go());
}

/// Opens something. Where no descriptor is left, what can be spared is closed, and it is tried again for some seconds,
/// since everything else that is open is used for a moment only.
pub(crate) fn retry<T>(open: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    retry_after(relieve, open)
}

fn retry_after<T>(
    relieve: impl Fn(),
    mut open: impl FnMut() -> Result<T, Errno>,
) -> Result<T, Errno> {
    let mut outcome = open();
    for tries in 0..TRIES {
        match outcome {
            Err(Errno::MFILE | Errno::NFILE) => {}
            done => return done,
        }
        relieve();
        if tries > 0 {
            SystemClock.sleep(PAUSE);
        }
        outcome = open();
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn every_limit_is_divided_with_something_left_over() {
        for limit in [
            16,
            32,
            64,
            128,
            200,
            256,
            1024,
            4096,
            65_536,
            1 << 20,
            u64::MAX,
        ] {
            let shares = Shares::of(limit);
            assert!(shares.connections > 0 && shares.indexes > 0 && shares.files > 0);
            let kept =
                shares.connections as u64 + shares.indexes as u64 * PER_INDEX + shares.files as u64;
            // With very few descriptors one index is more than its share.
            let kept = kept.saturating_sub(if limit < 64 { PER_INDEX } else { 0 });
            assert!(kept < limit, "{limit}: {shares:?} keep {kept}");
        }
    }

    #[test]
    fn the_shares_of_usual_limits() {
        let shares = |connections, indexes, files| Shares {
            connections,
            indexes,
            files,
        };
        assert_eq!(Shares::of(64), shares(20, 1, 10));
        assert_eq!(Shares::of(128), shares(40, 2, 20));
        assert_eq!(Shares::of(1024), shares(480, 30, 240));
        assert_eq!(Shares::of(1 << 20), shares(8192, 256, 4096));
    }

    #[test]
    fn what_can_be_spared_is_closed_and_the_open_tried_again() {
        let relieved = Cell::new(0);
        let relieve = || relieved.set(relieved.get() + 1);
        let open = || match relieved.get() {
            0..2 => Err(Errno::MFILE),
            _ => Ok("opened"),
        };
        assert_eq!(retry_after(relieve, open), Ok("opened"));
        assert_eq!(relieved.get(), 2);
        let missing = || Err::<(), _>(Errno::NOENT);
        assert_eq!(retry_after(relieve, missing), Err(Errno::NOENT));
        assert_eq!(relieved.get(), 2);
    }
}
