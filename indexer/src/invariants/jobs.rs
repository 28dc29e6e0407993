//! Rules about jobs.

use super::counts::applied_here;
use super::{Verdict, ensure};
use crate::format::job::{ENDED_JOBS_MAX, Job, JobState, JobStatus};
use crate::format::manifest::{Applied, Cause, Manifest};
use crate::numbers::DocCount;

/// I19: while a job runs, a commit that changes a document names the keys it touched, and no bulk load is published. The
/// job would otherwise swap in what it read before. Without a job nothing is named.
pub(super) fn touched_keys_are_named(base: &Manifest, next: &Manifest) -> Verdict {
    let touched = !next.body.touched.is_empty();
    if base.body.job.is_none() || next.body.cause != Cause::Commit {
        return ensure(
            !touched,
            "I19",
            next,
            || "it names touched keys, and is no commit while a job runs",
        );
    }
    let changes = |applied: &Applied| {
        let counts = applied.counts;
        counts.created + counts.updated + counts.deleted > DocCount::ZERO
    };
    let batches = applied_here(next).count();
    ensure(
        batches > 0,
        "I19",
        next,
        || "it is a bulk load while a job runs",
    )?;
    ensure(
        touched || !applied_here(next).any(changes),
        "I19",
        next,
        || "it changes documents while a job runs, and names no keys",
    )
}

/// I20: there is one job at a time. It begins without a checkpoint, each checkpoint follows the one that the base names,
/// and every other version keeps the job as it is. Two processes that work on one job could otherwise both get on.
pub(super) fn a_checkpoint_follows_its_base(base: &Manifest, next: &Manifest) -> Verdict {
    let cause = next.body.cause;
    let follows = match (base.body.job.as_deref(), next.body.job.as_deref()) {
        (None, None) => !matches!(cause, Cause::Job | Cause::Swap),
        (None, Some(job)) => cause == Cause::Job && begins(job, base, next),
        (Some(_), None) => matches!(cause, Cause::Job | Cause::Swap),
        (Some(before), Some(after)) if cause == Cause::Job => advances(before, after, base),
        (Some(before), Some(after)) => cause != Cause::Swap && before == after,
    };
    ensure(follows, "I20", next, || {
        format!("its cause is {cause:?}, and its job does not follow from that of its base")
    })
}

fn begins(job: &Job, base: &Manifest, next: &Manifest) -> bool {
    let new = job.checkpoint.is_none() && job.status.checkpoints == 0;
    let from_here = job.status.started_version == next.version && job.replayed_to == next.version;
    new && from_here && job.lineage != base.lineage && job.status.state.is_running()
}

fn advances(before: &Job, after: &Job, base: &Manifest) -> bool {
    let same = (
        before.status.id,
        before.lineage,
        &before.definition,
        before.on_refused,
    ) == (
        after.status.id,
        after.lineage,
        &after.definition,
        after.on_refused,
    );
    let number = before.status.checkpoints + 1;
    let named = after.checkpoint.is_some_and(|named| named.number == number);
    let next = after.status.checkpoints == number && named && after.status.state.is_running();
    let replayed = (before.replayed_to..=base.version).contains(&after.replayed_to);
    same && next && replayed
}

/// I20: a job that ends is the newest of those that are remembered, with its outcome. Requests for its status, and processes
/// that still work on it, learn from that entry that it has ended.
pub(super) fn ended_jobs_are_remembered(base: &Manifest, next: &Manifest) -> Verdict {
    let (before, after) = (&base.body, &next.body);
    let (ended, kept) = match (&before.job, &after.job) {
        (Some(job), None) => match after.ended_jobs.split_first() {
            Some((ended, kept)) => (reports_end_of(ended, job, next), kept),
            None => (false, [].as_slice()),
        },
        _ => (true, after.ended_jobs.as_slice()),
    };
    let room = ENDED_JOBS_MAX - (after.ended_jobs.len() - kept.len());
    let expected = before.ended_jobs.iter().take(room);
    ensure(
        ended && kept.iter().eq(expected),
        "I20",
        next,
        || "the jobs that have ended do not follow from those of its base",
    )
}

fn reports_end_of(ended: &JobStatus, job: &Job, next: &Manifest) -> bool {
    let state = match next.body.cause {
        Cause::Swap => ended.state == JobState::Finished,
        _ => matches!(ended.state, JobState::Failed | JobState::Cancelled),
    };
    ended.id == job.status.id && ended.ended_version == Some(next.version) && state
}
