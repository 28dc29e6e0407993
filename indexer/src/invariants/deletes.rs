//! A rule about the deleted documents themselves.

use std::collections::HashMap;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{Verdict, Violation, ensure};
use crate::error::Result;
use crate::format::damaged;
use crate::format::manifest::{Manifest, Segment};
use crate::format::section::SectionId;
use crate::snapshot::Snapshot;

/// I27: the deleted documents of a segment are as many as the manifest counts, are documents of that segment, and include
/// those that its base has deleted. A document that comes back could be older than one that was acknowledged.
pub(super) fn deletes_only_grow(base: &Snapshot, next: &Manifest) -> Verdict {
    let unread = |error| Violation::of("I27", next, format!("its deletes cannot be read: {error}"));
    let carried: HashMap<_, _> = next.carried().map_err(unread)?.into_iter().collect();
    let before = base.manifest().body.segments.iter();
    let before: HashMap<_, _> = before.map(|old| (old.id, old)).collect();
    for segment in &next.body.segments {
        let old = before.get(&segment.id).copied();
        let deleted = deleted(base, old, next, segment, &carried).map_err(unread)?;
        let gone = match old {
            Some(old) => base.deletes(old).map_err(unread)? - &deleted,
            None => RoaringBitmap::new(),
        };
        let count = segment.deletes.as_ref().map_or(0, |deletes| deletes.count);
        let counted = deleted.len() == u64::from(count);
        let inside = deleted.max().is_none_or(|last| last < segment.max_doc);
        ensure(gone.is_empty() && counted && inside, "I27", next, || {
            let (listed, taken_back) = (deleted.len(), gone.len());
            format!(
                "the segment {} has {} documents and counts {count} deletes, and {listed} are listed; {taken_back} are taken \
                 back",
                segment.id, segment.max_doc
            )
        })?;
    }
    Ok(())
}

/// All deleted documents of a segment of `next`. Their bitmap is in `next` itself, or in memory with the base.
fn deleted(
    base: &Snapshot,
    old: Option<&Segment>,
    next: &Manifest,
    segment: &Segment,
    carried: &HashMap<SectionId, &[u8]>,
) -> Result<RoaringBitmap> {
    let Some(deletes) = &segment.deletes else {
        return Ok(RoaringBitmap::new());
    };
    let path = next.path();
    let listed = deletes.listed(&path)?;
    let Some(written) = &deletes.base else {
        return Ok(listed);
    };
    let known = old.map(|old| base.deleted(old)).transpose()?.flatten();
    let known = known.and_then(|known| known.base.as_ref());
    let bitmap = match (carried.get(&written.section().id), known) {
        (Some(bytes), _) => Arc::new(written.decode(bytes)?),
        (None, Some((held, bitmap))) if held == written => Arc::clone(bitmap),
        (None, _) => return Err(damaged(&path, "a reference to a bitmap")),
    };
    match bitmap.is_disjoint(&listed) {
        true => Ok(bitmap.as_ref() | listed),
        false => Err(damaged(&path, "a list of deletes that are in the bitmap")),
    }
}
