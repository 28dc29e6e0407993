//! Messages of an SNS topic.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Item, Rules, envelope, records};

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, rename = "Sns")]
    sns: Message<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message<'a> {
    message_id: String,
    topic_arn: String,
    #[serde(borrow)]
    message: Cow<'a, str>,
    sequence_number: Option<String>,
}

pub(super) fn items<'a>(payload: &'a str, rules: &Rules) -> serde_json::Result<Vec<Item<'a>>> {
    let records: Vec<Record<'a>> = records(payload)?;
    let item = |Record { sns: message }: Record<'a>| {
        let number = message.sequence_number.as_deref();
        let placed = envelope::of_topic(&message.topic_arn, number, rules.unordered());
        Item {
            id: message.message_id,
            group: None,
            asked: placed.and_then(|placed| envelope::open(message.message, placed)),
            data: None,
        }
    };
    Ok(records.into_iter().map(item).collect())
}
