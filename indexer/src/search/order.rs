//! What documents are ordered by: a number within a segment, a value across segments.
//!
//! In a segment every column is numbers whose order is that of the values (strings are numbered by
//! their place in the column's dictionary). These numbers mean something else in another segment,
//! so what leaves a segment are values. A field that no mapping declares may hold values of several
//! types: truth values come before numbers, these before dates, these before strings. A document
//! without any value comes last, in either direction.

use std::cmp::Ordering;

use tantivy::columnar::{Column as Numbers, ColumnType, MonotonicallyMappableToU64, StrColumn};
use tantivy::{DateTime, DocId, Score, SegmentReader, TantivyError};
use time::format_description::well_known::Rfc3339;

use super::limits;

/// What one column says of a document, smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The type of the value, or [`MISSING`].
    kind: u8,
    number: u64,
}

const MISSING: u8 = u8::MAX;

/// What all columns say of a document.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Keys {
    keys: [Key; limits::SORTS],
}

impl Keys {
    pub(super) fn new(first: Key, others: impl Iterator<Item = Key>) -> Self {
        let none = Key {
            kind: MISSING,
            number: 0,
        };
        let mut keys = [none; limits::SORTS];
        for (to, from) in keys.iter_mut().zip(std::iter::once(first).chain(others)) {
            *to = from;
        }
        Self { keys }
    }

    pub(super) fn first(&self) -> Key {
        let [first, ..] = self.keys;
        first
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Key> + '_ {
        self.keys.iter().copied()
    }
}

/// One sort key in one segment.
pub(super) struct Column {
    parts: Vec<Part>,
    by_score: bool,
    descending: bool,
}

/// The values of one type.
struct Part {
    kind: u8,
    column_type: ColumnType,
    numbers: Numbers<u64>,
    strings: Option<StrColumn>,
}

impl Column {
    /// The score of the document.
    pub(super) fn score(descending: bool) -> Self {
        Self {
            parts: Vec::new(),
            by_score: true,
            descending,
        }
    }

    /// The columns called `name`; a segment where no document has the field has none.
    pub(super) fn open(
        segment: &SegmentReader,
        name: &str,
        descending: bool,
    ) -> tantivy::Result<Self> {
        let mut parts = Vec::new();
        for handle in segment.fast_fields().dynamic_column_handles(name)? {
            let column_type = handle.column_type();
            let kind = match column_type {
                ColumnType::Bool => 0,
                ColumnType::I64 | ColumnType::U64 | ColumnType::F64 => 1,
                ColumnType::DateTime => 2,
                ColumnType::Str => 3,
                ColumnType::Bytes | ColumnType::IpAddr => continue,
            };
            let (strings, numbers) = if column_type == ColumnType::Str {
                let strings: Option<StrColumn> = handle.open()?.into();
                let numbers = strings.as_ref().map(|strings| strings.ords().clone());
                (strings, numbers)
            } else {
                (None, handle.open_u64_lenient()?)
            };
            if let Some(numbers) = numbers {
                parts.push(Part {
                    kind,
                    column_type,
                    numbers,
                    strings,
                });
            }
        }
        parts.sort_by_key(|part| part.kind);
        Ok(Self {
            parts,
            by_score: false,
            descending,
        })
    }

    /// The key of a document: by its first value, where it has several.
    pub(super) fn key(&self, doc: DocId, score: Score) -> Key {
        let found = if self.by_score {
            Some((1, f64::from(score).to_u64()))
        } else {
            self.parts
                .iter()
                .find_map(|part| Some((part.kind, part.numbers.first(doc)?)))
        };
        match found {
            Some((kind, number)) if self.descending => Key {
                kind: MISSING - 1 - kind,
                number: !number,
            },
            Some((kind, number)) => Key { kind, number },
            None => Key {
                kind: MISSING,
                number: 0,
            },
        }
    }

    /// The value behind a key of this column.
    pub(super) fn value(&self, key: Key) -> tantivy::Result<Value> {
        if key.kind == MISSING {
            return Ok(Value::Missing);
        }
        let (kind, number) = if self.descending {
            (MISSING - 1 - key.kind, !key.number)
        } else {
            (key.kind, key.number)
        };
        if self.by_score {
            return Ok(Value::F64(f64::from_u64(number)));
        }
        let part = self.parts.iter().find(|part| part.kind == kind);
        let Some(part) = part else {
            return Ok(Value::Missing);
        };
        Ok(match part.column_type {
            ColumnType::Bool => Value::Bool(number != 0),
            ColumnType::I64 => Value::I64(i64::from_u64(number)),
            ColumnType::U64 => Value::U64(number),
            ColumnType::F64 => Value::F64(f64::from_u64(number)),
            ColumnType::DateTime => Value::Date(DateTime::from_u64(number)),
            ColumnType::Str | ColumnType::Bytes | ColumnType::IpAddr => {
                let mut text = String::new();
                if let Some(strings) = &part.strings {
                    strings
                        .ord_to_str(number, &mut text)
                        .map_err(TantivyError::from)?;
                }
                Value::Str(text)
            }
        })
    }
}

/// A value that a document is ordered by.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// The document has none.
    Missing,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Date(DateTime),
    Str(String),
}

impl Value {
    /// Bytes that it holds beside itself.
    pub(super) fn text_bytes(&self) -> usize {
        match self {
            Self::Str(text) => text.len(),
            _ => 0,
        }
    }

    /// The order of two values; a missing one comes last in either direction.
    pub(super) fn compare(&self, other: &Self, descending: bool) -> Ordering {
        match (self, other) {
            (Self::Missing, Self::Missing) => Ordering::Equal,
            (Self::Missing, _) => Ordering::Greater,
            (_, Self::Missing) => Ordering::Less,
            (left, right) if descending => right.ascending(left),
            (left, right) => left.ascending(right),
        }
    }

    fn ascending(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => left.cmp(right),
            (Self::Date(left), Self::Date(right)) => left.cmp(right),
            (Self::Str(left), Self::Str(right)) => left.cmp(right),
            (left, right) => match (left.whole(), right.whole()) {
                (Some(left), Some(right)) => left.cmp(&right),
                _ => match (left.float(), right.float()) {
                    (Some(left), Some(right)) => left.total_cmp(&right),
                    _ => left.kind().cmp(&right.kind()),
                },
            },
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::I64(_) | Self::U64(_) | Self::F64(_) => 1,
            Self::Date(_) => 2,
            Self::Str(_) => 3,
            Self::Missing => MISSING,
        }
    }

    fn whole(&self) -> Option<i128> {
        match self {
            Self::I64(number) => Some(i128::from(*number)),
            Self::U64(number) => Some(i128::from(*number)),
            _ => None,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "what comparing with floats means"
    )]
    fn float(&self) -> Option<f64> {
        match self {
            Self::F64(number) => Some(*number),
            other => other.whole().map(|number| number as f64),
        }
    }

    /// As JSON: dates as RFC 3339.
    pub(super) fn into_json(self) -> serde_json::Value {
        match self {
            Self::Missing => serde_json::Value::Null,
            Self::Bool(value) => value.into(),
            Self::I64(value) => value.into(),
            Self::U64(value) => value.into(),
            Self::F64(value) => value.into(),
            Self::Date(value) => value.into_utc().format(&Rfc3339).ok().into(),
            Self::Str(value) => value.into(),
        }
    }
}
