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
    pub(super) fallback: (Field, Arc<dyn Query>),
    /// By the analysers of languages.
    pub(super) languages: Vec<(Field, Arc<dyn Query>)>,
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
/// A document's words in a language are as many as by the fallback: where a language's field holds
/// as many as the fallback's, no document is missing from it.
pub(super) fn needed<'a>(
    segments: impl IntoIterator<Item = &'a SegmentReader>,
    fallback: Field,
    languages: &[Field],
) -> tantivy::Result<Needed> {
    let mut agreed = None;
    for segment in segments {
        let words = |field| -> tantivy::Result<u64> {
            Ok(segment.inverted_index(field)?.total_num_tokens())
        };
        let all = words(fallback)?;
        if all == 0 {
            continue;
        }
        let mut here = Needed::Fallback;
        for language in languages {
            here = match words(*language)? {
                0 => continue,
                some if some == all && here == Needed::Fallback => Needed::Language(*language),
                _ => return Ok(Needed::All),
            };
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
        let weigh = |(field, query): &(Field, Arc<dyn Query>)| {
            tantivy::Result::Ok((*field, query.weight(scoring)?))
        };
        let readings = std::iter::once(&self.fallback)
            .chain(&self.languages)
            .map(|(_, query)| query.box_clone())
            .collect();
        Ok(Box::new(BestWeight {
            fallback: weigh(&self.fallback)?,
            languages: self
                .languages
                .iter()
                .map(weigh)
                .collect::<tantivy::Result<_>>()?,
            all: DisjunctionMaxQuery::new(readings).weight(scoring)?,
        }))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        self.fallback.1.query_terms(visitor);
        for (_, query) in &self.languages {
            query.query_terms(visitor);
        }
    }
}

struct BestWeight {
    fallback: (Field, Box<dyn Weight>),
    languages: Vec<(Field, Box<dyn Weight>)>,
    all: Box<dyn Weight>,
}

impl BestWeight {
    /// The one reading that suffices in this segment, else all of them.
    fn reading(&self, segment: &SegmentReader) -> tantivy::Result<&dyn Weight> {
        let (fallback, weight) = &self.fallback;
        let fields: Vec<Field> = self.languages.iter().map(|(field, _)| *field).collect();
        Ok(match needed([segment], *fallback, &fields)? {
            Needed::Fallback => weight.as_ref(),
            Needed::All => self.all.as_ref(),
            Needed::Language(only) => self
                .languages
                .iter()
                .find(|(field, _)| *field == only)
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
