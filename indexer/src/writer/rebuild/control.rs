//! Starting and ending a job, and what is known of it.

use std::convert::Infallible;
use std::time::Instant;

use uuid::Uuid;

use super::super::history::{History, Maintained, Proposal};
use super::{Rebuilder, ended};
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::format::job::{Job, JobState, JobStatus, Position};
use crate::format::manifest::Cause;
use crate::layout::JOBS;
use crate::mapping::IndexSchema;
use crate::numbers::DocCount;
use crate::reindex::ReindexRequest;
use crate::snapshot::Snapshot;

impl Rebuilder {
    /// Publishes a version that starts a job.
    ///
    /// # Errors
    /// See [`crate::Index::start_reindex`].
    pub(crate) fn start(&self, request: &ReindexRequest, deadline: Instant) -> Result<JobStatus> {
        if let Some(definition) = &request.definition {
            IndexSchema::compile(definition)?;
        }
        let mount = self.history.mount();
        mount.make_dir(JOBS)?;
        let id = self.history.ids.next();
        let started = self.history.maintain(Cause::Job, deadline, |mut draft| {
            let tip = draft.base();
            if let Some(job) = tip.manifest().body.job.as_deref() {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "the job {} is running, and an index has one at a time: wait for it, or cancel it",
                        job.status.id
                    ),
                ));
            }
            let job = self.new_job(id, request, tip);
            let status = job.status.clone();
            draft.job = Some(Box::new(job));
            Ok(Proposal::<_, Infallible>::Version(draft, status))
        })?;
        match started {
            Maintained::Published(status) => Ok(status),
            Maintained::Nothing(never) => match never {},
        }
    }

    fn new_job(&self, id: Uuid, request: &ReindexRequest, tip: &Snapshot) -> Job {
        let now = self.history.clock.wall_ms();
        let body = &tip.manifest().body;
        let version = tip.version().next();
        let documents = body.live_docs();
        let status = JobStatus {
            id,
            state: JobState::Building,
            source: request.source.clone(),
            documents: DocCount::ZERO,
            total: request.source.is_none().then_some(documents.get()),
            done: 0,
            replayed: DocCount::ZERO,
            refused: DocCount::ZERO,
            refusals: Vec::new(),
            checkpoints: 0,
            started_version: version,
            ended_version: None,
            started_ms: now,
            updated_ms: now,
            error: None,
        };
        let definition = request.definition.as_ref().unwrap_or(&body.definition);
        Job {
            status,
            on_refused: request.on_refused,
            definition: definition.clone(),
            lineage: self.history.ids.next(),
            position: Position::Start,
            replayed_to: version,
            checkpoint: None,
        }
    }

    /// Ends a job without a result; the index stays what it is. One that has ended already is given as it is.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Busy`].
    pub(crate) fn cancel(&self, id: Uuid, deadline: Instant) -> Result<JobStatus> {
        end_job(&self.history, id, JobState::Cancelled, None, deadline)
    }
}

/// Ends a job without a result, in `state` and for a `reason`; gives one that has ended already as it is.
pub(in crate::writer) fn end_job(
    history: &History,
    id: Uuid,
    state: JobState,
    reason: Option<String>,
    deadline: Instant,
) -> Result<JobStatus> {
    let ending = history.maintain(Cause::Job, deadline, |mut draft| {
        let tip = draft.base();
        let running = tip.manifest().body.job.as_deref();
        let Some(job) = running.filter(|job| job.status.id == id) else {
            return Ok(Proposal::Nothing(ended(tip, id)));
        };
        let status = JobStatus {
            state,
            error: reason.clone(),
            updated_ms: history.clock.wall_ms(),
            ended_version: Some(draft.version()),
            ..job.status.clone()
        };
        let checkpoint = job.checkpoint.map(|checkpoint| checkpoint.path(id));
        draft.job = None;
        draft.ended_job = Some(status.clone());
        Ok(Proposal::Version(draft, (status, checkpoint)))
    })?;
    match ending {
        Maintained::Published((status, checkpoint)) => {
            history.remove(&checkpoint);
            Ok(status)
        }
        Maintained::Nothing(ended) => ended.ok_or_else(|| no_job(id)),
    }
}

/// Every job that `tip` knows, the newest first.
pub(crate) fn jobs(tip: &Snapshot) -> Vec<JobStatus> {
    let body = &tip.manifest().body;
    let running = body.job.iter().map(|job| job.status.clone());
    running.chain(body.ended_jobs.iter().cloned()).collect()
}

/// The error for a job that is not known.
pub(crate) fn no_job(id: Uuid) -> Error {
    Error::new(Reason::JobUnknown, format!("no job {id} is known"))
}
