//! What is looked up: the same terms, keys, prefixes and queries for both variants, chosen by a
//! seed from the corpus.

use std::collections::BTreeSet;
use std::ops::Bound;

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tantivy::query::{
    BooleanQuery, DisjunctionMaxQuery, FuzzyTermQuery, InvertedIndexRangeQuery, Occur, Query,
    TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Index, Term};

use crate::corpus::{self, Corpus};
use crate::schema::{Fields, tokens};

const SEED: u64 = 2;
const PREFIX_LETTERS: usize = 3;
/// Shorter words are not worth a fuzzy search.
const FUZZY_LEAST_LETTERS: usize = 5;

/// A query, as its words each in all text fields: `terms[word][field]`.
pub(crate) struct Probe {
    pub(crate) terms: Vec<Vec<Term>>,
}

impl Probe {
    /// Best field wins for each word, and the words add up.
    pub(crate) fn query(&self) -> BooleanQuery {
        let words = self.terms.iter().map(|fields| {
            let fields = fields.iter().map(|term| -> Box<dyn Query> {
                Box::new(TermQuery::new(term.clone(), IndexRecordOption::WithFreqs))
            });
            let word: Box<dyn Query> = Box::new(DisjunctionMaxQuery::new(fields.collect()));
            (Occur::Should, word)
        });
        BooleanQuery::new(words.collect())
    }
}

/// Everything to look up.
pub(crate) struct Probes {
    pub(crate) queries: Vec<Probe>,
    /// Three letters each.
    pub(crate) prefixes: Vec<String>,
    pub(crate) fuzzy: Vec<String>,
    pub(crate) keys: Vec<Term>,
    pub(crate) absent_keys: Vec<Term>,
    pub(crate) content: Field,
}

impl Probes {
    pub(crate) fn choose(index: &Index, fields: &Fields, documents: u32) -> Result<Probes> {
        let corpus = Corpus::load()?;
        let mut words = BTreeSet::new();
        for query in corpus::queries()? {
            words.extend(tokens(index, fields.content.words, &query)?);
        }
        let prefixes: BTreeSet<String> = words
            .iter()
            .filter(|word| word.chars().count() > PREFIX_LETTERS)
            .map(|word| word.chars().take(PREFIX_LETTERS).collect())
            .collect();
        let fuzzy = words
            .iter()
            .filter(|word| word.chars().count() >= FUZZY_LEAST_LETTERS);
        let key = |number| -> Result<Term> {
            Ok(Term::from_field_text(
                fields.key,
                &corpus.document(number)?.key,
            ))
        };
        let mut random = StdRng::seed_from_u64(SEED);
        let mut keys_under = |range: std::ops::Range<u32>| {
            (0..1_000)
                .map(|_| key(random.random_range(range.clone())))
                .collect::<Result<_>>()
        };
        Ok(Probes {
            queries: queries(index, fields)?,
            prefixes: prefixes.into_iter().collect(),
            fuzzy: fuzzy.cloned().collect(),
            keys: keys_under(0..documents)?,
            absent_keys: keys_under(documents..documents.saturating_mul(2))?,
            content: fields.content.words,
        })
    }

    pub(crate) fn prefix_query(&self, prefix: &str) -> InvertedIndexRangeQuery {
        let term = |text: &str| Term::from_field_text(self.content, text);
        let (from, to) = prefix_bounds(prefix);
        InvertedIndexRangeQuery::new(Bound::Included(term(&from)), Bound::Excluded(term(&to)))
    }

    pub(crate) fn fuzzy_query(&self, word: &str) -> FuzzyTermQuery {
        FuzzyTermQuery::new(Term::from_field_text(self.content, word), 1, true)
    }
}

/// At most `count` of the items, from all over the list.
pub(crate) fn spread<T>(items: &[T], count: usize) -> impl Iterator<Item = &T> {
    items
        .iter()
        .step_by((items.len() / count).max(1))
        .take(count)
}

/// The corpus's queries, analysed.
pub(crate) fn queries(index: &Index, fields: &Fields) -> Result<Vec<Probe>> {
    let probe = |query: String| -> Result<Probe> {
        let words = tokens(index, fields.content.words, &query)?;
        let terms = words.iter().map(|word| word_terms(index, fields, word));
        Ok(Probe {
            terms: terms.collect::<Result<_>>()?,
        })
    };
    corpus::queries()?.into_iter().map(probe).collect()
}

fn word_terms(index: &Index, fields: &Fields, word: &str) -> Result<Vec<Term>> {
    let mut terms = Vec::new();
    for field in fields.text() {
        let tokens = tokens(index, field, word)?;
        terms.extend(
            tokens
                .iter()
                .map(|token| Term::from_field_text(field, token)),
        );
    }
    Ok(terms)
}

/// From the prefix to the first text after all that have it.
pub(crate) fn prefix_bounds(prefix: &str) -> (String, String) {
    let mut end: Vec<char> = prefix.chars().collect();
    if let Some(last) = end.last_mut() {
        *last = char::from_u32(*last as u32 + 1).unwrap_or(char::MAX);
    }
    (prefix.to_owned(), end.into_iter().collect())
}
