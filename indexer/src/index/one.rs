//! One index: its parts, writing to it, and its maintenance. How it is read is in `reading`.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde::Serialize;
use uuid::Uuid;

use super::drainer::Drainer;
use super::place::NextLook;
use super::reading::guarded;
use super::{Shared, Stats, read_only};
use crate::check::{CheckReport, check};
use crate::clock::Clock;
use crate::config::Config;
use crate::counters::{Counted, Counters};
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::inbox::{Batch, Inbox, not_a_batch};
use crate::layout::BatchId;
use crate::mapping::IndexSchema;
use crate::mount::Mount;
use crate::numbers::Version;
use crate::reindex::{JobStatus, ReindexRequest, Sources};
use crate::snapshot::follow::Follower;
use crate::snapshot::{Snapshot, Source};
use crate::writer::rebuild::control::{jobs, no_job};
use crate::writer::{Bulk, GcReport, MergeReport, Merger, Outcome, Wait, Writer};

/// How long deleting an index waits for its writers.
const DELETE_WAIT: Duration = Duration::from_secs(30);
/// One index. Shared by all threads of a process.
#[derive(Debug)]
pub struct Index {
    name: String,
    pub(super) follower: Arc<Follower>,
    /// Only where this process may write.
    writer: Option<Arc<Writer>>,
    inbox: Inbox,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
    /// Works on after an answer, if anybody does here.
    drainer: Option<Arc<Drainer>>,
    /// This index, where it has an owner that must not open it a second time.
    own: Weak<Self>,
    pub(super) next_look: NextLook,
}

/// What of an index waits for somebody with time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// Batches that are accepted and not yet applied.
    pub inbox: usize,
    /// Whether a merge is due that is too large for a commit.
    pub merge: bool,
    /// The job that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<Uuid>,
}

impl Pending {
    /// Whether there is anything.
    pub fn any(&self) -> bool {
        self.inbox > 0 || self.merge || self.job.is_some()
    }
}

/// Where a batch is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// Durable; every search will see it once it has been applied.
    Pending,
    /// Applied: every search sees it.
    Applied,
    /// It was damaged on the file system and laid aside; its documents must be sent again.
    Damaged,
}

/// What is known of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BatchStatus {
    /// Which.
    pub batch: BatchId,
    /// Where it is.
    pub state: BatchState,
    /// The version that it is part of, as far as it is known; a later one includes it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
}

impl Index {
    /// Opens the index in the folder `mount`; touches no file yet.
    pub fn open(name: &str, mount: Arc<dyn Mount>, shared: Arc<Shared>, config: &Config) -> Self {
        let drainer = Arc::new(Drainer::new(Arc::clone(&config.world.clock)));
        Self::new(name, mount, shared, config, &drainer, Weak::new())
    }

    /// Opens an index of a process whose inboxes are drained by `drainer`.
    pub(super) fn open_with(
        name: &str,
        mount: Arc<dyn Mount>,
        shared: Arc<Shared>,
        config: &Config,
        drainer: &Arc<Drainer>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|own| Self::new(name, mount, shared, config, drainer, Weak::clone(own)))
    }

    fn new(
        name: &str,
        mount: Arc<dyn Mount>,
        shared: Arc<Shared>,
        config: &Config,
        drainer: &Arc<Drainer>,
        own: Weak<Self>,
    ) -> Self {
        let source = Source {
            mount: Arc::clone(&mount),
            cache: Arc::clone(&shared.cache),
        };
        let follower = Arc::new(Follower::new(source, !config.read_only));
        let writer = (!config.read_only)
            .then(|| Arc::new(Writer::new(Arc::clone(&follower), config.clone())));
        let clock = Arc::clone(&config.world.clock);
        let inbox = Inbox::new(mount, config.world.clone()).counted_in(follower.counters());
        Self {
            name: name.to_owned(),
            follower,
            writer,
            inbox,
            shared,
            next_look: NextLook::after(clock.now()),
            clock,
            drainer: config.after_answer.then(|| Arc::clone(drainer)),
            own,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What this process has done with this index since it opened it.
    pub fn counters(&self) -> Counted {
        self.follower.counters().read()
    }

    pub(super) fn counted(&self) -> &Arc<Counters> {
        self.follower.counters()
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>> {
        self.notice(self.follower.newest())
    }

    /// Opens it as far as HEAD knows it; that it has been deleted since is for the first request to find.
    pub(super) fn open_from_hint(&self) -> Result<()> {
        self.notice(self.follower.open_from_hint())
    }

    /// Makes sure that no deletion had been published when it was opened.
    pub(super) fn confirm(&self) -> Result<()> {
        self.notice(self.follower.confirm())
    }

    /// Whether this index was deleted, or its folder given up: it must be opened again by its name.
    pub fn is_gone(&self) -> bool {
        self.follower.is_gone()
    }

    /// Gives the folder up where an error says that it, or files in it, are gone, so that the index is opened again by its
    /// name. Where files are gone, the newest version says whether the index was deleted.
    pub(super) fn notice<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| {
            let stale = error.is_stale();
            if !error.is_index_gone() && !stale {
                return error;
            }
            self.follower.leave();
            match self.follower.newest() {
                Err(deleted) if stale && deleted.is_index_gone() => deleted,
                _ => self.follower.judge(error),
            }
        })
    }

    /// The schema by which documents are accepted, as far as the newest version tells that this process knows: no file
    /// is read once one is known. While the index is built anew with another mapping, a document has to fit into
    /// both; who does not know of that yet has what it accepts read again when it is applied.
    pub fn schema(&self) -> Result<Arc<IndexSchema>> {
        let snapshot = match self.follower.held() {
            Some(held) => held,
            None => self.snapshot()?,
        };
        snapshot.intake()
    }

    fn writer(&self) -> Result<&Arc<Writer>> {
        self.writer.as_ref().ok_or_else(read_only)
    }

    /// Accepts a batch. With [`Wait::Visible`] this returns once every later search sees it, or, when the
    /// deadline is near, once it is durable. Blocks; from many threads at once the batches share
    /// commits.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the file system refuses: nothing was kept, or, when an
    /// answer was lost, the batch may have been applied all the same.
    pub fn submit(&self, batch: Batch, wait: Wait, deadline: Instant) -> Result<Outcome> {
        let writer = self.writer()?;
        check_size(&batch)?;
        let outcome = self.notice(writer.commits.submit(batch, wait, deadline))?;
        if let Some(drainer) = &self.drainer
            && matches!(outcome, Outcome::Durable { .. })
        {
            drainer.wake(writer, self.own.upgrade());
        }
        Ok(outcome)
    }

    /// Begins to load many documents: faster than batches, and into few segments.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where this process may not write; [`ErrorKind::Unavailable`], [`ErrorKind::Corrupt`].
    pub fn bulk(&self) -> Result<Bulk> {
        self.notice(self.writer()?.bulk())
    }

    /// Applies what lies in the inbox.
    pub fn drain(&self, deadline: Instant) -> Result<()> {
        let writer = self.writer()?;
        self.notice(guarded(|| writer.commits.drain(deadline)))
    }

    /// Numbers about the newest version.
    pub fn stats(&self) -> Result<Stats> {
        self.read(|snapshot| Stats::of(snapshot, &self.inbox, &self.shared.cache))
    }

    /// What became of a batch that was answered as durable.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a text that is no identity; [`ErrorKind::NotFound`] for a batch that
    /// cannot have been accepted yet.
    pub fn batch_status(&self, id: &str) -> Result<BatchStatus> {
        let batch: BatchId = id.parse().map_err(not_a_batch)?;
        self.snapshot()?;
        let status = |state, version| BatchStatus {
            batch,
            state,
            version,
        };
        if let Some(applied) = self.follower.applied(batch) {
            return Ok(status(BatchState::Applied, Some(applied.version)));
        }
        if self.notice(self.inbox.list())?.contains(&batch) {
            return Ok(status(BatchState::Pending, None));
        }
        if self.inbox.is_damaged(batch)? {
            return Ok(status(BatchState::Damaged, None));
        }
        // A batch leaves the inbox when a version has applied it, so the version that is the newest now has it. Its clock does
        // not tell: another writer's may be ahead.
        let newest = self.snapshot()?;
        if let Some(applied) = self.follower.applied(batch) {
            return Ok(status(BatchState::Applied, Some(applied.version)));
        }
        if batch.clock > newest.manifest().body.batch_clock {
            let message = format!("no batch `{batch}` was accepted here");
            return Err(Error::new(Reason::BatchUnknown, message));
        }
        Ok(status(BatchState::Applied, Some(newest.version())))
    }

    /// Verifies every checksum of the newest version and of what lies beside it.
    pub fn check(&self) -> Result<CheckReport> {
        self.notice(guarded(|| check(&self.follower, &self.inbox)))
    }

    /// Removes files that no reader can need any more.
    pub fn gc(&self) -> Result<GcReport> {
        let writer = self.writer()?;
        self.notice(guarded(|| writer.collections.collect()))
    }

    /// Merges what is due, until the deadline.
    pub fn merge(&self, deadline: Option<Instant>) -> Result<MergeReport> {
        let writer = self.writer()?;
        self.notice(guarded(|| writer.merges.merge(deadline)))
    }

    /// Merges everything into as few segments as possible, until the deadline.
    pub fn compact(&self, deadline: Option<Instant>) -> Result<MergeReport> {
        let writer = self.writer()?;
        self.notice(guarded(|| writer.merges.compact(deadline)))
    }

    /// What of this index waits for somebody with time, as far as the version tells that is held: costs no
    /// read but the listing of the inbox.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`], [`ErrorKind::Corrupt`].
    pub fn pending(&self) -> Result<Pending> {
        let held = match self.follower.held() {
            Some(held) => held,
            None => self.snapshot()?,
        };
        Ok(Pending {
            inbox: self.notice(self.inbox.list())?.len(),
            job: held.manifest().body.job.as_ref().map(|job| job.status.id),
            merge: Merger::is_due(held)?,
        })
    }

    /// Starts a job that builds this index anew; [`Self::carry_on`] does the work. Documents that are posted from now on
    /// are in the result.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] while another job runs; [`ErrorKind::Invalid`] for a bad definition;
    /// [`ErrorKind::Busy`] when the lock cannot be had before the deadline.
    pub fn start_reindex(&self, request: &ReindexRequest, deadline: Instant) -> Result<JobStatus> {
        self.notice(self.writer()?.jobs.start(request, deadline))
    }

    /// Works on the job that runs, if one does, until it has ended or `until`, at a checkpoint in either case; `watch`
    /// is told of each. Killed at any moment, the next call goes on from the last checkpoint.
    /// Gives `None` where no job runs. A job that fails for good (a refused document, a bad source) is given back as
    /// failed, not as an error.
    ///
    /// # Errors
    /// What a later call may get past: [`ErrorKind::Busy`], [`ErrorKind::Fenced`] when somebody else carried
    /// the job on meanwhile, [`ErrorKind::Unavailable`].
    pub fn carry_on(
        &self,
        sources: &dyn Sources,
        until: Instant,
        watch: &mut dyn FnMut(&JobStatus),
    ) -> Result<Option<JobStatus>> {
        let writer = self.writer()?;
        self.notice(guarded(|| writer.jobs.carry_on(sources, until, watch)))
    }

    /// What is known of a job: of the one that runs, and of the last [`crate::reindex::ENDED_JOBS_MAX`] that ended.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn job(&self, id: Uuid) -> Result<JobStatus> {
        let mut jobs = self.jobs()?.into_iter();
        jobs.find(|job| job.id == id).ok_or_else(|| no_job(id))
    }

    /// The jobs that are known, the newest first.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`], [`ErrorKind::Corrupt`].
    pub fn jobs(&self) -> Result<Vec<JobStatus>> {
        self.read(|snapshot| Ok(jobs(snapshot)))
    }

    /// Cancels a job. One that has ended is given as it is.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Busy`].
    pub fn cancel_job(&self, id: Uuid, deadline: Instant) -> Result<JobStatus> {
        // That a job is not known says nothing about the index.
        self.snapshot()?;
        let writer = self.writer()?;
        writer.jobs.cancel(id, deadline)
    }

    /// Publishes the last version of this index; the folder is left to whoever asked for the deletion.
    pub fn publish_deletion(&self) -> Result<()> {
        self.writer()?.delete(self.clock.now() + DELETE_WAIT)
    }
}

/// Bytes of text in one batch. It is held in memory, written to one file, and becomes one commit.
const BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;

fn check_size(batch: &Batch) -> Result<()> {
    let bytes = batch.bytes();
    if bytes > BATCH_BYTES_MAX {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("a batch of {bytes} bytes exceeds {BATCH_BYTES_MAX}: send it in several parts"),
        ));
    }
    Ok(())
}
