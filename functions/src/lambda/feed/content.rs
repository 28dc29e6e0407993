//! What a record holds: documents, or the keys of documents to delete.

use std::borrow::Cow;

use aquifer_indexer::quote::quoted;
use aquifer_indexer::{Error, Result};
use serde_json::value::RawValue;

use super::version::order_of;
use super::{Asked, Placed};
use crate::object::Object;

/// What a record may hold, for errors.
pub const EXPECTED: &str = "a document with a `unique_key`, an array of documents, one document a line, {\"documents\": [...]} \
                            or {\"delete\": [\"key\", ...]}, both also with \"index\"";

/// An object that asks for something: the fields that are known, each at most once.
#[derive(Debug, Default)]
pub struct Wrapper<'a> {
    /// The index that it names.
    pub index: Option<String>,
    /// What it asks for: the name of the field and its value.
    pub asked: Option<(&'a str, &'a RawValue)>,
}

impl<'a> Wrapper<'a> {
    /// Takes `object` apart: `index`, one field of `known`, and none else but `besides`.
    ///
    /// # Errors
    /// [`aquifer_indexer::ErrorKind::Invalid`] for another field, or for two of `known`.
    pub fn read(
        object: &Object<'a>,
        known: &[&'a str],
        besides: Option<&str>,
    ) -> Result<Wrapper<'a>> {
        let mut wrapper = Self::default();
        for (name, value) in &object.fields {
            if name == "index" && wrapper.index.is_none() {
                wrapper.index = Some(serde_json::from_str(value.get()).map_err(|_error| {
                    Error::invalid("`index` should be the name of an index, as text")
                })?);
            } else if let Some(known) = known.iter().find(|known| *known == name)
                && wrapper.asked.is_none()
            {
                wrapper.asked = Some((known, value));
            } else if besides != Some(name) {
                return Err(Error::invalid(format!(
                    "the field {} is unknown here, or does not go with the fields before it",
                    quoted(name)
                )));
            }
        }
        Ok(wrapper)
    }
}

/// Reads the content of a record.
pub(super) fn read(text: Cow<'_, str>, placed: Placed) -> Result<Asked<'_>> {
    let object = match Object::read(text.trim_start_matches('\u{feff}')) {
        // An array, lines, or what is no JSON: the documents tell.
        Err(_) => None,
        Ok(object) if object.get("unique_key").is_some() => None,
        Ok(object) => Some(object),
    };
    match object {
        None => Ok(Asked::Documents {
            index: None,
            body: text,
            placed,
        }),
        Some(object) => wrapped(&object, placed),
    }
}

/// Reads `{"documents": [...]}` and `{"delete": [...]}`.
fn wrapped(object: &Object<'_>, placed: Placed) -> Result<Asked<'static>> {
    let besides = match &placed {
        Placed::ByField(field) => Some(field.as_str()),
        _ => None,
    };
    let expected = |why: &str| Error::invalid(format!("{why}: a record should hold {EXPECTED}"));
    let wrapper = Wrapper::read(object, &["documents", "delete"], besides)
        .map_err(|error| expected(error.message()))?;
    match wrapper.asked {
        Some(("documents", documents)) => Ok(Asked::Documents {
            index: wrapper.index,
            body: array(documents)?.to_owned().into(),
            placed,
        }),
        Some((_delete, keys)) => Ok(Asked::Deletes {
            index: wrapper.index,
            keys: keys_of(keys)?,
            placed: match placed {
                Placed::ByField(field) => Placed::At(order_of(object, &field)?),
                placed => placed,
            },
        }),
        None => Err(expected("the record has neither documents nor keys")),
    }
}

fn array(documents: &RawValue) -> Result<&str> {
    let text = documents.get();
    if text.starts_with('[') {
        return Ok(text);
    }
    Err(Error::invalid(
        "`documents` should be an array of documents",
    ))
}

fn keys_of(keys: &RawValue) -> Result<Vec<String>> {
    serde_json::from_str(keys.get())
        .map_err(|_error| Error::invalid("`delete` should be an array of keys, each of them text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match read(text.into(), Placed::ByArrival) {
            Ok(Asked::Documents { index, body, .. }) => {
                format!("{index:?} {body}")
            }
            Ok(Asked::Deletes { index, keys, .. }) => format!("{index:?} without {keys:?}"),
            Ok(_) => "something else".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn documents_and_keys_are_told_apart() {
        for (text, expected) in [
            (
                r#"{"unique_key":"1","delete":["2"]}"#,
                r#"None {"unique_key":"1","delete":["2"]}"#,
            ),
            (r#"[{"unique_key":"1"}]"#, r#"None [{"unique_key":"1"}]"#),
            ("{\"a\":1}\n{\"b\":2}", "None {\"a\":1}\n{\"b\":2}"),
            (
                r#"{"index":"books","documents":[1]}"#,
                r#"Some("books") [1]"#,
            ),
            (
                r#"{"delete":["1"],"index":"books"}"#,
                r#"Some("books") without ["1"]"#,
            ),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn what_holds_neither_is_refused_with_what_may_be_held() {
        for (text, expected) in [
            ("{}", "neither documents nor keys"),
            (r#"{"index":"books"}"#, "neither documents nor keys"),
            (r#"{"title":"x"}"#, "\"title\" is unknown"),
            (
                r#"{"documents":[],"delete":[]}"#,
                "\"delete\" is unknown here, or does not go",
            ),
            (r#"{"documents":{}}"#, "should be an array"),
            (r#"{"delete":[1]}"#, "each of them text"),
            (r#"{"index":1,"delete":["1"]}"#, "name of an index"),
        ] {
            let error = told(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
