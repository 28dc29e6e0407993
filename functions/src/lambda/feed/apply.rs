//! Handing the items of an event to the indexes, in batches.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use aquifer_indexer::document::{BodyFormat, Document, split};
use aquifer_indexer::inbox::{Change, Operation};
use aquifer_indexer::mapping::IndexSchema;
use aquifer_indexer::reindex::DocumentSource;
use aquifer_indexer::{Error, ErrorKind, Result};

use super::pile::Pile;
use super::s3::{ObjectEvent, What};
use super::version::order_of_document;
use super::{Asked, Event, Feeder, Placed};
use crate::http::limits::USUAL_FACTOR;

/// Bytes of an object's documents that are read at once, beside those that wait in the batch.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Why an item failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) why: String,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            why: error.to_string(),
        }
    }
}

impl Failure {
    pub(super) fn of(kind: ErrorKind, why: &str) -> Self {
        Self {
            kind,
            why: why.to_owned(),
        }
    }

    /// The same for somebody else.
    pub(super) fn error(&self) -> Error {
        Error::new(self.kind, self.why.clone())
    }

    /// Whether the item is at fault. Otherwise the next delivery of the same item may succeed.
    pub(super) fn is_rejection(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::TooLarge
        )
    }
}

/// What became of an event.
pub(super) struct Outcome {
    /// Of each item that failed, why.
    pub(super) failures: BTreeMap<usize, Failure>,
    /// The items that asked for nothing.
    pub(super) nothing: BTreeSet<usize>,
    /// What was handed to each index.
    pub(super) piles: BTreeMap<String, Pile>,
}

/// Indexes what can be indexed.
pub(super) fn apply(feeder: &Feeder, event: &Event<'_>) -> Outcome {
    let mut applying = Applying {
        feeder,
        failures: BTreeMap::new(),
        piles: BTreeMap::new(),
        nothing: BTreeSet::new(),
        closed: BTreeMap::new(),
    };
    let mut stopped = BTreeSet::new();
    for (at, item) in event.items.iter().enumerate() {
        let group = item.group.as_deref();
        let applied = match &item.asked {
            _ if group.is_some_and(|group| stopped.contains(group)) => Err(held_back()),
            Ok(asked) => applying
                .item(at, asked)
                .map_err(|error| Failure::from(&error)),
            Err(error) => Err(Failure::from(error)),
        };
        if let Err(failure) = applied {
            stopped.extend(group);
            applying.failures.insert(at, failure);
        }
    }
    applying.finish(event)
}

fn held_back() -> Failure {
    Failure::of(
        ErrorKind::Conflict,
        "an earlier message of its group failed: it is delivered again after that one",
    )
}

struct Applying<'a> {
    feeder: &'a Feeder,
    failures: BTreeMap<usize, Failure>,
    nothing: BTreeSet<usize>,
    piles: BTreeMap<String, Pile>,
    /// The indexes that could not be opened, and why.
    closed: BTreeMap<String, Failure>,
}

impl Applying<'_> {
    fn item(&mut self, at: usize, asked: &Asked<'_>) -> Result<()> {
        let bytes_max = self.feeder.batch_bytes;
        match asked {
            Asked::Nothing => {
                self.nothing.insert(at);
                Ok(())
            }
            Asked::Documents {
                index,
                body,
                placed,
            } => {
                let pile = self.pile(index.as_deref())?;
                let operations = upserts(body, placed, pile.schema(), bytes_max)?;
                self.put(at, index.as_deref(), operations)
            }
            Asked::Deletes {
                index,
                keys,
                placed,
            } => {
                let operations = keys.iter().map(|key| delete(key, placed));
                self.put(at, index.as_deref(), operations.collect::<Result<_>>()?)
            }
            Asked::Objects(objects) => objects
                .iter()
                .try_for_each(|object| self.object(at, object)),
        }
    }

    /// Adds the operations of an item to a batch, all to the same.
    fn put(&mut self, at: usize, index: Option<&str>, operations: Vec<Operation>) -> Result<()> {
        if operations.is_empty() {
            self.nothing.insert(at);
            return Ok(());
        }
        let (bytes_max, deadline) = (self.feeder.batch_bytes, self.feeder.deadline);
        let pile = self.pile(index)?;
        pile.make_room(&operations, bytes_max, deadline)?;
        for operation in operations {
            pile.push(at, operation);
        }
        Ok(())
    }

    /// Indexes an object, or deletes what came from it.
    fn object(&mut self, at: usize, object: &ObjectEvent) -> Result<()> {
        let open = |version| {
            self.feeder
                .objects
                .open(&object.bucket, &object.key, version)
        };
        let source = match object.what {
            What::Created => match open(object.version.as_deref())? {
                Some(source) => Some(source),
                None => {
                    tracing::info!(
                        bucket = object.bucket,
                        key = object.key,
                        "the object is gone: the event of its removal deletes its documents"
                    );
                    return Ok(());
                }
            },
            What::Removed => None,
            What::VersionRemoved => open(None)?,
        };
        let (bytes_max, deadline) = (self.feeder.batch_bytes, self.feeder.deadline);
        let pile = self.pile(None)?;
        let mark = pile.mark();
        let put = put_object(pile, at, object, source, (bytes_max, deadline));
        if put.is_err() {
            pile.take_back(mark);
        }
        put
    }

    /// The batch of an index that is being filled.
    fn pile(&mut self, index: Option<&str>) -> Result<&mut Pile> {
        let name = index.unwrap_or(&self.feeder.rules.index);
        if let Some(closed) = self.closed.get(name) {
            return Err(closed.error());
        }
        match self.piles.entry(name.to_owned()) {
            Entry::Occupied(pile) => Ok(pile.into_mut()),
            Entry::Vacant(place) => match open(self.feeder, name) {
                Ok(pile) => Ok(place.insert(pile)),
                Err(error) => {
                    self.closed.insert(name.to_owned(), Failure::from(&error));
                    Err(error)
                }
            },
        }
    }

    /// Submits what is left, and gathers which items failed.
    fn finish(mut self, event: &Event<'_>) -> Outcome {
        for pile in self.piles.values_mut() {
            // Its failure is kept with its items.
            drop(pile.submit(self.feeder.deadline));
            for (at, failure) in pile.failed() {
                self.failures.entry(at).or_insert(failure);
            }
        }
        let mut stopped = BTreeSet::new();
        for (at, item) in event.items.iter().enumerate() {
            let Some(group) = item.group.as_deref() else {
                continue;
            };
            if self.failures.contains_key(&at) {
                stopped.insert(group);
            } else if stopped.contains(group) {
                self.failures.insert(at, held_back());
            }
        }
        Outcome {
            failures: self.failures,
            nothing: self.nothing,
            piles: self.piles,
        }
    }
}

/// Opens an index; the one of items that name none is created by its first document.
fn open(feeder: &Feeder, name: &str) -> Result<Pile> {
    let index = if name == feeder.rules.index {
        feeder.aquifer.index_or_create(name)?
    } else {
        feeder.aquifer.index(name)?
    };
    Pile::new(index)
}

/// Puts the operations of an object into batches: each begins with a claim, and the last ends with a sweep.
fn put_object(
    pile: &mut Pile,
    at: usize,
    object: &ObjectEvent,
    source: Option<Box<dyn DocumentSource>>,
    (bytes_max, deadline): (usize, Instant),
) -> Result<()> {
    let ordered = |change| Operation::Ordered(object.order.clone(), change);
    pile.make_room(&[ordered(Change::Claim)], bytes_max, deadline)?;
    pile.push(at, ordered(Change::Claim));
    let mut position = None;
    let mut source = source;
    while let Some(open) = &mut source {
        in_time(object, deadline)?;
        let chunk = open.next(position.as_deref(), CHUNK_BYTES)?;
        for text in chunk.documents {
            let text = text.map_err(|refusal| {
                Error::invalid(format!("{}: {}", refusal.place, refusal.detail))
            })?;
            let document = Document::parse(&text, pile.schema())?;
            let operation = ordered(Change::Upsert(document));
            if pile.make_room(std::slice::from_ref(&operation), bytes_max, deadline)? {
                pile.push(at, ordered(Change::Claim));
            }
            pile.push(at, operation);
        }
        position = chunk.position;
        if position.is_none() {
            source = None;
        }
    }
    pile.make_room(&[ordered(Change::Sweep)], bytes_max, deadline)?;
    pile.push(at, ordered(Change::Sweep));
    Ok(())
}

fn in_time(object: &ObjectEvent, deadline: Instant) -> Result<()> {
    if Instant::now() < deadline {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Deadline,
        format!(
            "s3://{}/{} holds more documents than the time of this function suffices for: give the function more time and \
             memory, or index the object with a reindex",
            object.bucket, object.key
        ),
    ))
}

/// Reads the documents of a record, as long as they fit into the memory that there is for them.
fn upserts(
    body: &[u8],
    placed: &Placed,
    schema: &IndexSchema,
    bytes_max: usize,
) -> Result<Vec<Operation>> {
    let bytes_max = bytes_max.max(body.len().saturating_mul(USUAL_FACTOR));
    let mut bytes: usize = 0;
    let mut operations = Vec::new();
    for part in split(body, BodyFormat::Unknown)? {
        let text = part.text.map_err(|error| of_part(part.index, error))?;
        let document = Document::parse(text, schema).map_err(|error| of_part(part.index, error))?;
        bytes = bytes.saturating_add(document.memory_bytes());
        if bytes > bytes_max {
            return Err(too_large(part.index + 1, bytes_max));
        }
        operations.push(match placed {
            Placed::ByArrival => Operation::Upsert(document),
            Placed::At(order) => Operation::Ordered(order.clone(), Change::Upsert(document)),
            Placed::ByField(field) => {
                Operation::Ordered(order_of_document(text, field)?, Change::Upsert(document))
            }
        });
    }
    Ok(operations)
}

fn too_large(documents: usize, bytes_max: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "the first {documents} documents of the record take more than {bytes_max} bytes of memory once they are read: send \
             them in several records"
        ),
    )
}

fn delete(key: &str, placed: &Placed) -> Result<Operation> {
    match placed {
        Placed::ByArrival => Ok(Operation::Delete(key.to_owned())),
        Placed::At(order) => Ok(Operation::Ordered(
            order.clone(),
            Change::Delete(key.to_owned()),
        )),
        Placed::ByField(_) => Err(Error::internal("a delete has no position")),
    }
}

fn of_part(at: usize, error: aquifer_indexer::document::DocumentError) -> Error {
    let error = Error::from(error);
    let kind = error.kind();
    Error::new(kind, format!("document {} of the record: {error}", at + 1))
}
