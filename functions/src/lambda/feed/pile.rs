//! The batch of one index that is being filled, and what became of those before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use aquifer_indexer::document::limits::BATCH_DOCUMENTS;
use aquifer_indexer::index::{Batch, Counts, Index, Operation, Outcome, Wait};
use aquifer_indexer::mapping::IndexSchema;
use aquifer_indexer::numbers::{DocCount, Version};
use aquifer_indexer::{Error, ErrorKind, Result};

use super::failure::ItemFailure;
use crate::http::limits::DEADLINE_OVERRUN;

/// What a batch may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchBounds {
    /// Bytes of memory of its operations.
    pub(super) bytes_max: usize,
    /// When it must be answered.
    pub(super) deadline: Instant,
}

/// Operations of items for one index.
pub(super) struct Pile {
    index: Arc<Index>,
    schema: Arc<IndexSchema>,
    operations: Vec<Operation>,
    /// Bytes of memory that they take.
    bytes: usize,
    /// The items that they belong to.
    items: BTreeSet<usize>,
    failed: BTreeMap<usize, ItemFailure>,
    /// Why the index took no batch: it is not asked again for the same event.
    broken: Option<ItemFailure>,
    /// Batches that were handed over.
    submitted: usize,
    pub(super) applied: Applied,
}

/// What the batches of an index came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Applied {
    /// The version that the last one became visible in.
    pub(super) version: Option<Version>,
    /// Whether one of them is durable and not applied yet.
    pub(super) durable: bool,
    /// Changes that were left out, since the index knew newer ones.
    pub(super) outdated: DocCount,
}

/// Where a pile stood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    submitted: usize,
    operations: usize,
    bytes: usize,
}

impl Pile {
    pub(super) fn new(index: Arc<Index>) -> Result<Self> {
        Ok(Self {
            schema: index.schema()?,
            index,
            operations: Vec::new(),
            bytes: 0,
            items: BTreeSet::new(),
            failed: BTreeMap::new(),
            broken: None,
            submitted: 0,
            applied: Applied::default(),
        })
    }

    /// The mapping that documents are read by.
    pub(super) fn schema(&self) -> &IndexSchema {
        &self.schema
    }

    /// Makes sure that `operations` fit into the batch: hands over the one that is being filled where they do not, and says
    /// whether it did.
    ///
    /// # Errors
    /// The index takes nothing more.
    pub(super) fn make_room(
        &mut self,
        operations: &[Operation],
        bounds: BatchBounds,
    ) -> Result<bool> {
        if let Some(broken) = &self.broken {
            return Err(broken.error());
        }
        let bytes: usize = operations.iter().map(memory_bytes).sum();
        let fits = self.operations.len() + operations.len() <= BATCH_DOCUMENTS
            && self.bytes.saturating_add(bytes) <= bounds.bytes_max;
        if fits || self.operations.is_empty() {
            return Ok(false);
        }
        self.submit(bounds.deadline)?;
        Ok(true)
    }

    /// Adds an operation of an item.
    pub(super) fn push(&mut self, item: usize, operation: Operation) {
        self.items.insert(item);
        self.bytes += memory_bytes(&operation);
        self.operations.push(operation);
    }

    /// Where it stands, to come back to.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            submitted: self.submitted,
            operations: self.operations.len(),
            bytes: self.bytes,
        }
    }

    /// Forgets what was added since `mark`, unless it has been handed over.
    pub(super) fn take_back(&mut self, mark: Mark) {
        let (operations, bytes) = if mark.submitted == self.submitted {
            (mark.operations, mark.bytes)
        } else {
            (0, 0)
        };
        self.operations.truncate(operations);
        self.bytes = bytes;
    }

    /// Hands the batch to the index. Blocks.
    ///
    /// # Errors
    /// The index does not take it: all its items have failed.
    pub(super) fn submit(&mut self, deadline: Instant) -> Result<()> {
        let items = std::mem::take(&mut self.items);
        let operations = std::mem::take(&mut self.operations);
        self.bytes = 0;
        if operations.is_empty() {
            return Ok(());
        }
        self.submitted += 1;
        let batch = Batch { operations };
        let submitted =
            in_time(deadline).and_then(|()| self.index.submit(batch, Wait::Visible, deadline));
        match submitted {
            Ok(Outcome::Applied { version, counts }) => self.applied.note(version, counts),
            Ok(Outcome::Durable { .. }) => self.applied.durable = true,
            Err(error) => {
                let failure = ItemFailure::from(&error);
                let failed = items.into_iter().map(|item| (item, failure.clone()));
                self.failed.extend(failed);
                self.broken = Some(failure);
                return Err(error);
            }
        }
        Ok(())
    }

    /// The items whose batches failed.
    pub(super) fn failed(&mut self) -> BTreeMap<usize, ItemFailure> {
        std::mem::take(&mut self.failed)
    }
}

impl Applied {
    fn note(&mut self, version: Version, counts: Counts) {
        self.version = Some(version);
        self.outdated += counts.outdated;
    }
}

/// An invocation that was given up must not change the index in the next one, in which its thread may go on.
fn in_time(deadline: Instant) -> Result<()> {
    if Instant::now() < deadline + DEADLINE_OVERRUN {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Deadline,
        "the time of the invocation was over before the batch was complete: give the function more time, or send less at once",
    ))
}

fn memory_bytes(operation: &Operation) -> usize {
    let own = size_of::<Operation>();
    match operation.document() {
        Some(document) => own + document.memory_bytes(),
        None => own + operation.unique_key().map_or(0, str::len),
    }
}
