//! Reading ahead: everything that a query touches, at once.
//!
//! tantivy reads what it needs when it needs it, one range after the other, and over a network
//! each of these waits costs more than the whole query does. So before a query runs, all its terms
//! are looked up in all segments at the same time, and when all are found their postings are read at the same
//! time: two rounds, whatever the number of words and segments. (What one executor asks for at the same moment
//! and lies near comes with one read, so nobody runs ahead.) Lengths of fields and columns
//! depend on nothing and go along with the first. What was read lies in the cache below, where the
//! query finds it; on a warm cache this is a look at memory.

use std::collections::HashMap;
use std::io;

use futures_lite::future;
use futures_util::future::{BoxFuture, FutureExt, try_join, try_join_all};
use tantivy::postings::TermInfo;
use tantivy::schema::Field;
use tantivy::{Searcher, SegmentReader, Term};

use super::known::{Known, KnownTerms};
use super::limits;
use super::lower::{Prefix, Reads};
use super::rank;
use crate::error::{Error, Result};

/// What a search will read.
pub(super) struct Wanted<'a> {
    /// Terms, with whether their positions are wanted.
    pub(super) terms: HashMap<&'a Term, Positions>,
    /// Prefixes and columns.
    pub(super) reads: &'a Reads,
    /// Whether the lengths of fields are wanted, to score by.
    pub(super) lengths: bool,
}

/// Whether the positions of a term are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Positions {
    /// No.
    #[default]
    No,
    /// Unless the term is so common that where it stands says nothing.
    OfRare,
    /// In any case, for a phrase.
    Yes,
}

type Read<'a> = BoxFuture<'a, tantivy::Result<()>>;

/// Reads all of it.
pub(super) fn warm(searcher: &Searcher, known: &KnownTerms, wanted: &Wanted<'_>) -> Result<()> {
    let mut beside: Vec<Read<'_>> = Vec::new();
    let mut terms = Vec::new();
    let mut fields: Vec<Field> = wanted.terms.keys().map(|term| term.field()).collect();
    fields.sort_unstable();
    fields.dedup();
    for segment in searcher.segment_readers() {
        for (term, positions) in &wanted.terms {
            let read = known.get(segment, term);
            if read.is_none_or(|read| *positions > read.positions) {
                terms.push((segment, *term, *positions));
            }
        }
        for prefix in &wanted.reads.prefixes {
            beside.push(all_postings(segment, prefix).boxed());
        }
        for name in &wanted.reads.columns {
            beside.push(columns(segment, name).boxed());
        }
        for field in fields.iter().filter(|_| wanted.lengths) {
            beside.push(lengths(segment, *field).boxed());
        }
    }
    let postings = async {
        let found = terms.iter().map(|(segment, term, _)| find(segment, term));
        let found = try_join_all(found).await?;
        let read = terms
            .into_iter()
            .zip(found)
            .map(|((segment, term, positions), info)| {
                postings(segment, term, positions, info, known)
            });
        try_join_all(read).await
    };
    future::block_on(try_join(try_join_all(beside), postings))?;
    for prefix in &wanted.reads.prefixes {
        for segment in searcher.segment_readers() {
            bounded(segment, prefix)?;
        }
    }
    Ok(())
}

async fn find(segment: &SegmentReader, term: &Term) -> tantivy::Result<Option<TermInfo>> {
    let index = segment.inverted_index(term.field())?;
    Ok(index
        .terms()
        .get_async(term.serialized_value_bytes())
        .await?)
}

async fn postings(
    segment: &SegmentReader,
    term: &Term,
    positions: Positions,
    info: Option<TermInfo>,
    known: &KnownTerms,
) -> tantivy::Result<()> {
    let Some(found) = &info else {
        let positions = Positions::Yes;
        known.insert(segment, term, Known { info, positions });
        return Ok(());
    };
    let rare = !rank::is_common(found.doc_freq.into(), segment.max_doc().into());
    let read = positions == Positions::Yes || (positions == Positions::OfRare && rare);
    let index = segment.inverted_index(term.field())?;
    index.warm_postings(term, read).await?;
    known.insert(segment, term, Known { info, positions });
    Ok(())
}

async fn all_postings(segment: &SegmentReader, prefix: &Prefix) -> tantivy::Result<()> {
    let index = segment.inverted_index(prefix.from.field())?;
    let limit = Some(limits::PREFIX_WORDS + 1);
    index
        .warm_postings_range(prefix.from.clone()..prefix.to.clone(), limit, false)
        .await?;
    Ok(())
}

async fn lengths(segment: &SegmentReader, field: Field) -> tantivy::Result<()> {
    let all = segment.fieldnorms_readers().get_inner_file();
    if let Some(lengths) = all.open_read(field) {
        lengths.read_bytes_async().await?;
    }
    Ok(())
}

async fn columns(segment: &SegmentReader, name: &str) -> tantivy::Result<()> {
    let columns = segment
        .fast_fields()
        .list_dynamic_column_handles(name)
        .await?;
    let reads = columns
        .iter()
        .map(|column| column.file_slice().read_bytes_async());
    try_join_all(reads).await?;
    Ok(())
}

/// Refuses a prefix that stands for too many words.
fn bounded(segment: &SegmentReader, prefix: &Prefix) -> Result<()> {
    let index = segment.inverted_index(prefix.from.field())?;
    let too_many = || -> io::Result<bool> {
        let mut words = index
            .terms()
            .range()
            .ge(prefix.from.serialized_value_bytes())
            .lt(prefix.to.serialized_value_bytes())
            .limit(limits::PREFIX_WORDS + 1)
            .into_stream()?;
        let mut count = 0;
        while count <= limits::PREFIX_WORDS && words.advance() {
            count += 1;
        }
        Ok(count > limits::PREFIX_WORDS)
    };
    if too_many().map_err(tantivy::TantivyError::from)? {
        return Err(Error::invalid(format!(
            "more than {} words begin with `{}`: write more of the word",
            limits::PREFIX_WORDS,
            prefix.written
        )));
    }
    Ok(())
}
