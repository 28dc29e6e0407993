//! A prefix or a range of terms: the documents that have any of them.
//!
//! tantivy's own query for this reads on whatever the deadline, and holds a bit for every document of the
//! segment for each prefix. This one asks the budget, and holds a list while the documents are few.

use std::ops::Bound;
use std::sync::Arc;

use tantivy::index::InvertedIndexReader;
use tantivy::postings::TermInfo;
use tantivy::query::{
    BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::termdict::TermStreamer;
use tantivy::{BitSet, DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError, Term};

use super::budget::{Budget, within};
use super::limits;

/// One bit for each document takes less memory than four bytes for each that matches, once more than one in
/// so many does. (The same number of bytes would be 32; a list is faster to build.)
const DENSE: u32 = 32;

/// Bytes that hold the documents of an expansion in a segment of `end` documents at the most, where its words are in so many.
pub(super) fn held(documents: u64, end: DocId) -> usize {
    // A list grows to twice what is in it.
    let listed = documents.saturating_mul(2 * size_of::<DocId>() as u64);
    let most = u64::from(end / DENSE) * 2 * size_of::<DocId>() as u64;
    let bits = u64::from(end / 8);
    usize::try_from(listed.min(most.max(bits))).unwrap_or(usize::MAX)
}

/// All terms of a field between two bounds.
#[derive(Clone, Debug)]
pub(super) struct Expansion {
    /// What was written, to name it in an error.
    pub(super) written: String,
    pub(super) from: Bound<Term>,
    pub(super) to: Bound<Term>,
}

impl Expansion {
    /// The field; every expansion has at least one end.
    pub(super) fn field(&self) -> Option<Field> {
        [&self.from, &self.to]
            .into_iter()
            .find_map(|bound| match bound {
                Bound::Included(term) | Bound::Excluded(term) => Some(term.field()),
                Bound::Unbounded => None,
            })
    }

    /// The terms of a segment, in order.
    pub(super) fn terms<'a>(
        &self,
        index: &'a InvertedIndexReader,
    ) -> std::io::Result<TermStreamer<'a>> {
        let terms = index.terms().range();
        let terms = match &self.from {
            Bound::Included(from) => terms.ge(from.serialized_value_bytes()),
            Bound::Excluded(from) => terms.gt(from.serialized_value_bytes()),
            Bound::Unbounded => terms,
        };
        let terms = match &self.to {
            Bound::Included(to) => terms.le(to.serialized_value_bytes()),
            Bound::Excluded(to) => terms.lt(to.serialized_value_bytes()),
            Bound::Unbounded => terms,
        };
        terms.into_stream()
    }

    /// Reads the part of the dictionary that [`Self::terms`] goes through, up to the limit, beside others.
    pub(super) async fn read_terms(&self, index: &InvertedIndexReader) -> std::io::Result<()> {
        let terms = index.terms().range().limit(limits::PREFIX_WORDS + 1);
        let terms = match &self.from {
            Bound::Included(from) | Bound::Excluded(from) => {
                terms.ge(from.serialized_value_bytes())
            }
            Bound::Unbounded => terms,
        };
        let terms = match &self.to {
            Bound::Included(to) | Bound::Excluded(to) => terms.le(to.serialized_value_bytes()),
            Bound::Unbounded => terms,
        };
        terms.into_stream_async().await.map(drop)
    }

    /// Reads the postings of its terms beside others.
    pub(super) async fn read_postings(&self, index: &InvertedIndexReader) -> std::io::Result<()> {
        let terms = (self.from.clone(), self.to.clone());
        index
            .warm_postings_range(terms, Some(limits::PREFIX_WORDS + 1), false)
            .await
            .map(drop)
    }
}

/// Every document that has a term of an expansion.
#[derive(Clone, Debug)]
pub(super) struct AnyTerm {
    expansion: Arc<Expansion>,
    budget: Arc<Budget>,
    /// Bytes of postings that are read at a time.
    part_bytes: usize,
}

impl Query for AnyTerm {
    fn weight(&self, _scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for AnyTerm {
    fn scorer(&self, segment: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        self.budget.check_within()?;
        let mut documents = Documents::new(segment.max_doc());
        if let Some(field) = self.expansion.field() {
            let index = segment.inverted_index(field)?;
            let mut terms = self.expansion.terms(&index)?;
            let mut part = Part::default();
            let mut words = 0_u32;
            while terms.advance() {
                words += 1;
                if words.is_multiple_of(limits::CHECK_EVERY) {
                    self.budget.check_within()?;
                }
                if part.bytes() >= self.part_bytes {
                    self.read(&index, field, &part)?;
                    self.take(&index, &mut part, &mut documents)?;
                }
                part.add(terms.key(), terms.value());
            }
            if words as usize > part.terms.len() {
                self.read(&index, field, &part)?;
            }
            self.take(&index, &mut part, &mut documents)?;
        }
        Ok(documents.scorer(boost))
    }

    fn explain(&self, segment: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        let mut scorer = self.scorer(segment, 1.0)?;
        if scorer.doc() > doc || scorer.seek(doc) != doc {
            return Err(TantivyError::InvalidArgument(format!(
                "document {doc} does not match"
            )));
        }
        Ok(Explanation::new("AnyTerm", 1.0))
    }
}

impl AnyTerm {
    pub(super) fn new(expansion: &Arc<Expansion>, budget: &Arc<Budget>) -> Self {
        Self {
            expansion: Arc::clone(expansion),
            budget: Arc::clone(budget),
            part_bytes: limits::EXPANDED_READ,
        }
    }

    /// Reads the postings of a part of many with one read. (Of one part, that was done ahead.)
    fn read(&self, index: &InvertedIndexReader, field: Field, part: &Part) -> tantivy::Result<()> {
        let first = Term::from_field_bytes(field, &part.first);
        let last = Term::from_field_bytes(field, &part.last);
        let read = async {
            let read = index.warm_postings_range(first..=last, None, false).await;
            Ok(read.map(drop).map_err(TantivyError::from)?)
        };
        self.budget.block_on(read).map_err(within)
    }

    /// Takes the documents of a part, which is empty then.
    fn take(
        &self,
        index: &InvertedIndexReader,
        part: &mut Part,
        documents: &mut Documents,
    ) -> tantivy::Result<()> {
        let mut blocks = 0_u32;
        for info in std::mem::take(part).terms {
            let mut postings =
                index.read_block_postings_from_terminfo(&info, IndexRecordOption::Basic)?;
            while !postings.docs().is_empty() {
                documents.add(postings.docs());
                postings.advance();
                blocks += 1;
                if blocks.is_multiple_of(limits::CHECK_EVERY) {
                    self.budget.check_within()?;
                }
            }
        }
        Ok(())
    }
}

/// Terms whose postings are read at once.
#[derive(Default)]
struct Part {
    terms: Vec<TermInfo>,
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Part {
    fn add(&mut self, key: &[u8], info: &TermInfo) {
        if self.terms.is_empty() {
            self.first = key.to_owned();
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        self.terms.push(info.clone());
    }

    /// Bytes of its postings.
    fn bytes(&self) -> usize {
        match (self.terms.first(), self.terms.last()) {
            (Some(first), Some(last)) => last.postings_range.end - first.postings_range.start,
            _ => 0,
        }
    }
}

/// The documents that were found so far.
struct Documents {
    end: DocId,
    few: Vec<DocId>,
    many: Option<BitSet>,
}

impl Documents {
    /// Of a segment of `end` documents.
    fn new(end: DocId) -> Self {
        Self {
            end,
            few: Vec::new(),
            many: None,
        }
    }

    fn add(&mut self, docs: &[DocId]) {
        if self.many.is_none() && self.few.len() + docs.len() > (self.end / DENSE) as usize {
            let mut many = BitSet::with_max_value(self.end);
            for doc in std::mem::take(&mut self.few) {
                many.insert(doc);
            }
            self.many = Some(many);
        }
        match &mut self.many {
            Some(many) => {
                for doc in docs {
                    many.insert(*doc);
                }
            }
            None => self.few.extend_from_slice(docs),
        }
    }

    fn scorer(mut self, boost: Score) -> Box<dyn Scorer> {
        match self.many {
            Some(many) => Box::new(ConstScorer::new(BitSetDocSet::from(many), boost)),
            None => {
                self.few.sort_unstable();
                self.few.dedup();
                Box::new(ConstScorer::new(Listed::new(self.few), boost))
            }
        }
    }
}

/// Documents in a list, in order and each once.
struct Listed {
    docs: Vec<DocId>,
    at: usize,
}

impl Listed {
    fn new(docs: Vec<DocId>) -> Self {
        Self { docs, at: 0 }
    }
}

impl DocSet for Listed {
    fn advance(&mut self) -> DocId {
        self.at += 1;
        self.doc()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        let rest = self.docs.get(self.at..).unwrap_or_default();
        self.at += rest.partition_point(|doc| *doc < target);
        self.doc()
    }

    fn doc(&self) -> DocId {
        self.docs.get(self.at).copied().unwrap_or(TERMINATED)
    }

    fn size_hint(&self) -> u32 {
        u32::try_from(self.docs.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tantivy::collector::DocSetCollector;
    use tantivy::query::InvertedIndexRangeQuery;
    use tantivy::schema::{STRING, Schema};
    use tantivy::{Index, IndexWriter, Searcher, doc};

    use super::*;
    use crate::clock::SystemClock;
    use crate::search::Allowance;
    use crate::search::room::roomy;

    fn index(field: Field, schema: Schema) -> Searcher {
        let index = Index::create_in_ram(schema);
        let mut writer: IndexWriter = index.writer_with_num_threads(1, 20_000_000).unwrap();
        for n in 0..5000_u32 {
            let rare = format!("rare{:03}", n % 977);
            let mut document = doc!(field => format!("word{:02}", n % 50));
            if n % 300 == 7 {
                document.add_text(field, rare);
            }
            writer.add_document(document).unwrap();
        }
        writer.commit().unwrap();
        index.reader().unwrap().searcher()
    }

    #[test]
    fn the_documents_are_those_of_tantivys_own_query_in_one_part_or_many() {
        let mut schema = Schema::builder();
        let field = schema.add_text_field("field", STRING);
        let searcher = index(field, schema.build());
        let soon = Instant::now() + Duration::from_secs(60);
        let budget = Budget::begin(Arc::new(SystemClock), Allowance::until(soon), roomy()).unwrap();
        let term = |text: &str| Term::from_field_text(field, text);
        for (from, to) in [
            ("word", "word\u{ff}"),
            ("rare", "rare\u{ff}"),
            ("rare5", "word07"),
            ("x", "y"),
            ("", "zzz"),
        ] {
            for (from, to) in [
                (Bound::Included(term(from)), Bound::Excluded(term(to))),
                (Bound::Excluded(term(from)), Bound::Included(term(to))),
                (Bound::Unbounded, Bound::Included(term(to))),
                (Bound::Included(term(from)), Bound::Unbounded),
            ] {
                let theirs = InvertedIndexRangeQuery::new(from.clone(), to.clone());
                let theirs = searcher.search(&theirs, &DocSetCollector).unwrap();
                let written = "x".to_owned();
                let expansion = Arc::new(Expansion { written, from, to });
                for part_bytes in [limits::EXPANDED_READ, 1, 100] {
                    let ours = AnyTerm {
                        part_bytes,
                        ..AnyTerm::new(&expansion, &budget)
                    };
                    let found = searcher.search(&ours, &DocSetCollector).unwrap();
                    assert_eq!(found, theirs, "{expansion:?}");
                }
            }
        }
    }
}
