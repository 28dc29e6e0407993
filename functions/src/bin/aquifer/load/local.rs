//! Batches into an index on this machine's file system.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use aquifer_indexer::ErrorKind;
use aquifer_indexer::document::Document;
use aquifer_indexer::index::{Batch, Index, Operation, Outcome, Wait};

use super::Destination;
use super::outcome::{Item, Refusal, Sent};

/// While one lane commits, the other reads its documents.
pub(crate) const LOCAL_LANES: usize = 2;

/// How long a batch may take. Nobody waits at the other end of a connection.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often a batch is tried that another writer got in the way of.
const ATTEMPTS: u32 = 5;

/// An index as the destination of batches.
pub(crate) struct Local {
    index: Arc<Index>,
}

impl Local {
    pub(crate) fn new(index: Arc<Index>) -> Self {
        Self { index }
    }

    fn attempt(&self, batch: &[Item]) -> aquifer_indexer::Result<Sent> {
        let schema = self.index.schema()?;
        let mut sent = Sent::default();
        let mut operations = Vec::with_capacity(batch.len());
        for item in batch {
            match Document::parse(&item.text, &schema) {
                Ok(document) => operations.push(Operation::Upsert(document)),
                Err(error) => sent.refusals.push(
                    Refusal::new(item.origin.clone(), error.detail).with_key(error.unique_key),
                ),
            }
        }
        if operations.is_empty() {
            return Ok(sent);
        }
        let accepted = operations.len() as u64;
        let deadline = Instant::now() + PATIENCE;
        match self
            .index
            .submit(Batch { operations }, Wait::Visible, deadline)?
        {
            Outcome::Applied { counts, .. } => {
                sent.created = counts.created.into();
                sent.updated = counts.updated.into();
            }
            Outcome::Durable { .. } => sent.pending = accepted,
        }
        Ok(sent)
    }
}

impl Destination for Local {
    fn send(&self, batch: &[Item]) -> Result<Sent> {
        let mut attempts = 1;
        loop {
            match self.attempt(batch) {
                Err(error)
                    if attempts < ATTEMPTS
                        && matches!(error.kind(), ErrorKind::Busy | ErrorKind::Fenced) =>
                {
                    attempts += 1;
                    thread::sleep(Duration::from_secs(1));
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    fn finish(&self) -> Result<()> {
        Ok(self.index.drain(Instant::now() + PATIENCE)?)
    }
}
