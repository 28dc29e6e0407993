//! From a [`Query`] to what tantivy runs, and what must be read before it does.
//!
//! This is the only place where the meaning of a query and the layout of an index meet. A word
//! that stands for itself becomes one term for each text field, all side by side in one union, so
//! that tantivy can skip documents that cannot be among the best.

mod bounds;
mod clause;
mod range;
mod reading;
mod target;
mod term;
mod text;
mod value;

use std::ops::Bound;
use std::sync::Arc;

use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, Occur, Query as Tantivy};
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{Searcher, Term};

use self::clause::{Any, boosted, exact, union, unscored};
use self::reading::Reading;
use self::term::after_all;
use super::budget::Budget;
use super::expand::{AnyTerm, Expansion};
use super::limits;
use super::query::{Bool, Query};
use super::request::Operator;
use crate::analysis::{self, Language};
use crate::error::{Error, Result};
use crate::mapping::{IndexSchema, Resolved};

pub(super) use self::target::Target;
pub(super) use self::term::json_column;

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
    /// Prefixes and ranges of terms.
    pub(super) expansions: Vec<Arc<Expansion>>,
    /// Columns, by the name that tantivy knows them by.
    pub(super) columns: Vec<String>,
}

/// Words that were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    /// The text field they were asked for in, or any.
    pub(super) field: Option<String>,
    /// What they are.
    pub(super) reading: Reading,
    /// Whether more may follow the last one.
    pub(super) prefix: bool,
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
    /// Terms to look up in each segment.
    lookups: usize,
    budget: Arc<Budget>,
    /// Whether the query is one text without any syntax.
    alone: bool,
}

impl<'a> Lowering<'a> {
    /// Lowers for a search in `lang`, or in every language of the index.
    pub(super) fn new(
        searcher: &Searcher,
        schema: &'a IndexSchema,
        lang: Option<Language>,
        operator: Operator,
        budget: &Arc<Budget>,
    ) -> Result<Self> {
        let mut analysers: Vec<(Language, TextAnalyzer)> = Vec::new();
        let mut targets = Vec::new();
        for field in schema.text_fields() {
            budget.check()?;
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
            lookups: 0,
            budget: Arc::clone(budget),
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
            for (filter, _) in distinct(filters) {
                clauses.push((Occur::Must, unscored(union(self.any(filter, false)?))));
            }
            Box::new(BooleanQuery::new(clauses))
        };
        Ok(Plan {
            query,
            reads: self.reads,
            words: self.words,
            marks: self.marks,
            targets: self.targets,
        })
    }

    fn any(&mut self, query: &Query, asked: bool) -> Result<Any> {
        self.lookups += 1;
        let any = match query {
            Query::All => vec![Box::new(AllQuery) as Box<dyn Tantivy>],
            Query::Bool(clauses) => self.bool(clauses, asked)?,
            Query::Words { field, text } => self.words(field.as_deref(), text, asked)?,
            Query::Phrase { field, text } => self.phrase(field.as_deref(), text, asked)?,
            Query::Prefix { field, text } => self.prefix(field.as_deref(), text, asked)?,
            Query::Exists { field } => vec![self.exists(field)],
            Query::Range { field, from, to } => self.range(field, from, to)?,
        };
        self.bounded()?;
        Ok(any)
    }

    /// Fails as soon as the query comes to too much.
    fn bounded(&self) -> Result<()> {
        if self.terms > limits::WORDS {
            return Err(Error::invalid(format!(
                "the query comes to {} words and may have {}: shorten it",
                self.terms,
                limits::WORDS
            )));
        }
        if self.lookups > limits::LOOKUPS {
            return Err(Error::invalid(format!(
                "the query comes to more than {} terms in the fields that it searches: shorten it, or name the \
                 fields that are meant, as in `title:word`",
                limits::LOOKUPS
            )));
        }
        self.budget.check()
    }

    fn bool(&mut self, clauses: &Bool, asked: bool) -> Result<Any> {
        let mut should = Vec::new();
        for (query, times) in distinct(&clauses.should) {
            let any = self.any(query, asked)?.into_iter();
            should.extend(any.map(|query| boosted(query, times)));
        }
        let mut parts: Vec<(Occur, Box<dyn Tantivy>)> = Vec::new();
        for (query, times) in distinct(&clauses.must) {
            parts.push((Occur::Must, boosted(union(self.any(query, asked)?), times)));
        }
        for (query, _) in distinct(&clauses.filter) {
            parts.push((Occur::Must, unscored(union(self.any(query, false)?))));
        }
        let only_negative = parts.is_empty() && clauses.should.is_empty();
        for (query, _) in distinct(&clauses.must_not) {
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

    fn exists(&self, field: &str) -> Box<dyn Tantivy> {
        exact(Term::from_field_text(self.schema.present(), field))
    }

    /// All terms that begin with `from`.
    fn prefix_of(&mut self, from: Term, written: &str) -> Box<dyn Tantivy> {
        let to = after_all(from.clone());
        self.terms_between(
            Bound::Included(from),
            Bound::Excluded(to),
            format!("{written}*"),
        )
    }

    fn terms_between(
        &mut self,
        from: Bound<Term>,
        to: Bound<Term>,
        written: String,
    ) -> Box<dyn Tantivy> {
        self.lookups += 1;
        let expansion = Arc::new(Expansion { written, from, to });
        let query = AnyTerm::new(&expansion, &self.budget);
        self.reads.expansions.push(expansion);
        Box::new(query)
    }

    fn column(&mut self, name: String) {
        if !self.reads.columns.contains(&name) {
            self.reads.columns.push(name);
        }
    }
}

/// Each query once, with how often it came: that often it counts for the score.
fn distinct(queries: &[Query]) -> Vec<(&Query, f32)> {
    let mut distinct: Vec<(&Query, f32)> = Vec::new();
    for query in queries {
        match distinct.iter_mut().find(|(known, _)| *known == query) {
            Some((_, times)) => *times += 1.0,
            None => distinct.push((query, 1.0)),
        }
    }
    distinct
}
