//! Clauses: the few kinds of tantivy query that a plan is made of.

use std::ops::Bound;
use std::sync::Arc;

use tantivy::Term;
use tantivy::query::{
    BooleanQuery, BoostQuery, ConstScoreQuery, EmptyQuery, PhraseQuery, Query as Tantivy,
    RangeQuery, TermQuery,
};
use tantivy::schema::IndexRecordOption;

use crate::search::budget::Budget;
use crate::search::checked::Checked;

/// Alternatives: a document matches if it matches one, and the more the better.
pub(super) type Any = Vec<Box<dyn Tantivy>>;

/// Terms one after the other.
pub(super) fn row(
    terms: &[(usize, String)],
    term: impl Fn(&str) -> Term,
    budget: &Arc<Budget>,
) -> Option<Box<dyn Tantivy>> {
    match terms {
        [] => None,
        [(_, text)] => Some(scored(term(text))),
        several => {
            let terms = several.iter();
            let phrase = PhraseQuery::new_with_offset(
                terms
                    .map(|(position, text)| (*position, term(text)))
                    .collect(),
            );
            Some(Checked::boxed(phrase, budget))
        }
    }
}

fn scored(term: Term) -> Box<dyn Tantivy> {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

pub(super) fn exact(term: Term) -> Box<dyn Tantivy> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

pub(super) fn between(
    from: Bound<Term>,
    to: Bound<Term>,
    budget: &Arc<Budget>,
) -> Box<dyn Tantivy> {
    Checked::boxed(RangeQuery::new(from, to), budget)
}

pub(super) fn unscored(query: Box<dyn Tantivy>) -> Box<dyn Tantivy> {
    Box::new(ConstScoreQuery::new(query, 0.0))
}

pub(super) fn boosted(query: Box<dyn Tantivy>, boost: f32) -> Box<dyn Tantivy> {
    if boost == 1.0 {
        return query;
    }
    Box::new(BoostQuery::new(query, boost))
}

pub(super) fn union(mut any: Any) -> Box<dyn Tantivy> {
    match any.len() {
        0 => Box::new(EmptyQuery),
        1 => any.swap_remove(0),
        _ => Box::new(BooleanQuery::union(any)),
    }
}
