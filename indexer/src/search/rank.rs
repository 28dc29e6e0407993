//! A second look at the best candidates: how close together do the words stand?
//!
//! BM25 counts words wherever they are. Documents in which words of the query stand near each
//! other are more often what was meant, so each occurrence next to one of another word earns a
//! bonus that falls with the square of the distance and saturates like BM25 does (Büttcher, Clarke
//! and Lushman, "Term proximity scoring for ad-hoc retrieval on very large text collections",
//! SIGIR 2006). It is never negative, so what was not looked at keeps its place below.

use std::collections::HashSet;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, Score, Searcher, SegmentReader, Term};

use super::budget::Budget;
use super::collect::Found;
use super::known::{KnownTerms, Statistics};
use super::limits;
use super::lower::Plan;
use crate::error::Result;

/// BM25's usual constants, those of the first look.
const K1: Score = 1.2;
const B: Score = 0.75;

/// The most words whose closeness is looked at. A longer query is a text, in which closeness says
/// little, and each word costs a read of all its positions.
const MOST_WORDS: usize = 24;

/// How many documents a common word is in at the least: of fewer, the positions are quickly read.
const COMMON_MATCHES: u64 = 4096;

/// Whether a word is in so many documents (more than half) that its being near says nothing, while
/// its positions are the longest to read.
pub(super) fn is_common(matches: u64, documents: u64) -> bool {
    matches > COMMON_MATCHES && matches > documents / 2
}

/// What the second look needs of a query.
pub(super) struct Ranking {
    /// For each text field: the field whose lengths count, and for each word its terms.
    fields: Vec<(Field, Vec<Vec<Term>>)>,
    words: usize,
}

impl Ranking {
    /// For the words of a plan; with fewer than two there is nothing to see.
    pub(super) fn new(plan: &Plan<'_>) -> Self {
        let mut seen = HashSet::new();
        let words: Vec<_> = plan
            .words
            .iter()
            .filter(|word| seen.insert((&word.field, &word.reading.fallback)))
            .collect();
        if words.len() < 2 || words.len() > MOST_WORDS {
            return Self {
                fields: Vec::new(),
                words: 0,
            };
        }
        let fields = plan
            .targets
            .iter()
            .map(|target| {
                let terms: Vec<Vec<Term>> = words
                    .iter()
                    .map(|word| match target.is(word.field.as_deref()) {
                        true => target.terms(&word.reading),
                        false => Vec::new(),
                    })
                    .collect();
                // The lengths that the query has read anyway.
                let mut read = terms.iter().flatten().map(Term::field);
                let first = read.next().unwrap_or(target.field.fallback);
                let alone = read.all(|field| field == first);
                (if alone { first } else { target.field.fallback }, terms)
            })
            .collect();
        Self {
            fields,
            words: words.len(),
        }
    }

    /// The terms whose positions are looked at.
    pub(super) fn terms(&self) -> impl Iterator<Item = &Term> {
        self.fields
            .iter()
            .flat_map(|(_, words)| words.iter().flatten())
    }

    /// How many candidates are looked at.
    pub(super) fn window(&self) -> usize {
        if self.words == 0 { 0 } else { limits::RESCORED }
    }

    /// Adds the bonus to the best of `found`, and orders these anew.
    pub(super) fn rescore(
        &self,
        searcher: &Searcher,
        known: &KnownTerms,
        budget: &Budget,
        found: &mut [Found],
    ) -> Result<()> {
        let window = self.window().min(found.len());
        let Some(best) = found.get_mut(..window) else {
            return Ok(());
        };
        if best.is_empty() {
            return Ok(());
        }
        let statistics = Statistics {
            searcher,
            known,
            budget,
        };
        let weights = self.weights(&statistics)?;
        if weights.iter().filter(|weight| **weight > 0.0).count() < 2 {
            return Ok(());
        }
        best.sort_unstable_by_key(|found| found.address);
        for (segment, reader) in (0..).zip(searcher.segment_readers()) {
            let start = best.partition_point(|found| found.address.segment_ord < segment);
            let end = best.partition_point(|found| found.address.segment_ord <= segment);
            let Some(here) = best.get_mut(start..end).filter(|here| !here.is_empty()) else {
                continue;
            };
            for (field, words) in &self.fields {
                budget.check()?;
                let mut look = Look::open(&statistics, reader, *field, words, &weights)?;
                for found in here.iter_mut() {
                    if let Some(score) = &mut found.score {
                        *score += look.bonus(found.address.doc_id);
                    }
                }
            }
        }
        best.sort_by(|left, right| {
            let order = right
                .score
                .unwrap_or_default()
                .total_cmp(&left.score.unwrap_or_default());
            order.then(left.address.cmp(&right.address))
        });
        Ok(())
    }

    /// How much each word says: its inverse document frequency; nothing for a common one.
    fn weights(&self, statistics: &Statistics<'_>) -> Result<Vec<Score>> {
        let documents = statistics.total_num_docs()?;
        (0..self.words)
            .map(|word| {
                let mut most = 0;
                for (_, words) in &self.fields {
                    for term in words.get(word).into_iter().flatten() {
                        most = most.max(statistics.doc_freq(term)?);
                    }
                }
                if is_common(most, documents) {
                    return Ok(0.0);
                }
                #[expect(clippy::cast_precision_loss, reason = "a weight need not be exact")]
                let (documents, most) = (documents as Score, most.min(documents) as Score);
                Ok((1.0 + (documents - most + 0.5) / (most + 0.5)).ln())
            })
            .collect()
    }
}

/// A look at one field of one segment.
struct Look<'a> {
    weights: &'a [Score],
    postings: Vec<(usize, SegmentPostings)>,
    lengths: Option<FieldNormReader>,
    average: Score,
    /// Where which word stands, in the document at hand.
    places: Vec<(u32, usize)>,
    /// What has come together for each word.
    near: Vec<Score>,
    positions: Vec<u32>,
}

impl<'a> Look<'a> {
    fn open(
        statistics: &Statistics<'_>,
        segment: &SegmentReader,
        field: Field,
        words: &[Vec<Term>],
        weights: &'a [Score],
    ) -> Result<Self> {
        let mut postings = Vec::new();
        for (word, terms) in words.iter().enumerate() {
            if weights.get(word).is_none_or(|weight| *weight == 0.0) {
                continue;
            }
            for term in terms {
                if let Some(info) = statistics.known.info(segment, term)? {
                    let index = segment.inverted_index(term.field())?;
                    let found = index
                        .read_postings_from_terminfo(
                            &info,
                            IndexRecordOption::WithFreqsAndPositions,
                        )
                        .map_err(tantivy::TantivyError::from)?;
                    postings.push((word, found));
                }
            }
        }
        let tokens = statistics.total_num_tokens(field)?;
        let documents = statistics.total_num_docs()?;
        #[expect(clippy::cast_precision_loss, reason = "a mean need not be exact")]
        let average = (tokens as Score / documents.max(1) as Score).max(1.0);
        Ok(Self {
            weights,
            postings,
            lengths: segment.fieldnorms_readers().get_field(field)?,
            average,
            places: Vec::new(),
            near: Vec::new(),
            positions: Vec::new(),
        })
    }

    /// The bonus of a document; documents must come in order.
    fn bonus(&mut self, doc: DocId) -> Score {
        self.places.clear();
        for (word, postings) in &mut self.postings {
            if postings.doc() < doc {
                postings.seek(doc);
            }
            if postings.doc() == doc {
                postings.positions(&mut self.positions);
                self.places
                    .extend(self.positions.iter().map(|at| (*at, *word)));
            }
        }
        if self.places.len() < 2 {
            return 0.0;
        }
        self.places.sort_unstable();
        self.near.clear();
        self.near.resize(self.weights.len(), 0.0);
        for (left, right) in self.places.iter().zip(self.places.iter().skip(1)) {
            if left.1 == right.1 {
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "a distance need not be exact")]
            let distance = (right.0 - left.0).max(1) as Score;
            for (word, other) in [(left.1, right.1), (right.1, left.1)] {
                let weight = self.weights.get(other).copied().unwrap_or_default();
                if let Some(near) = self.near.get_mut(word) {
                    *near += weight / (distance * distance);
                }
            }
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "lengths are kept inexactly anyway"
        )]
        let length = self
            .lengths
            .as_ref()
            .map_or(1, |lengths| lengths.fieldnorm(doc)) as Score;
        let norm = K1 * (1.0 - B + B * length / self.average);
        self.near
            .iter()
            .zip(self.weights)
            .map(|(near, weight)| weight.min(1.0) * near * (K1 + 1.0) / (near + norm))
            .sum()
    }
}
