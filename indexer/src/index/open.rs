//! The indexes that a process has open. A bounded number of unused indexes stays open; the least recently used is closed
//! first.
//!
//! An index that is closed here while a request uses it stays open until that request ends, and other requests for it
//! get the same one. So a process never has two writers of one index, which would compete for its lock and know nothing
//! of each other's results. Closing loses nothing of value: a reopened index is in the state of one in a process that
//! has just started.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Index;
use crate::counters::{Counted, Counters};
use crate::descriptors::Spare;

/// Open indexes by their names.
#[derive(Debug)]
pub(super) struct OpenIndexes {
    bound: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<String, Known>,
    /// How many of them are kept.
    kept: usize,
    uses: u64,
    /// What was counted in indexes that are closed.
    closed: Counted,
}

#[derive(Debug)]
struct Known {
    /// Valid while a request uses it.
    index: Weak<Index>,
    /// Keeps it open between requests.
    kept: Option<Arc<Index>>,
    used: u64,
    counters: Arc<Counters>,
}

/// Whether an index stays open after its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// As one of those used last.
    Open,
    /// Only if it is open already.
    AsItIs,
}

impl OpenIndexes {
    /// Keeps up to `bound` open.
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound: bound.max(1),
            state: Mutex::default(),
        }
    }

    /// The index with this name, if it is open and not known to be deleted.
    pub(super) fn get(&self, name: &str) -> Option<Arc<Index>> {
        let known = self.lock().known.get(name)?.index.upgrade()?;
        (!known.is_gone()).then_some(known)
    }

    /// Adds an index that was opened, or found open. Gives the one that all requests use: another one if a second
    /// thread opened it at the same time.
    pub(super) fn put(&self, name: &str, index: Arc<Index>, stay: Stay) -> Arc<Index> {
        let mut state = self.lock();
        let used = state.uses;
        state.uses += 1;
        let there = state
            .known
            .get(name)
            .and_then(|known| known.index.upgrade());
        let mut closed = Vec::new();
        let index = match there.filter(|there| !there.is_gone()) {
            Some(there) => there,
            None => {
                closed.extend(state.remove(name));
                let known = Known {
                    index: Arc::downgrade(&index),
                    kept: None,
                    used,
                    counters: Arc::clone(index.counted()),
                };
                state.known.insert(name.to_owned(), known);
                index
            }
        };
        let mut newly = 0;
        if let Some(known) = state.known.get_mut(name) {
            known.used = used;
            if stay == Stay::Open && known.kept.is_none() {
                known.kept = Some(Arc::clone(&index));
                newly = 1;
            }
        }
        state.kept += newly;
        while state.kept > self.bound {
            closed.extend(state.close_oldest());
        }
        state.sweep(self.bound);
        drop(state);
        // Closing files may wait for the server.
        drop(closed);
        index
    }

    /// Forgets an index that was found to be deleted.
    pub(super) fn remove_gone(&self, name: &str) {
        let mut state = self.lock();
        let known = state
            .known
            .get(name)
            .and_then(|known| known.index.upgrade());
        let removed = match known {
            Some(known) if !known.is_gone() => None,
            _ => state.remove(name),
        };
        drop(state);
        drop(removed);
    }

    /// Forgets an index that was deleted.
    pub(super) fn remove(&self, name: &str) {
        let removed = self.lock().remove(name);
        drop(removed);
    }

    /// What was done with all indexes, open and closed.
    pub(super) fn counted(&self) -> Counted {
        let state = self.lock();
        let open = state.known.values();
        open.fold(state.closed, |sum, known| sum.and(known.counters.read()))
    }

    /// The longest wait that the open indexes have noted of a batch since this was last called, in milliseconds.
    pub(super) fn take_inbox_age_ms(&self) -> Option<u64> {
        let state = self.lock();
        let open = state.known.values();
        open.filter_map(|known| known.counters.take_inbox_age_ms())
            .max()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, name: &str) -> Option<Arc<Index>> {
        let known = self.known.remove(name)?;
        self.closed = self.closed.and(known.counters.read());
        self.kept -= usize::from(known.kept.is_some());
        known.kept
    }

    /// Keeps the index no longer whose last use is the longest ago.
    fn close_oldest(&mut self) -> Option<Arc<Index>> {
        let kept = self.known.values_mut().filter(|known| known.kept.is_some());
        let oldest = kept.min_by_key(|known| known.used)?;
        self.kept -= 1;
        oldest.kept.take()
    }

    /// Forgets indexes that are closed, once there are many.
    fn sweep(&mut self, bound: usize) {
        if self.known.len() <= 2 * bound {
            return;
        }
        let closed = |known: &Known| known.index.strong_count() == 0;
        let sum = self.known.values().filter(|known| closed(known));
        self.closed = sum.fold(self.closed, |sum, known| sum.and(known.counters.read()));
        self.known.retain(|_, known| !closed(known));
    }
}

impl Spare for OpenIndexes {
    fn let_go(&self) {
        let mut state = self.lock();
        let mut closed = Vec::new();
        for known in state.known.values_mut() {
            // Only this map holds it.
            if known.index.strong_count() == 1 {
                closed.extend(known.kept.take());
            }
        }
        state.kept -= closed.len();
        drop(state);
        drop(closed);
    }
}
