//! The queue of a process: batches that wait in memory for the thread that leads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::format::manifest::Counts;
use crate::inbox::Batch;
use crate::layout::BatchId;
use crate::numbers::Version;

/// Bytes of documents in one commit; what is left over goes into the next.
pub(super) const GROUP_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Batches in one commit; each adds a line to the manifest.
pub(super) const GROUP_BATCHES_MAX: usize = 2_000;

/// What a request waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// Until every later search sees the batch.
    #[default]
    Visible,
    /// Until the batch survives the loss of every process.
    Durable,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is part of `version`: every search that starts from now on sees it.
    Applied {
        /// The version.
        version: Version,
        /// What it did.
        counts: Counts,
    },
    /// It is durable and will be applied.
    Durable {
        /// By this identity its state can be asked for.
        batch: BatchId,
    },
}

/// Batches that wait in memory for the thread that leads.
#[derive(Debug, Default)]
pub(super) struct Queue {
    tickets: VecDeque<Arc<Ticket>>,
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Ticket {
    /// Set once, so that an attempt whose reply was lost is recognised however it is tried again.
    pub(super) id: OnceLock<BatchId>,
    pub(super) batch: Arc<Batch>,
    pub(super) deadline: Instant,
    outcome: Mutex<Option<Result<Outcome>>>,
}

impl Ticket {
    pub(super) fn new(batch: Batch, deadline: Instant) -> Self {
        let (id, outcome) = (OnceLock::new(), Mutex::default());
        Self {
            id,
            batch: Arc::new(batch),
            deadline,
            outcome,
        }
    }

    pub(super) fn settle(&self, outcome: Result<Outcome>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    pub(super) fn fail(&self, error: &Error) {
        if !self.settled() {
            self.settle(Err(error.clone()));
        }
    }

    pub(super) fn take(&self) -> Option<Result<Outcome>> {
        self.outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub(super) fn settled(&self) -> bool {
        self.outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }
}

impl Queue {
    /// Lines up.
    pub(super) fn join(&mut self, ticket: Arc<Ticket>) {
        self.tickets.push_back(ticket);
    }

    /// Takes what one commit may hold.
    pub(super) fn take(&mut self) -> Vec<Arc<Ticket>> {
        let mut bytes = 0;
        let mut taken = Vec::new();
        while taken.len() < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX {
            let Some(ticket) = self.tickets.pop_front() else {
                break;
            };
            bytes += ticket.batch.bytes();
            taken.push(ticket);
        }
        taken
    }

    /// Puts those back that have no result yet.
    pub(super) fn put_back(&mut self, tickets: &[Arc<Ticket>]) {
        for ticket in tickets.iter().rev().filter(|ticket| !ticket.settled()) {
            self.tickets.push_front(Arc::clone(ticket));
        }
    }

    /// Takes one back; `false` when somebody has taken it up already.
    pub(super) fn withdraw(&mut self, ticket: &Arc<Ticket>) -> bool {
        let position = self
            .tickets
            .iter()
            .position(|queued| Arc::ptr_eq(queued, ticket));
        position
            .and_then(|position| self.tickets.remove(position))
            .is_some()
    }
}
