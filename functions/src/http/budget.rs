//! Memory for requests: what their bodies, the documents in them and their answers may take together.
//!
//! A request takes from three stores, one after the other and from each only once: for its body while that travels, for
//! what is read from it, and for its answer. Once it has its part it never waits for more from the same store, so that no two
//! requests wait for each other. It takes what it may need at the most, and gives back what it does not need as soon as that is
//! known. Small and middling requests have parts of their own in each store.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use super::error::{Problem, Sort};
use super::limits::{MEDIUM_BYTES, SMALL_BYTES};

/// What is counted: a semaphore has not as many permits as there are bytes.
const UNIT: usize = 1024;

/// The eighths of a store that are kept for requests up to [`SMALL_BYTES`] and up to [`MEDIUM_BYTES`].
const SMALL_EIGHTHS: usize = 1;
const MEDIUM_EIGHTHS: usize = 2;

/// The memory for all requests.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Bodies as they travel: a quarter.
    pub(crate) bodies: Store,
    /// What is unpacked and read from them: half, since that is the largest.
    pub(crate) parsed: Store,
    /// Answers, until the client has them: a quarter.
    pub(crate) answers: Store,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            bodies: Store::new("request bodies", bytes / 4),
            parsed: Store::new("the documents of requests", bytes / 2),
            answers: Store::new("answers", bytes / 4),
        }
    }
}

/// A number of bytes that requests take parts of.
#[derive(Debug)]
pub(crate) struct Store {
    what: &'static str,
    small: Share,
    medium: Share,
    large: Share,
}

#[derive(Debug)]
struct Share {
    free: Arc<Semaphore>,
    units: u32,
}

impl Share {
    fn new(bytes: usize) -> Self {
        let units = units(bytes);
        Self {
            free: Arc::new(Semaphore::new(units as usize)),
            units,
        }
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX)
}

impl Store {
    fn new(what: &'static str, bytes: usize) -> Self {
        let small = bytes / 8 * SMALL_EIGHTHS;
        let medium = bytes / 8 * MEDIUM_EIGHTHS;
        Self {
            what,
            small: Share::new(small),
            medium: Share::new(medium),
            large: Share::new(bytes - small - medium),
        }
    }

    /// The share for so many bytes, and as many of its units: all of them where it has fewer, so that a single request
    /// always passes.
    fn share(&self, bytes: usize) -> (&Share, u32) {
        let share = if bytes <= SMALL_BYTES {
            &self.small
        } else if bytes <= MEDIUM_BYTES {
            &self.medium
        } else {
            &self.large
        };
        (share, units(bytes).min(share.units))
    }

    /// Takes `bytes`, waiting until `deadline` for others to give back theirs.
    pub(crate) async fn take(&self, bytes: usize, deadline: Instant) -> Result<Held, Problem> {
        let (share, units) = self.share(bytes);
        let taken = Arc::clone(&share.free).acquire_many_owned(units);
        match timeout_at(deadline.into(), taken).await {
            Ok(Ok(permit)) => Ok(Held(permit)),
            Ok(Err(_closed)) => Err(Problem::new(Sort::Internal, "the memory budget is closed")),
            Err(_elapsed) => Err(self.exhausted()),
        }
    }

    /// As [`Store::take`], on a thread that may block.
    pub(crate) fn take_blocking(&self, bytes: usize, deadline: Instant) -> Result<Held, Problem> {
        match self.try_take(bytes) {
            Ok(held) => Ok(held),
            Err(_exhausted) => Handle::current().block_on(self.take(bytes, deadline)),
        }
    }

    /// Takes `bytes` if they are free.
    pub(crate) fn try_take(&self, bytes: usize) -> Result<Held, Problem> {
        let (share, units) = self.share(bytes);
        let taken = Arc::clone(&share.free).try_acquire_many_owned(units);
        taken.map(Held).map_err(|_none| self.exhausted())
    }

    fn exhausted(&self) -> Problem {
        Problem::new(
            Sort::Busy,
            format!(
                "the memory for {} is taken by other requests; nothing was done: try again later, \
                 with fewer requests at once",
                self.what
            ),
        )
    }
}

/// Bytes that a request has taken, given back when they are dropped.
#[derive(Debug)]
pub(crate) struct Held(OwnedSemaphorePermit);

impl Held {
    /// How many bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.num_permits().saturating_mul(UNIT)
    }

    /// Gives back all but `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let spare = self.0.num_permits().saturating_sub(units(bytes) as usize);
        drop(self.0.split(spare));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MIB: usize = 1024 * 1024;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[tokio::test]
    async fn what_is_taken_is_missing_until_it_is_given_back() {
        let store = Store::new("tests", 64 * MIB);
        let mut held = store.take(30 * MIB, soon()).await.unwrap();
        let late = store.take(15 * MIB, Instant::now()).await.unwrap_err();
        assert!(format!("{late:?}").contains("Busy"), "{late:?}");
        held.shrink(20 * MIB);
        assert_eq!(held.bytes(), 20 * MIB);
        let second = store.try_take(15 * MIB).unwrap();
        drop((held, second));
        store.try_take(40 * MIB).unwrap();
    }

    #[tokio::test]
    async fn smaller_ones_do_not_wait_for_larger_ones() {
        let store = Store::new("tests", 64 * MIB);
        let _large = store.take(usize::MAX, soon()).await.unwrap();
        store.try_take(MEDIUM_BYTES + 1).unwrap_err();
        let _medium = [(); 2].map(|()| store.try_take(MEDIUM_BYTES).unwrap());
        store.try_take(SMALL_BYTES + 1).unwrap_err();
        store.try_take(SMALL_BYTES).unwrap();
        store.try_take(1).unwrap();
    }

    #[tokio::test]
    async fn one_that_needs_more_than_there_is_passes_alone() {
        let store = Store::new("tests", MIB);
        let all = store.take(100 * MIB, soon()).await.unwrap();
        assert!(all.bytes() <= MIB);
        let waiting = tokio::task::spawn_blocking(move || drop(all));
        store.take(100 * MIB, soon()).await.unwrap();
        waiting.await.unwrap();
    }
}
