//! From one document after the other to the batches of several lanes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::mpsc::SyncSender;

use anyhow::{Result, anyhow};
use aquifer_indexer::document::Document;

use super::outcome::Item;

/// Documents in a batch at the most: half of what the library takes.
pub(super) const BATCH_ITEMS: usize = 5_000;

/// Bytes of documents in a batch at the most. Packed or not, it fits into a request, except
/// where one document alone does not.
pub(super) const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Gathers the documents of each lane into batches.
pub(super) struct Sorter {
    lanes: Vec<Lane>,
}

struct Lane {
    sender: SyncSender<Vec<Item>>,
    batch: Vec<Item>,
    bytes: usize,
}

impl Sorter {
    pub(super) fn new(senders: Vec<SyncSender<Vec<Item>>>) -> Self {
        let lane = |sender| Lane {
            sender,
            batch: Vec::new(),
            bytes: 0,
        };
        Self {
            lanes: senders.into_iter().map(lane).collect(),
        }
    }

    pub(super) fn add(&mut self, item: Item) -> Result<()> {
        let mut hasher = DefaultHasher::new();
        if self.lanes.len() > 1 {
            Document::key_of(&item.text).hash(&mut hasher);
        }
        let lanes = self.lanes.len() as u64;
        let at = usize::try_from(hasher.finish() % lanes.max(1)).unwrap_or_default();
        let Some(lane) = self.lanes.get_mut(at) else {
            return Ok(());
        };
        if lane.batch.len() == BATCH_ITEMS || lane.bytes + item.text.len() > BATCH_BYTES {
            lane.flush()?;
        }
        lane.bytes += item.text.len() + 1;
        lane.batch.push(item);
        Ok(())
    }

    /// Sends what is left.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.lanes.iter_mut().try_for_each(Lane::flush)
    }
}

impl Lane {
    fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        self.sender
            .send(batch)
            .map_err(|_ended| anyhow!("a batch could not be sent"))
    }
}
