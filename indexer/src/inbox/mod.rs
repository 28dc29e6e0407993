//! The inbox: durable batches that are accepted and not yet applied.
//!
//! A batch is one file, created exclusively and synced before anything is answered. Whoever holds the
//! lock applies it and then removes it; a manifest that names it as applied makes sure that it is never applied
//! twice.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::counters::Counters;
use crate::document::Document;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::{self, Kind, Stored, Written};
use crate::layout::{self, BatchId, INBOX};
use crate::mapping::IndexSchema;
use crate::mount::{Access, FailureClass, Mount, MountFile, MountResult};
use crate::order::Order;
use crate::world::World;

/// Batch files that are read or removed at once: each is a round trip or two, and may hold 6 MB of documents.
pub(crate) const TOGETHER: usize = 8;

/// One operation of a batch.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Creates a document, or replaces the one with the same key.
    Upsert(Document),
    /// Deletes the document with this key, if there is one.
    Delete(String),
    /// A change that an event reports. It is left out if the index knows a newer one.
    Ordered(Order, Change),
}

/// What an event reports of its source.
#[derive(Clone, Debug)]
pub enum Change {
    /// A document was created or replaced. Left out if the index knows the same or a newer change of its key.
    Upsert(Document),
    /// The document with this key was deleted. Left out likewise.
    Delete(String),
    /// The source is an object that holds documents, and they are about to be indexed, or it was removed. From here on,
    /// changes at earlier positions of the source are left out, and those at this very position are applied again.
    Claim,
    /// Deletes the documents that came from earlier positions of the source: the last operation on an object.
    Sweep,
}

impl Operation {
    /// The key of the document that it is about, if it is about one.
    pub fn unique_key(&self) -> Option<&str> {
        match self {
            Self::Upsert(document) | Self::Ordered(_, Change::Upsert(document)) => {
                Some(document.unique_key())
            }
            Self::Delete(key) | Self::Ordered(_, Change::Delete(key)) => Some(key),
            Self::Ordered(_, Change::Claim | Change::Sweep) => None,
        }
    }

    /// The document that it brings.
    pub fn document(&self) -> Option<&Document> {
        match self {
            Self::Upsert(document) | Self::Ordered(_, Change::Upsert(document)) => Some(document),
            _ => None,
        }
    }

    /// Its text: a document's source, or a key.
    fn text(&self) -> &str {
        match self.document() {
            Some(document) => document.source(),
            None => self.unique_key().unwrap_or_default(),
        }
    }

    fn with_document(&self, document: Document) -> Self {
        match self {
            Self::Ordered(order, _) => Self::Ordered(order.clone(), Change::Upsert(document)),
            _ => Self::Upsert(document),
        }
    }

    fn written(&self) -> Written<'_> {
        let (order, kind) = match self {
            Self::Upsert(_) => (None, Kind::Upsert),
            Self::Delete(_) => (None, Kind::Delete),
            Self::Ordered(order, change) => {
                let kind = match change {
                    Change::Upsert(_) => Kind::Upsert,
                    Change::Delete(_) => Kind::Delete,
                    Change::Claim => Kind::Claim,
                    Change::Sweep => Kind::Sweep,
                };
                (Some((order.source(), order.position().as_str())), kind)
            }
        };
        let text = self.text();
        Written { kind, order, text }
    }
}

/// The operations of one request: applied together, in order, or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// In the order of the request.
    pub operations: Vec<Operation>,
}

impl Batch {
    /// Bytes of text in it.
    pub fn bytes(&self) -> usize {
        self.operations
            .iter()
            .map(|operation| operation.text().len())
            .sum()
    }

    /// Whether every document fits into `schema`, by which it may not have been read.
    ///
    /// # Errors
    /// What is wrong with the first that does not.
    pub(crate) fn fits(&self, schema: &IndexSchema) -> Result<()> {
        for operation in &self.operations {
            if let Some(document) = operation.document()
                && !document.was_read_by(schema)
            {
                Document::parse(document.source(), schema)?;
            }
        }
        Ok(())
    }

    /// The same batch with its documents read by `schema`. A mapping may have been changed since they were accepted,
    /// which must not lose what was acknowledged: a document that `schema` does not take is kept with its
    /// source and its key, so that it is returned and replaced like any other, and found by none of its fields.
    pub(crate) fn read_with(&self, schema: &IndexSchema) -> Cow<'_, Self> {
        let other = |document: &&Document| !document.was_read_by(schema);
        if !self
            .operations
            .iter()
            .filter_map(Operation::document)
            .any(|d| other(&d))
        {
            return Cow::Borrowed(self);
        }
        let read = |operation: &Operation| match operation.document().filter(other) {
            None => operation.clone(),
            Some(document) => {
                let (key, source) = (document.unique_key(), document.source());
                operation.with_document(Document::accepted(key, source, schema))
            }
        };
        let operations = self.operations.iter().map(read).collect();
        Cow::Owned(Self { operations })
    }
}

/// The inbox of one index.
#[derive(Debug)]
pub struct Inbox {
    mount: Arc<dyn Mount>,
    world: World,
    last: AtomicU64,
    counters: Arc<Counters>,
}

impl Inbox {
    /// The inbox in the index folder `mount`.
    pub fn new(mount: Arc<dyn Mount>, world: World) -> Self {
        Self {
            mount,
            world,
            last: AtomicU64::new(0),
            counters: Arc::default(),
        }
    }

    /// The same inbox, which notes in `counters` how long the batches that it lists have waited.
    pub(crate) fn counted_in(mut self, counters: &Arc<Counters>) -> Self {
        self.counters = Arc::clone(counters);
        self
    }

    /// A new identity, later than every one this process has made or been told of.
    pub fn next_id(&self) -> BatchId {
        let now = self.world.clock.wall_ms() << BatchId::COUNT_BITS;
        let advance = |last: u64| Some(now.max(last.saturating_add(1)));
        let last = self
            .last
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, advance);
        let clock = now.max(last.unwrap_or_default().saturating_add(1));
        let (_, random) = self.world.ids.next().as_u64_pair();
        BatchId { clock, random }
    }

    /// Makes later identities sort after `clock`.
    pub fn witness(&self, clock: u64) {
        self.last.fetch_max(clock, Ordering::SeqCst);
    }

    /// Lays a batch into the inbox: it survives the loss of every process when this returns.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`]; the batch may or may not have been kept.
    pub fn put(&self, id: BatchId, batch: &Batch) -> Result<()> {
        let bytes = batch::encode(id, batch.operations.iter().map(Operation::written))?;
        let path = layout::batch(id);
        let file = self.mount.open(&path, Access::CreateNew)?;
        let clock = &self.world.clock;
        let began = (clock.now(), clock.wall_ms());
        let written = write(&*file, &bytes).and_then(|()| self.mount.sync_dir(INBOX));
        let written = written.map_err(Error::from).and_then(|()| {
            // By both clocks: one stands still while a machine sleeps, the other may be set.
            let slept = clock.now().saturating_duration_since(began.0) > PUT_MAX
                || Duration::from_millis(clock.wall_ms().abs_diff(began.1)) > PUT_MAX;
            if slept { Err(too_slow(&path)) } else { Ok(()) }
        });
        if let Err(error) = written {
            // It must not be applied after the client was told that it failed.
            let removed = self.mount.unlink(&path);
            tracing::debug!(?removed, %path, "an inbox file that could not be written");
            return Err(error);
        }
        Ok(())
    }

    /// The batches that lie here, oldest first.
    pub fn list(&self) -> Result<Vec<BatchId>> {
        let names = self.mount.list(INBOX)?;
        let mut ids: Vec<_> = names
            .iter()
            .filter_map(|name| layout::parse_batch(name))
            .collect();
        ids.sort_unstable();
        if let Some(last) = ids.last() {
            self.witness(last.clock);
        }
        self.counters.listed_inbox(self.age_ms(&ids));
        Ok(ids)
    }

    /// Milliseconds that the first of `ids`, which [`Self::list`] gave, has waited by this process's clock; 0 if there is
    /// none, and where the clock of the process that accepted it is ahead.
    pub(crate) fn age_ms(&self, ids: &[BatchId]) -> u64 {
        let age = |oldest: &BatchId| self.world.clock.wall_ms().saturating_sub(oldest.wall_ms());
        ids.first().map_or(0, age)
    }

    /// What a batch file holds; `None` when it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`], [`ErrorKind::Unavailable`].
    pub fn read(&self, id: BatchId) -> Result<Option<Stored>> {
        let path = layout::batch(id);
        let file = match self.mount.open(&path, Access::Read) {
            Err(failure) if failure.class() == FailureClass::Missing => return Ok(None),
            file => file?,
        };
        let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
        if len > MAX_BATCH_FILE {
            return Err(crate::format::damaged(&path, "the length of the batch"));
        }
        let mut bytes = vec![0; len];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        batch::decode(&bytes, id, &path).map(Some)
    }

    /// Whether a batch was laid aside.
    pub fn is_damaged(&self, id: BatchId) -> Result<bool> {
        let names = self.mount.list(INBOX)?;
        Ok(names
            .iter()
            .any(|name| layout::parse_damaged_batch(name) == Some(id)))
    }

    /// Removes an applied batch. `true` when it is certainly gone.
    pub fn remove(&self, id: BatchId) -> bool {
        match self.mount.unlink(&layout::batch(id)) {
            Ok(()) => true,
            Err(failure) => failure.class() == FailureClass::Missing,
        }
    }

    /// Lays a damaged batch aside, so that it neither blocks the others nor is forgotten.
    pub fn set_aside(&self, id: BatchId) -> Result<()> {
        let (from, to) = (layout::batch(id), layout::damaged_batch(id));
        match self.mount.rename(&from, &to) {
            // Another process was first, or the reply to the first attempt was lost.
            Err(failure) if failure.class() == FailureClass::Missing => Ok(()),
            renamed => Ok(renamed?),
        }
    }
}

/// Writes a batch file. A large one arrives in several pieces, in any order, so its header follows when
/// the rest is durable: until then whoever looks sees that it is not whole.
fn write(file: &dyn MountFile, bytes: &[u8]) -> MountResult<()> {
    match bytes.split_at_checked(batch::HEADER) {
        Some((header, body)) if bytes.len() > WRITTEN_AT_ONCE => {
            file.write_durably_at(body, batch::HEADER as u64)?;
            file.write_durably_at(header, 0)
        }
        _ => file.write_durably_at(bytes, 0),
    }
}

/// Files of up to so many bytes arrive whole or not at all: one page, one NFS WRITE.
const WRITTEN_AT_ONCE: usize = 4096;
/// Accepting a batch takes no longer; whoever slept in the middle of it must not acknowledge it, since it
/// may have been swept meanwhile.
const PUT_MAX: Duration = Duration::from_secs(60);
/// A batch that is not whole after this long, by the server's clock, never will be.
pub(crate) const TORN_AFTER: Duration = Duration::from_secs(600);
/// No batch file is longer: a request is at most 6 MB, and its file little more. A longer one is damaged, and reading
/// it would only exhaust the memory.
const MAX_BATCH_FILE: usize = 512 * 1024 * 1024;

/// The error for a process that stood still while it accepted a batch.
fn too_slow(path: &str) -> Error {
    let message = format!(
        "this process stood still while it wrote this batch, which took more than {} s, and the batch may have been swept \
         meanwhile: send the request again",
        PUT_MAX.as_secs()
    );
    Error::new(ErrorKind::Unavailable, message).at(path)
}

/// The error for a text that is no identity of a batch.
pub(crate) fn not_a_batch(error: layout::NotABatchId) -> Error {
    Error::new(ErrorKind::Invalid, error.to_string())
}
