//! Reading the stored documents of an index in the order of their keys.
//!
//! The order does not depend on segments, so that it can be gone on with in whatever version is the newest by
//! then: nothing of an earlier one has to be kept for a job.

use std::collections::BTreeMap;

use tantivy::postings::TermInfo;
use tantivy::{DocAddress, SegmentReader};

use super::super::resolve::first;
use crate::error::{Error, Result};
use crate::snapshot::Snapshot;
use crate::snapshot::sources::sources;

/// Stored documents that are read beside each other, and held in memory however long they are.
pub(super) const TOGETHER: usize = 128;
/// Keys that are looked for at once.
const KEYS: usize = 4096;

/// Some documents, in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// Keys and sources.
    pub(super) documents: Vec<(String, String)>,
    /// Every document up to this key is among them, or was deleted; none at the end.
    pub(super) up_to: Option<String>,
}

/// The documents of `tip` whose keys follow `after`: about `bytes` of them, and one at least unless they have ended.
pub(super) fn read_after(tip: &Snapshot, after: Option<&str>, bytes: usize) -> Result<Stored> {
    let mut stored = Stored {
        up_to: after.map(str::to_owned),
        ..Stored::default()
    };
    let mut read = 0;
    loop {
        let keys = keys_after(tip, stored.up_to.as_deref())?;
        let Some(last) = keys.last().map(|(key, _)| key.clone()) else {
            stored.up_to = None;
            return Ok(stored);
        };
        for some in keys.chunks(TOGETHER) {
            let mut alive: Vec<(DocAddress, &str)> = some
                .iter()
                .filter_map(|(key, address)| Some(((*address)?, key.as_str())))
                .collect();
            // In the order in which they lie.
            alive.sort_unstable();
            let addresses: Vec<_> = alive.iter().map(|(address, _)| *address).collect();
            let texts = sources(tip.searcher()?, tip.schema().source(), &addresses)?;
            for ((_, key), text) in alive.iter().zip(texts) {
                read += text.len();
                stored.documents.push(((*key).to_owned(), text));
            }
            if read >= bytes {
                stored.up_to = some.last().map(|(key, _)| key.clone());
                return Ok(stored);
            }
        }
        stored.up_to = Some(last);
    }
}

/// The first keys after `after` in the dictionaries of `tip`, in order, each with the document that has it, unless
/// that was deleted.
fn keys_after(tip: &Snapshot, after: Option<&str>) -> Result<Vec<(String, Option<DocAddress>)>> {
    let mut keys: BTreeMap<String, Vec<(usize, TermInfo)>> = BTreeMap::new();
    let readers = tip.searcher()?.segment_readers();
    for (ordinal, reader) in readers.iter().enumerate() {
        // Of the first keys of all, no segment has more than so many.
        for (key, info) in first_keys(tip, reader, after)? {
            keys.entry(key).or_default().push((ordinal, info));
        }
    }
    let mut found = Vec::new();
    for (key, places) in keys.into_iter().take(KEYS) {
        let mut address = None;
        for (ordinal, info) in places {
            let Some(reader) = readers.get(ordinal) else {
                continue;
            };
            let index = reader.inverted_index(tip.schema().key())?;
            if let Some(doc) = first(&index, &info, |doc| !reader.is_deleted(doc))? {
                let ordinal = u32::try_from(ordinal)
                    .map_err(|error| Error::internal("too many segments").because(error))?;
                address = Some(DocAddress::new(ordinal, doc));
            }
        }
        found.push((key, address));
    }
    Ok(found)
}

fn first_keys(
    tip: &Snapshot,
    reader: &SegmentReader,
    after: Option<&str>,
) -> Result<Vec<(String, TermInfo)>> {
    let io = |error| Error::io("bundles", error);
    let index = reader.inverted_index(tip.schema().key())?;
    let mut range = index.terms().range().limit(KEYS as u64);
    if let Some(after) = after {
        range = range.gt(after);
    }
    let mut terms = range.into_stream().map_err(io)?;
    let mut keys = Vec::new();
    while keys.len() < KEYS && terms.advance() {
        let key = String::from_utf8(terms.key().to_vec())
            .map_err(|error| Error::corrupt("bundles", "a key is not UTF-8").because(error))?;
        keys.push((key, terms.value().clone()));
    }
    Ok(keys)
}
