//! The key: the one field that every document has.

use std::borrow::Cow;

use super::{Result, named, read_error};
use crate::document::error::{DocumentError, kind};
use crate::document::tree::{Node, Object};
use crate::document::{limits, tree};
use crate::quote::quoted;

pub(super) const UNIQUE_KEY: &str = "unique_key";

pub(super) fn unique_key<'a>(source: &str, object: &'a Object<'_>) -> Result<Cow<'a, str>> {
    let missing = || {
        DocumentError::new(
            kind::MISSING_UNIQUE_KEY,
            "`unique_key` is missing: give the document a string that identifies it",
        )
    };
    let member = object.iter().find(|(name, _)| name == UNIQUE_KEY);
    let key: Cow<'a, str> = match member.map(|(_, node)| node) {
        None | Some(Node::Null) => return Err(missing()),
        Some(Node::Str(text)) => Cow::Borrowed(text),
        Some(node) => number_key(node)
            .ok_or_else(|| wrong_key(source, node))?
            .into(),
    };
    validate(&key).map(|()| key)
}

/// The key that a JSON value is: a string, or a whole number, which becomes its decimal text.
pub(super) fn of_value(source: &str) -> Result<String> {
    let node = tree::read(source).map_err(|error| read_error(source, error))?;
    let key = match node {
        Node::Str(text) => text.into_owned(),
        node => number_key(&node).ok_or_else(|| wrong_key(source, &node))?,
    };
    validate(&key).map(|()| key)
}

pub(super) fn key_text(node: Node<'_>) -> Option<Cow<'_, str>> {
    let key: Cow<'_, str> = match node {
        Node::Str(text) => text,
        node => number_key(&node)?.into(),
    };
    validate(&key).is_ok().then_some(key)
}

/// A whole number as a key.
fn number_key(node: &Node<'_>) -> Option<String> {
    match node {
        Node::I64(number) => Some(number.to_string()),
        Node::U64(number) => Some(number.to_string()),
        _ => None,
    }
}

fn wrong_key(source: &str, node: &Node<'_>) -> DocumentError {
    let named = named(source, node);
    DocumentError::new(
        kind::INVALID_UNIQUE_KEY,
        format!("`unique_key` must be a string or a whole number, not {named}"),
    )
}

/// Whether `key` can identify a document; if not, how to mend it.
pub(super) fn validate(key: &str) -> Result<()> {
    invalid(key).map_or(Ok(()), |detail| {
        Err(DocumentError::new(kind::INVALID_UNIQUE_KEY, detail))
    })
}

/// Why `key` cannot identify a document.
fn invalid(key: &str) -> Option<String> {
    if key.is_empty() {
        return Some("`unique_key` is empty: give the document a string that identifies it".into());
    }
    if key.len() > limits::UNIQUE_KEY_BYTES {
        return Some(format!(
            "`unique_key` has {} bytes and the limit is {}: shorten it, or use a hash of it",
            key.len(),
            limits::UNIQUE_KEY_BYTES
        ));
    }
    if key.chars().any(char::is_control) {
        return Some(format!(
            "`unique_key` {} holds a control character: leave it out",
            quoted(key)
        ));
    }
    None
}
