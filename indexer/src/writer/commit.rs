//! A commit: a group of batches becomes one version.

use std::borrow::Cow;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::ahead::{Ahead, Input};
use super::attempts::{self, Attempt, Work};
use super::draft::{Draft, Kind, Stamp};
use super::fit::{self, Fit, Size};
use super::lock::Held;
use super::merge;
use super::policy::{self, Candidate};
use super::publish::Published;
use super::resolve::resolve;
use super::scratch::RawSegment;
use super::{Writer, build, ledger, pack};
use crate::config::Step;
use crate::document::Document;
use crate::error::{Error, Result};
use crate::format::manifest::{Applied, Cause, ContainerId, Counts};
use crate::inbox::Batch;
use crate::layout::BatchId;
use crate::mapping::IndexSchema;
use crate::snapshot::Snapshot;

/// A batch on its way into a commit.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: BatchId,
    pub(super) batch: Arc<Batch>,
    /// Whether it lies in the inbox.
    pub(super) stored: bool,
}

/// What a commit came to, and what each member did.
#[derive(Debug)]
pub(super) enum Committed {
    /// A new version.
    Version(Box<Published>, Vec<Counts>),
    /// No member changes the version that it was to be applied to, so that this stays the newest.
    Nothing(Vec<Counts>),
}

/// Why there is no new version.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another writer was first; nothing was published.
    Fenced(Error),
    /// Something failed before anything was published.
    Nothing(Error),
    /// Something failed afterwards, or nobody knows.
    Unknown(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Nothing(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fenced(error) | Failure::Nothing(error) | Failure::Unknown(error) => error,
        }
    }
}

impl Writer {
    /// Applies `members`, in order, to `base` and publishes the result, if there is any. Gives what each did.
    pub(super) fn commit(
        &self,
        base: &Arc<Snapshot>,
        held: &Held,
        members: &[Member],
        unconfirmed: Vec<Applied>,
    ) -> Result<Committed, Failure> {
        let started = self.clock.now();
        self.config.observer.reached(Step::BeforeBundle);
        let schema = base.schema();
        let read: Vec<Cow<'_, Batch>> = members
            .iter()
            .map(|member| member.batch.read_with(schema))
            .collect();
        let batches: Vec<&Batch> = read.iter().map(|batch| &**batch).collect();
        let resolution = resolve(base, &batches, self.clock.wall_ms())?;
        if resolution.is_empty() && may_pass(base, members) {
            return Ok(Committed::Nothing(resolution.counts));
        }
        let mut draft = Draft::new(Arc::clone(base), Cause::Commit, &*self.ids);
        for (&position, docs) in &resolution.deletes {
            draft.delete(position, docs)?;
        }
        let memory = self.config.writer_memory_bytes;
        let budget = &self.config.budget;
        let mut segments = build::build(&resolution.documents, schema, memory, budget)?;
        let limit = policy::inline_limit(draft.kept(Kind::Documents).count() + segments.len());
        self.merge_inline(&mut draft, &mut segments, Kind::Documents, limit)?;
        let records: Vec<&Document> = resolution.records.iter().collect();
        let mut records = build::build(&records, ledger::schema(), memory, budget)?;
        self.merge_inline(&mut draft, &mut records, Kind::Ledger, policy::INLINE_MAX)?;
        segments.append(&mut records);
        let mut bundle = None;
        if !segments.is_empty() {
            let mount = &self.follower.source().mount;
            let packed = pack::pack(&segments, &**mount, &*self.ids, draft.name())?;
            drop(segments);
            bundle = Some(packed.container.id.clone());
            draft.add(packed, Vec::new());
        }
        if base.manifest().body.job.is_some() {
            draft.touched = resolution.touched;
        }
        let version = draft.version();
        draft.applied = unconfirmed;
        draft.applied.extend(
            members
                .iter()
                .zip(&resolution.counts)
                .map(|(member, counts)| Applied {
                    batch: member.id,
                    version,
                    counts: *counts,
                    in_inbox: member.stored,
                }),
        );
        let latest = members
            .iter()
            .map(|member| member.id.clock)
            .max()
            .unwrap_or(0);
        match self.publish(draft, held, latest) {
            Ok(published) => {
                let took = self.clock.now().saturating_duration_since(started);
                self.follower.counters().committed(members.len(), took);
                Ok(Committed::Version(Box::new(published), resolution.counts))
            }
            Err(failure) => {
                // A bundle that certainly belongs to no version takes up room for nothing.
                if let (
                    Failure::Fenced(_) | Failure::Nothing(_),
                    Some(id @ ContainerId::Bundle(_)),
                ) = (&failure, &bundle)
                {
                    self.publisher.remove(&id.path());
                }
                Err(failure)
            }
        }
    }

    /// Publishes a draft under the lock.
    pub(super) fn publish(
        &self,
        draft: Draft,
        held: &Held,
        latest: u64,
    ) -> Result<Published, Failure> {
        let base = Arc::clone(draft.base());
        let stamp = Stamp {
            writer: self.id,
            written_ms: self.clock.wall_ms(),
            lock_generation: held.generation,
        };
        let (manifest, pages) = draft.finish(stamp, latest)?;
        let published = self.publisher.publish(&base, manifest, &pages);
        if matches!(published, Err(Failure::Fenced(_))) {
            self.follower.counters().fenced();
        }
        published
    }

    /// What may come after the answer.
    pub(super) fn finish(&self, base: &Snapshot, published: &Published) -> Result<()> {
        let (manifest, file) = (published.manifest.clone(), Arc::clone(&published.file));
        let snapshot = self.follower.adopt(base, manifest, file)?;
        self.publisher.finish(published, &snapshot);
        Ok(())
    }
}

/// Whether a commit that changes nothing need not be published. A batch out of the inbox is published in any case, since
/// only the manifest says that it was applied: it would be applied again if its file stayed. So is one that comes
/// while a job runs: what it deletes may be in what the job builds.
fn may_pass(base: &Snapshot, members: &[Member]) -> bool {
    base.manifest().body.job.is_none() && members.iter().all(|member| !member.stored)
}

impl Writer {
    /// Merges small segments of the base and new ones of the same kind, of at most `limit` bytes.
    pub(super) fn merge_inline(
        &self,
        draft: &mut Draft,
        segments: &mut Vec<RawSegment>,
        kind: Kind,
        limit: u64,
    ) -> Result<()> {
        let kept: Vec<usize> = draft.kept(kind).collect();
        let mut candidates = candidates(draft, &kept)?;
        candidates.extend(segments.iter().map(|segment| Candidate {
            bytes: segment.bytes(),
            docs: u64::from(segment.max_doc),
            deleted: 0,
        }));
        let fit = Fit {
            budget: &self.config.budget,
            in_time: None,
            unharmed: None,
        };
        let mut chosen = policy::choose(&candidates, limit);
        chosen.truncate(fit.inputs());
        if chosen.is_empty() {
            return Ok(());
        }
        let schema = Arc::clone(draft.schema(kind));
        let ahead = Ahead::of(chosen.len(), &self.config.budget);
        let (old, new): (Vec<usize>, Vec<usize>) = chosen
            .into_iter()
            .partition(|&position| position < kept.len());
        let old: Vec<usize> = old.iter().filter_map(|&at| kept.get(at).copied()).collect();
        let mut inputs = inputs(draft, &old, draft.deletes_of(&old)?, &schema, &ahead)?;
        let mut rest = Vec::new();
        for (position, segment) in segments.drain(..).enumerate() {
            if new.contains(&(position + kept.len())) {
                inputs.push(Input::of_raw(&segment, &schema)?);
            } else {
                rest.push(segment);
            }
        }
        let mount = &self.follower.source().mount;
        let size = Size::of_inputs(&inputs);
        let _attempt = self.attempt(size.bytes)?;
        let place = fit::place(&size, &self.config.budget, mount, &self.ids);
        rest.extend(merge::merge(&inputs, &schema, place)?);
        *segments = rest;
        old.into_iter().for_each(|position| draft.remove(position));
        Ok(())
    }

    /// Writes a merge down before it begins, if it is large.
    pub(super) fn attempt(&self, bytes: u64) -> Result<Option<Attempt>> {
        if bytes < attempts::MERGE_FROM {
            return Ok(None);
        }
        let mount = &self.follower.source().mount;
        let memory = self.config.budget.memory_bytes();
        attempts::begin(mount, &*self.ids, Work::Merge, bytes, memory).map(Some)
    }
}

/// The kept segments of a draft as candidates for a merge.
pub(super) fn candidates(draft: &Draft, positions: &[usize]) -> Result<Vec<Candidate>> {
    let segments = &draft.content().manifest().body.segments;
    let candidate = |&position: &usize| {
        let segment = segments.get(position).ok_or_else(no_segment)?;
        let deleted = draft.deleted(position)?;
        Ok(Candidate {
            bytes: segment.bytes(),
            docs: u64::from(segment.max_doc),
            deleted,
        })
    };
    positions.iter().map(candidate).collect()
}

/// The kept segments of a draft as inputs of a merge, each without its `deletes`.
pub(super) fn inputs(
    draft: &Draft,
    positions: &[usize],
    deletes: Vec<RoaringBitmap>,
    schema: &IndexSchema,
    ahead: &Ahead,
) -> Result<Vec<Input>> {
    let content = draft.content();
    let input = |(&position, deletes): (&usize, RoaringBitmap)| {
        let segment = content.manifest().body.segments.get(position);
        let (segment, files) = segment
            .zip(content.segment_files(position))
            .ok_or_else(no_segment)?;
        let (id, max_doc) = (segment.id, segment.max_doc);
        Input::of_snapshot(id, max_doc, files.iter(), deletes, schema, ahead)
    };
    positions.iter().zip(deletes).map(input).collect()
}

fn no_segment() -> Error {
    Error::internal("a position names no segment")
}
