//! Bounds: the two ends of a range, read as what its field holds.

use std::ops::{Bound, RangeBounds};

use tantivy::query::EmptyQuery;
use tantivy::schema::Field;
use tantivy::{DateTime, Term};

use super::clause::{Any, exact, union};
use crate::search::values::{self, Number};

/// The two ends of a range, as they were written.
pub(super) struct Bounds<'a> {
    pub(super) from: &'a Bound<String>,
    pub(super) to: &'a Bound<String>,
}

impl Bounds<'_> {
    /// Both ends as terms, if both can be read so.
    pub(super) fn read(
        &self,
        term: impl Fn(&str) -> Option<Term>,
    ) -> Option<(Bound<Term>, Bound<Term>)> {
        let read = |bound: &Bound<String>| {
            Some(match bound {
                Bound::Included(text) => Bound::Included(term(text)?),
                Bound::Excluded(text) => Bound::Excluded(term(text)?),
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        Some((read(self.from)?, read(self.to)?))
    }

    /// Dates: an end that is included is included to its last instant.
    pub(super) fn dates(
        &self,
        term: impl Fn(DateTime) -> Term,
    ) -> Option<(Bound<Term>, Bound<Term>)> {
        let from = match self.from {
            Bound::Included(text) => Bound::Included(term(values::span(text)?.first)),
            Bound::Excluded(text) => Bound::Excluded(term(values::span(text)?.last)),
            Bound::Unbounded => Bound::Unbounded,
        };
        let to = match self.to {
            Bound::Included(text) => Bound::Included(term(values::span(text)?.last)),
            Bound::Excluded(text) => Bound::Excluded(term(values::span(text)?.first)),
            Bound::Unbounded => Bound::Unbounded,
        };
        Some((from, to))
    }

    /// Numbers, both of one type: tantivy cannot compare a whole end with one that is not.
    pub(super) fn numbers(
        &self,
        term: impl Fn(Number) -> Term,
    ) -> Option<(Bound<Term>, Bound<Term>)> {
        let whole = |bound: &Bound<String>| match bound {
            Bound::Included(text) | Bound::Excluded(text) => {
                matches!(values::number(text), Some(Number::I64(_)))
            }
            Bound::Unbounded => true,
        };
        let whole = whole(self.from) && whole(self.to);
        self.read(|text| {
            let number = values::number(text)?;
            Some(term(if whole {
                number
            } else {
                Number::F64(number.as_f64())
            }))
        })
    }

    /// Each of the two truth values that lies between the ends; false comes before true.
    pub(super) fn booleans(&self, field: Field) -> Any {
        let end = |bound: &Bound<String>| {
            Some(match bound {
                Bound::Included(text) => Bound::Included(values::boolean(text)?),
                Bound::Excluded(text) => Bound::Excluded(values::boolean(text)?),
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        let (Some(from), Some(to)) = (end(self.from), end(self.to)) else {
            return vec![Box::new(EmptyQuery)];
        };
        let inside = |value: &bool| (from, to).contains(value);
        let values = [false, true].into_iter().filter(inside);
        vec![union(
            values
                .map(|value| exact(Term::from_field_bool(field, value)))
                .collect(),
        )]
    }

    /// Whole numbers between ends that need not be whole.
    pub(super) fn integers(&self, field: Field) -> Option<(Bound<Term>, Bound<Term>)> {
        let whole = |text: &str, up: bool| {
            Some(match values::number(text)? {
                Number::I64(number) => (number, true),
                Number::U64(_) => (i64::MAX, false),
                Number::F64(number) => {
                    let rounded = if up { number.ceil() } else { number.floor() };
                    #[expect(clippy::cast_possible_truncation, reason = "casting saturates")]
                    (rounded as i64, false)
                }
            })
        };
        // Between whole numbers, an end that is not whole lies inside once it is rounded inwards.
        let read = |bound: &Bound<String>, up: bool| {
            let included = |text: &str| {
                let (number, _) = whole(text, up)?;
                Some(Bound::Included(Term::from_field_i64(field, number)))
            };
            match bound {
                Bound::Included(text) => included(text),
                Bound::Excluded(text) => match whole(text, up)? {
                    (number, true) => Some(Bound::Excluded(Term::from_field_i64(field, number))),
                    (_, false) => included(text),
                },
                Bound::Unbounded => Some(Bound::Unbounded),
            }
        };
        Some((read(self.from, true)?, read(self.to, false)?))
    }
}
