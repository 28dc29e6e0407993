//! Rules about the segments that a version has, and takes over.

use std::collections::{HashMap, HashSet};

use super::{Verdict, Violation, ensure};
use crate::format::deletes::{Deletes, LISTED_MAX};
use crate::format::manifest::{Container, Manifest, Segment};
use crate::numbers::Version;

/// I27: a segment is there once and has a document that is alive, and the number of its deletes agrees with the list of
/// them. What is listed in all segments together is bounded, because every commit writes it.
pub(super) fn deletes_are_counted(manifest: &Manifest) -> Verdict {
    let mut seen = HashSet::new();
    let mut listed = 0;
    for segment in &manifest.body.segments {
        ensure(seen.insert(segment.id), "I27", manifest, || {
            format!("it lists the segment {} twice", segment.id)
        })?;
        let deletes = segment.deletes.as_ref();
        listed += deletes.map_or(0, |deletes| deletes.since.len());
        let counted = deletes.is_none_or(|deletes| agree(deletes, segment, manifest.version));
        ensure(counted && segment.max_doc > 0, "I27", manifest, || {
            format!(
                "the deletes of {} do not agree with its documents",
                segment.id
            )
        })?;
    }
    ensure(listed <= LISTED_MAX, "I27", manifest, || {
        format!("it lists {listed} deleted documents, and may list {LISTED_MAX}")
    })
}

fn agree(deletes: &Deletes, segment: &Segment, version: Version) -> bool {
    let listed = deletes.since.len() as u64;
    let count = u64::from(deletes.count);
    let listed_agree = match deletes.base {
        None => listed == count,
        Some(_) => listed < count,
    };
    let one_lives = 0 < deletes.count && deletes.count < segment.max_doc;
    listed_agree && one_lives && deletes.version <= version
}

/// I27: nothing in a segment changes except its deletes, and no delete is taken back. `deletes.version` is the version that
/// changed them, because readers keep the bitmap of a segment until that number changes.
pub(super) fn kept_segments_only_lose_documents(base: &Manifest, next: &Manifest) -> Verdict {
    let before: HashMap<_, _> = base.body.segments.iter().map(|old| (old.id, old)).collect();
    let used: HashSet<_> = base.body.containers.iter().map(|old| &old.id).collect();
    for segment in &next.body.segments {
        let container = container(next, segment)?;
        let Some(old) = before.get(&segment.id) else {
            ensure(!used.contains(&container.id), "I27", next, || {
                let path = container.id.path();
                format!("{} is new, and {path} is not", segment.id)
            })?;
            continue;
        };
        let same = (old.max_doc, old.ledger, &old.files, old.hot)
            == (segment.max_doc, segment.ledger, &segment.files, segment.hot);
        let same = same && self::container(base, old)?.id == container.id;
        ensure(same, "I27", next, || {
            format!("it describes {} in another way than its base", segment.id)
        })?;
        ensure(grow(old, segment, next.version), "I27", next, || {
            format!(
                "it takes deletes of {} back, or hides that they changed",
                segment.id
            )
        })?;
    }
    Ok(())
}

fn grow(before: &Segment, after: &Segment, version: Version) -> bool {
    match (&before.deletes, &after.deletes) {
        (before, Some(after)) if after.version == version => {
            before.as_ref().map_or(0, |before| before.count) <= after.count
        }
        (Some(before), Some(after)) => {
            (before.version, before.count) == (after.version, after.count)
        }
        (before, after) => before.is_none() && after.is_none(),
    }
}

fn container<'a>(manifest: &'a Manifest, segment: &Segment) -> Result<&'a Container, Violation> {
    let found = manifest.body.containers.get(segment.container);
    let detail = || format!("the container of {} is not listed", segment.id);
    found.ok_or_else(|| Violation::of("I27", manifest, detail()))
}
