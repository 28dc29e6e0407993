//! The end of a job: what it built takes the place of what was there, in one version.

use std::sync::Arc;
use std::time::Instant;

use super::super::apply::Merging;
use super::super::draft::Draft;
use super::super::history::{Maintained, Proposal};
use super::super::resolve::resolve;
use super::log::{current, touched};
use super::shadow::Work;
use super::step::SWAP_KEYS;
use super::{Rebuilder, Stepped, Stop, elsewhere, ended, unchanged};
use crate::error::Result;
use crate::format::job::{Job, JobState, JobStatus};
use crate::format::manifest::Cause;
use crate::inbox::Batch;

/// Why nothing is swapped in.
type Refused = Result<Stepped, Stop>;

impl Rebuilder {
    /// Swaps the shadow in, with what was touched since the last checkpoint.
    pub(super) fn swap(&self, job: &Job, work: &Work, until: Instant) -> Result<Stepped, Stop> {
        // What was accepted under the earlier mapping is applied under it, as far as it is there.
        self.commits.drain(until)?;
        let history = &*self.history;
        let swapped =
            history.maintain(Cause::Swap, until, |draft| self.propose(draft, job, work))?;
        match swapped {
            Maintained::Published(status) => {
                if let Some(last) = &job.checkpoint {
                    history.remove([&last.path(job.status.id)]);
                }
                Ok(Stepped::Ended(status))
            }
            Maintained::Nothing(refused) => refused,
        }
    }

    fn propose(
        &self,
        draft: Draft,
        job: &Job,
        work: &Work,
    ) -> Result<Proposal<JobStatus, Refused>> {
        let history = &*self.history;
        let tip = Arc::clone(draft.base());
        if !unchanged(&tip, job) {
            let elsewhere = elsewhere(ended(&tip, job.status.id));
            return Ok(Proposal::Nothing(Ok(elsewhere)));
        }
        let touched = touched(history, job.replayed_to, tip.version(), usize::MAX)?;
        if touched.keys.len() > SWAP_KEYS {
            // More to carry over than writers should wait for.
            return Ok(Proposal::Nothing(Ok(Stepped::Again)));
        }
        let mut next = job.clone();
        let mut changes = Batch::default();
        let found = current(&tip, touched.keys.iter())?;
        if let Err(stop) = next.replay(found, work.shadow.schema(), &mut changes) {
            return Ok(Proposal::Nothing(Err(stop)));
        }
        let mut draft = draft.with_content(Arc::clone(&work.shadow));
        let resolution = resolve(&work.shadow, &[&changes], history.clock.wall_ms())?;
        history.apply(&mut draft, &resolution, &[], Merging::Never)?;
        let status = JobStatus {
            state: JobState::Finished,
            updated_ms: history.clock.wall_ms(),
            ended_version: Some(draft.version()),
            ..next.status
        };
        draft.job = None;
        draft.ended_job = Some(status.clone());
        Ok(Proposal::Version(draft, status))
    }
}
