//! Versions that keep every rule.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::format::deletes::Deletes;
use crate::format::job::{CheckpointId, Job, JobState, JobStatus, OnRefused, Position};
use crate::format::manifest::{
    Applied, Body, Cause, Container, ContainerId, Counts, Manifest, Segment, Span,
};
use crate::format::prefix::HEADER;
use crate::format::retired::{Retired, retire};
use crate::layout::{BatchId, ManifestName, bundle_name};
use crate::mapping::Definition;
use crate::numbers::{DocCount, Epoch, Version};

/// A version and its base.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) base: Manifest,
    pub(super) next: Manifest,
}

/// The version of the base.
pub(super) const BASE: Version = Version::new(7);
pub(super) const NEXT: Version = BASE.next();
/// The one before the base.
pub(super) const BEFORE: Version = Version::new(6);

fn id(number: u64) -> Uuid {
    Uuid::from_u128(number.into())
}

/// The nonce of a version.
fn nonce(version: Version) -> Uuid {
    id(version.get())
}

/// The manifest of a version.
pub(super) fn manifest_of(version: Version) -> ContainerId {
    let nonce = nonce(version);
    ContainerId::Manifest(ManifestName { version, nonce })
}

/// A bundle that was made for a version.
pub(super) fn bundle(version: Version) -> ContainerId {
    ContainerId::Bundle(bundle_name(version, nonce(version)))
}

pub(super) fn container(id: ContainerId, len: u64) -> Container {
    let (uuid, base) = (Uuid::from_u128(len.into()), 0);
    Container {
        id,
        uuid,
        base,
        len,
    }
}

pub(super) fn segment(number: u64, max_doc: u32, container: usize) -> Segment {
    let (offset, len) = (0, 100);
    Segment {
        id: id(number),
        max_doc,
        ledger: false,
        container,
        files: BTreeMap::from([("term".to_owned(), Span { offset, len })]),
        hot: Span {
            offset: 2000,
            len: 10,
        },
        hot_copy: None,
        deletes: None,
    }
}

pub(super) fn deletes(version: Version, since: &[u32]) -> Option<Deletes> {
    Some(Deletes {
        count: u32::try_from(since.len()).unwrap(),
        version,
        base: None,
        since: since.to_vec(),
    })
}

pub(super) fn batch(clock: u64, version: Version, counts: Counts) -> Applied {
    Applied {
        batch: BatchId { clock, random: 1 },
        version,
        counts,
        in_inbox: true,
    }
}

/// Version 7: two segments of documents, of which one has deletes, and one of records.
pub(super) fn base() -> Manifest {
    let mut body = Body::empty(Cause::Commit, 0, Definition::default());
    body.writer = id(900);
    body.previous = nonce(BEFORE);
    body.batch_clock = 50;
    body.collected = Version::new(4);
    body.containers = vec![
        container(bundle(Version::new(5)), 1000),
        container(bundle(BEFORE), 1001),
        container(manifest_of(BEFORE), 200),
    ];
    body.segments = vec![segment(100, 10, 0), segment(101, 4, 1), segment(102, 3, 2)];
    body.segments[0].deletes = deletes(BASE, &[1, 3]);
    body.segments[2].ledger = true;
    body.applied = vec![batch(50, BASE, Counts::default())];
    body.retired = vec![Retired {
        from: Version::new(3),
        to: Version::new(4),
        since: Version::new(5),
        until: BEFORE,
        files: 2,
    }];
    let mut base = Manifest::empty(BASE, id(800), body);
    base.nonce = nonce(BASE);
    base.epoch = Epoch::new(3);
    base.pages_base = 4096;
    base
}

/// A version after `base` that changes nothing in it.
pub(super) fn after(base: &Manifest, cause: Cause) -> Pair {
    let mut next = base.clone();
    next.version = base.version.next();
    next.nonce = nonce(next.version);
    next.body.previous = base.nonce;
    next.body.cause = cause;
    next.body.applied.retain(|entry| entry.in_inbox);
    next.pages_len = 0;
    if cause == Cause::Collect {
        next.body.collected = next.version;
    }
    let base = base.clone();
    Pair { base, next }
}

/// One batch creates a document and deletes another. The second segment is merged with the new document.
pub(super) fn commit() -> Pair {
    let mut pair = after(&base(), Cause::Commit);
    let body = &mut pair.next.body;
    body.containers[1] = container(manifest_of(NEXT), 150);
    body.containers[1].base = 4096;
    (pair.next.pages_base, pair.next.pages_len) = (4096, 154);
    body.segments[0].deletes = deletes(NEXT, &[1, 2, 1]);
    body.segments[1] = segment(103, 5, 1);
    body.segments[1].hot.offset = HEADER as u64;
    retire(&mut body.retired, [BEFORE], NEXT);
    let counts = Counts {
        created: DocCount::ONE,
        deleted: DocCount::ONE,
        ..Counts::default()
    };
    body.applied.push(batch(60, NEXT, counts));
    body.batch_clock = 60;
    pair
}

/// A job that began with `version`.
pub(super) fn job(version: Version) -> Job {
    let status = JobStatus {
        id: id(700),
        state: JobState::Building,
        source: None,
        documents: DocCount::ZERO,
        total: None,
        done: 0,
        replayed: DocCount::ZERO,
        refused: DocCount::ZERO,
        refusals: Vec::new(),
        checkpoints: 0,
        started_version: version,
        ended_version: None,
        started_ms: 0,
        updated_ms: 0,
        error: None,
    };
    Job {
        status,
        on_refused: OnRefused::Fail,
        definition: Definition::default(),
        lineage: id(801),
        position: Position::Start,
        replayed_to: version,
        checkpoint: None,
    }
}

/// The identity of a checkpoint.
pub(super) fn checkpoint(number: u64) -> CheckpointId {
    CheckpointId {
        number,
        nonce: id(number),
        len: 4096,
    }
}

/// A base with a job that runs.
fn working() -> Manifest {
    let mut base = base();
    base.body.job = Some(Box::new(job(BEFORE)));
    base
}

pub(super) fn job_begins() -> Pair {
    let mut pair = after(&base(), Cause::Job);
    pair.next.body.job = Some(Box::new(job(NEXT)));
    pair
}

pub(super) fn job_advances() -> Pair {
    let mut pair = after(&working(), Cause::Job);
    let job = pair.next.body.job.as_mut().unwrap();
    job.checkpoint = Some(checkpoint(1));
    job.status.checkpoints = 1;
    job.replayed_to = BASE;
    pair
}

/// The job is cancelled, or ends with a swap.
pub(super) fn job_ends(cause: Cause, state: JobState) -> Pair {
    let mut pair = after(&working(), cause);
    let job = pair.next.body.job.take().unwrap();
    let mut status = job.status;
    (status.state, status.ended_version) = (state, Some(NEXT));
    pair.next.body.ended_jobs = vec![status];
    pair
}

/// What the job has built takes the place of the documents.
pub(super) fn swap() -> Pair {
    let mut pair = job_ends(Cause::Swap, JobState::Finished);
    let body = &mut pair.next.body;
    body.containers
        .splice(..2, [container(bundle(Version::new(2)), 1002)]);
    body.segments.splice(..2, [segment(104, 12, 0)]);
    body.segments[1].container = 1;
    retire(&mut body.retired, [Version::new(5), BEFORE], NEXT);
    pair.next.lineage = id(801);
    pair
}

pub(super) fn commit_during_job() -> Pair {
    let mut pair = commit();
    for manifest in [&mut pair.base, &mut pair.next] {
        manifest.body.job = Some(Box::new(job(BEFORE)));
    }
    pair.next.body.touched = vec!["a".to_owned(), "b".to_owned()];
    pair
}

/// A merge of the two segments of documents into a bundle.
pub(super) fn merge() -> Pair {
    let mut pair = after(&base(), Cause::Merge);
    let body = &mut pair.next.body;
    body.containers.splice(..2, [container(bundle(BASE), 1003)]);
    body.segments.splice(..2, [segment(105, 12, 0)]);
    body.segments[1].container = 1;
    retire(&mut body.retired, [Version::new(5), BEFORE], NEXT);
    pair
}

pub(super) fn collection() -> Pair {
    let mut pair = after(&base(), Cause::Collect);
    pair.next.body.retired.clear();
    pair
}

pub(super) fn deletion() -> Pair {
    let mut pair = after(&base(), Cause::Delete);
    let body = &mut pair.next.body;
    body.containers.clear();
    body.segments.clear();
    retire(&mut body.retired, [Version::new(5), BEFORE, BEFORE], NEXT);
    pair
}
