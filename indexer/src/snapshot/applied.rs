//! What batches did, for requests that wait for them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::format::manifest::Applied;
use crate::layout::BatchId;

/// Results of applied batches that are remembered for requests that wait for them.
const APPLIED_REMEMBERED: usize = 100_000;

/// The results of the batches that the versions seen so far have applied.
#[derive(Debug, Default)]
pub(super) struct AppliedLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    by_id: BTreeMap<BatchId, Applied>,
    order: VecDeque<BatchId>,
}

impl AppliedLog {
    /// What a batch did.
    pub(super) fn get(&self, batch: BatchId) -> Option<Applied> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.by_id.get(&batch).copied()
    }

    /// Keeps what a version applied. Only for versions that the marks have led to: what they do not lead to
    /// may be no part of the history.
    pub(super) fn remember(&self, applied: &[Applied]) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in applied {
            if log.by_id.insert(entry.batch, *entry).is_none() {
                log.order.push_back(entry.batch);
            }
        }
        while log.order.len() > APPLIED_REMEMBERED {
            if let Some(oldest) = log.order.pop_front() {
                log.by_id.remove(&oldest);
            }
        }
    }
}
