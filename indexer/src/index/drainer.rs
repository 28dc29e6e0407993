//! Applying what was accepted, after the answer was given: few threads for all indexes of a process.
//!
//! An index is in the queue, or a thread drains it, or neither. A batch that is accepted while its index is drained
//! makes the index line up again, so that nothing is overlooked, however many batches come and whenever.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Index;
use crate::clock::Clock;
use crate::error::Result;
use crate::writer::{Drained, Writer};

/// Threads that drain. One would do; with two, an index whose lock another process holds delays no other index.
const THREADS_MAX: usize = 2;
/// How long an index is drained before the next has its turn.
const SLICE: Duration = Duration::from_secs(2);
/// Pause before each commit, in which more batches arrive for it: no client waits for them, and a commit costs about
/// as much with a hundred batches as with one.
const GATHER: Duration = Duration::from_millis(50);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// How long an index is tried that cannot be drained. After that its inbox waits for the next write or maintenance.
const PATIENCE: Duration = Duration::from_secs(60);

/// Drains the inboxes of a process's indexes in the background.
#[derive(Debug)]
pub(super) struct Drainer {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Told when there is more to do, when a turn ends, and when all is to stop.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Work>,
    /// By the number of the writer: those that are drained, and whether something was accepted meanwhile.
    running: HashMap<usize, bool>,
    threads: usize,
    stopping: bool,
}

/// An index to drain.
#[derive(Debug)]
struct Work {
    writer: Arc<Writer>,
    /// Keeps the index from being opened a second time while its inbox is drained.
    index: Option<Arc<Index>>,
    /// Not before this time.
    from: Instant,
    /// When it is given up, if it fails from now on.
    until: Instant,
}

impl Work {
    fn number(&self) -> usize {
        number(&self.writer)
    }
}

/// Tells the writers that are in use apart.
fn number(writer: &Arc<Writer>) -> usize {
    Arc::as_ptr(writer).addr()
}

impl Drainer {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Has the inbox of `writer` drained soon, including batches that arrive meanwhile.
    pub(super) fn wake(self: &Arc<Self>, writer: &Arc<Writer>, index: Option<Arc<Index>>) {
        let number = number(writer);
        let now = self.clock.now();
        let mut state = self.lock();
        if state.stopping || state.queue.iter().any(|work| work.number() == number) {
            return;
        }
        if let Some(again) = state.running.get_mut(&number) {
            *again = true;
            return;
        }
        state.queue.push_back(Work {
            writer: Arc::clone(writer),
            index,
            from: now + GATHER,
            until: now + PATIENCE,
        });
        self.changed.notify_all();
        if state.threads < THREADS_MAX {
            state.threads += 1;
            let this = Arc::clone(self);
            let thread = std::thread::Builder::new().name("drain".into());
            if let Err(error) = thread.spawn(move || this.run()) {
                state.threads -= 1;
                state.queue.pop_back();
                tracing::warn!(%error, "the inbox waits for the next write");
            }
        }
    }

    /// Ends draining between two commits, and waits for that until `deadline`. The next process drains the remaining
    /// batches.
    pub(super) fn stop(&self, deadline: Instant) {
        let mut state = self.lock();
        state.stopping = true;
        let left = std::mem::take(&mut state.queue);
        self.changed.notify_all();
        while !state.running.is_empty() {
            let patience = deadline.saturating_duration_since(self.clock.now());
            if patience.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, patience);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        drop(left);
    }

    fn run(&self) {
        while let Some(work) = self.next() {
            let slice = self.clock.now() + SLICE;
            let go_on = || self.clock.now() < slice && !self.lock().stopping;
            let drained = work.writer.commits.drain_while(GATHER, &go_on);
            let ended = self.ended(work, drained);
            // The last one that holds an index closes its files, which may wait for the server.
            drop(ended);
        }
    }

    /// The next index whose time has come; none when there is nothing to do, which ends the thread.
    fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            let now = self.clock.now();
            if let Some(due) = state.queue.iter().position(|work| work.from <= now) {
                let work = state.queue.remove(due)?;
                state.running.insert(work.number(), false);
                return Some(work);
            }
            let Some(from) = state.queue.iter().map(|work| work.from).min() else {
                state.threads -= 1;
                return None;
            };
            let pause = from.saturating_duration_since(now);
            let waited = self.changed.wait_timeout(state, pause);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Lets the index line up again if something is left in its inbox; gives it back if not.
    fn ended(&self, mut work: Work, drained: Result<Drained>) -> Option<Work> {
        let now = self.clock.now();
        let mut state = self.lock();
        let again = state.running.remove(&work.number()).unwrap_or(false);
        self.changed.notify_all();
        let left = match &drained {
            Ok(drained) => {
                work.from = now + GATHER;
                if drained.worked {
                    work.until = now + PATIENCE;
                }
                again || !drained.empty
            }
            // The index was deleted.
            Err(error) if error.is_index_gone() => again,
            Err(error) => {
                tracing::warn!(%error, index = work.name(), "an inbox could not be drained");
                work.from = now + RETRY;
                true
            }
        };
        if !left || state.stopping {
            return Some(work);
        }
        if now >= work.until {
            tracing::warn!(index = work.name(), "an inbox waits for the next write");
            return Some(work);
        }
        state.queue.push_back(work);
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    fn name(&self) -> &str {
        self.index.as_ref().map_or("", |index| index.name())
    }
}
