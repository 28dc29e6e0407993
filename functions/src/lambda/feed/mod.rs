//! Events of AWS services, made into changes of an index.
//!
//! An event flows one way: [`payload`] tells what it is, the module of its source takes its items out, [`content`]
//! reads what an item asks for, `apply` hands it to the indexes in batches, and `report` makes of the outcome what the
//! source expects. docs/events.md describes each source to its users.
//!
//! The shapes are read by small structs: they need what is used of an event and nothing else, so that a field which AWS adds or
//! writes in another way fails no event.
//!
//! **An item is indexed or it fails.** An item is atomic: the operations of a document that is rejected, and of the others in the same
//! item, are in no batch. Objects of S3 are the exception: each goes into the batches by itself, and a large one into several.

mod apply;
mod attribute;
mod bridge;
pub mod content;
mod dynamodb;
mod envelope;
mod failure;
mod firehose;
mod kafka;
mod kinesis;
mod object;
mod objects;
mod operations;
pub mod payload;
mod pile;
mod report;
mod s3;
mod sns;
mod sqs;
mod version;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use aquifer_indexer::order::Order;
use aquifer_indexer::{Aquifer, Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

pub use self::dynamodb::KeyAttributes;
pub use self::objects::{NoObjectReader, ObjectReader};
use self::payload::EventKind;
pub use self::report::{Changed, Fed};
use crate::http::ServedIndexes;

/// How events are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The index of items that name none.
    pub index: String,
    /// The field of a document that is its position, where the source has no order of its own.
    pub version_field: Option<String>,
    /// The attributes that an item of a table is named by.
    pub key: KeyAttributes,
    /// The indexes that items may name.
    pub served: ServedIndexes,
}

/// An event, taken apart.
struct FeedEvent<'a> {
    kind: EventKind,
    items: Vec<Item<'a>>,
}

/// What of an event is indexed or fails as a whole.
struct Item<'a> {
    /// The name by which its source knows it.
    id: String,
    /// Items of one group are indexed in order: none after one that failed.
    group: Option<String>,
    /// What it asks for, or why that cannot be read.
    asked: Result<Asked<'a>>,
    /// Its data, where the source expects it back.
    data: Option<Cow<'a, str>>,
}

/// What an item asks for.
enum Asked<'a> {
    /// Documents: one, an array, or one a line.
    Documents {
        index: Option<String>,
        body: Cow<'a, str>,
        placed: Placed,
    },
    /// Documents to delete.
    Deletes {
        index: Option<String>,
        keys: Vec<String>,
        placed: Placed,
    },
    /// Objects that were created or removed.
    Objects(Vec<s3::ObjectEvent>),
    /// Nothing, in so many words.
    Nothing,
}

/// What says where a change stands in the history of its source.
#[derive(Clone, Debug)]
enum Placed {
    /// The source itself.
    At(Order),
    /// A field of each document.
    ByField(String),
    /// Nothing: the change that arrives last wins.
    ByArrival,
}

impl Rules {
    /// How the items of a source without an order of its own are placed.
    fn unordered(&self) -> Placed {
        match &self.version_field {
            Some(field) => Placed::ByField(field.clone()),
            None => Placed::ByArrival,
        }
    }
}

/// What events are indexed with.
pub struct Feeder {
    /// The indexes.
    pub aquifer: Arc<Aquifer>,
    /// How events are read.
    pub rules: Rules,
    /// Where the objects that events name are read.
    pub objects: Arc<dyn ObjectReader>,
    /// Bytes of memory that the documents of one batch may take.
    pub batch_bytes: usize,
    /// When the answer must be given.
    pub deadline: Instant,
}

impl Feeder {
    /// Indexes the event in `payload`, which is of this kind. Blocks.
    ///
    /// # Errors
    /// [`aquifer_indexer::ErrorKind::Invalid`] where the event lacks what its source promises. Items that fail are in
    /// what is returned.
    pub fn feed(&self, kind: EventKind, payload: &RawValue) -> Result<Fed> {
        let event = self.event(kind, payload.get())?;
        let outcome = apply::apply(self, &event);
        Ok(report::report(&event, outcome))
    }

    fn event<'a>(&self, kind: EventKind, payload: &'a str) -> Result<FeedEvent<'a>> {
        let rules = &self.rules;
        let items = match kind {
            EventKind::Sqs => sqs::items(payload, rules),
            EventKind::Sns => sns::items(payload, rules),
            EventKind::EventBridge => bridge::items(payload, rules),
            EventKind::DynamoDb => dynamodb::items(payload, rules),
            EventKind::Kinesis => kinesis::items(payload),
            EventKind::Kafka => kafka::items(payload),
            EventKind::S3 => s3::items(payload),
            EventKind::Firehose => firehose::items(payload, rules),
        }
        .map_err(|error| {
            let shown = kind.shown();
            Error::invalid(format!("{shown} cannot be read: {error}"))
        })?;
        if items.is_empty() {
            let shown = kind.shown();
            return Err(Error::invalid(format!("{shown} has no record")));
        }
        Ok(FeedEvent { kind, items })
    }
}

/// The `Records` of an event.
#[derive(Deserialize)]
struct Records<T> {
    #[serde(rename = "Records")]
    records: Vec<T>,
}

fn records<'a, T: Deserialize<'a>>(payload: &'a str) -> serde_json::Result<Vec<T>> {
    serde_json::from_str(payload).map(|event: Records<T>| event.records)
}
