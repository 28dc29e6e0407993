//! Records of a Kinesis stream.

use std::borrow::Cow;

use aquifer_indexer::Result;
use aquifer_indexer::order::{Order, Position};
use serde::Deserialize;

use super::{Asked, Item, Placed, envelope, records};

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    kinesis: Data<'a>,
    #[serde(rename = "eventSourceARN")]
    source: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    sequence_number: String,
    #[serde(borrow)]
    data: Cow<'a, str>,
}

pub(super) fn items(payload: &str) -> serde_json::Result<Vec<Item<'_>>> {
    let records: Vec<Record<'_>> = records(payload)?;
    let item = |record: Record<'_>| Item {
        asked: asked(&record),
        id: record.kinesis.sequence_number,
        group: None,
        data: None,
    };
    Ok(records.into_iter().map(item).collect())
}

fn asked(record: &Record<'_>) -> Result<Asked<'static>> {
    // With enhanced fan-out the source is a consumer of the stream. The records of a shard that came out of a split
    // or a merge have greater numbers than those of its parents, so the stream is one history.
    let (stream, _consumer) = record
        .source
        .split_once("/consumer/")
        .unwrap_or((&record.source, ""));
    let position = Position::decimal(&record.kinesis.sequence_number)?;
    let order = Order::new(&format!("kinesis:{stream}"), position)?;
    envelope::open_base64("data", &record.kinesis.data, Placed::At(order))
}
