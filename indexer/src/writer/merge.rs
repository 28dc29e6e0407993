//! How segments are merged. Which ones, the policy says.

use roaring::RoaringBitmap;
use tantivy::directory::OwnedBytes;
use tantivy::fastfield::AliveBitSet;
use tantivy::indexer::merge_filtered_segments;

use super::ahead::{Ahead, Input};
use super::draft::Draft;
use super::policy::Candidate;
use super::scratch::{Place, RawSegment, Scratch};
use super::store_settings;
use super::stores::Stores;
use crate::error::{Error, Result};
use crate::mapping::IndexSchema;
use crate::snapshot::directory::alive_bits;

/// Merges segments; documents keep their order. `None` when no document is left. The stored documents of a large result
/// are not copied before it is packed, so that `place` needs room for the rest alone.
pub(super) fn merge(
    inputs: &[Input],
    schema: &IndexSchema,
    place: Place,
) -> Result<Option<RawSegment>> {
    let scratch = Scratch::new(place)?;
    let segments: Vec<_> = inputs.iter().map(|input| input.segment.clone()).collect();
    let alive = inputs.iter().map(alive).collect::<Result<Vec<_>>>()?;
    let merged = merge_filtered_segments(&segments, store_settings(), alive, scratch.directory())?;
    let stores = inputs.iter().flat_map(|input| input.stores.iter().cloned());
    let stores = Stores::new(stores.collect());
    RawSegment::take(&merged, scratch, Some(stores), schema)
}

fn alive(input: &Input) -> Result<Option<AliveBitSet>> {
    if input.deletes.is_empty() {
        return Ok(None);
    }
    let bits = alive_bits(&input.deletes, input.segment.meta().max_doc())?;
    Ok(Some(AliveBitSet::open(OwnedBytes::new(bits))))
}

/// Where the documents deleted since the merge began are in the merged segment. `inputs` gives, for each
/// input in order, its number of documents, its deletes when the merge began, and its deletes now.
pub(super) fn replay(inputs: &[(u32, RoaringBitmap, RoaringBitmap)]) -> RoaringBitmap {
    let mut moved = RoaringBitmap::new();
    let mut base = 0_u32;
    for (max_doc, then, now) in inputs {
        for doc in now - then {
            let before = u32::try_from(then.rank(doc)).unwrap_or(u32::MAX);
            moved.insert(base + (doc - before));
        }
        base += max_doc - u32::try_from(then.len()).unwrap_or(*max_doc);
    }
    moved
}

/// The kept segments of a draft as candidates for a merge.
pub(super) fn candidates(draft: &Draft, positions: &[usize]) -> Result<Vec<Candidate>> {
    let segments = &draft.content().manifest().body.segments;
    let candidate = |&position: &usize| {
        let segment = segments.get(position).ok_or_else(no_segment)?;
        let deleted = draft.deleted(position)?;
        Ok(Candidate {
            bytes: segment.bytes(),
            docs: segment.max_doc.into(),
            deleted,
        })
    };
    positions.iter().map(candidate).collect()
}

/// The kept segments of a draft as inputs of a merge, each without its `deletes`.
pub(super) fn inputs(
    draft: &Draft,
    positions: &[usize],
    deletes: Vec<RoaringBitmap>,
    schema: &IndexSchema,
    ahead: &Ahead,
) -> Result<Vec<Input>> {
    let content = draft.content();
    let input = |(&position, deletes): (&usize, RoaringBitmap)| {
        let segment = content.manifest().body.segments.get(position);
        let (segment, files) = segment
            .zip(content.segment_files(position))
            .ok_or_else(no_segment)?;
        let (id, max_doc) = (segment.id, segment.max_doc);
        Input::of_snapshot(id, max_doc, files.iter(), deletes, schema, ahead)
    };
    positions.iter().zip(deletes).map(input).collect()
}

fn no_segment() -> Error {
    Error::internal("a position names no segment")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn deletes_move_with_their_documents(
            inputs in proptest::collection::vec(
                (1_u32..40).prop_flat_map(|max_doc| {
                    let docs = proptest::collection::btree_set(0..max_doc, 0..max_doc as usize);
                    (Just(max_doc), docs.clone(), docs)
                }),
                1..5,
            )
        ) {
            let mut merged = Vec::new();
            let mut bitmaps = Vec::new();
            for (number, (max_doc, then, more)) in inputs.iter().enumerate() {
                merged.extend((0..*max_doc).filter(|doc| !then.contains(doc)).map(|d| (number, d)));
                let now: RoaringBitmap = then.union(more).copied().collect();
                bitmaps.push((*max_doc, then.iter().copied().collect(), now));
            }
            let moved = replay(&bitmaps);
            let expected: RoaringBitmap = (0_u32..)
                .zip(&merged)
                .filter(|(_, (number, doc))| bitmaps[*number].2.contains(*doc))
                .map(|(position, _)| position)
                .collect();
            prop_assert_eq!(moved, expected);
        }
    }
}
