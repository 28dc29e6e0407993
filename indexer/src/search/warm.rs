//! Reading ahead: everything that a query touches, at once.
//!
//! tantivy reads what it needs when it needs it, one range after the other, and over a network
//! each of these waits costs more than the whole query does. So before a query runs, all its terms
//! are looked up in all segments at the same time, and when all are found their postings are read at the same
//! time: two rounds, whatever the number of words and, up to a bound, of segments. (What one executor asks for
//! at the same moment and lies near comes with one read, so nobody runs ahead.) Lengths of fields and columns
//! depend on nothing and go along with the first. What was read lies in the cache below, where the
//! query finds it; on a warm cache this is a look at memory.
//!
//! What is long (columns, the postings of a prefix) shares a bound in bytes, so that many segments cannot have
//! all of it in memory beside the cache.

use std::collections::HashMap;
use std::io;

use futures_util::future::{BoxFuture, FutureExt, try_join, try_join_all};
use tantivy::postings::TermInfo;
use tantivy::schema::Field;
use tantivy::{HasLen, Searcher, SegmentReader, Term};
use tokio::sync::Semaphore;

use super::budget::{Budget, too_broad};
use super::expand::Expansion;
use super::known::{Known, KnownTerms};
use super::limits;
use super::lower::Reads;
use super::rank;
use crate::error::{Error, Result};

/// What a search will read.
pub(super) struct Wanted<'a> {
    /// Terms, with whether their positions are wanted.
    pub(super) terms: HashMap<&'a Term, Positions>,
    /// Prefixes, ranges and columns.
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

type Read<'a> = BoxFuture<'a, Result<()>>;

/// The unit that what is under way at once is counted in.
const KIB: usize = 1024;

/// Reads all of it.
pub(super) fn warm(
    searcher: &Searcher,
    known: &KnownTerms,
    wanted: &Wanted<'_>,
    budget: &Budget,
) -> Result<()> {
    let mut fields: Vec<Field> = wanted.terms.keys().map(|term| term.field()).collect();
    fields.sort_unstable();
    fields.dedup();
    // Fewer segments at once where each has many terms to look up.
    let at_once = (limits::LOOKUPS / wanted.terms.len().max(1)).clamp(1, limits::SEGMENTS_AT_ONCE);
    for segments in searcher.segment_readers().chunks(at_once) {
        warm_segments(segments, known, wanted, &fields, budget)?;
    }
    Ok(())
}

fn warm_segments(
    segments: &[SegmentReader],
    known: &KnownTerms,
    wanted: &Wanted<'_>,
    fields: &[Field],
    budget: &Budget,
) -> Result<()> {
    let long = Semaphore::new(limits::READ_AHEAD / KIB);
    let mut beside: Vec<Read<'_>> = Vec::new();
    let mut terms = Vec::new();
    for segment in segments {
        budget.check()?;
        for (term, positions) in &wanted.terms {
            let read = known.get(segment, term);
            if read.is_none_or(|read| *positions > read.positions) {
                terms.push((segment, *term, *positions));
            }
        }
        if !wanted.reads.expansions.is_empty() {
            beside.push(expansions(segment, wanted.reads, &long, budget).boxed());
        }
        for name in &wanted.reads.columns {
            beside.push(columns(segment, name, &long).boxed());
        }
        for field in fields.iter().filter(|_| wanted.lengths) {
            beside.push(lengths(segment, *field).map(|read| Ok(read?)).boxed());
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
        Ok(try_join_all(read).await?)
    };
    budget.block_on(try_join(try_join_all(beside), postings))?;
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

/// Looks up the words of the prefixes and ranges, counts them, and reads the postings of those that are not
/// too long.
async fn expansions(
    segment: &SegmentReader,
    reads: &Reads,
    long: &Semaphore,
    budget: &Budget,
) -> Result<()> {
    try_join_all(reads.expansions.iter().map(|expansion| async {
        if let Some(field) = expansion.field() {
            let index = segment.inverted_index(field)?;
            expansion
                .read_terms(&index)
                .await
                .map_err(tantivy::TantivyError::from)?;
        }
        Ok::<_, Error>(())
    }))
    .await?;
    let mut words = 0;
    let mut short = Vec::new();
    for expansion in &reads.expansions {
        let Some(field) = expansion.field() else {
            continue;
        };
        let index = segment.inverted_index(field)?;
        let (here, bytes) = measure(expansion, &index, limits::PREFIX_WORDS - words, budget)?;
        words += here;
        if words > limits::PREFIX_WORDS {
            return Err(too_broad(
                &expansion.written,
                &format!("more than {} words", limits::PREFIX_WORDS),
            ));
        }
        budget.expand(here, &expansion.written)?;
        if here > 0 && bytes <= limits::EXPANDED_READ {
            short.push((expansion, index, bytes));
        }
    }
    let reads = short.iter().map(|(expansion, index, bytes)| async {
        let _room = room(long, *bytes).await?;
        let read = expansion.read_postings(index).await;
        Ok::<_, Error>(read.map_err(tantivy::TantivyError::from)?)
    });
    try_join_all(reads).await?;
    Ok(())
}

/// How many words an expansion stands for in a segment, up to one more than `most`, and the bytes of their postings.
fn measure(
    expansion: &Expansion,
    index: &tantivy::InvertedIndexReader,
    most: u64,
    budget: &Budget,
) -> Result<(u64, usize)> {
    let mut terms = expansion
        .terms(index)
        .map_err(tantivy::TantivyError::from)?;
    let (mut words, mut start, mut end) = (0_u64, None, 0);
    while words <= most && terms.advance() {
        let postings = &terms.value().postings_range;
        start.get_or_insert(postings.start);
        end = postings.end;
        words += 1;
        if words.is_multiple_of(limits::CHECK_EVERY.into()) {
            budget.check()?;
        }
    }
    Ok((words, end - start.unwrap_or(end)))
}

/// Waits until so many bytes may be under way beside the others.
async fn room(long: &Semaphore, bytes: usize) -> Result<tokio::sync::SemaphorePermit<'_>> {
    let units = bytes.div_ceil(KIB).min(limits::READ_AHEAD / KIB);
    let units = u32::try_from(units).unwrap_or(u32::MAX);
    long.acquire_many(units)
        .await
        .map_err(|closed| Error::internal("reading ahead was ended").because(closed))
}

async fn lengths(segment: &SegmentReader, field: Field) -> tantivy::Result<()> {
    let all = segment.fieldnorms_readers().get_inner_file();
    if let Some(lengths) = all.open_read(field) {
        lengths.read_bytes_async().await?;
    }
    Ok(())
}

async fn columns(segment: &SegmentReader, name: &str, long: &Semaphore) -> Result<()> {
    let columns = segment
        .fast_fields()
        .list_dynamic_column_handles(name)
        .await?;
    let reads = columns.iter().map(|column| async {
        let slice = column.file_slice();
        let _room = room(long, slice.len()).await?;
        let read: io::Result<_> = slice.read_bytes_async().await;
        read.map_err(tantivy::TantivyError::from)?;
        Ok::<_, Error>(())
    });
    try_join_all(reads).await?;
    Ok(())
}
