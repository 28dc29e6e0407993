//! The range cache: bytes of immutable files, least recently used out first.
//!
//! Containers never change, so an entry is right for ever and survives every refresh; only its
//! size bounds it. While a search runs, its share of memory is added to the capacity, so that what it uses stays here.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tantivy::directory::OwnedBytes;
use uuid::Uuid;

/// An entry used within the last so many uses is not moved to the front again: moving costs more
/// than the precision is worth.
const FRESH: u64 = 64;
/// What an entry costs beside its bytes, about.
const OVERHEAD: usize = 200;

type Key = (Uuid, u64);

/// Bytes of containers by where they begin.
#[derive(Debug)]
pub struct RangeCache {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<Key, Entry>,
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
    /// Bytes beyond the capacity, of searches that are under way.
    lent: usize,
}

#[derive(Debug)]
struct Entry {
    bytes: OwnedBytes,
    used: u64,
}

impl RangeCache {
    /// A cache of at most `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of `range`, if an entry covers it.
    pub fn get(&self, container: Uuid, range: &Range<u64>) -> Option<OwnedBytes> {
        let mut state = self.lock();
        let (&key, entry) = state
            .entries
            .range(..=(container, range.start))
            .next_back()?;
        let start = usize::try_from(range.start.checked_sub(key.1)?).ok()?;
        let end = start.checked_add(usize::try_from(range.end - range.start).ok()?)?;
        if key.0 != container || end > entry.bytes.len() {
            return None;
        }
        let bytes = entry.bytes.slice(start..end);
        let used = entry.used;
        if used + FRESH < state.uses {
            state.touch(key, used);
        }
        Some(bytes)
    }

    /// Keeps `bytes`, which begin at `start` of the container.
    pub fn insert(&self, container: Uuid, start: u64, bytes: OwnedBytes) {
        let cost = bytes.len() + OVERHEAD;
        let mut state = self.lock();
        let capacity = self.capacity.saturating_add(state.lent);
        if cost > capacity {
            return;
        }
        state.remove((container, start));
        state.uses += 1;
        let used = state.uses;
        state
            .entries
            .insert((container, start), Entry { bytes, used });
        state.by_use.insert(used, (container, start));
        state.bytes += cost;
        state.shrink(capacity);
    }

    /// Adds to the capacity until [`Self::give_back`].
    pub(crate) fn lend(&self, bytes: usize) {
        self.lock().lent += bytes;
    }

    /// Takes away what [`Self::lend`] added.
    pub(crate) fn give_back(&self, bytes: usize) {
        let mut state = self.lock();
        state.lent = state.lent.saturating_sub(bytes);
        let capacity = self.capacity.saturating_add(state.lent);
        state.shrink(capacity);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

impl State {
    fn touch(&mut self, key: Key, used: u64) {
        self.uses += 1;
        let now = self.uses;
        self.by_use.remove(&used);
        self.by_use.insert(now, key);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.used = now;
        }
    }

    fn shrink(&mut self, capacity: usize) {
        while self.bytes > capacity {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                break;
            };
            self.remove(oldest);
        }
    }

    fn remove(&mut self, key: Key) {
        if let Some(entry) = self.entries.remove(&key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.bytes.len() + OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTAINER: Uuid = Uuid::from_u128(1);

    fn bytes(len: usize, fill: u8) -> OwnedBytes {
        OwnedBytes::new(vec![fill; len])
    }

    #[test]
    fn an_entry_answers_every_range_inside_it_and_no_other() {
        let cache = RangeCache::new(10_000);
        cache.insert(CONTAINER, 100, bytes(50, 1));
        assert_eq!(cache.get(CONTAINER, &(120..150)).unwrap().len(), 30);
        assert!(cache.get(CONTAINER, &(120..151)).is_none());
        assert!(cache.get(CONTAINER, &(99..110)).is_none());
        assert!(cache.get(Uuid::from_u128(2), &(120..130)).is_none());
    }

    #[test]
    fn the_least_recently_used_goes_first_and_the_size_holds() {
        let cache = RangeCache::new(10 * (1000 + OVERHEAD));
        for index in 0..10 {
            cache.insert(CONTAINER, index * 1000, bytes(1000, 0));
        }
        for _ in 0..=FRESH {
            cache.insert(Uuid::from_u128(9), 0, bytes(1, 0));
        }
        assert!(cache.get(CONTAINER, &(1000..1001)).is_some(), "touched");
        cache.insert(CONTAINER, 50_000, bytes(2000, 0));
        assert!(
            cache.get(CONTAINER, &(2000..2001)).is_none(),
            "the oldest has gone"
        );
        assert!(
            cache.get(CONTAINER, &(1000..1001)).is_some(),
            "the touched one stays"
        );
        assert!(cache.bytes() <= 10 * (1000 + OVERHEAD));
    }

    #[test]
    fn what_is_lent_is_held_until_it_is_given_back() {
        let cache = RangeCache::new(1000 + OVERHEAD);
        cache.insert(CONTAINER, 0, bytes(1000, 1));
        cache.lend(5000 + OVERHEAD);
        cache.insert(CONTAINER, 1000, bytes(5000, 2));
        assert!(cache.get(CONTAINER, &(0..6000)).is_none());
        assert!(cache.get(CONTAINER, &(0..1000)).is_some());
        assert!(cache.get(CONTAINER, &(1000..6000)).is_some());
        cache.give_back(5000 + OVERHEAD);
        assert!(cache.bytes() <= 1000 + OVERHEAD);
        cache.insert(CONTAINER, 1000, bytes(5000, 2));
        assert!(cache.get(CONTAINER, &(1000..6000)).is_none());
    }
}
