//! Why a document is refused.

use std::fmt;

use super::number;
use crate::quote::{quoted, shortened};

/// The stable names of the reasons, as clients see them in [`DocumentError::kind`].
pub mod kind {
    /// The text is not JSON.
    pub const INVALID_JSON: &str = "invalid_json";
    /// The JSON is not an object.
    pub const NOT_AN_OBJECT: &str = "not_an_object";
    /// There is no `unique_key`.
    pub const MISSING_UNIQUE_KEY: &str = "missing_unique_key";
    /// The `unique_key` is empty, too long, of a wrong type or holds control characters.
    pub const INVALID_UNIQUE_KEY: &str = "invalid_unique_key";
    /// A value does not have the type that the mapping declares.
    pub const WRONG_TYPE: &str = "wrong_type";
    /// A date is not one of RFC 3339.
    pub const INVALID_DATE: &str = "invalid_date";
    /// `lang` is not a language tag.
    pub const INVALID_LANGUAGE: &str = "invalid_language";
    /// The mapping is strict and does not declare this field.
    pub const UNKNOWN_FIELD: &str = "unknown_field";
    /// A field name is empty, too long or holds control characters.
    pub const INVALID_FIELD_NAME: &str = "invalid_field_name";
    /// The document, or one value in it, is longer than the limit.
    pub const TOO_LARGE: &str = "too_large";
    /// There is more of something (tags, fields, nesting) than the limit.
    pub const TOO_MANY: &str = "too_many";
}

/// Why one document is refused; the others of its batch are not affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentError {
    /// A stable word in snake case for programs, one of [`kind`].
    pub kind: &'static str,
    /// What is wrong and how to mend it, for people.
    pub detail: String,
    /// The line and the column of the document's text, from 1, where it is no JSON.
    pub place: Option<(usize, usize)>,
    /// The key of the document, where it could be read.
    pub unique_key: Option<String>,
}

impl DocumentError {
    pub(crate) fn new(kind: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: shortened(detail.into()).into_owned(),
            place: None,
            unique_key: None,
        }
    }

    pub(crate) fn at(mut self, place: (usize, usize)) -> Self {
        self.place = Some(place);
        self
    }

    /// What is wrong, and where, in an input of whose lines the document's text begins in the line `first`.
    pub fn located(&self, first: usize) -> String {
        match self.place {
            Some((line, column)) => {
                let line = first + line.saturating_sub(1);
                format!("{} at line {line} column {column}", self.detail)
            }
            None => self.detail.clone(),
        }
    }

    /// For a document that fits into the index, and not into what it is about to become.
    pub(crate) fn of_next(mut self) -> Self {
        self.detail = format!(
            "the index is being built anew with another mapping, which does not take this document: {}",
            self.detail
        );
        self
    }

    pub(crate) fn of(mut self, unique_key: &str) -> Self {
        self.unique_key = Some(unique_key.to_owned());
        self
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.unique_key {
            write!(f, "document {}: ", quoted(key))?;
        }
        f.write_str(&self.located(1))
    }
}

impl std::error::Error for DocumentError {}

/// What is wrong with a JSON text, and in which line and column: serde_json says that at the end of its own text,
/// where it cannot be taken for a place in a larger input, and does not repeat a number that is out of range.
pub fn json_error(text: &str, error: &serde_json::Error) -> ((usize, usize), String) {
    let (line, column) = (error.line(), error.column());
    let told = error.to_string();
    let place = format!(" at line {line} column {column}");
    let why = told.strip_suffix(&place).unwrap_or(&told);
    if why == OUT_OF_RANGE {
        let mut lines = text.split_inclusive('\n');
        let before: usize = lines
            .by_ref()
            .take(line.saturating_sub(1))
            .map(str::len)
            .sum();
        if let Some((start, number)) = number::around(text, before + column) {
            let place = (line, start.saturating_sub(before) + 1);
            return (place, format!("the number {number} is out of range"));
        }
    }
    ((line, column), why.to_owned())
}

/// What serde_json says of a number that no float of 64 bits holds.
const OUT_OF_RANGE: &str = "number out of range";

impl From<DocumentError> for crate::Error {
    fn from(error: DocumentError) -> Self {
        let kind = if error.kind == kind::TOO_LARGE {
            crate::ErrorKind::TooLarge
        } else {
            crate::ErrorKind::Invalid
        };
        Self::new(kind, error.to_string())
    }
}
