//! The body of a request, taken apart into the texts of its documents.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::error::{DocumentError, kind};
use super::limits::BATCH_DOCUMENTS;
use crate::{Error, ErrorKind, Result};

/// How a body says that it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyFormat {
    /// To be told from its beginning.
    #[default]
    Unknown,
    /// One JSON value, or (leniently) several objects, one a line.
    Json,
    /// One JSON object a line.
    Lines,
    /// JSON objects that each follow a record separator (RFC 7464).
    Sequence,
}

impl BodyFormat {
    /// What a `Content-Type` header says.
    pub fn of_content_type(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let subtype = essence.rsplit('/').next().unwrap_or_default();
        match subtype.to_ascii_lowercase().as_str() {
            "x-ndjson" | "ndjson" | "jsonl" | "x-jsonl" | "jsonlines" | "x-jsonlines"
            | "json-lines" => Self::Lines,
            "json-seq" => Self::Sequence,
            "json" => Self::Json,
            _ => Self::Unknown,
        }
    }
}

/// One document of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its place among the documents of the body, from 0.
    pub index: usize,
    /// The line that it begins in, from 1, where the body has a document a line or is a sequence.
    pub line: Option<usize>,
    /// Its JSON text, borrowed from the body.
    pub text: Result<&'a str, DocumentError>,
}

/// The documents of a body, one after the other.
#[derive(Debug)]
pub struct Documents<'a> {
    next: usize,
    inner: Inner<'a>,
}

#[derive(Debug)]
enum Inner<'a> {
    One(Option<&'a str>),
    Many(std::vec::IntoIter<&'a RawValue>),
    Lines(Lines<'a>),
}

/// What separates the texts of a JSON sequence.
const RECORD_SEPARATOR: u8 = 0x1e;

/// The lines of a body that are not blank, or its records, with the numbers of the lines that they begin in.
#[derive(Clone, Debug)]
struct Lines<'a> {
    rest: &'a [u8],
    line: usize,
    separator: u8,
}

/// Takes a body apart: one document, an array of them, `{"documents": [...]}`, or one a line.
///
/// Nothing is copied, and of more documents than a batch may have none beyond that is kept. Each text is still to be
/// parsed as a document: a line that is no JSON spoils only itself.
///
/// # Errors
///
/// `Invalid` with line and column, if a body that is one JSON value is no valid JSON; `TooLarge`
/// for more documents than a batch may have.
pub fn split(body: &[u8], format: BodyFormat) -> Result<Documents<'_>> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let inner = match body.trim_ascii_start().first() {
        None => {
            return Err(Error::invalid(
                "the body is empty: send a document, an array of documents, or one a line",
            ));
        }
        Some(_) if format == BodyFormat::Lines => Inner::Lines(lines(body)),
        Some(_) if format == BodyFormat::Sequence => Inner::Lines(records(body)),
        Some(b'[') => many(serde_json::from_str(text(body)?).map_err(|error| syntax(&error))?)?,
        Some(b'{') => one_or_lines(body)?,
        Some(_) => {
            return Err(Error::invalid(
                "the body is no JSON: it must begin with `{` (a document, or several, one a line) \
                 or `[` (an array of documents)",
            ));
        }
    };
    let documents = Documents { next: 0, inner };
    check_count(documents.remaining())?;
    Ok(documents)
}

fn check_count(count: usize) -> Result<()> {
    if count <= BATCH_DOCUMENTS {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!(
            "the body has {count} documents and the limit is {BATCH_DOCUMENTS}: send them in \
             several requests"
        ),
    ))
}

/// The elements of an array: those that a batch may have, and how many there are.
#[derive(Debug)]
struct Elements<'a> {
    kept: Vec<&'a RawValue>,
    count: usize,
}

fn many(elements: Elements<'_>) -> Result<Inner<'_>> {
    check_count(elements.count)?;
    Ok(Inner::Many(elements.kept.into_iter()))
}

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of documents")
    }

    /// An element takes eight times its text in memory where that is short, so the rest is only counted.
    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < BATCH_DOCUMENTS {
            match array.next_element()? {
                Some(element) => kept.push(element),
                None => break,
            }
        }
        let mut count = kept.len();
        if count == BATCH_DOCUMENTS {
            while array.next_element::<IgnoredAny>()?.is_some() {
                count += 1;
            }
        }
        Ok(Elements { kept, count })
    }
}

fn text(body: &[u8]) -> Result<&str> {
    std::str::from_utf8(body).map_err(|error| {
        Error::invalid(format!(
            "the body is not UTF-8, from byte {} on: encode it as UTF-8",
            error.valid_up_to()
        ))
    })
}

fn syntax(error: &serde_json::Error) -> Error {
    Error::invalid(format!("the body is not valid JSON: {error}"))
}

fn one_or_lines(body: &[u8]) -> Result<Inner<'_>> {
    let error = match text(body).map(serde_json::from_str::<&RawValue>) {
        Ok(Ok(value)) => return one_or_wrapped(value.get()),
        Ok(Err(error)) => syntax(&error),
        Err(error) => error,
    };
    let lines = lines(body);
    let objects = lines.clone().all(|(_, line)| line.starts_with(b"{"));
    if objects && lines.clone().nth(1).is_some() {
        return Ok(Inner::Lines(lines));
    }
    Err(error)
}

/// A document, or the array in `{"documents": [...]}`.
fn one_or_wrapped(value: &str) -> Result<Inner<'_>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wrapper<'a> {
        #[serde(borrow)]
        documents: Elements<'a>,
    }

    let may_be_wrapped = value
        .strip_prefix('{')
        .is_some_and(|rest| rest.trim_ascii_start().starts_with("\"documents\""));
    if may_be_wrapped && let Ok(wrapper) = serde_json::from_str::<Wrapper<'_>>(value) {
        return many(wrapper.documents);
    }
    Ok(Inner::One(Some(value)))
}

fn lines(body: &[u8]) -> Lines<'_> {
    Lines {
        rest: body,
        line: 1,
        separator: b'\n',
    }
}

fn records(body: &[u8]) -> Lines<'_> {
    Lines {
        separator: RECORD_SEPARATOR,
        ..lines(body)
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let separator = self.separator;
            let mut parts = self.rest.splitn(2, |&byte| byte == separator);
            let part = parts.next().unwrap_or_default();
            self.rest = parts.next().unwrap_or_default();
            let text = part.trim_ascii();
            let before = part.len() - part.trim_ascii_start().len();
            let breaks = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
            let first = self.line + breaks(part.get(..before).unwrap_or_default());
            self.line += breaks(part) + usize::from(separator == b'\n');
            if !text.is_empty() {
                return Some((first, text));
            }
        }
        None
    }
}

impl Documents<'_> {
    /// How many are left.
    pub fn remaining(&self) -> usize {
        match &self.inner {
            Inner::One(one) => usize::from(one.is_some()),
            Inner::Many(many) => many.len(),
            Inner::Lines(lines) => lines.clone().count(),
        }
    }
}

impl<'a> Iterator for Documents<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let (line, text) = match &mut self.inner {
            Inner::One(one) => (None, Ok(one.take()?)),
            Inner::Many(many) => (None, Ok(many.next()?.get())),
            Inner::Lines(lines) => {
                let (number, line) = lines.next()?;
                (Some(number), line_text(line))
            }
        };
        let index = self.next;
        self.next += 1;
        Some(Part { index, line, text })
    }
}

fn line_text(line: &[u8]) -> Result<&str, DocumentError> {
    std::str::from_utf8(line).map_err(|error| {
        DocumentError::new(
            kind::INVALID_JSON,
            format!(
                "the document is not UTF-8, from its byte {} on: encode it as UTF-8",
                error.valid_up_to()
            ),
        )
    })
}
