//! What became of an event, and what its source is answered.

use aquifer_indexer::numbers::{DocCount, Version};
use aquifer_indexer::quote::{quoted, shortened};
use aquifer_indexer::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::apply::Verdict;
use super::failure::ItemFailure;
use super::payload::EventKind;
use super::{FeedEvent, Item};

/// Failed items that the log lists one by one; the others are counted. An event may have 10,000.
const LISTED_MAX: usize = 20;

/// What became of an event.
#[derive(Debug)]
pub struct Fed {
    /// What the source is answered; the failure of the invocation where it takes no answer.
    pub answer: Result<Box<RawValue>>,
    /// Items in the event.
    pub items: usize,
    /// Items that failed.
    pub failed: usize,
    /// Changes that were left out, since the index knew newer ones.
    pub outdated: DocCount,
    /// The indexes that were changed.
    pub changed: Vec<Changed>,
}

/// An index that an event has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its name.
    pub index: String,
    /// The version in which the last of the changes is visible.
    pub version: Option<Version>,
    /// Whether some of them are durable and not applied yet.
    pub durable: bool,
}

/// The answer to a source that sends single items again.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Partial<'a> {
    batch_item_failures: Vec<FailedItem<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedItem<'a> {
    item_identifier: &'a str,
}

/// The answer to Firehose.
#[derive(Serialize)]
struct Transformed<'a> {
    records: Vec<TransformedRecord<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransformedRecord<'a> {
    record_id: &'a str,
    result: &'static str,
    data: &'a str,
}

/// Writes the answer, and a line for each of the first items that failed.
pub(super) fn report(event: &FeedEvent<'_>, outcome: Verdict) -> Fed {
    for (&at, failure) in outcome.failures.iter().take(LISTED_MAX) {
        let item = event.items.get(at).map_or("", |item| item.id.as_str());
        let item = &*shortened(item);
        tracing::warn!(
            source = event.kind.name(),
            item,
            error = failure.why,
            "an item failed"
        );
    }
    let changed = outcome.piles.iter().map(|(index, pile)| Changed {
        index: index.clone(),
        version: pile.applied.version,
        durable: pile.applied.durable,
    });
    Fed {
        answer: answer(event, &outcome),
        items: event.items.len(),
        failed: outcome.failures.len(),
        outdated: outcome
            .piles
            .values()
            .map(|pile| pile.applied.outdated)
            .sum(),
        changed: changed
            .filter(|changed| changed.durable || changed.version.is_some())
            .collect(),
    }
}

fn answer(event: &FeedEvent<'_>, outcome: &Verdict) -> Result<Box<RawValue>> {
    let failed = outcome.failures.len();
    match event.kind {
        // Firehose tells records that are at fault from an invocation that it should try again.
        EventKind::Firehose => match outcome
            .failures
            .values()
            .find(|failure| !failure.is_rejection())
        {
            Some(failure) => Err(failure.error()),
            None => written(&transformed(event, outcome)),
        },
        // Where no partial answer is expected, one would count as success.
        EventKind::Sqs | EventKind::Kinesis | EventKind::DynamoDb if failed < event.items.len() => {
            written(&partial(event, outcome))
        }
        _ if failed == 0 => written(&partial(event, outcome)),
        _ => Err(summary(event, outcome)),
    }
}

fn partial<'a>(event: &'a FeedEvent<'_>, outcome: &Verdict) -> Partial<'a> {
    let failed = outcome
        .failures
        .keys()
        .filter_map(|&at| event.items.get(at));
    Partial {
        batch_item_failures: failed
            .map(|item| FailedItem {
                item_identifier: &item.id,
            })
            .collect(),
    }
}

fn transformed<'a>(event: &'a FeedEvent<'_>, outcome: &Verdict) -> Transformed<'a> {
    let record = |(at, item): (usize, &'a Item<'_>)| TransformedRecord {
        record_id: &item.id,
        result: if outcome.failures.contains_key(&at) {
            "ProcessingFailed"
        } else if outcome.nothing.contains(&at) {
            "Dropped"
        } else {
            "Ok"
        },
        data: item.data.as_deref().unwrap_or_default(),
    };
    Transformed {
        records: event.items.iter().enumerate().map(record).collect(),
    }
}

/// Why the invocation fails: in short, since the log has the items one by one.
fn summary(event: &FeedEvent<'_>, outcome: &Verdict) -> Error {
    let (failed, items) = (outcome.failures.len(), event.items.len());
    let first = outcome.failures.iter().next();
    let (item, failure) = match first {
        Some((&at, failure)) => (event.items.get(at), failure.clone()),
        None => (None, ItemFailure::of(ErrorKind::Internal, "nothing failed")),
    };
    let id = quoted(item.map_or("", |item| item.id.as_str()));
    let shown = event.kind.shown();
    Error::new(
        failure.kind,
        format!(
            "{failed} of the {items} items of {shown} failed; the first, {id}: {}",
            failure.why
        ),
    )
}

fn written(answer: &impl Serialize) -> Result<Box<RawValue>> {
    to_raw_value(answer).map_err(|error| Error::internal("an answer is no JSON").because(error))
}
