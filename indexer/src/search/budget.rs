//! The budget of one search: its deadline, whether anybody still waits for the answer, and what it may
//! still expand and hold.
//!
//! Whatever takes long asks the budget every few thousand steps. An exhausted one ends the search
//! with an error there, and a search that has computed for a while lets a cheaper one go first.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use tantivy::TantivyError;

use super::limits;
use super::room::{Room, Taken};
use super::turns::{LOOK, Turn, Turns};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

/// What whoever asks allows a search.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// When it must have ended.
    pub deadline: Instant,
    /// Bytes that its hits may come to.
    pub answer_bytes: usize,
    /// Set as soon as nobody waits for the answer any more.
    pub cancelled: Arc<AtomicBool>,
}

impl Allowance {
    /// Until `deadline`, for an answer of [`limits::ANSWER_BYTES`].
    pub fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            answer_bytes: limits::ANSWER_BYTES,
            cancelled: Arc::default(),
        }
    }
}

/// What one search may still cost.
#[derive(Debug)]
pub(crate) struct Budget {
    clock: Arc<dyn Clock>,
    allowance: Allowance,
    turn: Mutex<Turn>,
    /// Words that the prefixes and ranges stand for, over all segments.
    words: AtomicU64,
    room: Arc<Room>,
    /// What was taken of it.
    taken: Mutex<Option<Taken>>,
}

impl Budget {
    /// Begins a search: waits for its first turn.
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`].
    pub(crate) fn begin(
        clock: Arc<dyn Clock>,
        allowance: Allowance,
        room: Arc<Room>,
    ) -> Result<Arc<Self>> {
        Self::begin_among(Turns::of_process(), clock, allowance, room)
    }

    pub(super) fn begin_among(
        turns: &Arc<Turns>,
        clock: Arc<dyn Clock>,
        allowance: Allowance,
        room: Arc<Room>,
    ) -> Result<Arc<Self>> {
        let budget = Self {
            clock,
            allowance,
            turn: Mutex::new(Turn::new(turns)),
            words: AtomicU64::new(0),
            room,
            taken: Mutex::default(),
        };
        budget.take_turn()?;
        Ok(Arc::new(budget))
    }

    fn ended_at(&self, now: Instant) -> Result<()> {
        if self.allowance.cancelled.load(Ordering::Relaxed) {
            return Err(Error::new(
                ErrorKind::Deadline,
                "nobody waits for the answer any more",
            ));
        }
        if now >= self.allowance.deadline {
            return Err(Error::new(
                ErrorKind::Deadline,
                "the search took as long as it may and was ended: ask for less (longer prefixes, fewer words, \
                 fewer hits, no highlights), or again later",
            ));
        }
        Ok(())
    }

    fn ended(&self) -> Result<()> {
        self.ended_at(self.clock.now())
    }

    fn take_turn(&self) -> Result<()> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        turn.take(|| self.clock.now(), || self.ended())
    }

    fn give_turn(&self) {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        turn.give(|| self.clock.now());
    }

    /// Ends the search where it has to end, and lets cheaper ones go first.
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`]; [`ErrorKind::Busy`] where too many expensive ones wait.
    pub(super) fn check(&self) -> Result<()> {
        let now = self.clock.now();
        self.ended_at(now)?;
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        turn.share(now, || self.clock.now(), || self.ended())
    }

    /// As [`Self::check`], within tantivy.
    pub(super) fn check_within(&self) -> tantivy::Result<()> {
        self.check().map_err(within)
    }

    /// Counts words that a prefix or a range stands for in one segment.
    pub(super) fn expand(&self, words: u64, written: &str) -> Result<()> {
        let all = self.words.fetch_add(words, Ordering::Relaxed) + words;
        if all > limits::EXPANDED_WORDS {
            return Err(too_broad(
                written,
                &format!("more than {} words in all", limits::EXPANDED_WORDS),
            ));
        }
        self.check()
    }

    /// What all searches of the process have room in.
    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    /// Takes room for what the search holds of a segment, until it ends. What it has it lets go of before it waits for
    /// more.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where there is not so much; [`ErrorKind::Deadline`].
    pub(super) fn take_room(&self, bytes: usize) -> Result<()> {
        self.room.check(bytes)?;
        let mut held = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|held| held.bytes() >= bytes) {
            return Ok(());
        }
        *held = None;
        let taken = match self.room.try_take(bytes)? {
            Some(taken) => taken,
            None => self.block_on(self.room.take(bytes))?,
        };
        *held = Some(taken);
        Ok(())
    }

    /// Bytes that the answer may come to.
    pub(super) fn answer_bytes(&self) -> usize {
        self.allowance.answer_bytes
    }

    /// Runs a future on this thread. While it waits for a file, others compute.
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`], with what was asked of the file system still under way.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let mut future = pin!(future);
        let woken = Arc::new(Woken {
            thread: thread::current(),
            yes: AtomicBool::new(false),
        });
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                return result;
            }
            if woken.yes.swap(false, Ordering::SeqCst) {
                // It only lets its other parts go on, and what they ask for is not to wait for a turn.
                self.ended()?;
                continue;
            }
            self.give_turn();
            while !woken.yes.swap(false, Ordering::SeqCst) {
                thread::park_timeout(LOOK);
                self.ended()?;
            }
            self.take_turn()?;
        }
    }

    /// Words that prefixes and ranges stood for so far.
    #[cfg(test)]
    pub(super) fn words(&self) -> u64 {
        self.words.load(Ordering::Relaxed)
    }
}

/// Whether the future that a thread runs can go on.
struct Woken {
    thread: Thread,
    yes: AtomicBool,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.yes.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// An error on its way through tantivy.
pub(super) fn within(error: Error) -> TantivyError {
    error.into_io().into()
}

/// The error for a query that stands for too much.
pub(super) fn too_broad(written: &str, more_than: &str) -> Error {
    Error::invalid(format!(
        "the query is too broad: with `{written}` its prefixes and ranges stand for {more_than}: write more of \
         the words, or fewer prefixes"
    ))
}
