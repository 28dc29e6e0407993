//! Documents into an index on this machine's file system.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use aquifer_indexer::config::{Config, MIB};
use aquifer_indexer::document::Document;
use aquifer_indexer::index::{Bulk, Index};

use super::Destination;
use super::outcome::{Item, Refusal, Sent};
use super::progress::Progress;
use crate::resources::Resources;

/// Lanes at the least: while one builds a segment, the other reads its documents.
const LANES_MIN: usize = 2;
/// Memory for building segments, for each core: as much as makes segments that are seldom merged more than once.
const MEMORY_PER_CORE: usize = 64 * MIB;
/// Memory for building segments at the least, where the budget has it.
const MEMORY_MIN: usize = 128 * MIB;
/// Memory for building segments at the most.
const MEMORY_MAX: usize = 1024 * MIB;

/// How long applying takes at the most what others have left in the inbox.
const PATIENCE: Duration = Duration::from_secs(600);

/// The settings of a process that loads documents.
pub(crate) fn config(resources: Resources) -> Config {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let config = resources.config();
    let wanted = (cores * MEMORY_PER_CORE).clamp(MEMORY_MIN, MEMORY_MAX);
    Config {
        writer_memory_bytes: wanted.min(config.budget.loading_bytes()),
        // Whoever loads documents means to have an index there.
        create_root: true,
        ..config
    }
}

/// An index as the destination of documents.
pub(crate) struct Local {
    index: Arc<Index>,
    bulk: Bulk,
}

impl Local {
    pub(crate) fn new(index: Arc<Index>) -> Result<Self> {
        let bulk = index.bulk()?;
        Ok(Self { index, bulk })
    }

    /// The same with segments of so many bytes of text at first.
    #[cfg(feature = "test-options")]
    pub(crate) fn segments_of(self, bytes: usize) -> Self {
        let Self { index, bulk } = self;
        let bulk = bulk.segments_of(bytes);
        Self { index, bulk }
    }

    /// Lanes that keep it busy.
    pub(crate) fn lanes(&self) -> usize {
        self.bulk.threads().max(LANES_MIN)
    }
}

impl Destination for Local {
    fn send(&self, batch: &[Item]) -> Result<Sent> {
        let schema = self.index.schema()?;
        let mut sent = Sent::default();
        let mut documents = Vec::with_capacity(batch.len());
        for item in batch {
            match Document::parse(&item.text, &schema) {
                Ok(document) => documents.push(document),
                Err(error) => sent.refusals.push(Refusal::of(&item.origin, error)),
            }
        }
        sent.taken = documents.len() as u64;
        self.bulk.add(documents)?;
        Ok(sent)
    }

    fn finish(&self, progress: &Progress) -> Result<()> {
        progress.say("building and merging the last segments");
        let report = self.bulk.finish()?;
        self.index.drain(Instant::now() + PATIENCE)?;
        // A few documents are not worth merging what others have left.
        if report.publications > 0 && self.index.pending()?.merge {
            progress.say("merging with the segments that were there before");
            self.index.merge(None)?;
        }
        Ok(())
    }

    fn settled(&self) -> Sent {
        let report = self.bulk.published();
        Sent {
            created: report.created.get(),
            updated: report.updated.get(),
            pending: report.pending.get(),
            ..Sent::default()
        }
    }

    fn is_merging(&self) -> bool {
        self.bulk.merging() > 0
    }
}
