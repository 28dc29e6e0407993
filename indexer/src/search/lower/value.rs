//! A value: what `field:value` means where the field holds anything but declared text.

use std::ops::Bound;

use tantivy::Term;
use tantivy::query::{BooleanQuery, EmptyQuery, Occur, Query as Tantivy};
use tantivy::schema::Field;

use super::Lowering;
use super::clause::{Any, between, exact, row};
use super::reading::positions;
use super::term::{json_column, json_date, json_number, json_term, json_text};
use crate::mapping::Resolved;
use crate::search::values::{self, Number};
use crate::search::words::{self, Unit};

impl Lowering<'_> {
    /// `field:value` for everything but declared text.
    pub(super) fn value(
        &mut self,
        name: &str,
        resolved: &Resolved<'_>,
        text: &str,
        quoted: bool,
    ) -> Any {
        let term: Option<Box<dyn Tantivy>> = match resolved {
            Resolved::Text(_) => None,
            Resolved::Keyword(field) | Resolved::Key(field) => {
                Some(exact(Term::from_field_text(*field, text)))
            }
            Resolved::Integer(field) => match values::number(text) {
                Some(Number::I64(number)) => Some(exact(Term::from_field_i64(*field, number))),
                _ => None,
            },
            Resolved::Float(field) => values::number(text)
                .map(|number| exact(Term::from_field_f64(*field, number.as_f64()))),
            Resolved::Boolean(field) => {
                values::boolean(text).map(|value| exact(Term::from_field_bool(*field, value)))
            }
            Resolved::Date(field) => values::span(text).map(|span| {
                self.column(name.to_owned());
                let term = |date| Term::from_field_date(*field, date);
                between(
                    Bound::Included(term(span.first)),
                    Bound::Included(term(span.last)),
                    &self.budget,
                )
            }),
            Resolved::Dynamic {
                json,
                text: words,
                path,
            } => return self.dynamic(*json, *words, path, text, quoted),
        };
        vec![term.unwrap_or_else(|| Box::new(EmptyQuery))]
    }

    /// A value of an undeclared field: whatever it can be read as.
    fn dynamic(&mut self, json: Field, words: Field, path: &str, text: &str, quoted: bool) -> Any {
        let mut any = vec![exact(json_text(json, path, text))];
        if let Some(number) = values::number(text) {
            any.push(exact(json_number(json, path, number)));
        }
        if let Some(value) = values::boolean(text) {
            let mut term = json_term(json, path);
            term.append_type_and_fast_value(value);
            any.push(exact(term));
        }
        if let Some(span) = values::span(text) {
            self.column(json_column(self.schema, json, path));
            any.push(between(
                Bound::Included(json_date(json, path, span.first)),
                Bound::Included(json_date(json, path, span.last)),
                &self.budget,
            ));
        }
        let mut all: Vec<(Occur, Box<dyn Tantivy>)> = Vec::new();
        if quoted {
            let terms = positions(&mut self.fallback, text);
            let row = row(&terms, |term| json_text(words, path, term), &self.budget);
            all.extend(row.map(|query| (Occur::Must, query)));
        } else {
            for unit in words::units(&mut self.fallback, text) {
                let query = match unit {
                    Unit::Character(text) => {
                        Some(self.prefix_of(json_text(words, path, &text), &text))
                    }
                    Unit::Word { terms, .. } | Unit::Run { pairs: terms, .. } => {
                        self.lookups += terms.len();
                        row(&terms, |term| json_text(words, path, term), &self.budget)
                    }
                };
                all.extend(query.map(|query| (Occur::Must, query)));
            }
        }
        if !all.is_empty() {
            any.push(Box::new(BooleanQuery::new(all)));
        }
        any
    }
}
