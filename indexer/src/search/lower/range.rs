//! A range: what lies between two values of a field.

use std::ops::Bound;

use tantivy::Term;
use tantivy::query::EmptyQuery;

use super::Lowering;
use super::bounds::Bounds;
use super::clause::{Any, between};
use super::term::{after_all, json_column, json_date, json_number, json_text};
use crate::error::Result;
use crate::mapping::Resolved;
use crate::search::values;

impl Lowering<'_> {
    pub(super) fn range(
        &mut self,
        name: &str,
        from: &Bound<String>,
        to: &Bound<String>,
    ) -> Result<Any> {
        if matches!((from, to), (Bound::Unbounded, Bound::Unbounded)) {
            return Ok(vec![self.exists(name)]);
        }
        let bounds = Bounds { from, to };
        let resolved = self.resolve(name)?;
        let terms: Vec<(Bound<Term>, Bound<Term>)> = match &resolved {
            // Texts have no order.
            Resolved::Text(_) => Vec::new(),
            Resolved::Keyword(field) | Resolved::Key(field) => bounds
                .read(|text| Some(Term::from_field_text(*field, text)))
                .into_iter()
                .collect(),
            Resolved::Integer(field) => bounds.integers(*field).into_iter().collect(),
            Resolved::Float(field) => bounds
                .read(|text| {
                    let number = values::number(text)?.as_f64();
                    Some(Term::from_field_f64(*field, number))
                })
                .into_iter()
                .collect(),
            Resolved::Boolean(field) => return Ok(bounds.booleans(*field)),
            Resolved::Date(field) => bounds
                .dates(|date| Term::from_field_date(*field, date))
                .into_iter()
                .collect(),
            Resolved::Dynamic { json, path, .. } => {
                let numbers = bounds.numbers(|number| json_number(*json, path, number));
                let dates = bounds.dates(|date| json_date(*json, path, date));
                let mut readings: Vec<_> = numbers.into_iter().chain(dates).collect();
                if readings.is_empty() {
                    readings.extend(bounds.read(|text| Some(json_text(*json, path, text))));
                }
                readings
            }
        };
        if terms.is_empty() {
            return Ok(vec![Box::new(EmptyQuery)]);
        }
        match &resolved {
            // Has no column: the terms of the dictionary are read.
            Resolved::Key(_) => {
                return Ok(terms
                    .into_iter()
                    .map(|(from, to)| self.keys(name, from, to))
                    .collect());
            }
            Resolved::Dynamic { json, path, .. } => {
                self.column(json_column(self.schema, *json, path));
            }
            _ => self.column(name.to_owned()),
        }
        Ok(terms
            .into_iter()
            .map(|(from, to)| between(from, to, &self.budget))
            .collect())
    }

    /// A range of keys.
    fn keys(
        &mut self,
        name: &str,
        from: Bound<Term>,
        to: Bound<Term>,
    ) -> Box<dyn tantivy::query::Query> {
        let field = self.schema.key();
        // With both ends, so that the field is known; nothing comes before the empty key.
        let from = match from {
            Bound::Unbounded => Bound::Included(Term::from_field_text(field, "")),
            from => from,
        };
        let to = match to {
            Bound::Unbounded => Bound::Excluded(after_all(Term::from_field_text(field, ""))),
            to => to,
        };
        self.terms_between(from, to, format!("{name}:[...]"))
    }
}
