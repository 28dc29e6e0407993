//! The end of a job: what it built takes the place of what was there, in one version.

use std::sync::Arc;
use std::time::Instant;

use super::super::Writer;
use super::super::draft::Draft;
use super::super::resolve::resolve;
use super::super::{build, pack};
use super::log::current;
use super::shadow::Work;
use super::step::SWAP_KEYS;
use super::{Stepped, Stop, elsewhere, ended, unchanged};
use crate::error::Result;
use crate::format::job::{Job, JobState, JobStatus};
use crate::format::manifest::{Cause, ContainerId};
use crate::inbox::Batch;
use crate::snapshot::Snapshot;

/// Why nothing was swapped.
enum Refused {
    /// Somebody else carried the job on, or ended it.
    Elsewhere(Option<Box<JobStatus>>),
    /// There is more to carry over than writers should wait for.
    Late,
    /// The job cannot succeed.
    Stop(Stop),
}

impl Writer {
    /// Swaps the shadow in, with what was touched since the last checkpoint.
    pub(super) fn swap(&self, job: &Job, work: &Work, until: Instant) -> Result<Stepped, Stop> {
        // What was accepted under the earlier mapping is applied under it, as far as it is there.
        self.drain(until)?;
        let mut refused = None;
        let mut status = None;
        let mut bundles = Vec::new();
        let published = self.publish_maintenance(until, |tip| {
            match self.prepare_swap(&tip, job, work, &mut bundles) {
                Ok((draft, ended)) => {
                    status = Some(ended);
                    Ok(Some(draft))
                }
                Err(Refused::Stop(Stop::Step(error))) => Err(error),
                Err(other) => {
                    refused = Some(other);
                    Ok(None)
                }
            }
        })?;
        // Each attempt makes its own; the last was published.
        let unused = bundles.len() - usize::from(published && !bundles.is_empty());
        self.remove_all(bundles.get(..unused).unwrap_or_default());
        match (refused, status) {
            (None, Some(status)) if published => {
                if let Some(last) = &job.checkpoint {
                    self.publisher.remove(&last.path(job.status.id));
                }
                Ok(Stepped::Ended(status))
            }
            (Some(Refused::Elsewhere(ended)), _) => Ok(elsewhere(ended.map(|status| *status))),
            (Some(Refused::Stop(stop)), _) => Err(stop),
            _ => Ok(Stepped::Again),
        }
    }

    fn prepare_swap(
        &self,
        tip: &Arc<Snapshot>,
        job: &Job,
        work: &Work,
        bundles: &mut Vec<String>,
    ) -> Result<(Draft, JobStatus), Refused> {
        let step = |error| Refused::Stop(Stop::Step(error));
        if !unchanged(tip, job) {
            return Err(Refused::Elsewhere(ended(tip, job.status.id).map(Box::new)));
        }
        let touched = self.touched(job.replayed_to, tip.version(), usize::MAX);
        let touched = touched.map_err(step)?;
        if touched.keys.len() > SWAP_KEYS {
            return Err(Refused::Late);
        }
        let mut next = job.clone();
        let mut changes = Batch::default();
        let found = current(tip, touched.keys.iter()).map_err(step)?;
        next.replay(found, work.shadow.schema(), &mut changes)
            .map_err(Refused::Stop)?;
        let (shadow, version) = (Arc::clone(&work.shadow), tip.version() + 1);
        let draft = self.draft_swap(tip, shadow, &changes, bundles);
        let mut draft = draft.map_err(step)?;
        let status = JobStatus {
            state: JobState::Finished,
            updated_ms: self.clock.wall_ms(),
            ended_version: Some(version),
            ..next.status
        };
        draft.job = None;
        draft.ended_job = Some(status.clone());
        Ok((draft, status))
    }

    fn draft_swap(
        &self,
        tip: &Arc<Snapshot>,
        shadow: Arc<Snapshot>,
        changes: &Batch,
        bundles: &mut Vec<String>,
    ) -> Result<Draft> {
        let schema = Arc::clone(shadow.schema());
        let resolution = resolve(&shadow, &[changes], self.clock.wall_ms())?;
        let mut draft = Draft::with_content(Arc::clone(tip), shadow, Cause::Swap, &*self.ids);
        for (&position, docs) in &resolution.deletes {
            draft.delete(position, docs)?;
        }
        let memory = self.config.writer_memory_bytes;
        let segments = build::build(&resolution.documents, &schema, memory, &self.config.budget)?;
        if !segments.is_empty() {
            let mount = &self.follower.source().mount;
            let packed = pack::pack(&segments, &**mount, &*self.ids, draft.name())?;
            if let ContainerId::Bundle(_) = packed.container.id {
                bundles.push(packed.container.id.path());
            }
            draft.add(packed, Vec::new());
        }
        Ok(draft)
    }
}
