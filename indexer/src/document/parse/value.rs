//! A value: what one field holds, checked against what the mapping says it holds.

use super::{Reader, Result, named};
use crate::document::error::{DocumentError, kind};
use crate::document::tree::Node;
use crate::document::{Stored, date, limits};
use crate::mapping::SlotKind;
use crate::quote::quoted;

const INTEGER: &str = "a whole number of at most 64 bits with a sign";

impl Reader<'_> {
    pub(super) fn typed(&self, kind: SlotKind, node: &Node<'_>) -> Result<Option<Stored>> {
        Ok(Some(match (kind, node) {
            (_, Node::Null) => return Ok(None),
            (SlotKind::Text(_), _) => self.string("a string", node)?,
            (SlotKind::Keyword(_), _) => {
                let value = self.string("a string (or an array of them)", node)?;
                self.check_keyword(&value)?;
                value
            }
            (SlotKind::Integer(_), Node::I64(value)) => Stored::I64(*value),
            (SlotKind::Integer(_), Node::F64(value, _)) => match whole(*value) {
                Some(value) => Stored::I64(value),
                None => return Err(self.wrong_type(INTEGER, node)),
            },
            (SlotKind::Integer(_), _) => return Err(self.wrong_type(INTEGER, node)),
            (SlotKind::Float(_), Node::F64(value, _)) => Stored::F64(*value),
            #[expect(clippy::cast_precision_loss, reason = "that is what a float field is")]
            (SlotKind::Float(_), Node::I64(value)) => Stored::F64(*value as f64),
            #[expect(clippy::cast_precision_loss, reason = "that is what a float field is")]
            (SlotKind::Float(_), Node::U64(value)) => Stored::F64(*value as f64),
            (SlotKind::Float(_), _) => return Err(self.wrong_type("a number", node)),
            (SlotKind::Boolean(_), Node::Bool(value)) => Stored::Bool(*value),
            (SlotKind::Boolean(_), _) => return Err(self.wrong_type("true or false", node)),
            (SlotKind::Date(_), Node::Str(text)) => match date::parse(text) {
                Some(date) => Stored::Date(date),
                None => return Err(self.invalid_date(text)),
            },
            (SlotKind::Date(_), _) => {
                return Err(self.wrong_type("a string with a date of RFC 3339", node));
            }
        }))
    }

    /// A string, or what has only one way to be written as one.
    fn string(&self, expected: &str, node: &Node<'_>) -> Result<Stored> {
        match node {
            Node::Str(text) => Ok(self.text(text)),
            Node::I64(value) => Ok(Stored::Owned(value.to_string().into())),
            Node::U64(value) => Ok(Stored::Owned(value.to_string().into())),
            Node::Bool(value) => Ok(Stored::Owned(value.to_string().into())),
            _ => Err(self.wrong_type(expected, node)),
        }
    }

    /// Keeps `text` as its place in the source, where it is a part of that.
    pub(super) fn text(&self, text: &str) -> Stored {
        let start = text
            .as_ptr()
            .addr()
            .checked_sub(self.source.as_ptr().addr());
        match start.map(|start| start..start + text.len()) {
            Some(place) if place.end <= self.source.len() => Stored::Source(place),
            _ => Stored::Owned(text.into()),
        }
    }

    fn check_keyword(&self, value: &Stored) -> Result<()> {
        let length = match value {
            Stored::Source(range) => range.len(),
            Stored::Owned(text) => text.len(),
            _ => 0,
        };
        if length <= limits::KEYWORD_BYTES {
            return Ok(());
        }
        Err(DocumentError::new(
            kind::TOO_LARGE,
            format!(
                "a value of the keyword field `{}` has {length} bytes and the limit is {}: shorten \
                 it, or declare the field as text",
                self.path,
                limits::KEYWORD_BYTES
            ),
        ))
    }

    pub(super) fn wrong_type(&self, expected: &str, node: &Node<'_>) -> DocumentError {
        DocumentError::new(
            kind::WRONG_TYPE,
            format!(
                "the field `{}` must be {expected}, not {}",
                self.path,
                named(self.source, node)
            ),
        )
    }

    fn invalid_date(&self, text: &str) -> DocumentError {
        DocumentError::new(
            kind::INVALID_DATE,
            format!(
                "the field `{}` is {}, which is not a date of RFC 3339: write it like \
                 \"2024-05-17T09:30:00Z\" or \"2024-05-17\" (from 1678 to 2261)",
                self.path,
                quoted(text)
            ),
        )
    }
}

/// The whole number that a float is exactly, where it is one that a float tells from its
/// neighbours.
fn whole(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it has no fraction and is in range"
    )]
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
}
