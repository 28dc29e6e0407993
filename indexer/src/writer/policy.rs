//! Which segments to merge.
//!
//! Segments fall into tiers by their live bytes, each tier [`FAN_IN`] times the one below. Eight members of a tier become
//! one segment of the next, so a document is copied about once for each tier it climbs, and the number of segments grows
//! with the logarithm of the index. A segment with many deletes is rewritten alone.
//!
//! A caller that has little memory, disk or time passes a limit. Segments of more than half the limit stay as they are
//! then; smaller ones still merge, so their number stays bounded whatever the limit is.

use crate::numbers::DocCount;

/// Segments of one tier that are merged into one of the next. Fewer would copy documents more
/// often, more would make a cold reader open more segments.
pub(super) const FAN_IN: usize = 8;
/// Segments in one merge at most: each input takes memory and a descriptor. Twice the fan-in works off a backlog with
/// fewer copies.
pub(super) const MEMBERS_MAX: usize = 2 * FAN_IN;
/// Segments in one step of a full compaction at most: a backlog of 500 is compacted with two copies of each document.
const COMPACTION_MEMBERS_MAX: usize = 64;
/// The lowest tier ends here, in bytes.
const LOWEST_TIER: u64 = 32 * 1024;
/// Documents in a segment at most: tantivy refuses to merge into one of 2^31.
const DOCS_MAX: DocCount = DocCount::new((1 << 31) - 1);
/// A segment with more than one deleted document in so many is rewritten. Together with the limit of
/// tiers this keeps disk use under twice the live size.
const DELETED_ONE_IN: u64 = 4;
/// Merges of up to so many bytes happen inside a commit: some tens of milliseconds.
pub(super) const INLINE_MAX: u64 = 4 * 1024 * 1024;
/// An index with more segments than this has no maintenance that keeps up, so its commits merge more.
const INLINE_SEGMENTS: usize = 32;
/// Each time so many segments more than [`INLINE_SEGMENTS`] double what a commit may merge.
const INLINE_DOUBLES_EVERY: usize = 16;
/// At most four doublings, to 64 MiB: one or two seconds in one commit of thousands.
const INLINE_DOUBLINGS_MAX: usize = 4;

/// A segment that may be merged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) bytes: u64,
    pub(super) docs: DocCount,
    pub(super) deleted: DocCount,
}

impl Candidate {
    /// About the bytes that a merge makes of it.
    pub(super) fn live_bytes(self) -> u64 {
        if self.deleted == DocCount::ZERO {
            return self.bytes;
        }
        let bytes = u128::from(self.bytes) * u128::from(self.live_docs().get());
        u64::try_from(bytes / u128::from(self.docs.get().max(1))).unwrap_or(u64::MAX)
    }

    pub(super) fn live_docs(self) -> DocCount {
        self.docs.without(self.deleted)
    }

    fn rotten(self) -> bool {
        self.deleted.get().saturating_mul(DELETED_ONE_IN) > self.docs.get()
    }
}

/// Bytes that one commit to an index of so many segments may merge.
pub(super) fn inline_limit(segments: usize) -> u64 {
    let beyond = segments.saturating_sub(INLINE_SEGMENTS) / INLINE_DOUBLES_EVERY;
    INLINE_MAX << beyond.min(INLINE_DOUBLINGS_MAX)
}

/// The positions of candidates to merge next, of at most `limit_bytes` live bytes together; empty when all is well. Of a tier
/// the smallest are taken first.
pub(super) fn choose(candidates: &[Candidate], limit_bytes: u64) -> Vec<usize> {
    let sized = by_size(candidates, limit_bytes);
    for tier in sized.chunk_by(|one, other| one.tier() == other.tier()) {
        if tier.len() < FAN_IN {
            continue;
        }
        let fitting = fitting(tier, limit_bytes, MEMBERS_MAX);
        if fitting.len() >= FAN_IN || fitting.len() > 1 && fills(fitting, limit_bytes) {
            return positions(fitting);
        }
    }
    let rotten = sized.iter().find(|sized| sized.candidate.rotten());
    rotten.map(|sized| sized.position).into_iter().collect()
}

/// The positions of candidates to merge next in a full compaction, the smallest first taken, of at most `limit_bytes` live
/// bytes together. Empty when no two fit into one segment and none that fits has deletes.
pub(super) fn choose_all(candidates: &[Candidate], limit_bytes: u64) -> Vec<usize> {
    let sized = by_size(candidates, limit_bytes);
    let fitting = fitting(&sized, limit_bytes, COMPACTION_MEMBERS_MAX);
    if fitting.len() > 1 {
        return positions(fitting);
    }
    let dirty = sized
        .iter()
        .find(|sized| sized.candidate.deleted > DocCount::ZERO);
    dirty.map(|sized| sized.position).into_iter().collect()
}

/// A candidate, where it stands, and its live bytes.
#[derive(Clone, Copy, Debug)]
struct Sized {
    candidate: Candidate,
    position: usize,
    live_bytes: u64,
}

impl Sized {
    fn tier(&self) -> u32 {
        (self.live_bytes / LOWEST_TIER)
            .checked_ilog(FAN_IN as u64)
            .map_or(0, |tier| tier + 1)
    }
}

/// The candidates that fit into `limit_bytes` alone, smallest first, older first among equals.
fn by_size(candidates: &[Candidate], limit_bytes: u64) -> Vec<Sized> {
    let mut sized: Vec<Sized> = candidates
        .iter()
        .enumerate()
        .map(|(position, &candidate)| Sized {
            candidate,
            position,
            live_bytes: candidate.live_bytes(),
        })
        .filter(|sized| sized.live_bytes <= limit_bytes)
        .collect();
    sized.sort_by_key(|sized| sized.live_bytes);
    sized
}

/// The first of `sized`, at most `most`, that fit into one segment of `limit_bytes`.
fn fitting(sized: &[Sized], limit_bytes: u64, most: usize) -> &[Sized] {
    let (mut bytes, mut docs) = (0_u64, DocCount::ZERO);
    let fits = |sized: &&Sized| {
        bytes = bytes.saturating_add(sized.live_bytes);
        docs += sized.candidate.live_docs();
        bytes <= limit_bytes && docs <= DOCS_MAX
    };
    let count = sized.iter().take(most).take_while(fits).count();
    sized.get(..count).unwrap_or_default()
}

/// Whether a merge makes a segment that is past merging within `limit_bytes`, so that its documents are not copied under this
/// limit again.
fn fills(sized: &[Sized], limit_bytes: u64) -> bool {
    let bytes: u64 = sized.iter().map(|sized| sized.live_bytes).sum();
    let docs: DocCount = sized.iter().map(|s| s.candidate.live_docs()).sum();
    bytes >= limit_bytes / 2 || docs.get() >= DOCS_MAX.get() / 2
}

/// In the order of the candidates, so that documents keep theirs.
fn positions(sized: &[Sized]) -> Vec<usize> {
    let mut positions: Vec<usize> = sized.iter().map(|sized| sized.position).collect();
    positions.sort_unstable();
    positions
}

#[cfg(test)]
mod tests;
