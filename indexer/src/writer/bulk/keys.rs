//! The keys of some segments, in order, and which segment has the last document of each.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use super::super::resolve::first;
use crate::error::{Error, Result};
use crate::snapshot::Snapshot;

/// Walks the keys of all segments of `built` in order, and gives each to `each` once. Of a key that several segments have, the
/// last of them has the document that counts: gives the others' documents, by the position of their segment. In each
/// segment a key may be there once.
pub(super) fn replaced(
    built: &Snapshot,
    mut each: impl FnMut(&str) -> Result<()>,
) -> Result<BTreeMap<usize, RoaringBitmap>> {
    let field = built.schema().key();
    let searcher = built.searcher()?;
    let mut indexes = BTreeMap::new();
    for (position, reader) in built
        .positions(searcher)?
        .into_iter()
        .zip(searcher.segment_readers())
    {
        indexes.insert(position, reader.inverted_index(field)?);
    }
    let mut streams = Vec::new();
    for (&position, index) in &indexes {
        let mut terms = index.terms().stream().map_err(io)?;
        if terms.advance() {
            streams.push((position, index, terms));
        }
    }
    let mut replaced: BTreeMap<usize, RoaringBitmap> = BTreeMap::new();
    let mut key: Vec<u8> = Vec::new();
    while let Some(least) = streams.iter().map(|(_, _, terms)| terms.key()).min() {
        key.clear();
        key.extend_from_slice(least);
        let text = std::str::from_utf8(&key)
            .map_err(|error| Error::corrupt("bundles", "a key is not UTF-8").because(error))?;
        each(text)?;
        let mut have = streams
            .iter()
            .filter(|(_, _, terms)| terms.key() == key)
            .peekable();
        while let Some((position, index, terms)) = have.next() {
            if have.peek().is_some()
                && let Some(doc) = first(index, terms.value(), |_| true)?
            {
                replaced.entry(*position).or_default().insert(doc);
            }
        }
        streams.retain_mut(|(_, _, terms)| terms.key() != key || terms.advance());
    }
    Ok(replaced)
}

fn io(error: std::io::Error) -> Error {
    Error::io("bundles", error)
}
