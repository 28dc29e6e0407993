//! Batches in the inbox, as the thread that leads finds them.

use std::collections::HashSet;
use std::sync::Arc;

use super::commit::Member;
use super::group::Committer;
use super::queue::{GROUP_BATCHES_MAX, GROUP_BYTES_MAX};
use crate::concurrent;
use crate::document::Document;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::{Kind, Stored, StoredOperation};
use crate::format::damaged;
use crate::inbox::{Batch, Change, Operation, TOGETHER};
use crate::layout::BatchId;
use crate::mapping::IndexSchema;
use crate::order::{Order, Position};
use crate::snapshot::Snapshot;

impl Committer {
    /// The batches in the inbox that `base` has not applied, oldest first, and whether these are all.
    pub(super) fn read_inbox(&self, base: &Snapshot) -> Result<(Vec<Member>, bool)> {
        let mut ids = self.inbox.list()?;
        if !ids.is_empty() {
            let applied = base.manifest().body.applied.iter();
            let applied: HashSet<BatchId> = applied.map(|entry| entry.batch).collect();
            ids.retain(|id| !applied.contains(id));
        }
        let mut members = Vec::new();
        let mut bytes = 0;
        let mut all = true;
        for together in ids.chunks(TOGETHER) {
            if members.len() >= GROUP_BATCHES_MAX || bytes >= GROUP_BYTES_MAX {
                all = false;
                break;
            }
            let inbox = Arc::clone(&self.inbox);
            let stored = concurrent::each(together, move |id| inbox.read(id))?;
            for (&id, stored) in together.iter().zip(stored) {
                match stored.and_then(|stored| batch(id, stored, base)) {
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
        }
        Ok((members, all))
    }
}

/// The batch that a file holds, its documents read by the schema of `base`. `None` when there is none, or not all of it.
fn batch(id: BatchId, stored: Option<Stored>, base: &Snapshot) -> Result<Option<Batch>> {
    let Some(Stored::Whole(stored)) = stored else {
        return Ok(None);
    };
    let path = crate::layout::batch(id);
    let operation = |stored| operation(stored, base.schema(), &path);
    let operations = stored.into_iter().map(operation).collect::<Result<_>>()?;
    Ok(Some(Batch { operations }))
}

fn operation(stored: StoredOperation, schema: &IndexSchema, path: &str) -> Result<Operation> {
    let change = match stored.kind {
        Kind::Upsert => Change::Upsert(document(&stored.text, schema, path)?),
        Kind::Delete => Change::Delete(stored.text),
        Kind::Claim => Change::Claim,
        Kind::Sweep => Change::Sweep,
    };
    match (stored.order, change) {
        (Some((source, position)), change) => {
            let order = Order::new(&source, Position::written(&position));
            let order =
                order.map_err(|error| damaged(path, "the order of a change").because(error))?;
            Ok(Operation::Ordered(order, change))
        }
        (None, Change::Upsert(document)) => Ok(Operation::Upsert(document)),
        (None, Change::Delete(key)) => Ok(Operation::Delete(key)),
        (None, Change::Claim | Change::Sweep) => Err(damaged(path, "a change without its order")),
    }
}

fn document(source: &str, schema: &IndexSchema, path: &str) -> Result<Document> {
    let key = Document::key_of(source);
    let key = key.ok_or_else(|| Error::corrupt(path, "an accepted document has no key"))?;
    Ok(Document::accepted(&key, source, schema))
}
