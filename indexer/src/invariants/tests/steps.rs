//! The cheap rules, each broken by one change to a version that keeps all of them.

use uuid::Uuid;

use super::build::*;
use super::*;
use crate::format::job::{Job, JobState};
use crate::format::manifest::{Cause, ContainerId, Counts, Span};
use crate::format::retired::RANGES_MAX;
use crate::numbers::{DocCount, LockGeneration, Version};

/// A rule, and a change that breaks it and nothing else.
pub(super) struct Case {
    pub(super) rule: &'static str,
    pair: Pair,
}

/// `pair` after `change`, which breaks `rule`.
fn case(rule: &'static str, mut pair: Pair, change: impl FnOnce(&mut Pair)) -> Case {
    change(&mut pair);
    Case { rule, pair }
}

/// The same for a change of the later version alone.
fn next(rule: &'static str, pair: Pair, change: impl FnOnce(&mut Manifest)) -> Case {
    case(rule, pair, |pair| change(&mut pair.next))
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = of_succession();
    cases.extend(of_references());
    cases.extend(of_batches_and_counts());
    cases.extend(of_retired_files());
    cases.extend(of_jobs());
    cases.extend(of_segments());
    cases
}

fn of_succession() -> Vec<Case> {
    let nil = Uuid::nil();
    vec![
        next("follows_its_base", commit(), |next| {
            next.body.previous = nil
        }),
        case("follows_its_base", commit(), |pair| {
            pair.base.version = NEXT
        }),
        next(
            "only_the_first_creates",
            after(&base(), Cause::Merge),
            |next| {
                next.body.cause = Cause::Create;
            },
        ),
        next("one_definition_in_a_lineage", commit(), |next| {
            next.lineage = nil
        }),
        next("one_definition_in_a_lineage", swap(), |next| {
            next.lineage = nil
        }),
        next("counters_never_go_back", commit(), |next| {
            next.epoch = next.epoch.next()
        }),
        next("counters_never_go_back", commit(), |next| {
            next.body.writer = nil
        }),
        case("counters_never_go_back", commit(), |pair| {
            pair.base.body.lock_generation = LockGeneration::FIRST.next();
        }),
        case("counters_never_go_back", commit(), |pair| {
            pair.base.body.batch_clock = 61;
        }),
        case("nothing_follows_a_deletion", commit(), |pair| {
            pair.base.body.cause = Cause::Delete;
        }),
        next("nothing_follows_a_deletion", merge(), |next| {
            next.body.cause = Cause::Delete;
        }),
    ]
}

fn of_references() -> Vec<Case> {
    const EXIST: &str = "refers_to_what_exists";
    const PLACES: &str = "sections_lie_in_their_file";
    const TAKEN_OVER: &str = "takes_over_only_what_its_base_uses";
    vec![
        next(EXIST, commit(), |next| next.pages_len += 1),
        next(EXIST, merge(), |next| {
            next.body.containers[0].id = bundle(NEXT.next())
        }),
        next(EXIST, merge(), |next| {
            next.body.containers[0].id = bundle_without_number()
        }),
        next(EXIST, merge(), |next| {
            next.body
                .containers
                .push(container(bundle(Version::FIRST), 1004));
        }),
        next(PLACES, commit(), |next| {
            next.body.segments[1].hot.offset = 0
        }),
        next(PLACES, commit(), |next| {
            let (offset, len) = (4090, 10);
            next.body.segments[0].hot_copy = Some(Span { offset, len });
        }),
        next(PLACES, merge(), |next| {
            next.body.segments[0].hot.offset = 1000
        }),
        next(TAKEN_OVER, merge(), |next| {
            next.body.containers[0].id = manifest_of(Version::new(5))
        }),
        next(TAKEN_OVER, commit(), |next| {
            next.body.containers[0].len += 1
        }),
        next("files_lie_in_pages", merge(), |next| {
            let files = &mut next.body.segments[0].files;
            files.values_mut().for_each(|span| span.offset = 904);
        }),
    ]
}

fn bundle_without_number() -> ContainerId {
    ContainerId::Bundle("orphan".to_owned())
}

fn of_batches_and_counts() -> Vec<Case> {
    const NAMES: &str = "names_only_what_it_applies_or_its_base_left";
    const MAINTENANCE: &str = "maintenance_keeps_every_document";
    vec![
        case(NAMES, commit(), |pair| {
            let mut again = pair.next.body.applied[1];
            again.version = BASE;
            pair.base.body.applied.push(again);
        }),
        next(NAMES, commit(), |next| {
            next.body.applied[0].in_inbox = false
        }),
        next(NAMES, commit(), |next| {
            next.body.applied[0].counts.created = DocCount::new(1)
        }),
        next(NAMES, merge(), |next| {
            next.body.applied.push(batch(40, NEXT, Counts::default()));
        }),
        next(NAMES, commit(), |next| next.body.batch_clock = 59),
        next("a_commit_adds_up", commit(), |next| {
            next.body.segments[0].deletes = deletes(BASE, &[1, 3]);
        }),
        // A bulk load.
        next("a_commit_adds_up", commit(), |next| {
            next.body.applied.pop();
            next.body.segments[1].max_doc -= 1;
        }),
        next(MAINTENANCE, merge(), |next| {
            next.body.segments[0].max_doc += 2
        }),
        next(MAINTENANCE, collection(), |next| {
            next.body.segments[0].deletes = deletes(NEXT, &[1, 2, 1]);
        }),
        next("a_rebuild_keeps_every_document", swap(), |next| {
            next.body.segments[0].max_doc -= 1;
        }),
        next("a_rebuild_keeps_every_document", swap(), |next| {
            next.body.segments[0].max_doc += 1;
        }),
        next("records_are_kept", swap(), |next| {
            next.body.segments[1].deletes = deletes(NEXT, &[0]);
        }),
        next("records_are_kept", commit(), |next| {
            next.body.segments[2].deletes = deletes(NEXT, &[0]);
        }),
    ]
}

fn of_retired_files() -> Vec<Case> {
    const SOUND: &str = "ranges_are_sound";
    const UNUSED: &str = "unused_files_are_retired";
    const COLLECTION: &str = "only_a_collection_counts_as_one";
    vec![
        next(SOUND, commit(), |next| next.body.retired[0].since = BASE),
        next(SOUND, commit(), |next| {
            let ranges = &mut next.body.retired;
            ranges.extend(vec![ranges[0]; RANGES_MAX]);
        }),
        next(UNUSED, commit(), |next| next.body.retired.truncate(1)),
        next(UNUSED, commit(), |next| {
            let range = &mut next.body.retired[1];
            (range.since, range.until) = (BASE, BASE);
        }),
        next(UNUSED, commit(), |next| {
            next.body.retired.remove(0);
        }),
        next(UNUSED, merge(), |next| {
            next.body.retired[0].until = Version::new(5)
        }),
        next(COLLECTION, commit(), |next| next.body.collected = NEXT),
        next(COLLECTION, collection(), |next| {
            next.body.collected = Version::new(4)
        }),
        next("a_commit_names_only_its_own_bundles", commit(), |next| {
            // The segment lies in a bundle of an earlier attempt.
            next.body.containers[1] = container(bundle(BASE), 1005);
            next.body.segments[1].hot.offset = 2000;
            next.pages_len = 0;
        }),
    ]
}

fn of_jobs() -> Vec<Case> {
    const TOUCHED: &str = "touched_keys_are_named";
    const CHECKPOINT: &str = "a_checkpoint_follows_its_base";
    const ENDED: &str = "ended_jobs_are_remembered";
    let cancelled = || job_ends(Cause::Job, JobState::Cancelled);
    fn job(manifest: &mut Manifest) -> &mut Job {
        manifest.body.job.as_mut().unwrap()
    }
    vec![
        next(TOUCHED, commit_during_job(), |next| {
            next.body.touched.clear()
        }),
        next(TOUCHED, commit(), |next| {
            next.body.touched.push("a".to_owned())
        }),
        // A bulk load.
        next(TOUCHED, commit_during_job(), |next| {
            next.body.applied.truncate(1)
        }),
        next(CHECKPOINT, job_begins(), |next| {
            job(next).replayed_to = BASE
        }),
        next(CHECKPOINT, job_begins(), |next| next.body.job = None),
        next(CHECKPOINT, job_advances(), |next| {
            job(next).status.checkpoints = 2
        }),
        next(CHECKPOINT, job_advances(), |next| {
            job(next).checkpoint = None
        }),
        next(CHECKPOINT, job_advances(), |next| {
            job(next).replayed_to = NEXT
        }),
        next(CHECKPOINT, job_advances(), |next| {
            job(next).replayed_to = Version::new(5)
        }),
        next(CHECKPOINT, job_advances(), |next| {
            job(next).status.id = Uuid::nil()
        }),
        next(CHECKPOINT, commit_during_job(), |next| {
            job(next).replayed_to = BASE
        }),
        next(ENDED, cancelled(), |next| next.body.ended_jobs.clear()),
        next(ENDED, cancelled(), |next| {
            next.body.ended_jobs[0].state = JobState::Finished;
        }),
        next(ENDED, commit(), |next| {
            next.body.ended_jobs = cancelled().next.body.ended_jobs;
        }),
    ]
}

fn of_segments() -> Vec<Case> {
    const COUNTED: &str = "deletes_are_counted";
    const KEPT: &str = "kept_segments_only_lose_documents";
    vec![
        next(COUNTED, commit(), |next| {
            next.body.segments[0].deletes.as_mut().unwrap().since.pop();
        }),
        case(COUNTED, collection(), |pair| {
            for manifest in [&mut pair.base, &mut pair.next] {
                manifest.body.segments[1].deletes = deletes(BASE, &[0, 1, 1, 1]);
            }
        }),
        next(KEPT, collection(), |next| {
            next.body.segments[1].hot.offset += 1
        }),
        next(KEPT, commit(), |next| {
            next.body.segments[0].deletes.as_mut().unwrap().version = BASE;
        }),
        next(KEPT, merge(), |next| {
            // A new segment in a file that is not.
            next.body.containers[0] = container(bundle(Version::new(5)), 1000);
        }),
    ]
}

#[test]
fn what_keeps_the_rules_is_let_through() {
    let mut load = commit();
    load.next.body.applied.truncate(1);
    let mut skipped = swap();
    skipped.next.body.segments[0].max_doc -= 1;
    skipped.next.body.ended_jobs[0].refused = DocCount::ONE;
    for (what, pair) in [
        ("a commit", commit()),
        ("a bulk load", load),
        ("a merge", merge()),
        ("a collection", collection()),
        ("a deletion", deletion()),
        ("the start of a job", job_begins()),
        ("a checkpoint", job_advances()),
        ("a commit while a job runs", commit_during_job()),
        ("the end of a job", job_ends(Cause::Job, JobState::Failed)),
        ("a swap", swap()),
        ("a swap that leaves a document out", skipped),
    ] {
        assert_eq!(broken_by(&pair), Vec::<&str>::new(), "{what}");
    }
}

#[test]
fn each_change_breaks_its_rule_and_no_other() {
    for (number, Case { rule, pair }) in cases().iter().enumerate() {
        assert_eq!(broken_by(pair), [*rule], "case {number}");
    }
}
