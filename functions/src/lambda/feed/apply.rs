//! Handing the items of an event to the indexes, in batches.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use aquifer_indexer::inbox::Operation;
use aquifer_indexer::index::no_index;
use aquifer_indexer::{ErrorKind, Result};

use super::failure::ItemFailure;
use super::object::{Contents, contents, put_object};
use super::operations::{deletes, upserts};
use super::pile::{BatchBounds, Pile};
use super::s3::ObjectEvent;
use super::{Asked, FeedEvent, Feeder};

/// What became of an event.
pub(super) struct Verdict {
    /// Of each item that failed, why.
    pub(super) failures: BTreeMap<usize, ItemFailure>,
    /// The items that asked for nothing.
    pub(super) nothing: BTreeSet<usize>,
    /// What was handed to each index.
    pub(super) piles: BTreeMap<String, Pile>,
}

/// Indexes what can be indexed.
pub(super) fn apply(feeder: &Feeder, event: &FeedEvent<'_>) -> Verdict {
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
                .map_err(|error| ItemFailure::from(&error)),
            Err(error) => Err(ItemFailure::from(error)),
        };
        if let Err(failure) = applied {
            stopped.extend(group);
            applying.failures.insert(at, failure);
        }
    }
    applying.finish(event)
}

fn held_back() -> ItemFailure {
    ItemFailure::of(
        ErrorKind::Conflict,
        "an earlier message of its group failed: it is delivered again after that one",
    )
}

struct Applying<'a> {
    feeder: &'a Feeder,
    failures: BTreeMap<usize, ItemFailure>,
    nothing: BTreeSet<usize>,
    piles: BTreeMap<String, Pile>,
    /// The indexes that could not be opened, and why.
    closed: BTreeMap<String, ItemFailure>,
}

impl Applying<'_> {
    fn item(&mut self, at: usize, asked: &Asked<'_>) -> Result<()> {
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
                let bytes_max = self.feeder.batch_bytes;
                let pile = self.pile(index.as_deref())?;
                let operations = upserts(body, placed, pile.schema(), bytes_max)?;
                self.put(at, index.as_deref(), operations)
            }
            Asked::Deletes {
                index,
                keys,
                placed,
            } => self.put(at, index.as_deref(), deletes(keys, placed)?),
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
        let bounds = self.bounds();
        let pile = self.pile(index)?;
        pile.make_room(&operations, bounds)?;
        for operation in operations {
            pile.push(at, operation);
        }
        Ok(())
    }

    /// Indexes an object, or deletes what came from it.
    fn object(&mut self, at: usize, object: &ObjectEvent) -> Result<()> {
        let bounds = self.bounds();
        match contents(&*self.feeder.objects, object)? {
            Contents::Gone => Ok(()),
            Contents::Read(source) => put_object(self.pile(None)?, at, object, source, bounds),
        }
    }

    fn bounds(&self) -> BatchBounds {
        BatchBounds {
            bytes_max: self.feeder.batch_bytes,
            deadline: self.feeder.deadline,
        }
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
                    self.closed
                        .insert(name.to_owned(), ItemFailure::from(&error));
                    Err(error)
                }
            },
        }
    }

    /// Submits what is left, and gathers which items failed.
    fn finish(mut self, event: &FeedEvent<'_>) -> Verdict {
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
            if stopped.contains(group) {
                self.failures.entry(at).or_insert_with(held_back);
            } else if self.failures.contains_key(&at) {
                stopped.insert(group);
            }
        }
        Verdict {
            failures: self.failures,
            nothing: self.nothing,
            piles: self.piles,
        }
    }
}

/// Opens an index; the one of items that name none is created by its first document.
fn open(feeder: &Feeder, name: &str) -> Result<Pile> {
    if !feeder.rules.served.includes(name) {
        return Err(no_index(name));
    }
    let index = if name == feeder.rules.index {
        feeder.aquifer.index_or_create(name)?
    } else {
        feeder.aquifer.index(name)?
    };
    Pile::new(index)
}
