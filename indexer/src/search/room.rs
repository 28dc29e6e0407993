//! The memory that the searches of a process share.
//!
//! For the segment that it searches, tantivy keeps in memory the postings of every word, the lengths of every field and the
//! columns to sort by. A search knows their size once it has found its words. It then takes room for the segment that needs
//! the most, and waits until its deadline if other searches have it. A search that waits has taken no room, so two searches
//! never wait for each other. A search that needs more than there is fails before it reads.
//!
//! The room is added to the capacity of the cache while the search runs, so that bytes that several parts of a search need
//! are in memory once.
//!
//! Reads that are under way need memory until the cache has their bytes. They have a bound of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, TryAcquireError};

use super::limits;
use crate::error::{Error, Reason, Result};
use crate::snapshot::cache::RangeCache;

/// The unit that room is counted in.
const KIB: usize = 1024;
/// The share of what is read ahead, as a divisor.
const READING_SHARE: usize = 8;

/// Room for the searches of a process.
#[derive(Debug)]
pub(crate) struct Room {
    cache: Arc<RangeCache>,
    held: Arc<Semaphore>,
    /// What `held` was made with, in [`KIB`].
    most: usize,
    reading: Semaphore,
    reading_most: usize,
}

/// What a search has taken of it.
#[derive(Debug)]
pub(super) struct Taken {
    cache: Arc<RangeCache>,
    bytes: usize,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.cache.give_back(self.bytes);
    }
}

impl Taken {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Room {
    /// Room of `bytes` in all, beside `cache`.
    pub(crate) fn new(bytes: usize, cache: Arc<RangeCache>) -> Self {
        let reading = limits::READ_AHEAD.min(bytes / READING_SHARE);
        let units = |bytes: usize| (bytes / KIB).clamp(1, Semaphore::MAX_PERMITS);
        let (most, reading_most) = (units(bytes - reading), units(reading));
        Self {
            cache,
            held: Arc::new(Semaphore::new(most)),
            most,
            reading: Semaphore::new(reading_most),
            reading_most,
        }
    }

    /// Fails where one search cannot have so many bytes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`].
    pub(super) fn check(&self, bytes: usize) -> Result<()> {
        if bytes.div_ceil(KIB) <= self.most {
            return Ok(());
        }
        let message = format!(
            "the query is too broad: what it needs of one segment takes {} KiB of memory, and a search may take {} KiB \
             in this process: leave out words that most documents have, sort by fewer fields, or give the process more \
             memory",
            bytes.div_ceil(KIB),
            self.most,
        );
        Err(Error::new(Reason::MemoryShort, message))
    }

    /// Takes room at once, if it is free.
    pub(super) fn try_take(&self, bytes: usize) -> Result<Option<Taken>> {
        let units = Self::units(bytes, self.most);
        match Arc::clone(&self.held).try_acquire_many_owned(units) {
            Ok(permit) => Ok(Some(self.lend(bytes, permit))),
            Err(TryAcquireError::NoPermits) => Ok(None),
            Err(closed @ TryAcquireError::Closed) => Err(closed_early(closed)),
        }
    }

    /// Takes room as soon as it is free.
    pub(super) async fn take(&self, bytes: usize) -> Result<Taken> {
        let units = Self::units(bytes, self.most);
        let permit = Arc::clone(&self.held).acquire_many_owned(units).await;
        Ok(self.lend(bytes, permit.map_err(closed_early)?))
    }

    fn lend(&self, bytes: usize, permit: OwnedSemaphorePermit) -> Taken {
        self.cache.lend(bytes);
        Taken {
            cache: Arc::clone(&self.cache),
            bytes,
            _permit: permit,
        }
    }

    /// Waits until this many more bytes may be read ahead.
    pub(super) async fn read(&self, bytes: usize) -> Result<SemaphorePermit<'_>> {
        let units = Self::units(bytes, self.reading_most);
        let permit = self.reading.acquire_many(units).await;
        permit.map_err(closed_early)
    }

    fn units(bytes: usize, most: usize) -> u32 {
        u32::try_from(bytes.div_ceil(KIB).min(most)).unwrap_or(u32::MAX)
    }
}

fn closed_early(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("searching was ended").because(cause)
}

/// Counts what a search needs of one segment.
#[derive(Debug, Default)]
pub(super) struct Need(AtomicUsize);

impl Need {
    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Room for any search of a test.
#[cfg(test)]
pub(super) fn roomy() -> Arc<Room> {
    let cache = Arc::new(RangeCache::new(0));
    Arc::new(Room::new(
        crate::config::Config::default().search_bytes(),
        cache,
    ))
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once};

    use super::*;

    #[test]
    fn what_is_taken_comes_back_and_more_than_there_is_is_refused() {
        let cache = Arc::new(RangeCache::new(0));
        let room = Room::new(64 * KIB, Arc::clone(&cache));
        assert!(room.check(56 * KIB).is_ok());
        let error = room.check(56 * KIB + 1).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Invalid);
        assert!(error.to_string().contains("57 KiB"), "{error}");
        let first = room.try_take(48 * KIB).unwrap().unwrap();
        assert!(room.try_take(9 * KIB).unwrap().is_none());
        let second = room.try_take(8 * KIB).unwrap();
        assert!(second.is_some());
        let mut waiting = Box::pin(room.take(9 * KIB));
        assert!(block_on(poll_once(&mut waiting)).is_none());
        drop(first);
        assert!(block_on(poll_once(&mut waiting)).is_some());
    }

    #[test]
    fn what_is_read_ahead_has_a_bound_of_its_own() {
        let room = Room::new(64 * KIB, Arc::new(RangeCache::new(0)));
        let all = block_on(room.read(1024 * KIB)).unwrap();
        assert!(block_on(poll_once(&mut Box::pin(room.read(1)))).is_none());
        assert!(room.try_take(56 * KIB).unwrap().is_some());
        drop(all);
        assert!(block_on(room.read(1)).is_ok());
    }
}
