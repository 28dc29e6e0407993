//! Notifications of S3: objects that were created or removed.

use aquifer_indexer::order::{Order, Position};
use aquifer_indexer::quote::quoted;
use aquifer_indexer::{Error, Result};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::{Asked, Item, records};

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It was created or replaced.
    Created,
    /// It is gone.
    Removed,
    /// One version of it is gone. Whether the object is gone is for the bucket to say.
    VersionRemoved,
}

/// An object, and what happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectEvent {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) version: Option<String>,
    pub(super) what: What,
    pub(super) order: Order,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    s3: Entity,
}

/// Both shapes of a notification name an object alike, but for the name of one field.
#[derive(Deserialize)]
struct Entity {
    bucket: Bucket,
    object: Named,
    #[serde(default, rename = "deletion-type")]
    deletion_type: Option<String>,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Named {
    key: String,
    #[serde(default, rename = "versionId", alias = "version-id")]
    version: Option<String>,
    #[serde(default)]
    sequencer: Option<String>,
}

pub(super) fn items(payload: &str) -> serde_json::Result<Vec<Item<'_>>> {
    let records: Vec<Record> = records(payload)?;
    let item = |record: Record| Item {
        id: format!("s3://{}/{}", record.s3.bucket.name, record.s3.object.key),
        group: None,
        asked: event(record).map(|event| Asked::Objects(vec![event])),
        data: None,
    };
    Ok(records.into_iter().map(item).collect())
}

/// The objects of a notification in the body of a message.
pub(super) fn objects(text: &str) -> Result<Vec<ObjectEvent>> {
    let records: Vec<Record> = records(text).map_err(|error| unreadable(&error))?;
    records.into_iter().map(event).collect()
}

/// The object of an EventBridge event of S3.
pub(super) fn of_bus(detail_type: &str, detail: &str) -> Result<ObjectEvent> {
    let entity: Entity = serde_json::from_str(detail).map_err(|error| unreadable(&error))?;
    let what = match detail_type {
        "Object Created" => What::Created,
        "Object Deleted" if entity.deletion_type.as_deref() == Some("Delete Marker Created") => {
            What::Removed
        }
        "Object Deleted" => removed(&entity.object),
        other => return Err(no_change(other)),
    };
    object(entity, what)
}

fn event(record: Record) -> Result<ObjectEvent> {
    let mut entity = record.s3;
    // As in a form: a plus stands for a space.
    let spaced = entity.object.key.replace('+', " ");
    entity.object.key = percent_decode_str(&spaced)
        .decode_utf8()
        .map_err(|_error| {
            Error::invalid(format!("the object's key {} is not UTF-8", quoted(&spaced)))
        })?
        .into_owned();
    let name = record.event_name.trim_start_matches("s3:");
    let what = match name.split_once(':') {
        Some(("ObjectCreated", _)) => What::Created,
        Some(("ObjectRemoved" | "LifecycleExpiration", "DeleteMarkerCreated")) => What::Removed,
        Some(("ObjectRemoved" | "LifecycleExpiration", "Delete")) => removed(&entity.object),
        _ => return Err(no_change(name)),
    };
    object(entity, what)
}

/// Without a version there was only one.
fn removed(object: &Named) -> What {
    match object.version.as_deref() {
        None | Some("") => What::Removed,
        Some(_version) => What::VersionRemoved,
    }
}

fn object(entity: Entity, what: What) -> Result<ObjectEvent> {
    let (bucket, object) = (entity.bucket.name, entity.object);
    let Some(sequencer) = &object.sequencer else {
        return Err(Error::invalid(
            "the notification has no `sequencer`: it cannot be told whether it is older than another one",
        ));
    };
    let position = Position::sequencer(sequencer)?;
    let order = Order::new(&format!("s3://{bucket}/{}", object.key), position)?;
    Ok(ObjectEvent {
        bucket,
        key: object.key,
        version: object.version.filter(|version| !version.is_empty()),
        what,
        order,
    })
}

fn no_change(name: &str) -> Error {
    Error::invalid(format!(
        "the S3 event {} changes no object: restrict the notification to s3:ObjectCreated:*, s3:ObjectRemoved:* and \
         s3:LifecycleExpiration:*, and a rule of EventBridge to \"Object Created\" and \"Object Deleted\"",
        quoted(name)
    ))
}

fn unreadable(error: &serde_json::Error) -> Error {
    Error::invalid(format!("the notification of S3 cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, version: &str) -> Result<What> {
        let text = format!(
            r#"{{"Records":[{{"eventName":"{name}","s3":{{"bucket":{{"name":"b"}},
                "object":{{"key":"a+b%2Bc.json","versionId":"{version}","sequencer":"0A"}}}}}}]}}"#
        );
        let event = objects(&text)?.remove(0);
        assert_eq!(event.key, "a b+c.json");
        assert_eq!(event.order.source(), "s3://b/a b+c.json");
        Ok(event.what)
    }

    #[test]
    fn an_event_says_what_happened_to_the_object() {
        for (name, version, expected) in [
            ("ObjectCreated:Put", "", What::Created),
            (
                "s3:ObjectCreated:CompleteMultipartUpload",
                "v",
                What::Created,
            ),
            ("ObjectRemoved:Delete", "", What::Removed),
            ("ObjectRemoved:Delete", "v", What::VersionRemoved),
            ("ObjectRemoved:DeleteMarkerCreated", "v", What::Removed),
            ("LifecycleExpiration:Delete", "", What::Removed),
        ] {
            assert_eq!(told(name, version).unwrap(), expected, "{name} {version}");
        }
        let error = told("ObjectTagging:Put", "").unwrap_err().to_string();
        assert!(error.contains("\"ObjectTagging:Put\""), "{error}");
    }
}
