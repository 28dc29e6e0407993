//! Merging: which segments, and how.
//!
//! Segments fall into tiers by size, each tier [`FAN_IN`] times the one below. A full tier becomes
//! one segment of the next, so a document is copied once for each tier it climbs and the number of segments
//! stays logarithmic. A segment with many deletes is rewritten, so that they are reclaimed.

use roaring::RoaringBitmap;
use tantivy::fastfield::{AliveBitSet, write_alive_bitset};
use tantivy::indexer::merge_filtered_segments;

use super::ahead::Input;
use super::scratch::{Place, RawSegment, Scratch};
use super::store_settings;
use super::stores::Stores;
use crate::error::{Error, Result};
use crate::mapping::IndexSchema;

/// Segments of one tier that are merged into one of the next. Fewer would copy documents more
/// often, more would make a cold reader open more segments.
pub(super) const FAN_IN: usize = 8;
/// The lowest tier ends here, in bytes.
const LOWEST_TIER: u64 = 32 * 1024;
/// Segments above this many bytes are left alone but for their deletes.
const SEGMENT_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// A segment with more than one deleted document in so many is rewritten. Together with the limit of
/// tiers this keeps disk use under twice the live size.
const DELETED_ONE_IN: u64 = 4;
/// Merges of up to so many bytes happen inside a commit: some tens of milliseconds.
pub(super) const INLINE_MAX: u64 = 4 * 1024 * 1024;

/// A segment that may be merged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) bytes: u64,
    pub(super) docs: u64,
    pub(super) deleted: u64,
}

impl Candidate {
    pub(super) fn live_bytes(self) -> u64 {
        let live = self.docs.saturating_sub(self.deleted);
        let bytes = u128::from(self.bytes) * u128::from(live) / u128::from(self.docs.max(1));
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    fn tier(self) -> u32 {
        (self.live_bytes() / LOWEST_TIER)
            .checked_ilog(FAN_IN as u64)
            .map_or(0, |tier| tier + 1)
    }

    fn rotten(self) -> bool {
        self.deleted * DELETED_ONE_IN > self.docs
    }
}

/// The positions of candidates to merge next, of at most `limit` live bytes together; empty
/// when all is well.
pub(super) fn choose(candidates: &[Candidate], limit: u64) -> Vec<usize> {
    let limit = limit.min(SEGMENT_MAX);
    let mut tiers: std::collections::BTreeMap<u32, Vec<usize>> = Default::default();
    for (position, candidate) in candidates.iter().enumerate() {
        if candidate.live_bytes() <= limit {
            tiers.entry(candidate.tier()).or_default().push(position);
        }
    }
    let live = |position: &usize| candidates.get(*position).map_or(0, |c| c.live_bytes());
    for members in tiers.values() {
        let mut total = 0;
        let fitting: Vec<usize> = members
            .iter()
            .copied()
            .take_while(|position| {
                total += live(position);
                total <= limit
            })
            .collect();
        if fitting.len() >= FAN_IN {
            return fitting;
        }
    }
    let rotten = |&position: &usize| candidates.get(position).is_some_and(|c| c.rotten());
    tiers
        .values()
        .flatten()
        .copied()
        .find(rotten)
        .into_iter()
        .collect()
}

/// The positions of all candidates, smallest first, as long as they fit into one segment; for a
/// full compaction. Empty when there is nothing to gain.
pub(super) fn choose_all(candidates: &[Candidate], limit: u64) -> Vec<usize> {
    let limit = limit.min(SEGMENT_MAX);
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|&position| candidates.get(position).map_or(0, |c| c.live_bytes()));
    let mut total = 0;
    let mut chosen = Vec::new();
    for position in order {
        let Some(candidate) = candidates.get(position) else {
            continue;
        };
        total += candidate.live_bytes();
        if total > limit {
            break;
        }
        chosen.push(position);
    }
    let deleted = chosen
        .iter()
        .filter_map(|&position| candidates.get(position));
    let gain = chosen.len() > 1 || deleted.map(|c| c.deleted).sum::<u64>() > 0;
    if gain { chosen } else { Vec::new() }
}

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
    let max_doc = input.segment.meta().max_doc();
    let mut alive = tantivy::BitSet::with_max_value_and_full(max_doc);
    input
        .deletes
        .iter()
        .filter(|&doc| doc < max_doc)
        .for_each(|doc| alive.remove(doc));
    let mut bytes = Vec::new();
    let written = write_alive_bitset(&alive, &mut bytes);
    written.map_err(|error| Error::internal("a bitset cannot be written").because(error))?;
    Ok(Some(AliveBitSet::open(
        tantivy::directory::OwnedBytes::new(bytes),
    )))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(bytes: u64) -> Candidate {
        Candidate {
            bytes,
            docs: 100,
            deleted: 0,
        }
    }

    #[test]
    fn a_full_tier_is_merged_and_a_rotten_segment_rewritten() {
        assert!(choose(&[candidate(1000); 7], INLINE_MAX).is_empty());
        assert_eq!(choose(&[candidate(1000); 8], INLINE_MAX).len(), 8);
        let rotten = Candidate {
            bytes: 1 << 20,
            docs: 100,
            deleted: 26,
        };
        assert_eq!(choose(&[candidate(1000), rotten], INLINE_MAX), [1]);
        assert!(choose(&[candidate(INLINE_MAX + 1); 8], INLINE_MAX).is_empty());
    }

    #[test]
    fn the_number_of_segments_stays_logarithmic() {
        let mut segments: Vec<Candidate> = Vec::new();
        for _ in 0..20_000 {
            segments.push(candidate(2000));
            loop {
                let chosen = choose(&segments, u64::MAX);
                if chosen.is_empty() {
                    break;
                }
                let bytes = chosen
                    .iter()
                    .map(|&position| segments[position].bytes)
                    .sum();
                let mut position = 0;
                segments.retain(|_| {
                    position += 1;
                    !chosen.contains(&(position - 1))
                });
                segments.push(candidate(bytes));
            }
        }
        assert!(
            segments.len() <= 5 * (FAN_IN - 1),
            "{} segments",
            segments.len()
        );
    }

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
