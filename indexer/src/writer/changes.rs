//! Which operations of some batches take effect: those of events that are older than what the index knows are left out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{self, Found, Record, Subject};
use crate::document::Document;
use crate::error::Result;
use crate::inbox::{Batch, Change, Operation};
use crate::numbers::DocCount;
use crate::order::{Order, Position};
use crate::snapshot::Snapshot;
use tantivy::DocId;

/// An operation that takes effect: a key gets a document, or loses the one it has.
#[derive(Debug)]
pub(super) struct Effect<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) document: Option<&'a Document>,
}

/// What the operations of one batch come to.
#[derive(Debug, Default)]
pub(super) struct Effects<'a> {
    /// In the order of the operations.
    pub(super) effects: Vec<Effect<'a>>,
    /// Changes that were left out.
    pub(super) outdated: DocCount,
}

/// What the operations of some batches come to.
#[derive(Debug, Default)]
pub(super) struct Changes<'a> {
    /// Of each batch, in order.
    pub(super) batches: Vec<Effects<'a>>,
    /// New records of the ledger.
    pub(super) records: Vec<Document>,
    /// Records that they replace: the position of the segment in the manifest, and the number in it.
    pub(super) replaced: Vec<(usize, DocId)>,
}

/// Works out which operations take effect on `snapshot`.
pub(super) fn changes<'a>(
    snapshot: &Snapshot,
    batches: &[&'a Batch],
    wall_ms: u64,
) -> Result<Changes<'a>> {
    let mut known = Known::read(snapshot, batches, wall_ms)?;
    let mut changes = Changes::default();
    for batch in batches {
        let mut effects = Effects::default();
        for operation in &batch.operations {
            known.apply(operation, &mut effects);
        }
        changes.batches.push(effects);
    }
    known.write(&mut changes)?;
    Ok(changes)
}

/// What is known of the subjects that the operations name.
#[derive(Debug, Default)]
struct Known {
    entries: BTreeMap<Subject, Entry>,
    today: i64,
}

#[derive(Debug)]
struct Entry {
    record: Record,
    /// Where it is in the ledger.
    at: Option<(usize, DocId)>,
    /// Whether one of the operations has changed it.
    fresh: bool,
}

impl Known {
    fn read(snapshot: &Snapshot, batches: &[&Batch], wall_ms: u64) -> Result<Self> {
        let operations = batches.iter().flat_map(|batch| &batch.operations);
        let mut subjects = BTreeSet::new();
        let mut swept: BTreeMap<&str, &Position> = BTreeMap::new();
        for operation in operations {
            let Operation::Ordered(order, change) = operation else {
                continue;
            };
            subjects.insert(Subject::Object(order.source().to_owned()));
            subjects.extend(operation.unique_key().map(str::to_owned).map(Subject::Key));
            if matches!(change, Change::Sweep) {
                let position = swept.entry(order.source()).or_insert(order.position());
                *position = order.position().max(position);
            }
        }
        let mut known = Self {
            entries: BTreeMap::new(),
            today: ledger::day(wall_ms),
        };
        if subjects.is_empty() {
            return Ok(known);
        }
        for found in ledger::find(snapshot, &subjects)? {
            known.insert(found);
        }
        for (source, position) in swept {
            ledger::of_source(snapshot, source, &mut |found| {
                let record = &found.record;
                if record.gone.is_none() && record.order.position() < position {
                    known.insert(found);
                }
            })?;
        }
        Ok(known)
    }

    fn insert(&mut self, found: Found) {
        let entry = Entry {
            record: found.record,
            at: Some(found.at),
            fresh: false,
        };
        self.entries.insert(found.subject, entry);
    }

    fn apply<'a>(&mut self, operation: &'a Operation, effects: &mut Effects<'a>) {
        let (order, change) = match operation {
            Operation::Upsert(document) => {
                effects.push(document.unique_key(), Some(document));
                return;
            }
            Operation::Delete(key) => {
                effects.push(key.as_str(), None);
                return;
            }
            Operation::Ordered(order, change) => (order, change),
        };
        match change {
            Change::Upsert(document) => {
                let key = document.unique_key();
                if self.takes(order, key, false) {
                    effects.push(key, Some(document));
                } else {
                    effects.outdated += DocCount::ONE;
                }
            }
            Change::Delete(key) if self.takes(order, key, true) => effects.push(key.as_str(), None),
            Change::Delete(_) => effects.outdated += DocCount::ONE,
            Change::Claim => self.claim(order),
            Change::Sweep => self.sweep(order, effects),
        }
    }

    /// Takes note of a change of `key`, unless it is outdated.
    fn takes(&mut self, order: &Order, key: &str, gone: bool) -> bool {
        let claimed = self.claimed(order);
        if claimed > Some(order.position()) {
            return false;
        }
        let subject = Subject::Key(key.to_owned());
        if let Some(entry) = self.entries.get(&subject)
            && entry.record.order.source() == order.source()
        {
            let (known, position) = (entry.record.order.position(), order.position());
            // A change that these batches bring twice is the same change; so is one of an object that is being indexed.
            let again = entry.fresh || claimed == Some(position);
            if known > position || known == position && !again {
                return false;
            }
        }
        self.note(subject, order, gone);
        true
    }

    /// The newest position of the object that is the source of a change.
    fn claimed(&self, order: &Order) -> Option<&Position> {
        let object = Subject::Object(order.source().to_owned());
        let entry = self.entries.get(&object)?;
        Some(entry.record.order.position())
    }

    fn claim(&mut self, order: &Order) {
        if self.claimed(order) < Some(order.position()) {
            self.note(Subject::Object(order.source().to_owned()), order, false);
        }
    }

    fn sweep<'a>(&mut self, order: &Order, effects: &mut Effects<'a>) {
        if self.claimed(order) > Some(order.position()) {
            return;
        }
        let earlier = |(subject, entry): (&Subject, &Entry)| match subject {
            Subject::Key(key)
                if entry.record.gone.is_none()
                    && entry.record.order.source() == order.source()
                    && entry.record.order.position() < order.position() =>
            {
                Some(key.clone())
            }
            _ => None,
        };
        let keys: Vec<String> = self.entries.iter().filter_map(earlier).collect();
        for key in keys {
            self.note(Subject::Key(key.clone()), order, true);
            effects.push(key, None);
        }
    }

    fn note(&mut self, subject: Subject, order: &Order, gone: bool) {
        let record = Record {
            order: order.clone(),
            gone: gone.then_some(self.today),
        };
        let at = self.entries.get(&subject).and_then(|entry| entry.at);
        let entry = Entry {
            record,
            at,
            fresh: true,
        };
        self.entries.insert(subject, entry);
    }

    /// Adds the records that have changed.
    fn write(self, changes: &mut Changes<'_>) -> Result<()> {
        for (subject, entry) in self.entries.into_iter().filter(|(_, entry)| entry.fresh) {
            changes.records.push(entry.record.document(&subject)?);
            changes.replaced.extend(entry.at);
        }
        Ok(())
    }
}

impl<'a> Effects<'a> {
    fn push(&mut self, key: impl Into<Cow<'a, str>>, document: Option<&'a Document>) {
        let key = key.into();
        self.effects.push(Effect { key, document });
    }
}
