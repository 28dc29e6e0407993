//! Messages of an SQS queue.

use std::borrow::Cow;

use aquifer_indexer::Result;
use aquifer_indexer::order::{Order, Position};
use serde::Deserialize;

use super::{Item, Placed, Rules, envelope, records};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    message_id: String,
    #[serde(borrow)]
    body: Cow<'a, str>,
    #[serde(default)]
    attributes: Attributes,
    #[serde(rename = "eventSourceARN")]
    queue: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes {
    /// Only messages of a FIFO queue have one.
    sequence_number: Option<String>,
    message_group_id: Option<String>,
}

pub(super) fn items<'a>(payload: &'a str, rules: &Rules) -> serde_json::Result<Vec<Item<'a>>> {
    let messages: Vec<Message<'a>> = records(payload)?;
    Ok(messages
        .into_iter()
        .map(|message| item(message, rules))
        .collect())
}

fn item<'a>(message: Message<'a>, rules: &Rules) -> Item<'a> {
    let placed = placed(&message, rules);
    let Attributes {
        sequence_number,
        message_group_id,
    } = message.attributes;
    Item {
        id: message.message_id,
        // A standard queue has groups too, for fairness: they promise no order.
        group: sequence_number.and(message_group_id),
        asked: placed.and_then(|placed| envelope::open(message.body, placed)),
        data: None,
    }
}

fn placed(message: &Message<'_>, rules: &Rules) -> Result<Placed> {
    let Some(number) = &message.attributes.sequence_number else {
        return Ok(rules.unordered());
    };
    let position = Position::decimal(number)?;
    let order = Order::new(&format!("sqs:{}", message.queue), position)?;
    Ok(Placed::At(order))
}
