//! Starting and ending a job, and what is known of it.

use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::super::Writer;
use super::super::draft::Draft;
use super::ended;
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::format::job::{Job, JobState, JobStatus, Position};
use crate::format::manifest::Cause;
use crate::layout::JOBS;
use crate::mapping::IndexSchema;
use crate::reindex::ReindexRequest;
use crate::snapshot::Snapshot;

impl Writer {
    /// Publishes a version that starts a job.
    ///
    /// # Errors
    /// See [`crate::Index::start_reindex`].
    pub fn start_job(&self, request: &ReindexRequest, deadline: Instant) -> Result<JobStatus> {
        if let Some(definition) = &request.definition {
            IndexSchema::compile(definition)?;
        }
        let mount = &self.follower.source().mount;
        mount
            .make_dir(JOBS)
            .map_err(|error| Error::io(JOBS, error))?;
        let id = self.ids.next();
        let mut started = None;
        self.publish_maintenance(deadline, |tip| {
            if let Some(job) = tip.manifest().body.job.as_deref() {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "the job {} is running, and an index has one at a time: wait for it, or cancel it",
                        job.status.id
                    ),
                ));
            }
            let job = self.new_job(id, request, &tip);
            started = Some(job.status.clone());
            let mut draft = Draft::new(tip, Cause::Job, &*self.ids);
            draft.job = Some(Box::new(job));
            Ok(Some(draft))
        })?;
        started.ok_or_else(|| Error::internal("a job was not started"))
    }

    fn new_job(&self, id: Uuid, request: &ReindexRequest, tip: &Snapshot) -> Job {
        let now = self.clock.wall_ms();
        let body = &tip.manifest().body;
        let version = tip.version() + 1;
        let documents = body.live_docs();
        let status = JobStatus {
            id,
            state: JobState::Building,
            source: request.source.clone(),
            documents: 0,
            total: request.source.is_none().then_some(documents),
            done: 0,
            replayed: 0,
            refused: 0,
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
            lineage: self.ids.next(),
            position: Position::Start,
            replayed_to: version,
            checkpoint: None,
        }
    }

    /// Ends a job without a result; the index stays what it is. One that has ended already is given as it is.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Busy`].
    pub fn end_job(
        &self,
        id: Uuid,
        state: JobState,
        reason: Option<String>,
        deadline: Instant,
    ) -> Result<JobStatus> {
        let mut outcome = None;
        let mut left = None;
        self.publish_maintenance(deadline, |tip| {
            let running = tip.manifest().body.job.as_deref();
            let Some(job) = running.filter(|job| job.status.id == id) else {
                outcome = ended(&tip, id);
                return Ok(None);
            };
            let status = JobStatus {
                state,
                error: reason.clone(),
                updated_ms: self.clock.wall_ms(),
                ended_version: Some(tip.version() + 1),
                ..job.status.clone()
            };
            left = job.checkpoint.map(|checkpoint| (job.status.id, checkpoint));
            outcome = Some(status.clone());
            let mut draft = Draft::new(Arc::clone(&tip), Cause::Job, &*self.ids);
            draft.job = None;
            draft.ended_job = Some(status);
            Ok(Some(draft))
        })?;
        if let Some((id, checkpoint)) = left {
            self.publisher.remove(&checkpoint.path(id));
        }
        outcome.ok_or_else(|| no_job(id))
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
