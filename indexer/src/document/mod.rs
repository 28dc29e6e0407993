//! A document: one JSON object, validated against the mapping of its index.
//!
//! [`split`] takes the body of a request apart into the texts of its documents; [`Document::parse`]
//! reads one of them, once: what is wrong with it becomes a [`DocumentError`] and spoils no other
//! document. The text itself is kept byte for byte, since it is what a hit gives back.

mod body;
pub mod date;
mod error;
pub mod limits;
mod number;
mod parse;
mod tree;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use tantivy::DateTime;

use crate::analysis::Language;
use crate::error::Error;
use crate::mapping::{Declared, IndexSchema};

pub use body::{BodyFormat, Documents, Part, split};
pub use error::{DocumentError, json_error, kind};

/// A document that an index takes.
#[derive(Clone, PartialEq)]
pub struct Document {
    unique_key: Box<str>,
    lang: Language,
    language: Language,
    source: Box<str>,
    /// The mapping that it was read by, as [`IndexSchema::identity`] has it.
    mapping: u64,
    declared: Vec<(usize, Stored)>,
    undeclared: Vec<(Arc<str>, Stored)>,
}

/// One value of a field, borrowed from its document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    Str(&'a str),
    I64(i64),
    /// Only for what exceeds an i64.
    U64(u64),
    F64(f64),
    Bool(bool),
    Date(DateTime),
}

/// One value as it is kept: strings without escapes are found in the source.
#[derive(Clone, Debug, PartialEq)]
enum Stored {
    Source(std::ops::Range<usize>),
    Owned(Box<str>),
    I64(i64),
    U64(u64),
    F64(f64),
    Bool(bool),
    Date(DateTime),
}

impl Document {
    /// Reads and validates one JSON object.
    ///
    /// White space around it is dropped. Of a key that comes twice in one object the last counts; a
    /// null is as if absent.
    ///
    /// # Errors
    ///
    /// The first thing found to be wrong, and the document's key where it has a valid one.
    pub fn parse(source: &str, schema: &IndexSchema) -> Result<Self, DocumentError> {
        let document = parse::parse(source, schema)?;
        if let Some(next) = schema.next() {
            parse::parse(source, next).map_err(DocumentError::of_next)?;
        }
        Ok(document)
    }

    /// A document that was accepted before, perhaps by another mapping. If `schema` does not take it, it has no fields.
    pub(crate) fn accepted(unique_key: &str, source: &str, schema: &IndexSchema) -> Self {
        parse::parse(source, schema).unwrap_or_else(|error| {
            tracing::warn!(
                unique_key,
                detail = error.detail,
                "the mapping does not take a document that was accepted: \
                            it is kept, and found only by its key"
            );
            Self::without_fields(unique_key, source, schema)
        })
    }

    /// A record of the index's own. Its key is none that a request can give, its `source` is what `record` says, and its
    /// declared fields have these values.
    pub(crate) fn of_record<'v>(
        unique_key: &str,
        source: &str,
        schema: &IndexSchema,
        values: impl IntoIterator<Item = (&'static str, Scalar<'v>)>,
    ) -> Result<Self, Error> {
        let mut record = Self::without_fields(unique_key, source, schema);
        for (name, value) in values {
            let Some(Declared::Slot(slot)) = schema.declared(name) else {
                return Err(Error::internal("a record has a field that is not declared"));
            };
            let value = match value {
                Scalar::Str(text) => Stored::Owned(text.into()),
                Scalar::I64(number) => Stored::I64(number),
                Scalar::U64(number) => Stored::U64(number),
                Scalar::F64(number) => Stored::F64(number),
                Scalar::Bool(value) => Stored::Bool(value),
                Scalar::Date(date) => Stored::Date(date),
            };
            record.declared.push((slot, value));
        }
        Ok(record)
    }

    fn without_fields(unique_key: &str, source: &str, schema: &IndexSchema) -> Self {
        Self {
            unique_key: unique_key.into(),
            lang: Language::UNDETERMINED,
            language: Language::UNDETERMINED,
            source: source.into(),
            mapping: schema.identity(),
            declared: Vec::new(),
            undeclared: Vec::new(),
        }
    }

    /// Whether its fields are those of `schema`.
    pub(crate) fn was_read_by(&self, schema: &IndexSchema) -> bool {
        self.mapping == schema.identity()
    }

    /// The key in a document's JSON text, without validating anything else; none if there is no
    /// valid one.
    pub fn key_of(source: &str) -> Option<Cow<'_, str>> {
        parse::key_of(source)
    }

    /// The key that a JSON value names a document by, a string or a whole number, as a document's own would be.
    ///
    /// # Errors
    /// It is neither, or could not be the key of a document.
    pub fn key_of_value(json: &str) -> Result<String, DocumentError> {
        parse::key_of_value(json)
    }

    /// Whether `key` could be the key of a document.
    ///
    /// # Errors
    /// Why not.
    pub fn check_key(key: &str) -> Result<(), DocumentError> {
        parse::check_key(key)
    }

    /// What identifies it in its index; a number became its decimal text.
    pub fn unique_key(&self) -> &str {
        &self.unique_key
    }

    /// The language its texts are analysed in.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The language it is in: its own `lang`, or else the one it is analysed in.
    pub fn lang(&self) -> Language {
        self.lang
    }

    /// Its JSON text as it came.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Bytes that it takes in memory, more than its text where it has many short values.
    pub fn memory_bytes(&self) -> usize {
        let owned = |value: &Stored| match value {
            Stored::Owned(text) => text.len(),
            _ => 0,
        };
        let declared: usize = self.declared.iter().map(|(_, value)| owned(value)).sum();
        let undeclared: usize = self.undeclared.iter().map(|(_, value)| owned(value)).sum();
        size_of::<Self>()
            + self.unique_key.len()
            + self.source.len()
            + declared
            + undeclared
            + self.declared.capacity() * size_of::<(usize, Stored)>()
            + self.undeclared.capacity() * size_of::<(Arc<str>, Stored)>()
    }

    /// The values of the declared fields, each with the place of its slot in the schema.
    pub(crate) fn declared(&self) -> impl Iterator<Item = (usize, Scalar<'_>)> {
        self.declared
            .iter()
            .map(|(slot, value)| (*slot, self.scalar(value)))
    }

    /// The values of the undeclared fields, each with its dotted path.
    pub(crate) fn undeclared(&self) -> impl Iterator<Item = (&str, Scalar<'_>)> {
        self.undeclared
            .iter()
            .map(|(path, value)| (&**path, self.scalar(value)))
    }

    fn scalar<'a>(&'a self, value: &'a Stored) -> Scalar<'a> {
        match value {
            Stored::Source(range) => Scalar::Str(self.source.get(range.clone()).unwrap_or("")),
            Stored::Owned(text) => Scalar::Str(text),
            Stored::I64(value) => Scalar::I64(*value),
            Stored::U64(value) => Scalar::U64(*value),
            Stored::F64(value) => Scalar::F64(*value),
            Stored::Bool(value) => Scalar::Bool(*value),
            Stored::Date(value) => Scalar::Date(*value),
        }
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("unique_key", &self.unique_key)
            .field("language", &self.language)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
