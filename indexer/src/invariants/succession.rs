//! Rules about how one version follows another.

use std::fmt::Display;

use super::{Verdict, ensure};
use crate::format::manifest::{Cause, Manifest};
use crate::numbers::Version;

/// I1: version N+1 is built on one manifest of version N, and names it. By this name a cold start distinguishes a ghost from a
/// version that was not announced.
pub(super) fn follows_its_base(base: &Manifest, next: &Manifest) -> Verdict {
    ensure(next.version == base.version.next(), "I1", next, || {
        format!("it is built on version {}", base.version)
    })?;
    let named = next.body.previous == base.nonce && next.nonce != base.nonce;
    ensure(named, "I1", next, || {
        format!("it does not name {} as the version before", base.path())
    })
}

/// I1: creating an index makes its first version and no other, so that a history has one beginning.
pub(super) fn only_the_first_creates(manifest: &Manifest) -> Verdict {
    let creates = manifest.body.cause == Cause::Create;
    ensure(
        creates == (manifest.version == Version::FIRST),
        "I1",
        manifest,
        || format!("its cause is {:?}", manifest.body.cause),
    )
}

/// I18: the mapping stays the same in a lineage, since the numbers of its fields are in every segment. Only a swap changes
/// both, to those of the job that ends with it.
pub(super) fn one_definition_in_a_lineage(base: &Manifest, next: &Manifest) -> Verdict {
    let swapped = match &base.body.job {
        Some(job) if next.body.cause == Cause::Swap => (job.lineage, &job.definition),
        _ => (base.lineage, &base.body.definition),
    };
    ensure(
        (next.lineage, &next.body.definition) == swapped,
        "I18",
        next,
        || "its lineage or its definition is not the one that its base leads to",
    )
}

/// I26: epoch, lock generation, batch clock and the last collection never go back, because processes compare them with
/// what they saw earlier. The epoch grows by one when another writer publishes than the one before.
pub(super) fn counters_never_go_back(base: &Manifest, next: &Manifest) -> Verdict {
    let same_writer = base.body.writer == next.body.writer;
    let epoch = if same_writer {
        base.epoch
    } else {
        base.epoch.next()
    };
    ensure(next.epoch == epoch, "I26", next, || {
        format!("its epoch is {} instead of {epoch}", next.epoch)
    })?;
    let (before, after) = (&base.body, &next.body);
    let generations = (before.lock_generation, after.lock_generation);
    never_goes_back("lock generation", generations, next)?;
    let clocks = (before.batch_clock, after.batch_clock);
    never_goes_back("batch clock", clocks, next)?;
    let collections = (before.collected, after.collected);
    never_goes_back("last collection", collections, next)
}

fn never_goes_back<T: Ord + Display>(
    what: &str,
    (before, after): (T, T),
    next: &Manifest,
) -> Verdict {
    ensure(before <= after, "I26", next, || {
        format!("its {what} goes back from {before} to {after}")
    })
}

/// I28: nothing follows a version that deletes the index, and that version has no segments. Otherwise a writer that did
/// not know of the deletion would acknowledge documents that are being removed.
pub(super) fn nothing_follows_a_deletion(base: &Manifest, next: &Manifest) -> Verdict {
    ensure(
        base.body.cause != Cause::Delete,
        "I28",
        next,
        || "the version before it deleted the index",
    )?;
    let deletes = next.body.cause == Cause::Delete;
    ensure(
        !deletes || next.body.segments.is_empty(),
        "I28",
        next,
        || "it deletes the index and has segments",
    )
}
