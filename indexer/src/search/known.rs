//! Terms that were looked up before.
//!
//! To find a term in a segment's dictionary a block has to be decompressed, which for a common
//! search costs as much as running it. Segments never change, so what was found once stays true: the
//! statistics of BM25 and the second look come from here, and what was read ahead before is not
//! read ahead again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::index::SegmentId;
use tantivy::postings::TermInfo;
use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::Field;
use tantivy::{Searcher, SegmentReader, Term};

use super::budget::Budget;
use super::warm::Positions;

/// The most terms that are remembered. When there are more, all are forgotten, which costs each of the next searches
/// a look-up.
const MOST: usize = 65_536;
/// The least: of the terms of one search in some tens of segments.
const LEAST: usize = 4096;
/// What a term costs, about.
const BYTES: usize = 160;
/// The share of the cache that these may take beside it, as a divisor.
const CACHE_SHARE: usize = 8;

/// What is known of the terms of immutable segments. Shared by all searches of a process.
#[derive(Debug)]
pub struct KnownTerms {
    most: usize,
    terms: Mutex<HashMap<(SegmentId, Term), Arc<Known>>>,
}

/// What is known of a term in a segment.
#[derive(Debug)]
pub(super) struct Known {
    /// Where it is; none if it is nowhere.
    pub(super) info: Option<TermInfo>,
    /// Which of its positions were read.
    pub(super) positions: Positions,
}

impl KnownTerms {
    /// For a process with a cache of so many bytes.
    pub fn beside(cache_bytes: usize) -> Self {
        Self {
            most: (cache_bytes / CACHE_SHARE / BYTES).clamp(LEAST, MOST),
            terms: Mutex::default(),
        }
    }

    pub(super) fn get(&self, segment: &SegmentReader, term: &Term) -> Option<Arc<Known>> {
        let terms = self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        terms.get(&(segment.segment_id(), term.clone())).cloned()
    }

    pub(super) fn insert(&self, segment: &SegmentReader, term: &Term, known: Known) {
        let mut terms = self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        if terms.len() >= self.most {
            terms.clear();
        }
        terms.insert((segment.segment_id(), term.clone()), Arc::new(known));
    }

    /// Where a term is, from memory or from the dictionary.
    pub(super) fn info(
        &self,
        segment: &SegmentReader,
        term: &Term,
    ) -> tantivy::Result<Option<TermInfo>> {
        match self.get(segment, term) {
            Some(known) => Ok(known.info.clone()),
            None => Ok(segment.inverted_index(term.field())?.get_term_info(term)?),
        }
    }
}

/// The statistics of a snapshot, with document frequencies from memory.
pub(super) struct Statistics<'a> {
    pub(super) searcher: &'a Searcher,
    pub(super) known: &'a KnownTerms,
    pub(super) budget: &'a Budget,
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        self.searcher.total_num_tokens(field)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        self.searcher.total_num_docs()
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        // Asked for each word, which with many segments takes long.
        self.budget.check_within()?;
        let mut documents = 0;
        for segment in self.searcher.segment_readers() {
            let info = self.known.info(segment, term)?;
            documents += info.map_or(0, |info| u64::from(info.doc_freq));
        }
        Ok(documents)
    }
}
