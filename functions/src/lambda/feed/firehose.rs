//! Records that Firehose has a function transform on their way: they are indexed, and pass through unchanged.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Item, Rules, envelope};

#[derive(Deserialize)]
struct Delivery<'a> {
    #[serde(borrow)]
    records: Vec<Record<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    record_id: String,
    #[serde(borrow)]
    data: Cow<'a, str>,
}

pub(super) fn items<'a>(payload: &'a str, rules: &Rules) -> serde_json::Result<Vec<Item<'a>>> {
    let delivery: Delivery<'a> = serde_json::from_str(payload)?;
    let item = |record: Record<'a>| {
        let asked = envelope::open_base64("data", &record.data, rules.unordered());
        Item {
            id: record.record_id,
            group: None,
            asked,
            data: Some(record.data),
        }
    };
    Ok(delivery.records.into_iter().map(item).collect())
}
