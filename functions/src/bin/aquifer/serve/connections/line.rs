//! One connection: what it is doing, and until when.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aquifer_functions::http::limits::{
    ANSWER_TIMEOUT, HEADER_TIMEOUT, IDLE_TIMEOUT, STALL_BYTES, STALL_TIMEOUT,
};
use tokio::sync::Notify;

use super::register::Register;

/// What a connection is doing.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// It waits for a request, of which nothing has come.
    Idle { since: Instant },
    /// A part of a request's headers has come.
    Header { since: Instant },
    /// A request is being answered, or its answer written.
    Busy,
    /// The whole answer is made, and perhaps not written.
    Made,
}

/// How the writing of an answer goes on.
#[derive(Clone, Copy, Debug)]
struct Writing {
    began: Instant,
    /// When the last [`STALL_BYTES`] were complete, and what has been written since.
    progress: Instant,
    bytes: usize,
}

/// The state of one connection, shared by its socket and the requests that it carries.
#[derive(Debug)]
pub(super) struct Line {
    register: Arc<Register>,
    /// Notified when the connection must go, because another one needs its place.
    close: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// The place in the register while it waits.
    waiting: Option<u64>,
    writing: Option<Writing>,
}

impl State {
    /// The answer that is being written; one that begins now if there is none.
    fn writing(&mut self, now: Instant) -> &mut Writing {
        self.writing.get_or_insert(Writing {
            began: now,
            progress: now,
            bytes: 0,
        })
    }
}

impl Line {
    /// A connection that was just accepted.
    pub(super) fn new(register: &Arc<Register>) -> Arc<Self> {
        let close = Arc::new(Notify::new());
        let waiting = Some(register.wait(&close));
        Arc::new(Self {
            register: Arc::clone(register),
            close,
            state: Mutex::new(State {
                phase: Phase::Idle {
                    since: Instant::now(),
                },
                waiting,
                writing: None,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until another connection needs the place of this one.
    pub(super) async fn closed(&self) {
        self.close.notified().await;
    }

    /// Keeps its place, since a request has come. The next connection that waits gives up its own.
    pub(super) fn stay(&self) {
        self.state().waiting = None;
        self.register.ask_the_next();
    }

    /// Whether no request is being answered.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(
            self.state().phase,
            Phase::Idle { .. } | Phase::Header { .. }
        )
    }

    /// Bytes have come from the client.
    pub(super) fn has_read(&self) {
        let mut state = self.state();
        if let Phase::Idle { .. } = state.phase {
            state.phase = Phase::Header {
                since: Instant::now(),
            };
            // A client that sends a part of a request keeps its place no longer than one that sends nothing.
            if state.waiting.is_none() {
                state.waiting = Some(self.register.wait(&self.close));
            }
        }
    }

    /// A request has come whole, but for its body.
    pub(super) fn asked(&self) {
        let left = {
            let mut state = self.state();
            state.phase = Phase::Busy;
            state.waiting.take()
        };
        if let Some(number) = left {
            self.register.leave(number);
        }
    }

    /// The answer is made as a whole.
    pub(super) fn answered(&self) {
        self.state().phase = Phase::Made;
    }

    /// Bytes of an answer were taken by the system.
    pub(super) fn has_written(&self, bytes: usize) {
        let now = Instant::now();
        let mut state = self.state();
        let writing = state.writing(now);
        writing.bytes += bytes;
        if writing.bytes >= STALL_BYTES {
            writing.bytes = 0;
            writing.progress = now;
        }
    }

    /// Everything that was made so far is written.
    pub(super) fn has_flushed(&self) {
        let mut state = self.state();
        state.writing = None;
        if let Phase::Made = state.phase {
            state.phase = Phase::Idle {
                since: Instant::now(),
            };
            state.waiting = Some(self.register.wait(&self.close));
        }
    }

    /// Until when the client must have sent more; none while it is the server's turn, or that of whoever reads the body.
    pub(super) fn read_until(&self) -> Option<Instant> {
        match self.state().phase {
            Phase::Idle { since } => Some(since + IDLE_TIMEOUT),
            Phase::Header { since } => Some(since + HEADER_TIMEOUT),
            Phase::Busy | Phase::Made => None,
        }
    }

    /// Until when the client must have read more.
    pub(super) fn write_until(&self) -> Instant {
        let now = Instant::now();
        let mut state = self.state();
        let writing = state.writing(now);
        (writing.progress + STALL_TIMEOUT).min(writing.began + ANSWER_TIMEOUT)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let waiting = self.state().waiting.take();
        if let Some(number) = waiting {
            self.register.leave(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_connection_waits_until_it_is_asked_and_again_when_its_answer_is_written() {
        let register = Register::new(1);
        let line = Line::new(&register);
        let idle = line.read_until().unwrap();
        line.has_read();
        assert!(
            line.read_until().unwrap() < idle,
            "a header must come sooner than a request"
        );
        assert!(line.is_waiting());
        line.asked();
        assert!(line.read_until().is_none() && !line.is_waiting());
        line.has_written(10);
        line.has_flushed();
        assert!(!line.is_waiting(), "only a part of the answer is written");
        line.answered();
        line.has_flushed();
        assert!(line.is_waiting());
    }

    #[test]
    fn a_trickle_is_no_progress() {
        let line = Line::new(&Register::new(1));
        let until = line.write_until();
        line.has_written(STALL_BYTES - 1);
        assert_eq!(line.write_until(), until);
        std::thread::sleep(Duration::from_millis(2));
        line.has_written(1);
        assert!(line.write_until() > until);
    }
}
