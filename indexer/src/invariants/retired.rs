//! Rules about files that are no longer used.

use super::counts::applied_here;
use super::{Linked, Past, Verdict, ensure};
use crate::format::manifest::{Cause, ContainerId, Manifest};
use crate::format::retired::{RANGES_MAX, Retired};

/// I10: ranges are few, in order, and speak of files and versions that exist.
pub(super) fn ranges_are_sound(manifest: &Manifest) -> Verdict {
    let ranges = &manifest.body.retired;
    ensure(ranges.len() <= RANGES_MAX, "I10", manifest, || {
        format!(
            "it names {} ranges of retired files, and may name {RANGES_MAX}",
            ranges.len()
        )
    })?;
    let sound = |range: &Retired| {
        let numbers = range.from <= range.to && range.to <= manifest.version;
        numbers && range.since <= range.until && range.until <= manifest.version && range.files > 0
    };
    let unsound = ranges.iter().find(|range| !sound(range));
    ensure(unsound.is_none(), "I10", manifest, || {
        format!("a range of retired files is impossible: {unsound:?}")
    })
}

/// I10: a file that the base uses and this version does not is retired by it: readers of the base may need it for as long
/// as retention. What was retired before stays so at least as long, until a collection has waited for it.
pub(super) fn unused_files_are_retired(base: &Manifest, next: &Manifest) -> Verdict {
    let ranges = &next.body.retired;
    let used = next.files();
    for file in base.files().difference(&used) {
        let number = file.number();
        let lasts = |range: &Retired| {
            range.until == next.version && number.is_some_and(|number| range.contains(number))
        };
        ensure(ranges.iter().any(lasts), "I10", next, || {
            let path = file.path();
            format!("it neither uses nor retires {path}, which its base uses")
        })?;
    }
    if next.body.cause == Cause::Collect {
        return Ok(());
    }
    for old in &base.body.retired {
        let covers = |range: &Retired| {
            range.from <= old.from && old.to <= range.to && range.until >= old.until
        };
        ensure(ranges.iter().any(covers), "I10", next, || {
            format!("it is no collection, and no longer retires the files of {old:?}")
        })?;
    }
    Ok(())
}

/// I11: a collection names itself as the last one, and no other version does. By this number a writer learns that what it
/// has written, and no version names, may be gone.
pub(super) fn only_a_collection_counts_as_one(base: &Manifest, next: &Manifest) -> Verdict {
    let last = match next.body.cause {
        Cause::Collect => next.version,
        _ => base.body.collected,
    };
    ensure(next.body.collected == last, "I11", next, || {
        let named = next.body.collected;
        format!("it names version {named} as the last collection instead of {last}")
    })
}

/// I13: a commit of batches names only bundles that were made for it, and begins again with new ones when another writer
/// was first. An older bundle may have been taken for an orphan. (What merges, loads and jobs write before they take the
/// lock is judged by its age.)
pub(super) fn a_commit_names_only_its_own_bundles(base: &Manifest, next: &Manifest) -> Verdict {
    if next.body.cause != Cause::Commit || applied_here(next).next().is_none() {
        return Ok(());
    }
    let known = base.files();
    for container in &next.body.containers {
        let is_bundle = matches!(container.id, ContainerId::Bundle(_));
        let is_new = is_bundle && !known.contains(&container.id);
        let made_for_it = container.id.number() == Some(next.version);
        ensure(!is_new || made_for_it, "I13", next, || {
            let path = container.id.path();
            format!("it names {path}, which was made for an earlier version")
        })?;
    }
    Ok(())
}

/// I13: a file that a version does not use any more is used by no later one, since it may be collected.
pub(super) fn no_file_returns(past: &Past, next: &Linked) -> Verdict {
    let files = next.manifest.files();
    let returned = files.iter().find(|file| past.unused.contains(*file));
    ensure(returned.is_none(), "I13", &next.manifest, || {
        let path = returned.map(ContainerId::path).unwrap_or_default();
        format!("it uses {path}, which an earlier version has stopped to use")
    })
}
