//! What a group of batches comes to: which documents to add, which to delete, what to answer.

use std::collections::{BTreeMap, HashMap};

use futures_lite::future;
use futures_util::future::try_join_all;
use roaring::RoaringBitmap;
use tantivy::postings::TermInfo;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet as _, InvertedIndexReader, Searcher, TERMINATED, Term};
use uuid::Uuid;

use super::changes::{Effect, Effects, changes};
use crate::document::Document;
use crate::error::{Error, Result};
use crate::format::manifest::Counts;
use crate::inbox::Batch;
use crate::numbers::DocCount;
use crate::snapshot::Snapshot;

/// Up to so many keys are looked up all at once, so that a cold writer waits for one round trip, not for one
/// a key; more keys share pages anyway.
const TOGETHER_MAX: usize = 256;
/// More keys than one for so many of a segment's are found faster by walking its dictionary once: a look-up
/// decodes half a block, which holds about a hundred keys.
const WALK_ONE_IN: usize = 32;

/// The effect of some batches, in order, on a snapshot.
#[derive(Debug, Default)]
pub(super) struct Resolution<'a> {
    /// Documents to add; their keys are distinct.
    pub(super) documents: Vec<&'a Document>,
    /// Records to add to the ledger; their keys are distinct.
    pub(super) records: Vec<Document>,
    /// Documents and records to delete, by the position of their segment in the manifest.
    pub(super) deletes: BTreeMap<usize, RoaringBitmap>,
    /// What each batch did.
    pub(super) counts: Vec<Counts>,
    /// The keys whose documents change.
    pub(super) touched: Vec<String>,
}

impl Resolution<'_> {
    /// Whether the snapshot stays as it is.
    pub(super) fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.records.is_empty() && self.deletes.is_empty()
    }
}

/// Works out what `batches` do to `snapshot`, at a time in milliseconds since 1970. The last operation on a key wins.
pub(super) fn resolve<'a>(
    snapshot: &Snapshot,
    batches: &[&'a Batch],
    wall_ms: u64,
) -> Result<Resolution<'a>> {
    let changes = changes(snapshot, batches, wall_ms)?;
    let effects = || changes.batches.iter().flat_map(|batch| &batch.effects);
    let mut last: HashMap<&str, Option<&'a Document>> = HashMap::new();
    for effect in effects() {
        last.insert(&effect.key, effect.document);
    }
    let mut keys: Vec<&str> = last.keys().copied().collect();
    keys.sort_unstable();
    let located = locate(snapshot, &keys)?;
    let mut resolution = Resolution::default();
    for (segment, doc) in located.values().chain(&changes.replaced) {
        resolution.deletes.entry(*segment).or_default().insert(*doc);
    }
    // In key order, so that the same batches always make the same segment.
    resolution.documents = keys
        .iter()
        .filter_map(|key| last.get(key).copied().flatten())
        .collect();
    let mut exists: HashMap<&str, bool> = keys
        .iter()
        .map(|&key| (key, located.contains_key(key)))
        .collect();
    for batch in &changes.batches {
        resolution.counts.push(count(batch, &mut exists));
    }
    resolution.touched = keys.into_iter().map(str::to_owned).collect();
    drop((exists, last));
    resolution.records = changes.records;
    Ok(resolution)
}

fn count<'e>(batch: &'e Effects<'_>, exists: &mut HashMap<&'e str, bool>) -> Counts {
    let mut counts = Counts {
        outdated: batch.outdated,
        ..Counts::default()
    };
    for Effect { key, document } in &batch.effects {
        let upsert = document.is_some();
        let before = exists.insert(key, upsert).unwrap_or(false);
        let counter = match (upsert, before) {
            (true, false) => &mut counts.created,
            (true, true) => &mut counts.updated,
            (false, true) => &mut counts.deleted,
            (false, false) => &mut counts.missing,
        };
        *counter += DocCount::ONE;
    }
    counts
}

/// Where the documents with these keys are: the position of the segment in the manifest, and the
/// document's number. The keys must be sorted.
pub(crate) fn locate<'a>(
    snapshot: &Snapshot,
    keys: &[&'a str],
) -> Result<HashMap<&'a str, (usize, DocId)>> {
    locate_in(
        snapshot,
        snapshot.searcher()?,
        snapshot.schema().key(),
        keys,
        |_| true,
    )
}

/// Like [`locate`], by the terms of `field`, in those segments of `searcher` only that `wanted` says yes to.
pub(super) fn locate_in<'a>(
    snapshot: &Snapshot,
    searcher: &Searcher,
    field: Field,
    keys: &[&'a str],
    wanted: impl Fn(Uuid) -> bool,
) -> Result<HashMap<&'a str, (usize, DocId)>> {
    let mut located = HashMap::new();
    if keys.is_empty() {
        return Ok(located);
    }
    let terms: Vec<Term> = keys
        .iter()
        .map(|key| Term::from_field_text(field, key))
        .collect();
    let mut indexes = Vec::new();
    let segments = &snapshot.manifest().body.segments;
    let positions = snapshot.positions(searcher)?.into_iter();
    for (position, reader) in positions.zip(searcher.segment_readers()) {
        if segments
            .get(position)
            .is_some_and(|segment| wanted(segment.id))
        {
            indexes.push((position, reader, reader.inverted_index(field)?));
        }
    }
    if keys.len() <= TOGETHER_MAX {
        let lookups = indexes.iter().flat_map(|(_, _, index)| {
            terms
                .iter()
                .map(move |term| async move { index.warm_postings(term, false).await })
        });
        let warmed = future::block_on(try_join_all(lookups));
        warmed.map_err(io)?;
    }
    for (position, reader, index) in &indexes {
        let alive = |doc| !reader.is_deleted(doc);
        let mut found = |key: &'a str, doc| {
            located.insert(key, (*position, doc));
        };
        if keys.len() > TOGETHER_MAX && keys.len() >= index.terms().num_terms() / WALK_ONE_IN {
            walk(index, keys, alive, &mut found)?;
            continue;
        }
        for (&key, term) in keys.iter().zip(&terms) {
            if let Some(info) = index.get_term_info(term).map_err(io)?
                && let Some(doc) = first(index, &info, alive)?
            {
                found(key, doc);
            }
        }
    }
    Ok(located)
}

/// Looks sorted keys up in one pass over the part of the dictionary that they span.
fn walk<'a>(
    index: &InvertedIndexReader,
    keys: &[&'a str],
    alive: impl Fn(DocId) -> bool + Copy,
    found: &mut impl FnMut(&'a str, DocId),
) -> Result<()> {
    let (Some(lowest), Some(highest)) = (keys.first(), keys.last()) else {
        return Ok(());
    };
    let span = index.terms().range().ge(lowest).le(highest);
    let mut terms = span.into_stream().map_err(io)?;
    let mut keys = keys.iter().copied().peekable();
    while terms.advance() {
        while keys.next_if(|key| key.as_bytes() < terms.key()).is_some() {}
        match keys.next_if(|key| key.as_bytes() == terms.key()) {
            Some(key) => {
                if let Some(doc) = first(index, terms.value(), alive)? {
                    found(key, doc);
                }
            }
            None if keys.peek().is_none() => break,
            None => {}
        }
    }
    Ok(())
}

/// The first document of a term that is not deleted.
pub(super) fn first(
    index: &InvertedIndexReader,
    info: &TermInfo,
    alive: impl Fn(DocId) -> bool,
) -> Result<Option<DocId>> {
    let mut postings = index
        .read_postings_from_terminfo(info, IndexRecordOption::Basic)
        .map_err(io)?;
    while postings.doc() != TERMINATED {
        if alive(postings.doc()) {
            return Ok(Some(postings.doc()));
        }
        postings.advance();
    }
    Ok(None)
}

fn io(error: std::io::Error) -> Error {
    Error::io("bundles", error)
}
