//! A job: the index is built anew beside itself.
//!
//! What a job has built is a **shadow**: a manifest of its own, in a file of its own, that names
//! segments as any manifest does and that no reader follows. The manifests of the index name the shadow's
//! newest checkpoint and how far the job is. Each step reads on, writes a bundle and the next
//! checkpoint without the lock, and then publishes a version that says so, unless somebody else carried the job on
//! meanwhile. While a job runs every commit writes down which keys it touched; a job carries these over by looking
//! up what the index has for them now, as often as it takes, and the last of them under the lock, in the
//! version that swaps the shadow in.

pub(crate) mod control;
mod log;
mod pace;
pub(in crate::writer) mod shadow;
mod step;
mod stored;
mod swap;

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use self::control::end_job;
use self::pace::Pace;
use self::shadow::Work;
use self::step::Turn;
use super::attempts::{self, Attempt, Told};
use super::group::Committer;
use super::history::History;
use crate::error::{Error, ErrorKind, Result};
use crate::format::job::{Job, JobState, JobStatus};
use crate::reindex::Sources;
use crate::snapshot::Snapshot;

/// Fresh starts of a step in a row while files are collected under it.
const STALE_MAX: usize = 8;
/// Tries in a row of a step that came to nothing, since a collection or many writers got in the way.
const AGAIN_MAX: usize = 64;

/// Tries in a row to read an external source before the job fails. With the pauses between them they take half a
/// minute; what takes longer to pass (a source that is down) needs a person.
const SOURCE_TRIES: u32 = 6;
/// The pause after the first of them. Each further one is twice as long.
const SOURCE_PAUSE: Duration = Duration::from_secs(1);

/// What a step came to.
enum Stepped {
    /// There is a new checkpoint.
    Checkpoint(JobStatus),
    /// The job has ended.
    Ended(JobStatus),
    /// Nothing was published; the next try may do better.
    Again,
    /// Somebody else has carried the job on.
    Elsewhere,
}

/// Why a step cannot be made.
#[derive(Debug)]
enum Stop {
    /// The job cannot succeed, for this reason.
    Job(String),
    /// Something is wrong that may pass.
    Step(Error),
    /// The external source cannot be read, which may pass.
    Source(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Step(error)
    }
}

/// Rebuilds one index while it serves.
#[derive(Debug)]
pub(crate) struct Rebuilder {
    history: Arc<History>,
    /// What is in the inbox is applied before a job ends.
    commits: Arc<Committer>,
}

impl Rebuilder {
    pub(super) fn new(history: Arc<History>, commits: Arc<Committer>) -> Self {
        Self { history, commits }
    }

    /// Works on the job that runs, if one does, until it has ended or `until`.
    ///
    /// # Errors
    /// See [`crate::Index::carry_on`].
    pub(crate) fn carry_on(
        &self,
        sources: &dyn Sources,
        until: Instant,
        watch: &mut dyn FnMut(&JobStatus),
    ) -> Result<Option<JobStatus>> {
        let mut work: Option<Work> = None;
        let told = match self.history.follower.newest()?.manifest().body.job {
            Some(_) => attempts::told_to(&self.history)?,
            None => Told::default(),
        };
        let most = told.step.and_then(|bytes| usize::try_from(bytes).ok());
        let most = most
            .unwrap_or(usize::MAX)
            .min(self.history.config.job_step_max());
        let mut pace = Pace::new(self.history.config.job_step_bytes, most);
        let mut attempt = Attempted::default();
        let (mut stale, mut again, mut met) = (0, 0, false);
        let mut source_tries = 0;
        loop {
            let tip = self.history.follower.newest()?;
            let Some(job) = tip.manifest().body.job.as_deref() else {
                return Ok(work.and_then(|work| ended(&tip, work.id)));
            };
            let began = self.history.clock.now();
            if !pace.allows(began, until) {
                return Ok(Some(job.status.clone()));
            }
            self.attempt_step(&mut attempt, pace.bytes())?;
            let bytes = pace.bytes();
            let turn = Turn { bytes, told, until };
            let step = self.step(&tip, job, sources, &mut work, &turn);
            match step {
                Ok(Stepped::Checkpoint(status)) => {
                    (stale, again, source_tries) = (0, 0, 0);
                    pace.took(self.history.clock.now().saturating_duration_since(began));
                    watch(&status);
                }
                Ok(Stepped::Ended(status)) => {
                    watch(&status);
                    return Ok(Some(status));
                }
                Ok(Stepped::Elsewhere) if !met => {
                    // Perhaps by somebody who has died since: whoever is alive is met again.
                    met = true;
                    work = None;
                }
                Ok(Stepped::Elsewhere) => return Err(carried_on()),
                Ok(Stepped::Again) if again < AGAIN_MAX => again += 1,
                Ok(Stepped::Again) => return Err(crowded()),
                Err(Stop::Step(error)) if error.is_stale() && stale < STALE_MAX => {
                    tracing::info!(%error, "a step of a job starts over");
                    stale += 1;
                    work = None;
                    self.history.follower.invalidate(&tip);
                }
                Err(Stop::Step(error)) => return Err(error),
                Err(Stop::Source(error)) => {
                    source_tries += 1;
                    if source_tries == SOURCE_TRIES {
                        let status = self.fail(job, error.to_string(), until)?;
                        watch(&status);
                        return Ok(Some(status));
                    }
                    let pause = SOURCE_PAUSE * 2_u32.pow(source_tries - 1);
                    if self.history.clock.now() + pause >= until {
                        return Err(error);
                    }
                    tracing::warn!(%error, ?pause, "a source is read again after a pause");
                    self.history.clock.sleep(pause);
                    work = None;
                }
                Err(Stop::Job(reason)) => {
                    let status = self.fail(job, reason, until)?;
                    watch(&status);
                    return Ok(Some(status));
                }
            }
        }
    }
}

/// The largest step so far, as it was written down.
#[derive(Default)]
struct Attempted {
    bytes: usize,
    file: Option<Attempt>,
}

impl Rebuilder {
    fn fail(&self, job: &Job, reason: String, until: Instant) -> Result<JobStatus> {
        let (id, reason) = (job.status.id, Some(reason));
        end_job(&self.history, id, JobState::Failed, reason, until)
    }

    /// Writes a step down before it begins, if it is larger than those before.
    fn attempt_step(&self, attempted: &mut Attempted, bytes: usize) -> Result<()> {
        if attempted.file.is_some() && bytes <= attempted.bytes {
            return Ok(());
        }
        let memory = self.history.config.budget.memory_bytes();
        let (mount, ids) = (self.history.mount(), &*self.history.ids);
        let file = attempts::begin(mount, ids, attempts::Work::Step, bytes as u64, memory)?;
        attempted.file = Some(file);
        attempted.bytes = bytes;
        Ok(())
    }
}

/// The job of `tip`, if it is still where `job` was read.
fn unchanged(tip: &Snapshot, job: &Job) -> bool {
    let now = tip.manifest().body.job.as_deref();
    now.is_some_and(|now| {
        now.status.id == job.status.id && now.status.checkpoints == job.status.checkpoints
    })
}

/// What became of a job that has ended.
fn ended(tip: &Snapshot, id: Uuid) -> Option<JobStatus> {
    let mut jobs = tip.manifest().body.ended_jobs.iter();
    jobs.find(|status| status.id == id).cloned()
}

/// What a step comes to that finds the job ended, or carried on by somebody else.
fn elsewhere(ended: Option<JobStatus>) -> Stepped {
    ended.map_or(Stepped::Elsewhere, Stepped::Ended)
}

/// The error when somebody else works on the same job: one of the two leaves.
fn carried_on() -> Error {
    Error::new(
        ErrorKind::Fenced,
        "another process carries this job on: nothing was lost, and it needs no second one",
    )
}

fn crowded() -> Error {
    Error::new(
        ErrorKind::Busy,
        "the job does not get on for all the others who write: it goes on from its last checkpoint \
         when it is carried on later",
    )
}

/// The shadow that a step builds on, and what else it needs.
type Shadow = Arc<Snapshot>;
