//! The ledger: what an index knows of the changes that events have reported.
//!
//! For each key that an event has changed, and for each object whose documents were indexed, it holds one [`Record`]: the
//! order of the newest change. Records are documents of a schema of their own, in segments of their own, which no search
//! opens. They are written by the version that applies the change, merged like other segments, and carried along by a
//! reindex. The record of a deleted key is dropped by the first merge after [`GONE_KEPT`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocAddress, DocId, DocSet as _, Searcher, SegmentReader, TERMINATED, Term};

use super::resolve::locate_in;
use crate::document::{Document, Scalar};
use crate::error::{Error, Result};
use crate::format::manifest::Segment;
use crate::mapping::{FieldDefinition, FieldType, Fields, IndexSchema, Resolved};
use crate::order::{Order, Position};
use crate::snapshot::Snapshot;
use crate::snapshot::sources::{damaged, sources};

/// How long the record of a deleted key is kept, at least. An event that arrives later than this may bring the document
/// back. SQS keeps a message for 14 days at most, and a dead-letter queue as long again.
const GONE_KEPT: Duration = Duration::from_secs(28 * DAY.as_secs());
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The source of the change.
const FROM: &str = "from";
/// The day of a deletion, in days since 1970.
const GONE: &str = "gone";
/// Records that are read at once.
const TOGETHER: usize = 128;

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// The document with this key.
    Key(String),
    /// The object of this name, which holds documents.
    Object(String),
}

/// The newest change of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) order: Order,
    /// The day on which the subject was deleted.
    pub(super) gone: Option<i64>,
}

/// A record, and where it is: the position of its segment in the manifest, and its number.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) subject: Subject,
    pub(super) record: Record,
    pub(super) at: (usize, DocId),
}

/// A record as its document's source has it.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    subject: &'a str,
    from: &'a str,
    position: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<i64>,
}

impl Subject {
    /// The key of its record.
    fn key(&self) -> String {
        match self {
            Self::Key(key) => format!("k:{key}"),
            Self::Object(name) => format!("o:{name}"),
        }
    }

    fn read(key: &str) -> Option<Self> {
        match key.split_at_checked(2)? {
            ("k:", key) => Some(Self::Key(key.to_owned())),
            ("o:", name) => Some(Self::Object(name.to_owned())),
            _ => None,
        }
    }
}

impl Record {
    /// The document that it is written as.
    pub(super) fn document(&self, subject: &Subject) -> Result<Document> {
        let (key, from) = (subject.key(), self.order.source());
        let written = Written {
            subject: &key,
            from,
            position: self.order.position().as_str(),
            gone: self.gone,
        };
        let source = serde_json::to_string(&written)
            .map_err(|error| Error::internal("a record is no JSON").because(error))?;
        let gone = self.gone.map(|day| (GONE, Scalar::I64(day)));
        let values = [(FROM, Scalar::Str(from))].into_iter().chain(gone);
        Document::of_record(&key, &source, schema(), values)
    }

    fn read(source: &str) -> Result<(Subject, Self)> {
        #[derive(Deserialize)]
        struct Owned {
            subject: String,
            from: String,
            position: String,
            gone: Option<i64>,
        }
        let read: Owned = serde_json::from_str(source)
            .map_err(|error| damaged("is no record of an event").because(error))?;
        let subject = Subject::read(&read.subject);
        let subject = subject.ok_or_else(|| damaged("is a record of nothing"))?;
        let order = Order::new(&read.from, Position::written(&read.position))?;
        let gone = read.gone;
        Ok((subject, Self { order, gone }))
    }
}

/// The day of a moment in milliseconds since 1970.
pub(super) fn day(wall_ms: u64) -> i64 {
    let days = Duration::from_millis(wall_ms).as_secs() / DAY.as_secs();
    i64::try_from(days).unwrap_or(i64::MAX)
}

/// The schema of records.
pub(crate) fn schema() -> &'static Arc<IndexSchema> {
    static SCHEMA: OnceLock<Arc<IndexSchema>> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let fields = [(FROM, FieldType::Keyword), (GONE, FieldType::Integer)];
        let fields = fields.map(|(name, kind)| (name.to_owned(), FieldDefinition::new(kind)));
        Arc::new(IndexSchema::of_ledger(Fields(BTreeMap::from(fields))))
    })
}

/// The records that `snapshot` has of some subjects.
pub(super) fn find(snapshot: &Snapshot, subjects: &BTreeSet<Subject>) -> Result<Vec<Found>> {
    let Some(searcher) = snapshot.ledger(schema())? else {
        return Ok(Vec::new());
    };
    let mut keys: Vec<String> = subjects.iter().map(Subject::key).collect();
    keys.sort_unstable();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let located = locate_in(snapshot, searcher, schema().key(), &keys, |_| true)?;
    let mut found = Vec::new();
    read(snapshot, searcher, located.into_values(), &mut |record| {
        found.push(record);
    })?;
    Ok(found)
}

/// Gives `each` the records that `snapshot` has of the subjects that changed last in `source`.
pub(super) fn of_source(
    snapshot: &Snapshot,
    source: &str,
    each: &mut dyn FnMut(Found),
) -> Result<()> {
    let Some(searcher) = snapshot.ledger(schema())? else {
        return Ok(());
    };
    let term = Term::from_field_text(field(FROM)?, source);
    for (position, segment) in snapshot.manifest().body.segments.iter().enumerate() {
        let Some(reader) = reader(searcher, segment) else {
            continue;
        };
        let index = reader.inverted_index(term.field())?;
        let postings = index.read_postings(&term, IndexRecordOption::Basic);
        let Some(mut postings) = postings.map_err(|error| Error::io("bundles", error))? else {
            continue;
        };
        let docs = std::iter::from_fn(move || {
            let doc = postings.doc();
            (doc != TERMINATED).then(|| {
                postings.advance();
                doc
            })
        });
        let alive = docs.filter(|&doc| !reader.is_deleted(doc));
        read(snapshot, searcher, alive.map(|doc| (position, doc)), each)?;
    }
    Ok(())
}

/// The records of a segment of the ledger that need not be kept any longer.
pub(super) fn expired(
    snapshot: &Snapshot,
    segment: &Segment,
    wall_ms: u64,
) -> Result<RoaringBitmap> {
    let mut expired = RoaringBitmap::new();
    let reader = snapshot
        .ledger(schema())?
        .and_then(|searcher| reader(searcher, segment));
    let Some(reader) = reader else {
        return Ok(expired);
    };
    let field = field(GONE)?;
    let kept = i64::try_from(GONE_KEPT.as_secs() / DAY.as_secs()).unwrap_or(i64::MAX);
    let first_kept = Term::from_field_i64(field, day(wall_ms).saturating_sub(kept));
    let io = |error| Error::io("bundles", error);
    let index = reader.inverted_index(field)?;
    let range = index
        .terms()
        .range()
        .lt(first_kept.serialized_value_bytes());
    let mut terms = range.into_stream().map_err(io)?;
    while terms.advance() {
        let option = IndexRecordOption::Basic;
        let postings = index.read_postings_from_terminfo(terms.value(), option);
        let mut postings = postings.map_err(io)?;
        while postings.doc() != TERMINATED {
            expired.insert(postings.doc());
            postings.advance();
        }
    }
    Ok(expired)
}

fn field(name: &str) -> Result<Field> {
    match schema().resolve(name) {
        Some(Resolved::Keyword(field) | Resolved::Integer(field)) => Ok(field),
        _ => Err(Error::internal("a field of records is not declared")),
    }
}

fn reader<'a>(searcher: &'a Searcher, segment: &Segment) -> Option<&'a SegmentReader> {
    let id = segment.id.simple().to_string();
    let mut readers = searcher.segment_readers().iter();
    readers.find(|reader| reader.segment_id().uuid_string() == id)
}

fn read(
    snapshot: &Snapshot,
    searcher: &Searcher,
    places: impl Iterator<Item = (usize, DocId)>,
    each: &mut dyn FnMut(Found),
) -> Result<()> {
    let mut places: Vec<(usize, DocId)> = places.collect();
    places.sort_unstable();
    for some in places.chunks(TOGETHER) {
        let address =
            |&(position, doc): &(usize, DocId)| snapshot.address_in(searcher, position, doc);
        let addresses: Vec<DocAddress> = some.iter().map(address).collect::<Result<_>>()?;
        let texts = sources(searcher, schema().source(), &addresses)?;
        for (text, &at) in texts.iter().zip(some) {
            let (subject, record) = Record::read(text)?;
            each(Found {
                subject,
                record,
                at,
            });
        }
    }
    Ok(())
}
