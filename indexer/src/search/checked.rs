//! A query that asks the budget before it looks at a segment.
//!
//! Phrases and ranges over columns find their first match as soon as they are set up, for which they may go through
//! the whole segment. Between two of them the search can end.

use std::sync::Arc;

use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, Score, SeekDangerResult, SegmentReader, Term};

use super::budget::Budget;

/// A query with a budget.
#[derive(Debug)]
pub(super) struct Checked {
    query: Box<dyn Query>,
    budget: Arc<Budget>,
}

impl Checked {
    pub(super) fn boxed(query: impl Query, budget: &Arc<Budget>) -> Box<dyn Query> {
        Box::new(Self {
            query: Box::new(query),
            budget: Arc::clone(budget),
        })
    }
}

impl Clone for Checked {
    fn clone(&self) -> Self {
        Self {
            query: self.query.box_clone(),
            budget: Arc::clone(&self.budget),
        }
    }
}

impl Query for Checked {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(CheckedWeight {
            weight: self.query.weight(scoring)?,
            budget: Arc::clone(&self.budget),
        }))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        self.query.query_terms(visitor);
    }
}

struct CheckedWeight {
    weight: Box<dyn Weight>,
    budget: Arc<Budget>,
}

impl Weight for CheckedWeight {
    fn scorer(&self, segment: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        self.budget.check_within()?;
        self.weight.scorer(segment, boost)
    }

    fn scorer_danger(
        &self,
        segment: &SegmentReader,
        target: DocId,
        boost: Score,
    ) -> tantivy::Result<(SeekDangerResult, Box<dyn Scorer>)> {
        self.budget.check_within()?;
        self.weight.scorer_danger(segment, target, boost)
    }

    fn explain(&self, segment: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.weight.explain(segment, doc)
    }

    fn count(&self, segment: &SegmentReader) -> tantivy::Result<u32> {
        self.budget.check_within()?;
        self.weight.count(segment)
    }
}
