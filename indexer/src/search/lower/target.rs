//! A target: a text field, and which of its analysed fields a search looks at.

use std::sync::Arc;

use tantivy::query::Query as Tantivy;
use tantivy::schema::Field;
use tantivy::{Searcher, Term};

use super::clause::{boosted, row};
use super::reading::Reading;
use crate::analysis::Language;
use crate::error::Result;
use crate::mapping::{IndexSchema, TextField};
use crate::search::best::{self, Best, Needed};
use crate::search::budget::Budget;

/// A text field and the readings of it that a search needs.
pub(in crate::search) struct Target<'a> {
    /// The field.
    pub(in crate::search) field: &'a TextField,
    /// Its analysed fields, for the languages that are searched.
    pub(in crate::search) languages: Vec<(Language, Field)>,
    /// Whether the first of these holds every document that the fallback does.
    covered: bool,
    /// The terms that documents in these languages are marked with.
    marks: Vec<(Field, Term)>,
}

impl<'a> Target<'a> {
    pub(super) fn new(
        searcher: &Searcher,
        schema: &IndexSchema,
        field: &'a TextField,
        lang: Option<Language>,
    ) -> Result<Self> {
        let mut languages: Vec<(Language, Field)> = field
            .languages
            .iter()
            .filter(|(language, _)| field.fixed || lang.is_none_or(|lang| lang == *language))
            .copied()
            .collect();
        let marks: Vec<(Field, Term)> = languages
            .iter()
            .map(|(language, field)| (*field, mark(schema, *language)))
            .collect();
        let needed = match languages.as_slice() {
            [(_, only)] if field.fixed => Needed::Language(*only),
            _ => best::needed(searcher.segment_readers(), &marks)?,
        };
        match needed {
            Needed::All => {}
            Needed::Fallback => languages.clear(),
            Needed::Language(only) => languages.retain(|(_, field)| *field == only),
        }
        Ok(Self {
            field,
            marks,
            languages,
            covered: matches!(needed, Needed::Language(_)),
        })
    }

    /// Whether this is the field `name`; without a name, every one is.
    pub(in crate::search) fn is(&self, name: Option<&str>) -> bool {
        name.is_none_or(|name| name == self.field.name)
    }

    /// The terms of a single word, in each tantivy field to look at.
    pub(in crate::search) fn terms(&self, reading: &Reading) -> Vec<Term> {
        let term = |field, terms: &[(usize, String)]| match terms {
            [(_, text)] => Some(Term::from_field_text(field, text)),
            _ => None,
        };
        let mut found: Vec<Term> = self
            .readings(reading)
            .filter_map(|(field, terms)| term(field, terms))
            .collect();
        if found.is_empty() || !self.covered {
            found.extend(term(self.field.fallback, &reading.fallback));
        }
        found
    }

    fn readings<'b>(
        &'b self,
        reading: &'b Reading,
    ) -> impl Iterator<Item = (Field, &'b [(usize, String)])> {
        self.languages.iter().filter_map(|(language, field)| {
            let (_, terms) = reading
                .languages
                .iter()
                .find(|(known, _)| known == language)?;
            Some((*field, terms.as_slice()))
        })
    }

    /// A reading in this field.
    pub(super) fn query(
        &self,
        reading: &Reading,
        budget: &Arc<Budget>,
    ) -> Option<Box<dyn Tantivy>> {
        let mut languages: Vec<(Field, Box<dyn Tantivy>)> = self
            .readings(reading)
            .filter_map(|(field, terms)| {
                let query = row(terms, |term| Term::from_field_text(field, term), budget)?;
                Some((field, query))
            })
            .collect();
        let query = if self.covered
            && let Some((_, query)) = languages.pop()
        {
            query
        } else {
            let term = |term: &str| Term::from_field_text(self.field.fallback, term);
            let fallback = row(&reading.fallback, term, budget)?;
            if languages.is_empty() {
                fallback
            } else {
                let mark = |field| self.marks.iter().find(|(of, _)| *of == field);
                Box::new(Best {
                    fallback: fallback.into(),
                    languages: languages
                        .into_iter()
                        .filter_map(|(field, query)| {
                            Some((field, mark(field)?.1.clone(), query.into()))
                        })
                        .collect(),
                })
            }
        };
        Some(boosted(query, self.field.boost))
    }
}

/// The term that documents in a language are marked with.
fn mark(schema: &IndexSchema, language: Language) -> Term {
    Term::from_field_text(schema.lang(), language.as_str())
}
