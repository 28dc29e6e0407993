//! Rules about the batches that versions apply.

use std::collections::{HashMap, HashSet};

use super::counts::applied_here;
use super::{Linked, Past, Verdict, ensure};
use crate::format::manifest::{Cause, Manifest};

/// I7: a version names two kinds of batches: those that it applies, which its base does not name, and those of its base whose
/// files may still be in the inbox, unchanged. Only a commit applies batches.
pub(super) fn names_only_what_it_applies_or_its_base_left(
    base: &Manifest,
    next: &Manifest,
) -> Verdict {
    let before = base.body.applied.iter();
    let before: HashMap<_, _> = before.map(|entry| (entry.batch, entry)).collect();
    let mut seen = HashSet::new();
    for entry in &next.body.applied {
        let known = before.get(&entry.batch).copied();
        let right = match entry.version == next.version {
            true => known.is_none() && next.body.cause == Cause::Commit,
            false => entry.in_inbox && known == Some(entry),
        };
        ensure(right && seen.insert(entry.batch), "I7", next, || {
            let (batch, version) = (entry.batch, entry.version);
            format!(
                "it names the batch {batch} of version {version}, which does not follow from its base"
            )
        })?;
        ensure(
            entry.batch.clock <= next.body.batch_clock,
            "I7",
            next,
            || format!("its batch clock is behind the batch {}", entry.batch),
        )?;
    }
    Ok(())
}

/// I8: a batch becomes visible in one version and no other, also when its writer could not know whether an attempt
/// succeeded.
pub(super) fn applies_each_batch_once(past: &Past, next: &Linked) -> Verdict {
    let mut applied = applied_here(&next.manifest);
    let twice = applied.find(|entry| past.applied.contains(&entry.batch));
    ensure(twice.is_none(), "I8", &next.manifest, || {
        let batch = twice.map(|entry| entry.batch);
        format!("an earlier version has applied the batch {batch:?} already")
    })
}
