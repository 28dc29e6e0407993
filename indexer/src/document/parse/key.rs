//! The key: the one field that every document has.

use std::borrow::Cow;

use super::{Result, named};
use crate::document::error::{DocumentError, kind};
use crate::document::limits;
use crate::document::tree::{Node, Object};
use crate::quote::quoted;

pub(super) const UNIQUE_KEY: &str = "unique_key";

pub(super) fn unique_key<'a>(object: &'a Object<'_>) -> Result<Cow<'a, str>> {
    let missing = || {
        DocumentError::new(
            kind::MISSING_UNIQUE_KEY,
            "`unique_key` is missing: give the document a string that identifies it",
        )
    };
    let (_, node) = object
        .iter()
        .find(|(name, _)| name == UNIQUE_KEY)
        .ok_or_else(missing)?;
    let key: Cow<'a, str> = match node {
        Node::Null => return Err(missing()),
        Node::Str(text) => Cow::Borrowed(text),
        Node::I64(number) => number.to_string().into(),
        Node::U64(number) => number.to_string().into(),
        _ => {
            return Err(DocumentError::new(
                kind::INVALID_UNIQUE_KEY,
                format!(
                    "`unique_key` must be a string or a whole number, not {}",
                    named(node)
                ),
            ));
        }
    };
    validate_key(&key)
        .map(|()| key)
        .map_err(|detail| DocumentError::new(kind::INVALID_UNIQUE_KEY, detail))
}

pub(super) fn key_text(node: Node<'_>) -> Option<Cow<'_, str>> {
    let key: Cow<'_, str> = match node {
        Node::Str(text) => text,
        Node::I64(number) => number.to_string().into(),
        Node::U64(number) => number.to_string().into(),
        _ => return None,
    };
    validate_key(&key).is_ok().then_some(key)
}

/// Whether `key` can identify a document; if not, how to mend it.
fn validate_key(key: &str) -> std::result::Result<(), String> {
    if key.is_empty() {
        return Err("`unique_key` is empty: give the document a string that identifies it".into());
    }
    if key.len() > limits::UNIQUE_KEY_BYTES {
        return Err(format!(
            "`unique_key` has {} bytes and the limit is {}: shorten it, or use a hash of it",
            key.len(),
            limits::UNIQUE_KEY_BYTES
        ));
    }
    if key.chars().any(char::is_control) {
        return Err(format!(
            "`unique_key` {} holds a control character: leave it out",
            quoted(key)
        ));
    }
    Ok(())
}
