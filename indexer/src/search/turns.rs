//! Turns: who computes, when more searches are under way than there are processors.
//!
//! A search takes a turn before it computes and gives it up while it waits for a file. After each
//! [`limits::SLICE`] it looks whether another one waits that has computed less, and lets that one go
//! first. A cheap search therefore waits for a slice at most, however many expensive ones run beside
//! it. Of those that have computed about as much, who came first goes first: taking turns would end all of them late.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::limits;
use crate::error::{Error, ErrorKind, Result};

/// How long a search that waits sleeps before it looks whether anybody still wants it.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// The turns of a process, or of a test.
#[derive(Debug)]
pub(super) struct Turns {
    most: usize,
    /// How many wait, to be looked at without the lock.
    waiting: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    tickets: u64,
    waiting: BTreeMap<Place, Arc<Waiter>>,
}

/// The order of those who wait: less computed first, then who came first.
type Place = (Level, u64);

/// How much a search has computed: each level stands for four times as much as the one before. (Time is that of the wall,
/// which on a busy machine goes on while a search does not; with few levels a cheap one would soon be in
/// line with the most expensive ones.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Level(u8);

impl Level {
    /// From which on searches are run in the order in which they came.
    const LAST: u8 = 5;

    fn of(spent: Duration) -> Self {
        let mut bound = limits::CHEAP;
        let mut level = 0;
        while spent >= bound && level < Self::LAST {
            bound *= 4;
            level += 1;
        }
        Self(level)
    }
}

/// A thread that waits for its turn.
#[derive(Debug)]
struct Waiter {
    thread: Thread,
    granted: AtomicBool,
}

impl Turns {
    /// `most` searches compute at once.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            waiting: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    /// Those of this process: one for each processor, and some for searches that hold their turn while tantivy
    /// reads a file that was not read ahead.
    pub(super) fn of_process() -> &'static Arc<Self> {
        static TURNS: OnceLock<Arc<Turns>> = OnceLock::new();
        TURNS.get_or_init(|| {
            let processors = thread::available_parallelism().map_or(1, usize::from);
            Arc::new(Self::new(processors + limits::TURNS_FOR_FILES))
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives free turns to those who wait.
    fn grant(&self, state: &mut State) {
        while state.running < self.most
            && let Some((_, next)) = state.waiting.pop_first()
        {
            state.running += 1;
            next.granted.store(true, Ordering::SeqCst);
            next.thread.unpark();
        }
        self.waiting.store(state.waiting.len(), Ordering::SeqCst);
    }
}

/// The turn of one search.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    ticket: u64,
    /// When it began to compute; none while it does not.
    since: Option<Instant>,
    spent: Duration,
}

impl Turn {
    pub(super) fn new(turns: &Arc<Turns>) -> Self {
        let mut state = turns.lock();
        state.tickets += 1;
        let ticket = state.tickets;
        drop(state);
        Self {
            turns: Arc::clone(turns),
            ticket,
            since: None,
            spent: Duration::ZERO,
        }
    }

    fn place(&self) -> Place {
        (Level::of(self.spent), self.ticket)
    }

    /// Waits until this search may compute. `ended` says whether it has to end instead.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] where too many wait that have computed much; the error of `ended`.
    pub(super) fn take(
        &mut self,
        now: impl Fn() -> Instant,
        ended: impl Fn() -> Result<()>,
    ) -> Result<()> {
        if self.since.is_none() {
            let mut state = self.turns.lock();
            if state.running < self.turns.most && state.waiting.is_empty() {
                state.running += 1;
            } else {
                let waiter = self.wait(&mut state)?;
                self.turns.grant(&mut state);
                drop(state);
                self.sleep(&waiter, ended)?;
            }
            self.since = Some(now());
        }
        Ok(())
    }

    /// Lets others compute.
    pub(super) fn give(&mut self, now: impl Fn() -> Instant) {
        if let Some(since) = self.since.take() {
            self.spent += now().saturating_duration_since(since);
            let mut state = self.turns.lock();
            state.running = state.running.saturating_sub(1);
            self.turns.grant(&mut state);
        }
    }

    /// Lets somebody go first who has computed less, if a slice is over.
    ///
    /// # Errors
    /// Like [`Self::take`]; the turn is given up then.
    pub(super) fn share(
        &mut self,
        at: Instant,
        now: impl Fn() -> Instant,
        ended: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let Some(since) = self.since else {
            return Ok(());
        };
        let slice = at.saturating_duration_since(since);
        if slice < limits::SLICE {
            return Ok(());
        }
        self.spent += slice;
        self.since = Some(at);
        if self.turns.waiting.load(Ordering::SeqCst) == 0 {
            return Ok(());
        }
        let mut state = self.turns.lock();
        let first = state.waiting.first_key_value().map(|(place, _)| *place);
        if first.is_none_or(|first| first > self.place()) {
            return Ok(());
        }
        self.since = None;
        state.running = state.running.saturating_sub(1);
        let waiter = self.wait(&mut state);
        self.turns.grant(&mut state);
        drop(state);
        let waiter = waiter?;
        self.sleep(&waiter, ended)?;
        self.since = Some(now());
        Ok(())
    }

    /// Takes a place among those who wait.
    fn wait(&self, state: &mut State) -> Result<Arc<Waiter>> {
        let place = self.place();
        let expensive = Level::of(limits::EXPENSIVE);
        if place.0 >= expensive
            && state.waiting.range((expensive, 0)..).count() >= limits::EXPENSIVE_WAITING
        {
            return Err(Error::new(
                ErrorKind::Busy,
                format!(
                    "{} expensive searches wait for a processor already: ask again later, or for \
                     less (longer prefixes, fewer words)",
                    limits::EXPENSIVE_WAITING
                ),
            ));
        }
        let waiter = Arc::new(Waiter {
            thread: thread::current(),
            granted: AtomicBool::new(false),
        });
        state.waiting.insert(place, Arc::clone(&waiter));
        Ok(waiter)
    }

    fn sleep(&self, waiter: &Waiter, ended: impl Fn() -> Result<()>) -> Result<()> {
        while !waiter.granted.load(Ordering::SeqCst) {
            if let Err(error) = ended() {
                let mut state = self.turns.lock();
                if state.waiting.remove(&self.place()).is_none() {
                    // The turn came at the same moment.
                    state.running = state.running.saturating_sub(1);
                }
                self.turns.grant(&mut state);
                return Err(error);
            }
            thread::park_timeout(LOOK);
        }
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.since.take().is_some() {
            let mut state = self.turns.lock();
            state.running = state.running.saturating_sub(1);
            self.turns.grant(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn on() -> Result<()> {
        Ok(())
    }

    /// A turn that has computed for `spent`.
    fn turn(turns: &Arc<Turns>, spent: Duration) -> Turn {
        let mut turn = Turn::new(turns);
        turn.spent = spent;
        turn
    }

    fn wait_until_waiting(turns: &Turns, count: usize) {
        while turns.lock().waiting.len() < count {
            thread::yield_now();
        }
    }

    #[test]
    fn who_has_computed_least_goes_first_and_of_the_expensive_ones_who_came_first() {
        let turns = Arc::new(Turns::new(1));
        let mut running = turn(&turns, Duration::ZERO);
        running.take(Instant::now, on).unwrap();
        let (order, came) = mpsc::channel();
        let mut threads = Vec::new();
        for (at, spent) in [
            ("most, first", limits::EXPENSIVE * 90),
            ("most, second", limits::EXPENSIVE * 60),
            ("more", limits::EXPENSIVE),
            ("some", limits::CHEAP),
            ("little", Duration::ZERO),
        ] {
            let mut waits = turn(&turns, spent);
            let order = order.clone();
            threads.push(thread::spawn(move || {
                waits.take(Instant::now, on).unwrap();
                order.send(at).unwrap();
                waits.give(Instant::now);
            }));
            wait_until_waiting(&turns, threads.len());
        }
        running.give(Instant::now);
        for thread in threads {
            thread.join().unwrap();
        }
        let order: Vec<_> = came.try_iter().collect();
        assert_eq!(
            order,
            ["little", "some", "more", "most, first", "most, second"]
        );
        assert_eq!(turns.lock().running, 0);
    }

    #[test]
    fn a_slice_ends_for_a_cheaper_search_only() {
        let turns = Arc::new(Turns::new(1));
        let mut expensive = turn(&turns, limits::EXPENSIVE);
        expensive.take(Instant::now, on).unwrap();
        let since = expensive.since.unwrap();
        let (told, tell) = mpsc::channel();
        let mut cheap = turn(&turns, Duration::ZERO);
        let thread = thread::spawn(move || {
            cheap.take(Instant::now, on).unwrap();
            told.send(()).unwrap();
            cheap.give(Instant::now);
        });
        wait_until_waiting(&turns, 1);
        expensive.share(since, Instant::now, on).unwrap();
        assert!(tell.try_recv().is_err(), "the slice is not over");
        expensive
            .share(since + limits::SLICE, Instant::now, on)
            .unwrap();
        tell.try_recv().unwrap();
        thread.join().unwrap();
        assert!(expensive.since.is_some(), "it computes again");
    }

    #[test]
    fn who_must_end_leaves_its_place_to_the_next() {
        let turns = Arc::new(Turns::new(1));
        let mut running = turn(&turns, Duration::ZERO);
        running.take(Instant::now, on).unwrap();
        let mut late = turn(&turns, Duration::ZERO);
        let ended = || Err(Error::new(ErrorKind::Deadline, "over"));
        let error = late.take(Instant::now, ended).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline);
        assert!(turns.lock().waiting.is_empty());
        drop(running);
        late.take(Instant::now, on).unwrap();
        assert_eq!(turns.lock().running, 1);
    }

    #[test]
    fn too_many_expensive_ones_are_turned_away_and_a_cheap_one_is_not() {
        let turns = Arc::new(Turns::new(1));
        let mut running = turn(&turns, Duration::ZERO);
        running.take(Instant::now, on).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let ended = {
            let stop = Arc::clone(&stop);
            move || match stop.load(Ordering::SeqCst) {
                true => Err(Error::new(ErrorKind::Deadline, "over")),
                false => Ok(()),
            }
        };
        let threads: Vec<_> = (0..limits::EXPENSIVE_WAITING)
            .map(|_| {
                let mut waits = turn(&turns, limits::EXPENSIVE);
                let ended = ended.clone();
                thread::spawn(move || waits.take(Instant::now, ended).is_err())
            })
            .collect();
        wait_until_waiting(&turns, limits::EXPENSIVE_WAITING);
        let error = turn(&turns, limits::EXPENSIVE)
            .take(Instant::now, on)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        let mut cheap = turn(&turns, Duration::ZERO);
        let thread = thread::spawn(move || cheap.take(Instant::now, on));
        wait_until_waiting(&turns, limits::EXPENSIVE_WAITING + 1);
        drop(running);
        thread.join().unwrap().unwrap();
        stop.store(true, Ordering::SeqCst);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(turns.lock().running, 0);
    }
}
