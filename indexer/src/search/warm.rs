//! Reading ahead: everything that a query touches, at once.
//!
//! tantivy reads what it needs when it needs it, one range after the other, and over a network
//! each of these waits costs more than the whole query does. So before a query runs, all its terms
//! are looked up in all segments at the same time, and when all are found their postings are read at the same
//! time, with the lengths of fields and the columns: two rounds, whatever the number of words and, up to a bound, of
//! segments. (What one executor asks for at the same moment and lies near comes with one read, so nobody runs ahead.)
//! What was read lies in the cache below, where the query finds it; on a warm cache this is a look at memory.
//!
//! All searches share a bound on the bytes that are being read (`room`). This module also counts the memory that the search
//! needs for one segment, and takes room for it before it reads.

use std::collections::HashMap;
use std::sync::Arc;

use futures_lite::future::poll_once;
use futures_util::future::{BoxFuture, FutureExt, try_join_all, try_join3};
use tantivy::directory::FileSlice;
use tantivy::index::InvertedIndexReader;
use tantivy::postings::TermInfo;
use tantivy::schema::Field;
use tantivy::{HasLen, Searcher, SegmentReader, TantivyError, Term};

use super::budget::{Budget, too_broad};
use super::expand::{Expansion, held};
use super::known::{Known, KnownTerms};
use super::limits;
use super::lower::Reads;
use super::rank;
use super::room::{Need, Room};
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

/// A segment, and what the search holds of it.
struct Segment<'a> {
    reader: &'a SegmentReader,
    need: Need,
}

/// A term that is to be looked up in a segment.
struct Lookup<'a> {
    segment: &'a Segment<'a>,
    term: &'a Term,
    positions: Positions,
}

/// A prefix or a range whose postings in a segment are so short that they are read ahead.
struct Short<'a> {
    expansion: &'a Expansion,
    index: Arc<InvertedIndexReader>,
    bytes: usize,
}

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
    for readers in searcher.segment_readers().chunks(at_once) {
        let segments: Vec<Segment<'_>> = readers.iter().map(Segment::new).collect();
        warm_segments(&segments, known, wanted, &fields, budget)?;
    }
    Ok(())
}

fn warm_segments(
    segments: &[Segment<'_>],
    known: &KnownTerms,
    wanted: &Wanted<'_>,
    fields: &[Field],
    budget: &Budget,
) -> Result<()> {
    let mut lookups: Vec<Lookup<'_>> = Vec::new();
    let mut slices: Vec<FileSlice> = Vec::new();
    for segment in segments {
        budget.check()?;
        for (&term, &positions) in &wanted.terms {
            match known.get(segment.reader, term) {
                Some(read) if positions <= read.positions => {
                    segment.count(read.info.as_ref(), positions);
                }
                _ => lookups.push(Lookup {
                    segment,
                    term,
                    positions,
                }),
            }
        }
        for field in fields.iter().filter(|_| wanted.lengths) {
            let all = segment.reader.fieldnorms_readers().get_inner_file();
            slices.extend(all.open_read(*field).map(|slice| segment.hold(slice)));
        }
    }
    let names = &wanted.reads.columns;
    let columns = segments
        .iter()
        .flat_map(|segment| names.iter().map(move |name| columns(segment, name)));
    let expansions = segments
        .iter()
        .map(|segment| expansions(segment, wanted.reads, budget));
    let (found, expanded, columns) = budget.block_on(try_join3(
        try_join_all(lookups.iter().map(find)),
        try_join_all(expansions),
        try_join_all(columns),
    ))?;
    for (lookup, info) in lookups.iter().zip(&found) {
        lookup.segment.count(info.as_ref(), lookup.positions);
    }
    let need = segments.iter().map(|segment| segment.need.bytes()).max();
    budget.take_room(need.unwrap_or_default())?;

    let room = budget.room();
    let mut reads: Vec<Read<'_>> = Vec::new();
    for (lookup, info) in lookups.iter().zip(found) {
        reads.push(postings(lookup, info, known, room).boxed());
    }
    for short in expanded.iter().flatten() {
        reads.push(short.read(room).boxed());
    }
    for slice in slices.iter().chain(columns.iter().flatten()) {
        reads.push(whole(slice, room).boxed());
    }
    budget.block_on(try_join_all(reads))?;
    Ok(())
}

impl<'a> Segment<'a> {
    fn new(reader: &'a SegmentReader) -> Self {
        Self {
            reader,
            need: Need::default(),
        }
    }

    /// Counts what a term takes.
    fn count(&self, info: Option<&TermInfo>, positions: Positions) {
        self.need.add(limits::TERM_BYTES);
        if let Some(info) = info {
            self.need.add(self.bytes(info, positions));
        }
    }

    /// Counts what is held whole.
    fn hold(&self, slice: FileSlice) -> FileSlice {
        self.need.add(slice.len());
        slice
    }

    /// Bytes of the postings of a term, with its positions where they are read.
    fn bytes(&self, info: &TermInfo, positions: Positions) -> usize {
        let postings = info.postings_range.len();
        match self.reads_positions(info, positions) {
            true => postings + info.positions_range.len(),
            false => postings,
        }
    }

    fn reads_positions(&self, info: &TermInfo, positions: Positions) -> bool {
        let rare = !rank::is_common(info.doc_freq.into(), self.reader.max_doc().into());
        positions == Positions::Yes || (positions == Positions::OfRare && rare)
    }
}

async fn find(lookup: &Lookup<'_>) -> Result<Option<TermInfo>> {
    let index = lookup.segment.reader.inverted_index(lookup.term.field())?;
    let terms = index.terms();
    let found = terms.get_async(lookup.term.serialized_value_bytes()).await;
    Ok(found.map_err(TantivyError::from)?)
}

async fn postings(
    lookup: &Lookup<'_>,
    info: Option<TermInfo>,
    known: &KnownTerms,
    room: &Room,
) -> Result<()> {
    let Lookup { segment, term, .. } = lookup;
    let mut positions = lookup.positions;
    match &info {
        Some(found) => {
            let index = segment.reader.inverted_index(term.field())?;
            let _room = room.read(segment.bytes(found, positions)).await?;
            let read = index.warm_postings(term, segment.reads_positions(found, positions));
            read.await.map_err(TantivyError::from)?;
        }
        None => positions = Positions::Yes,
    }
    known.insert(segment.reader, term, Known { info, positions });
    Ok(())
}

/// Looks up the words of the prefixes and ranges, and counts them; gives those whose postings are not too long.
async fn expansions<'a>(
    segment: &Segment<'_>,
    reads: &'a Reads,
    budget: &Budget,
) -> Result<Vec<Short<'a>>> {
    let reader = segment.reader;
    try_join_all(reads.expansions.iter().map(|expansion| async {
        if let Some(field) = expansion.field() {
            let index = reader.inverted_index(field)?;
            let read = expansion.read_terms(&index).await;
            read.map_err(TantivyError::from)?;
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
        let index = reader.inverted_index(field)?;
        let here = measure(expansion, &index, limits::PREFIX_WORDS - words, budget)?;
        words += here.words;
        if words > limits::PREFIX_WORDS {
            return Err(too_broad(
                &expansion.written,
                &format!("more than {} words", limits::PREFIX_WORDS),
            ));
        }
        budget.expand(here.words, &expansion.written)?;
        segment.need.add(held(here.documents, reader.max_doc()));
        if here.words > 0 && here.bytes <= limits::EXPANDED_READ {
            short.push(Short {
                expansion,
                index,
                bytes: here.bytes,
            });
        }
    }
    Ok(short)
}

/// What an expansion comes to in a segment.
struct Measure {
    /// Words, up to one more than were asked for.
    words: u64,
    /// Bytes of their postings.
    bytes: usize,
    /// Documents, each as often as it has one of the words.
    documents: u64,
}

fn measure(
    expansion: &Expansion,
    index: &InvertedIndexReader,
    most: u64,
    budget: &Budget,
) -> Result<Measure> {
    let mut terms = expansion.terms(index).map_err(TantivyError::from)?;
    let (mut words, mut documents, mut start, mut end) = (0_u64, 0_u64, None, 0);
    while words <= most && terms.advance() {
        let info = terms.value();
        start.get_or_insert(info.postings_range.start);
        end = info.postings_range.end;
        words += 1;
        documents += u64::from(info.doc_freq);
        if words.is_multiple_of(limits::CHECK_EVERY.into()) {
            budget.check()?;
        }
    }
    Ok(Measure {
        words,
        bytes: end - start.unwrap_or(end),
        documents,
    })
}

impl Short<'_> {
    async fn read(&self, room: &Room) -> Result<()> {
        let _room = room.read(self.bytes).await?;
        let read = self.expansion.read_postings(&self.index).await;
        Ok(read.map_err(TantivyError::from)?)
    }
}

async fn columns(segment: &Segment<'_>, name: &str) -> Result<Vec<FileSlice>> {
    let fast = segment.reader.fast_fields();
    let columns = fast.list_dynamic_column_handles(name).await?;
    let slices = columns.iter().map(|column| column.file_slice().clone());
    Ok(slices.map(|slice| segment.hold(slice)).collect())
}

/// Reads a whole slice. What is in memory waits for nobody.
async fn whole(slice: &FileSlice, room: &Room) -> Result<()> {
    if poll_once(slice.read_bytes_async()).await.is_none() {
        let _room = room.read(slice.len()).await?;
        let read = slice.read_bytes_async().await;
        read.map_err(TantivyError::from)?;
    }
    Ok(())
}
