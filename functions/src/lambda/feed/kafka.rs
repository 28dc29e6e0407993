//! Records of Kafka topics: of Amazon MSK, or of a cluster that somebody else runs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aquifer_indexer::order::{Order, Position};
use aquifer_indexer::{Error, Result};
use serde::Deserialize;

use super::{Asked, Item, Placed, envelope};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch<'a> {
    event_source_arn: Option<String>,
    bootstrap_servers: Option<String>,
    #[serde(borrow)]
    records: BTreeMap<String, Vec<Record<'a>>>,
}

#[derive(Deserialize)]
struct Record<'a> {
    topic: String,
    partition: u64,
    offset: u64,
    #[serde(borrow, default)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    value: Option<Cow<'a, str>>,
}

pub(super) fn items(payload: &str) -> serde_json::Result<Vec<Item<'_>>> {
    let batch: Batch<'_> = serde_json::from_str(payload)?;
    let cluster = batch.cluster();
    let item = |record: Record<'_>| Item {
        id: format!(
            "{}-{} at offset {}",
            record.topic, record.partition, record.offset
        ),
        group: None,
        asked: asked(&record, &cluster),
        data: None,
    };
    Ok(batch.records.into_values().flatten().map(item).collect())
}

impl Batch<'_> {
    /// The name of the cluster. One without an ARN goes by the addresses of its brokers, whose order may change.
    fn cluster(&self) -> String {
        if let Some(arn) = &self.event_source_arn {
            return arn.clone();
        }
        let servers = self.bootstrap_servers.as_deref().unwrap_or_default();
        let mut servers: Vec<&str> = servers.split(',').map(str::trim).collect();
        servers.sort_unstable();
        servers.join(",")
    }
}

fn asked(record: &Record<'_>, cluster: &str) -> Result<Asked<'static>> {
    let source = format!("kafka:{cluster}/{}/{}", record.topic, record.partition);
    let placed = Placed::At(Order::new(&source, Position::number(record.offset))?);
    match (&record.value, &record.key) {
        (Some(value), _) => envelope::open_base64("value", value, placed),
        // A tombstone, in the words of Kafka.
        (None, Some(key)) => Ok(Asked::Deletes {
            index: None,
            keys: vec![envelope::decoded("key", key)?],
            placed,
        }),
        (None, None) => Err(Error::invalid(
            "the record has neither a value nor a key: a record without a value deletes the document of its key",
        )),
    }
}
