//! Changes of a DynamoDB table, out of its stream.

use aquifer_indexer::order::{Order, Position};
use aquifer_indexer::quote::quoted;
use aquifer_indexer::{Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::attribute::{key_part, write_value};
use super::{Asked, Item, Placed, Rules, records};
use crate::object::Object;

/// The field that names a document.
const UNIQUE_KEY: &str = "unique_key";

/// Attributes of a table's primary key at most: a partition key and a sort key.
const KEY_ATTRIBUTES_MAX: usize = 2;

/// Stands between the two parts of a key, each of which has its own `#` and `%` escaped.
const SEPARATOR: &str = "#";

/// The attributes that the `unique_key` of an item is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAttributes(Vec<String>);

impl Default for KeyAttributes {
    fn default() -> Self {
        Self(vec![UNIQUE_KEY.to_owned()])
    }
}

impl KeyAttributes {
    /// Reads `pk`, or `pk,sk`.
    ///
    /// # Errors
    /// [`aquifer_indexer::ErrorKind::Invalid`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if names.len() > KEY_ATTRIBUTES_MAX || names.iter().any(String::is_empty) {
            return Err(Error::invalid(
                "name one attribute, or two of them, comma-separated: pk,sk",
            ));
        }
        Ok(Self(names))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    event_name: String,
    #[serde(rename = "eventSourceARN")]
    stream: String,
    #[serde(borrow)]
    dynamodb: Images<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Images<'a> {
    #[serde(borrow)]
    keys: Option<&'a RawValue>,
    #[serde(borrow)]
    new_image: Option<&'a RawValue>,
    #[serde(borrow)]
    old_image: Option<&'a RawValue>,
    sequence_number: String,
    stream_view_type: Option<String>,
}

pub(super) fn items<'a>(payload: &'a str, rules: &Rules) -> serde_json::Result<Vec<Item<'a>>> {
    let records: Vec<Record<'a>> = records(payload)?;
    let item = |record: Record<'a>| Item {
        asked: asked(&record, &rules.key),
        id: record.dynamodb.sequence_number,
        group: None,
        data: None,
    };
    Ok(records.into_iter().map(item).collect())
}

fn asked(record: &Record<'_>, key: &KeyAttributes) -> Result<Asked<'static>> {
    let images = &record.dynamodb;
    // The stream of a table may be replaced by another one; the table goes on.
    let (table, _stream) = record
        .stream
        .split_once("/stream/")
        .unwrap_or((&record.stream, ""));
    let position = Position::decimal(&images.sequence_number)?;
    let placed = Placed::At(Order::new(&format!("dynamodb:{table}"), position)?);
    match record.event_name.as_str() {
        "INSERT" | "MODIFY" => {
            let image = images.new_image.ok_or_else(|| no_image(images))?;
            Ok(Asked::Documents {
                index: None,
                body: document(image, key)?.into(),
                placed,
            })
        }
        "REMOVE" => {
            let known = [images.keys, images.old_image];
            Ok(Asked::Deletes {
                index: None,
                keys: vec![unique_key(&objects(known)?, key)?],
                placed,
            })
        }
        other => Err(Error::invalid(format!(
            "{} is no change of a table: INSERT, MODIFY and REMOVE are",
            quoted(other)
        ))),
    }
}

/// The item as a document, its key first.
fn document(image: &RawValue, key: &KeyAttributes) -> Result<String> {
    let attributes = objects([Some(image), None])?;
    let unique_key = unique_key(&attributes, key)?;
    let mut out = format!("{{\"{UNIQUE_KEY}\":").into_bytes();
    write_text(&unique_key, &mut out)?;
    for (name, value) in attributes.iter().flat_map(|object| &object.fields) {
        if name != UNIQUE_KEY {
            out.push(b',');
            write_text(name, &mut out)?;
            out.push(b':');
            write_value(value, &mut out)?;
        }
    }
    out.push(b'}');
    String::from_utf8(out).map_err(|error| Error::internal("an item is no text").because(error))
}

/// The key of an item, out of the first of `images` that has its attributes.
fn unique_key(images: &[Object<'_>], KeyAttributes(names): &KeyAttributes) -> Result<String> {
    let part = |name: &String| {
        let value = images.iter().find_map(|image| image.get(name));
        let value = value.ok_or_else(|| {
            Error::invalid(format!(
                "the item has no attribute {}: set AQUIFER_DYNAMODB_KEY to the attributes of the table's primary \
                 key, as in pk or pk,sk",
                quoted(name)
            ))
        })?;
        key_part(name, value)
    };
    let parts: Vec<String> = names.iter().map(part).collect::<Result<_>>()?;
    match parts.as_slice() {
        [only] => Ok(only.clone()),
        several => Ok(several
            .iter()
            .map(|part| escaped(part))
            .collect::<Vec<_>>()
            .join(SEPARATOR)),
    }
}

/// So that no two keys of a table become the same text.
fn escaped(part: &str) -> String {
    part.replace('%', "%25").replace(SEPARATOR, "%23")
}

fn objects<'a>(images: [Option<&'a RawValue>; 2]) -> Result<Vec<Object<'a>>> {
    let read = |image: &'a RawValue| {
        Object::read(image.get())
            .map_err(|error| Error::invalid(format!("the item cannot be read: {error}")))
    };
    images.into_iter().flatten().map(read).collect()
}

fn no_image(images: &Images<'_>) -> Error {
    let view = images.stream_view_type.as_deref().unwrap_or("none");
    Error::invalid(format!(
        "the record has no NewImage, and the StreamViewType of the stream is {view}: set it to NEW_IMAGE or NEW_AND_OLD_IMAGES"
    ))
}

fn write_text(text: &str, out: &mut Vec<u8>) -> Result<()> {
    serde_json::to_writer(out, text)
        .map_err(|error| Error::internal("a text is no JSON").because(error))
}
