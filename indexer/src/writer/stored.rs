//! Batches in the inbox, as the thread that leads finds and leaves them.

use std::sync::{Arc, PoisonError};

use super::Writer;
use super::commit::Member;
use super::queue::{GROUP_BATCHES_MAX, GROUP_BYTES_MAX};
use crate::document::Document;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::{Stored, StoredOperation};
use crate::format::manifest::Applied;
use crate::inbox::{Batch, Operation};
use crate::layout::BatchId;
use crate::snapshot::Snapshot;

impl Writer {
    /// The batches in the inbox that `base` has not applied, oldest first, and whether these are all.
    pub(super) fn read_inbox(&self, base: &Snapshot) -> Result<(Vec<Member>, bool)> {
        let applied = &base.manifest().body.applied;
        let mut members = Vec::new();
        let mut bytes = 0;
        for id in self.inbox.list()? {
            if members.len() >= GROUP_BATCHES_MAX || bytes >= GROUP_BYTES_MAX {
                return Ok((members, false));
            }
            if applied.iter().any(|entry| entry.batch == id) {
                continue;
            }
            match self.read_batch(id, base) {
                Ok(Some(batch)) => {
                    bytes += batch.bytes();
                    members.push(Member {
                        id,
                        batch: Arc::new(batch),
                        stored: true,
                    });
                }
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    tracing::error!(%error, %id, "a damaged batch is laid aside");
                    self.inbox.set_aside(id)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok((members, true))
    }

    pub(super) fn read_batch(&self, id: BatchId, base: &Snapshot) -> Result<Option<Batch>> {
        let Some(Stored::Whole(stored)) = self.inbox.read(id)? else {
            return Ok(None);
        };
        let operation = |stored| match stored {
            StoredOperation::Delete(key) => Ok(Operation::Delete(key)),
            StoredOperation::Upsert(source) => match Document::key_of(&source) {
                Some(key) => {
                    let document = Document::accepted(&key, &source, base.schema());
                    Ok(Operation::Upsert(document))
                }
                None => {
                    let path = crate::layout::batch(id);
                    Err(Error::corrupt(
                        path,
                        "a document that was accepted has no key",
                    ))
                }
            },
        };
        let operations = stored.into_iter().map(operation).collect::<Result<_>>()?;
        Ok(Some(Batch { operations }))
    }

    /// Applied batches whose files may still lie in the inbox: tries to remove them; the next version
    /// must go on naming those that could not be.
    pub(super) fn unconfirmed(&self, base: &Snapshot) -> Vec<Applied> {
        let applied = &base.manifest().body.applied;
        let left = || applied.iter().filter(|entry| entry.in_inbox);
        self.remove_applied(left().map(|entry| entry.batch));
        let mut confirmed = self
            .confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        confirmed.retain(|id| left().any(|entry| entry.batch == *id));
        left()
            .filter(|entry| !confirmed.contains(&entry.batch))
            .copied()
            .collect()
    }

    pub(super) fn remove_applied(&self, ids: impl Iterator<Item = BatchId>) {
        for id in ids {
            let mut confirmed = self
                .confirmed
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if !confirmed.contains(&id) && self.inbox.remove(id) {
                confirmed.insert(id);
            }
        }
    }
}
