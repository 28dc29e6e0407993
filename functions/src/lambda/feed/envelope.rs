//! What the text of a message is: documents, a message of SNS, an event of EventBridge, or a notification of S3.

use std::borrow::Cow;

use aquifer_indexer::order::{Order, Position};
use aquifer_indexer::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::payload::{EventKind, Payload};
use super::{Asked, Placed, bridge, content, s3};
use crate::lambda::event::is_object;

/// A message of SNS as it is in the body of an SQS message.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Notification {
    #[serde(rename = "Type")]
    kind: String,
    topic_arn: String,
    message: String,
    sequence_number: Option<String>,
    #[serde(default, rename = "unique_key")]
    unique_key: Option<IgnoredAny>,
}

/// Reads the text of a message. Each message inside another is escaped in it, so they are few.
pub(super) fn open(text: Cow<'_, str>, placed: Placed) -> Result<Asked<'_>> {
    if let Some(notification) = notification(&text) {
        let placed = of_topic(
            &notification.topic_arn,
            notification.sequence_number.as_deref(),
            placed,
        )?;
        return open(notification.message.into(), placed).map(Asked::into_owned);
    }
    match Payload::of(&text) {
        Payload::Event(EventKind::S3) => Ok(Asked::Objects(s3::objects(&text)?)),
        Payload::S3Test => Ok(Asked::Nothing),
        Payload::Event(EventKind::EventBridge) => {
            bridge::asked(&text, placed).map(Asked::into_owned)
        }
        Payload::Event(kind) => Err(unexpected(kind.shown())),
        Payload::Schedule => Err(unexpected("an event of a schedule")),
        Payload::Foreign(shown) => Err(unexpected(&shown)),
        Payload::Bare | Payload::Request => content::read(text, placed),
    }
}

/// The same for a field of a record that holds a message as base64.
pub(super) fn open_base64(field: &str, text: &str, placed: Placed) -> Result<Asked<'static>> {
    open(decoded(field, text)?.into(), placed)
}

/// The text that a field holds as base64.
pub(super) fn decoded(field: &str, text: &str) -> Result<String> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| Error::invalid(format!("`{field}` is no base64: {error}")))?;
    String::from_utf8(bytes)
        .map_err(|_error| Error::invalid(format!("`{field}` holds no text in UTF-8")))
}

/// Where a message of a topic stands: a FIFO topic numbers its messages.
pub(super) fn of_topic(topic: &str, number: Option<&str>, otherwise: Placed) -> Result<Placed> {
    match number {
        Some(number) => {
            let position = Position::decimal(number)?;
            Ok(Placed::At(Order::new(&format!("sns:{topic}"), position)?))
        }
        None => Ok(otherwise),
    }
}

fn notification(text: &str) -> Option<Notification> {
    let notification: Notification = is_object(text).then(|| serde_json::from_str(text).ok())??;
    let is_one = notification.kind == "Notification" && notification.unique_key.is_none();
    is_one.then_some(notification)
}

fn unexpected(shown: &str) -> Error {
    Error::invalid(format!(
        "the record holds {shown}: it should hold {}, or a notification of S3",
        content::EXPECTED
    ))
}

impl Asked<'_> {
    /// The same, independent of the payload.
    pub(super) fn into_owned(self) -> Asked<'static> {
        match self {
            Self::Documents {
                index,
                body,
                placed,
            } => Asked::Documents {
                index,
                body: body.into_owned().into(),
                placed,
            },
            Self::Deletes {
                index,
                keys,
                placed,
            } => Asked::Deletes {
                index,
                keys,
                placed,
            },
            Self::Objects(objects) => Asked::Objects(objects),
            Self::Nothing => Asked::Nothing,
        }
    }
}
