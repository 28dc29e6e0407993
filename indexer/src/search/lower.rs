//! From a [`Query`] to what tantivy runs, and what must be read before it does.
//!
//! This is the only place where the meaning of a query and the layout of an index meet. A word
//! that stands for itself becomes one term for each text field, all side by side in one union, so
//! that tantivy can skip documents that cannot be among the best.

use std::ops::{Bound, RangeBounds};

use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, EmptyQuery, InvertedIndexRangeQuery,
    Occur, PhraseQuery, Query as Tantivy, RangeQuery, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{DateTime, Searcher, Term};

use super::best::{self, Best, Needed};
use super::limits;
use super::query::{Bool, Query};
use super::request::Operator;
use super::values::{self, Number};
use super::words::{self, Unit};
use crate::analysis::{self, Language};
use crate::error::{Error, Result};
use crate::mapping::{IndexSchema, Resolved, TextField};

/// A query that is ready to run.
pub(super) struct Plan<'a> {
    /// What tantivy runs.
    pub(super) query: Box<dyn Tantivy>,
    /// What to read for it besides its terms.
    pub(super) reads: Reads,
    /// The words that were asked for, in the order they were written.
    pub(super) words: Vec<Asked>,
    /// The words and phrases to highlight.
    pub(super) marks: Vec<Asked>,
    /// The text fields.
    pub(super) targets: Vec<Target<'a>>,
}

/// What a query reads that is not a term.
#[derive(Clone, Default)]
pub(super) struct Reads {
    /// Ranges of terms.
    pub(super) prefixes: Vec<Prefix>,
    /// Columns, by the name that tantivy knows them by.
    pub(super) columns: Vec<String>,
}

/// All terms that begin with a text.
#[derive(Clone)]
pub(super) struct Prefix {
    /// The text as it was written.
    pub(super) written: String,
    /// The first term that could be meant.
    pub(super) from: Term,
    /// The first term that is not meant any more.
    pub(super) to: Term,
}

/// Words that were asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The text field they were asked for in, or any.
    pub(super) field: Option<String>,
    /// What they are.
    pub(super) reading: Reading,
    /// Whether more may follow the last one.
    pub(super) prefix: bool,
}

/// What the analysers make of a text: terms and their positions.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// The fallback.
    pub(super) fallback: Vec<(usize, String)>,
    /// The languages that are searched.
    pub(super) languages: Vec<(Language, Vec<(usize, String)>)>,
}

/// Lowers queries against one schema.
pub(super) struct Lowering<'a> {
    schema: &'a IndexSchema,
    targets: Vec<Target<'a>>,
    operator: Operator,
    fallback: TextAnalyzer,
    analysers: Vec<(Language, TextAnalyzer)>,
    reads: Reads,
    words: Vec<Asked>,
    marks: Vec<Asked>,
    terms: usize,
    /// Whether the query is one text without any syntax.
    alone: bool,
}

/// A text field and the readings of it that a search needs.
pub(super) struct Target<'a> {
    /// The field.
    pub(super) field: &'a TextField,
    /// Its analysed fields, for the languages that are searched.
    pub(super) languages: Vec<(Language, Field)>,
    /// Whether the first of these holds every document that the fallback does.
    pub(super) covered: bool,
    /// The terms that documents in these languages are marked with.
    marks: Vec<(Field, Term)>,
}

/// Alternatives: a document matches if it matches one, and the more the better.
type Any = Vec<Box<dyn Tantivy>>;

impl<'a> Lowering<'a> {
    /// Lowers for a search in `lang`, or in every language of the index.
    pub(super) fn new(
        searcher: &Searcher,
        schema: &'a IndexSchema,
        lang: Option<Language>,
        operator: Operator,
    ) -> Result<Self> {
        let mut analysers: Vec<(Language, TextAnalyzer)> = Vec::new();
        let mut targets = Vec::new();
        for field in schema.text_fields() {
            let target = Target::new(searcher, schema, field, lang)?;
            for (language, _) in &target.languages {
                if analysers.iter().all(|(known, _)| known != language)
                    && let Some(analyser) = analysis::analyser(language)
                {
                    analysers.push((*language, analyser));
                }
            }
            targets.push(target);
        }
        Ok(Self {
            schema,
            targets,
            operator,
            fallback: analysis::fallback(),
            analysers,
            reads: Reads::default(),
            words: Vec::new(),
            marks: Vec::new(),
            terms: 0,
            alone: false,
        })
    }

    /// The plan for documents that match `query` (every document without one) and all `filters`.
    pub(super) fn plan(mut self, query: Option<&Query>, filters: &[Query]) -> Result<Plan<'a>> {
        self.alone = matches!(query, Some(Query::Words { .. }));
        let scored = match query {
            Some(query) => self.any(query, true)?,
            None => vec![Box::new(AllQuery) as Box<dyn Tantivy>],
        };
        let query: Box<dyn Tantivy> = if filters.is_empty() {
            // Even one alternative goes into a union: tantivy skips only there.
            Box::new(BooleanQuery::union(scored))
        } else {
            let mut clauses = vec![(Occur::Must, union(scored))];
            // What is not part of the question is read in full, in every word.
            self.operator = Operator::And;
            for filter in filters {
                clauses.push((Occur::Must, unscored(union(self.any(filter, false)?))));
            }
            Box::new(BooleanQuery::new(clauses))
        };
        if self.terms > limits::WORDS {
            return Err(Error::invalid(format!(
                "the query comes to {} words and may have {}: shorten it",
                self.terms,
                limits::WORDS
            )));
        }
        Ok(Plan {
            query,
            reads: self.reads,
            words: self.words,
            marks: self.marks,
            targets: self.targets,
        })
    }

    fn any(&mut self, query: &Query, asked: bool) -> Result<Any> {
        Ok(match query {
            Query::All => vec![Box::new(AllQuery)],
            Query::Bool(clauses) => self.bool(clauses, asked)?,
            Query::Words { field, text } => self.words(field.as_deref(), text, asked)?,
            Query::Phrase { field, text } => self.phrase(field.as_deref(), text, asked)?,
            Query::Prefix { field, text } => self.prefix(field.as_deref(), text, asked)?,
            Query::Exists { field } => vec![self.exists(field)],
            Query::Range { field, from, to } => self.range(field, from, to)?,
        })
    }

    fn bool(&mut self, clauses: &Bool, asked: bool) -> Result<Any> {
        let mut should = Vec::new();
        for query in &clauses.should {
            should.extend(self.any(query, asked)?);
        }
        let mut parts: Vec<(Occur, Box<dyn Tantivy>)> = Vec::new();
        for query in &clauses.must {
            parts.push((Occur::Must, union(self.any(query, asked)?)));
        }
        for query in &clauses.filter {
            parts.push((Occur::Must, unscored(union(self.any(query, false)?))));
        }
        let only_negative = parts.is_empty() && clauses.should.is_empty();
        for query in &clauses.must_not {
            parts.push((Occur::MustNot, union(self.any(query, false)?)));
        }
        if parts.is_empty() {
            return Ok(should);
        }
        if only_negative {
            parts.push((Occur::Must, Box::new(AllQuery)));
        } else if !clauses.should.is_empty() && should.is_empty() {
            should.push(Box::new(EmptyQuery));
        }
        parts.extend(should.into_iter().map(|query| (Occur::Should, query)));
        Ok(vec![Box::new(BooleanQuery::new(parts))])
    }

    fn resolve(&self, field: &str) -> Result<Resolved<'a>> {
        self.schema.resolve(field).ok_or_else(|| {
            Error::invalid(format!(
                "this index has no field `{field}` and its mapping takes no others: see the \
                 definition of the index"
            ))
        })
    }

    fn words(&mut self, field: Option<&str>, text: &str, asked: bool) -> Result<Any> {
        if let Some(name) = field {
            let resolved = self.resolve(name)?;
            if !matches!(resolved, Resolved::Text(_)) {
                return Ok(self.value(name, &resolved, text, false));
            }
        }
        let units = words::units(&mut self.fallback, text);
        // What was written in one piece and for one field is meant as one.
        let all = field.is_some() || self.operator == Operator::And;
        let mut found: Vec<Any> = Vec::new();
        for unit in &units {
            if !all && unit.is_loose(self.alone && units.len() == 1) {
                let Unit::Run { pairs, .. } = unit else {
                    continue;
                };
                for pair in pairs {
                    found.push(self.reading(field, word_of(pair), asked));
                }
                continue;
            }
            found.push(match unit {
                Unit::Character(text) => self.begins(field, text, asked),
                Unit::Run { pairs, .. } => self.reading(field, fallback_only(pairs.clone()), asked),
                Unit::Word { written, terms } => {
                    let reading = Reading {
                        fallback: terms.clone(),
                        languages: self.in_languages(written),
                    };
                    self.reading(field, reading, asked)
                }
            });
        }
        Ok(if all && found.len() > 1 {
            let clauses = found.into_iter().map(|any| (Occur::Must, union(any)));
            vec![Box::new(BooleanQuery::new(clauses.collect()))]
        } else {
            found.into_iter().flatten().collect()
        })
    }

    fn phrase(&mut self, field: Option<&str>, text: &str, asked: bool) -> Result<Any> {
        if let Some(name) = field {
            let resolved = self.resolve(name)?;
            if !matches!(resolved, Resolved::Text(_)) {
                return Ok(self.value(name, &resolved, text, true));
            }
        }
        let units = words::units(&mut self.fallback, text);
        if let [Unit::Character(text)] = units.as_slice() {
            return Ok(self.begins(field, text, asked));
        }
        let reading = Reading {
            fallback: positions(&mut self.fallback, text),
            languages: self.in_languages(text),
        };
        Ok(self.reading(field, reading, asked))
    }

    fn prefix(&mut self, field: Option<&str>, text: &str, asked: bool) -> Result<Any> {
        if let Some(name) = field {
            match self.resolve(name)? {
                Resolved::Text(_) => {}
                Resolved::Keyword(field) | Resolved::Key(field) => {
                    return Ok(vec![
                        self.prefix_of(Term::from_field_text(field, text), text),
                    ]);
                }
                Resolved::Dynamic {
                    json,
                    text: words,
                    path,
                } => {
                    let mut any = vec![self.prefix_of(json_text(json, &path, text), text)];
                    if let [(_, term)] = positions(&mut self.fallback, text).as_slice() {
                        any.push(self.prefix_of(json_text(words, &path, term), text));
                    }
                    return Ok(any);
                }
                resolved => return Ok(self.value(name, &resolved, text, false)),
            }
        }
        let mut units = words::units(&mut self.fallback, text);
        let last = match units.pop() {
            // `東京*` is what 東京 means anyway: more may always follow.
            Some(Unit::Run { pairs, .. }) => self.reading(field, fallback_only(pairs), asked),
            Some(Unit::Character(text)) => self.begins(field, &text, asked),
            Some(Unit::Word { mut terms, .. }) => match terms.pop() {
                Some((_, text)) => self.begins(field, &text, asked),
                None => return Ok(Vec::new()),
            },
            None => return Ok(Vec::new()),
        };
        if units.is_empty() {
            return Ok(last);
        }
        // `well-kno*`: the words before the last one are whole.
        let start = text
            .char_indices()
            .rev()
            .find(|(_, c)| !c.is_alphanumeric());
        let before = start.and_then(|(at, _)| text.get(..at)).unwrap_or_default();
        let operator = std::mem::replace(&mut self.operator, Operator::And);
        let before = self.words(field, before, asked);
        self.operator = operator;
        Ok(vec![Box::new(BooleanQuery::new(vec![
            (Occur::Must, union(before?)),
            (Occur::Must, union(last)),
        ]))])
    }

    /// `field:value` for everything but declared text.
    fn value(&mut self, name: &str, resolved: &Resolved<'_>, text: &str, quoted: bool) -> Any {
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
            ));
        }
        let mut all: Vec<(Occur, Box<dyn Tantivy>)> = Vec::new();
        if quoted {
            let terms = positions(&mut self.fallback, text);
            all.extend(
                row(&terms, |term| json_text(words, path, term)).map(|query| (Occur::Must, query)),
            );
        } else {
            for unit in words::units(&mut self.fallback, text) {
                let query = match unit {
                    Unit::Character(text) => {
                        Some(self.prefix_of(json_text(words, path, &text), &text))
                    }
                    Unit::Word { terms, .. } | Unit::Run { pairs: terms, .. } => {
                        row(&terms, |term| json_text(words, path, term))
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

    fn exists(&self, field: &str) -> Box<dyn Tantivy> {
        exact(Term::from_field_text(self.schema.present(), field))
    }

    fn range(&mut self, name: &str, from: &Bound<String>, to: &Bound<String>) -> Result<Any> {
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
                    .map(|(from, to)| self.keys(from, to))
                    .collect());
            }
            Resolved::Dynamic { json, path, .. } => {
                self.column(json_column(self.schema, *json, path));
            }
            _ => self.column(name.to_owned()),
        }
        Ok(terms
            .into_iter()
            .map(|(from, to)| between(from, to))
            .collect())
    }

    /// A range of keys.
    fn keys(&mut self, from: Bound<Term>, to: Bound<Term>) -> Box<dyn Tantivy> {
        let field = self.schema.key();
        let first = match &from {
            Bound::Included(term) | Bound::Excluded(term) => term.clone(),
            Bound::Unbounded => Term::from_field_text(field, ""),
        };
        let last = match &to {
            Bound::Included(term) | Bound::Excluded(term) => term.clone(),
            Bound::Unbounded => after_all(Term::from_field_text(field, "")),
        };
        self.reads.prefixes.push(Prefix {
            written: "unique_key:[...]".to_owned(),
            from: first,
            to: after_all(last),
        });
        Box::new(InvertedIndexRangeQuery::new(from, to))
    }

    /// The languages' readings of a text.
    fn in_languages(&mut self, text: &str) -> Vec<(Language, Vec<(usize, String)>)> {
        self.analysers
            .iter_mut()
            .map(|(language, analyser)| (*language, positions(analyser, text)))
            .filter(|(_, terms)| !terms.is_empty())
            .collect()
    }

    /// Words in the text field `field`, or in any.
    fn reading(&mut self, field: Option<&str>, reading: Reading, asked: bool) -> Any {
        self.terms += reading.fallback.len().max(1);
        let any = self
            .targets
            .iter()
            .filter(|target| target.is(field))
            .filter_map(|target| target.query(&reading))
            .collect();
        if asked {
            if is_word(&reading) {
                self.words.push(Asked {
                    field: field.map(str::to_owned),
                    reading: reading.clone(),
                    prefix: false,
                });
            }
            self.mark(field, reading, false);
        }
        any
    }

    fn mark(&mut self, field: Option<&str>, reading: Reading, prefix: bool) {
        self.marks.push(Asked {
            field: field.map(str::to_owned),
            reading,
            prefix,
        });
    }

    /// Everything that begins with `text` in the text field `field`, or in any.
    fn begins(&mut self, field: Option<&str>, text: &str, asked: bool) -> Any {
        self.terms += 1;
        if asked {
            self.mark(field, fallback_only(vec![(0, text.to_owned())]), true);
        }
        let targets: Vec<(Field, f32)> = self
            .targets
            .iter()
            .filter(|target| target.is(field))
            .map(|target| (target.field.fallback, target.field.boost))
            .collect();
        targets
            .into_iter()
            .map(|(field, boost)| {
                boosted(
                    self.prefix_of(Term::from_field_text(field, text), text),
                    boost,
                )
            })
            .collect()
    }

    fn prefix_of(&mut self, from: Term, written: &str) -> Box<dyn Tantivy> {
        let to = after_all(from.clone());
        self.reads.prefixes.push(Prefix {
            written: written.to_owned(),
            from: from.clone(),
            to: to.clone(),
        });
        Box::new(InvertedIndexRangeQuery::new(
            Bound::Included(from),
            Bound::Excluded(to),
        ))
    }

    fn column(&mut self, name: String) {
        if !self.reads.columns.contains(&name) {
            self.reads.columns.push(name);
        }
    }
}

impl<'a> Target<'a> {
    fn new(
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
    pub(super) fn is(&self, name: Option<&str>) -> bool {
        name.is_none_or(|name| name == self.field.name)
    }

    /// The terms of a single word, in each tantivy field to look at.
    pub(super) fn terms(&self, reading: &Reading) -> Vec<Term> {
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
    fn query(&self, reading: &Reading) -> Option<Box<dyn Tantivy>> {
        let mut languages: Vec<(Field, Box<dyn Tantivy>)> = self
            .readings(reading)
            .filter_map(|(field, terms)| {
                let query = row(terms, |term| Term::from_field_text(field, term))?;
                Some((field, query))
            })
            .collect();
        let query = if self.covered
            && let Some((_, query)) = languages.pop()
        {
            query
        } else {
            let fallback = row(&reading.fallback, |term| {
                Term::from_field_text(self.field.fallback, term)
            })?;
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

/// Terms one after the other.
fn row(terms: &[(usize, String)], term: impl Fn(&str) -> Term) -> Option<Box<dyn Tantivy>> {
    match terms {
        [] => None,
        [(_, text)] => Some(scored(term(text))),
        several => Some(Box::new(PhraseQuery::new_with_offset(
            several
                .iter()
                .map(|(position, text)| (*position, term(text)))
                .collect(),
        ))),
    }
}

/// The terms of a text, counted from the first.
fn positions(analyser: &mut TextAnalyzer, text: &str) -> Vec<(usize, String)> {
    let tokens = words::tokens(analyser, text);
    let first = tokens.first().map_or(0, |token| token.position);
    tokens
        .into_iter()
        .map(|token| (token.position - first, token.text))
        .collect()
}

/// Whether every reading there is of a text is a single word.
fn is_word(reading: &Reading) -> bool {
    let mut languages = reading.languages.iter();
    reading.fallback.len() == 1 || languages.any(|(_, terms)| terms.len() == 1)
}

fn fallback_only(terms: Vec<(usize, String)>) -> Reading {
    Reading {
        fallback: terms,
        languages: Vec::new(),
    }
}

fn word_of((_, pair): &(usize, String)) -> Reading {
    fallback_only(vec![(0, pair.clone())])
}

fn scored(term: Term) -> Box<dyn Tantivy> {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

fn exact(term: Term) -> Box<dyn Tantivy> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn between(from: Bound<Term>, to: Bound<Term>) -> Box<dyn Tantivy> {
    Box::new(RangeQuery::new(from, to))
}

fn unscored(query: Box<dyn Tantivy>) -> Box<dyn Tantivy> {
    Box::new(ConstScoreQuery::new(query, 0.0))
}

fn boosted(query: Box<dyn Tantivy>, boost: f32) -> Box<dyn Tantivy> {
    if boost == 1.0 {
        return query;
    }
    Box::new(BoostQuery::new(query, boost))
}

fn union(mut any: Any) -> Box<dyn Tantivy> {
    match any.len() {
        0 => Box::new(EmptyQuery),
        1 => any.swap_remove(0),
        _ => Box::new(BooleanQuery::union(any)),
    }
}

/// A term that comes after every one that begins with `term`: no text contains this byte.
fn after_all(mut term: Term) -> Term {
    term.append_bytes(&[0xff]);
    term
}

fn json_term(json: Field, path: &str) -> Term {
    Term::from_field_json_path(json, path, true)
}

fn json_text(json: Field, path: &str, text: &str) -> Term {
    let mut term = json_term(json, path);
    term.append_type_and_str(text);
    term
}

fn json_number(json: Field, path: &str, number: Number) -> Term {
    let mut term = json_term(json, path);
    match number {
        Number::I64(number) => term.append_type_and_fast_value(number),
        Number::U64(number) => term.append_type_and_fast_value(number),
        Number::F64(number) => term.append_type_and_fast_value(number),
    }
    term
}

fn json_date(json: Field, path: &str, date: DateTime) -> Term {
    let mut term = json_term(json, path);
    term.append_type_and_fast_value(date);
    term
}

/// The name that tantivy knows the column of an undeclared field by.
pub(super) fn json_column(schema: &IndexSchema, json: Field, path: &str) -> String {
    format!("{}.{path}", schema.tantivy().get_field_name(json))
}

/// The two ends of a range, as they were written.
struct Bounds<'a> {
    from: &'a Bound<String>,
    to: &'a Bound<String>,
}

impl Bounds<'_> {
    /// Both ends as terms, if both can be read so.
    fn read(&self, term: impl Fn(&str) -> Option<Term>) -> Option<(Bound<Term>, Bound<Term>)> {
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
    fn dates(&self, term: impl Fn(DateTime) -> Term) -> Option<(Bound<Term>, Bound<Term>)> {
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
    fn numbers(&self, term: impl Fn(Number) -> Term) -> Option<(Bound<Term>, Bound<Term>)> {
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
    fn booleans(&self, field: Field) -> Any {
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
    fn integers(&self, field: Field) -> Option<(Bound<Term>, Bound<Term>)> {
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
