//! One text field, read by several analysers: the best reading of a document counts.
//!
//! Every document lies in the fallback's field, and those in an analysed language in that
//! language's field as well. Where a segment holds documents of one analysed language alone, the
//! fallback's field could add nothing but its own reading of the same words, so only the
//! language's field is searched: half the postings, and a plain term, over which tantivy can skip.

use std::sync::Arc;

use tantivy::query::{DisjunctionMaxQuery, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::Field;
use tantivy::{DocId, Score, SegmentReader, Term};

/// The readings of one text in one text field.
#[derive(Clone, Debug)]
pub(super) struct Best {
    /// By the fallback.
    pub(super) fallback: Arc<dyn Query>,
    /// By the analysers of languages: the analysed field, the term that documents in the language
    /// are marked with, and the query.
    pub(super) languages: Vec<(Field, Term, Arc<dyn Query>)>,
}

/// Which readings a text field needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Needed {
    /// No document is in a language that is searched.
    Fallback,
    /// Every document is in this field.
    Language(Field),
    /// Some are and some are not, or there are several languages.
    All,
}

/// Which readings of a text field are needed to find every document of `segments`.
///
/// Each language comes as its analysed field and the term that its documents are marked with.
pub(super) fn needed<'a>(
    segments: impl IntoIterator<Item = &'a SegmentReader>,
    languages: &[(Field, Term)],
) -> tantivy::Result<Needed> {
    let mut agreed = None;
    for segment in segments {
        let mut here = Needed::Fallback;
        for (field, mark) in languages {
            if segment.inverted_index(*field)?.total_num_tokens() == 0 {
                continue;
            }
            let marked = segment.inverted_index(mark.field())?.doc_freq(mark)?;
            here = if marked == segment.max_doc() {
                Needed::Language(*field)
            } else {
                Needed::All
            };
            break;
        }
        if agreed.is_some_and(|agreed| agreed != here) {
            return Ok(Needed::All);
        }
        agreed = Some(here);
    }
    Ok(agreed.unwrap_or(Needed::Fallback))
}

impl Query for Best {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let readings = std::iter::once(&self.fallback)
            .chain(self.languages.iter().map(|(_, _, query)| query))
            .map(|query| query.box_clone())
            .collect();
        Ok(Box::new(BestWeight {
            fallback: self.fallback.weight(scoring)?,
            marks: self
                .languages
                .iter()
                .map(|(field, mark, _)| (*field, mark.clone()))
                .collect(),
            languages: self
                .languages
                .iter()
                .map(|(_, _, query)| query.weight(scoring))
                .collect::<tantivy::Result<_>>()?,
            all: DisjunctionMaxQuery::new(readings).weight(scoring)?,
        }))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        self.fallback.query_terms(visitor);
        for (_, _, query) in &self.languages {
            query.query_terms(visitor);
        }
    }
}

struct BestWeight {
    fallback: Box<dyn Weight>,
    marks: Vec<(Field, Term)>,
    languages: Vec<Box<dyn Weight>>,
    all: Box<dyn Weight>,
}

impl BestWeight {
    /// The one reading that suffices in this segment, else all of them.
    fn reading(&self, segment: &SegmentReader) -> tantivy::Result<&dyn Weight> {
        Ok(match needed([segment], &self.marks)? {
            Needed::Fallback => self.fallback.as_ref(),
            Needed::All => self.all.as_ref(),
            Needed::Language(only) => self
                .marks
                .iter()
                .zip(&self.languages)
                .find(|((field, _), _)| *field == only)
                .map_or(self.all.as_ref(), |(_, weight)| weight.as_ref()),
        })
    }
}

impl Weight for BestWeight {
    fn scorer(&self, segment: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        self.reading(segment)?.scorer(segment, boost)
    }

    fn explain(&self, segment: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.reading(segment)?.explain(segment, doc)
    }

    fn count(&self, segment: &SegmentReader) -> tantivy::Result<u32> {
        self.reading(segment)?.count(segment)
    }
}
