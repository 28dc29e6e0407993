//! Events of an EventBridge bus.

use aquifer_indexer::{Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Asked, Item, Placed, Rules, content, s3};

#[derive(Deserialize)]
struct BusEvent<'a> {
    #[serde(default)]
    id: String,
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    #[serde(borrow)]
    detail: &'a RawValue,
}

pub(super) fn items<'a>(payload: &'a str, rules: &Rules) -> serde_json::Result<Vec<Item<'a>>> {
    let event: BusEvent<'a> = serde_json::from_str(payload)?;
    Ok(vec![Item {
        id: event.id.clone(),
        group: None,
        asked: event.asked(rules.unordered()),
        data: None,
    }])
}

/// What an event asks for that is in the body of a message.
pub(super) fn asked(text: &str, placed: Placed) -> Result<Asked<'_>> {
    let event: BusEvent<'_> = serde_json::from_str(text)
        .map_err(|error| Error::invalid(format!("the event cannot be read: {error}")))?;
    event.asked(placed)
}

impl<'a> BusEvent<'a> {
    fn asked(&self, placed: Placed) -> Result<Asked<'a>> {
        let detail = self.detail.get();
        match (self.source.as_str(), self.detail_type.as_str()) {
            ("aws.s3", detail_type) => Ok(Asked::Objects(vec![s3::of_bus(detail_type, detail)?])),
            _ => content::read(detail.into(), placed),
        }
    }
}
