//! Rules about the number of documents and records.

use super::{Verdict, ensure};
use crate::format::manifest::{Applied, Cause, Manifest, Segment};
use crate::numbers::DocCount;

/// I9: a commit has as many documents more than its base as its batches have created and not deleted. A document that was
/// replaced and is still alive would be one too many. A bulk load names no batches; it only adds and replaces.
pub(super) fn a_commit_adds_up(base: &Manifest, next: &Manifest) -> Verdict {
    if next.body.cause != Cause::Commit {
        return Ok(());
    }
    let (before, after) = (base.body.live_docs(), next.body.live_docs());
    let (mut created, mut deleted, mut loads) = (DocCount::ZERO, DocCount::ZERO, true);
    for Applied { counts, .. } in applied_here(next) {
        created += counts.created;
        deleted += counts.deleted;
        loads = false;
    }
    let adds_up = match loads {
        true => before <= after,
        false => before + created == after + deleted,
    };
    ensure(adds_up, "I9", next, || {
        format!("{before} documents, {created} created and {deleted} deleted do not make {after}")
    })
}

/// I14: a merge, a collection and a checkpoint keep every document and delete none. A merge that forgot what was deleted
/// while it ran would bring documents back.
pub(super) fn maintenance_keeps_every_document(base: &Manifest, next: &Manifest) -> Verdict {
    if !matches!(next.body.cause, Cause::Merge | Cause::Collect | Cause::Job) {
        return Ok(());
    }
    let (before, after) = (base.body.live_docs(), next.body.live_docs());
    ensure(before == after, "I14", next, || {
        format!(
            "its cause is {:?}, and it makes {after} documents of {before}",
            next.body.cause
        )
    })
}

/// I22: a rebuild from the stored documents keeps every document except those that it may leave out. An accepted document stays
/// in the index whatever its mapping has become.
pub(super) fn a_rebuild_keeps_every_document(base: &Manifest, next: &Manifest) -> Verdict {
    let job = base.body.job.as_deref();
    if next.body.cause != Cause::Swap || job.is_none_or(|job| job.status.source.is_some()) {
        return Ok(());
    }
    let ended = next.body.ended_jobs.first();
    let refused = ended.map_or(DocCount::ZERO, |ended| ended.refused);
    let (before, after) = (base.body.live_docs(), next.body.live_docs());
    let kept = after <= before && before <= after + refused;
    ensure(kept, "I22", next, || {
        format!("it makes {after} documents of {before}, and {refused} were left out")
    })
}

/// I23: a commit only adds records to the ledger or replaces them, and a merge drops those that have expired. A swap takes
/// the ledger over. A lost record would let an old event undo a newer one.
pub(super) fn records_are_kept(base: &Manifest, next: &Manifest) -> Verdict {
    let (before, after) = (records(base), records(next));
    let kept = match next.body.cause {
        Cause::Commit => before <= after,
        Cause::Merge => before >= after,
        Cause::Collect | Cause::Job | Cause::Swap => before == after,
        Cause::Create | Cause::Delete => true,
    };
    ensure(kept, "I23", next, || {
        format!(
            "its cause is {:?}, and it makes {after} records of {before}",
            next.body.cause
        )
    })
}

/// The batches that became visible in this version.
pub(super) fn applied_here(manifest: &Manifest) -> impl Iterator<Item = &Applied> {
    let version = manifest.version;
    let applied = manifest.body.applied.iter();
    applied.filter(move |entry| entry.version == version)
}

fn records(manifest: &Manifest) -> DocCount {
    let segments = manifest.body.segments.iter();
    let ledger = segments.filter(|segment| segment.ledger);
    ledger.map(Segment::live_docs).sum()
}
