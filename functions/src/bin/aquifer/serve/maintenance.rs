//! What a server does beside answering: it applies what others have left in an inbox, works on jobs, merges,
//! and collects garbage. All of it may be killed at any moment.

mod agenda;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aquifer_functions::http::WorkLeft;
use aquifer_indexer::index::{Aquifer, Index, Stamps};
use aquifer_indexer::reindex::{JobState, JobStatus, Sources};
use aquifer_indexer::{Error, ErrorKind, Result};
use tokio::sync::{Notify, watch};
use tokio::time::sleep_until;

use self::agenda::{Agenda, Outcome};

/// How long applying what lies in an inbox may take at once.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);

/// How long one round of merging may go on before the next index has its turn.
const MERGE_PATIENCE: Duration = Duration::from_secs(60);

/// How long one round of a job may go on before the next index has its turn.
const JOB_PATIENCE: Duration = Duration::from_secs(60);

/// How often the root folder is swept of what killed processes left: nothing depends on it, and it is rare.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);

/// The indexes that a request, or a round that ran out of patience, has left work in.
#[derive(Debug, Default)]
pub(super) struct Left {
    names: Mutex<BTreeSet<String>>,
    woken: Notify,
}

impl Left {
    /// The first of them after `last`, so that each has its turn.
    fn next(&self, last: &str) -> Option<String> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let after = names.iter().find(|name| name.as_str() > last);
        let name = after.or_else(|| names.first())?.clone();
        names.remove(&name);
        Some(name)
    }
}

impl WorkLeft for Left {
    fn left(&self, index: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(index.to_owned());
        self.woken.notify_one();
    }
}

/// What maintenance works with.
pub(super) struct Maintenance {
    pub(super) aquifer: Arc<Aquifer>,
    pub(super) sources: Arc<dyn Sources>,
    pub(super) left: Arc<Left>,
    /// How often an index is visited in which something happens; with zero none is.
    pub(super) interval: Duration,
    pub(super) retention: Duration,
}

/// What a round is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// Everything that is due.
    Whole,
    /// The job that a request has started, or that a round has left.
    Left,
}

impl Maintenance {
    /// Tidies one index after the other, when it is due and those with work left at once, until `stopped` says so. With
    /// an interval of zero only the latter.
    pub(super) async fn run(self, mut stopped: watch::Receiver<bool>) {
        let this = Arc::new(self);
        let mut agenda = Agenda::new(this.interval, this.retention);
        let mut last = String::new();
        let mut list_at = Instant::now() + this.interval;
        let mut sweep_at = list_at;
        while !*stopped.borrow() {
            // A job that goes on for long must not keep the other indexes from their turn, nor they it.
            let left = this.left.next(&last);
            let worked = left.is_some();
            if let Some(name) = left {
                last.clone_from(&name);
                this.tidy(&name, Round::Left).await;
            }
            let now = Instant::now();
            if !this.interval.is_zero() {
                if list_at <= now {
                    list_at = now + this.interval;
                    agenda = this.list(agenda).await;
                }
                if sweep_at <= now {
                    sweep_at = now + SWEEP_INTERVAL;
                    this.sweep().await;
                }
                if let Some(name) = agenda.next(now) {
                    this.visit(&mut agenda, &name).await;
                    continue;
                }
            }
            if worked {
                continue;
            }
            let due = agenda.next_due().map_or(list_at, |due| due.min(list_at));
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stop| *stop) => return,
                () = this.left.woken.notified() => {}
                () = sleep_until(due.into()), if !this.interval.is_zero() => {}
            }
        }
    }

    /// Takes up the indexes that there are by now.
    async fn list(self: &Arc<Self>, mut agenda: Agenda) -> Agenda {
        let this = Arc::clone(self);
        let listed = blocking(move || this.aquifer.indexes()).await;
        match listed {
            Ok(names) => agenda.list(names, Instant::now()),
            Err(error) => tracing::warn!(%error, "cannot list the indexes"),
        }
        agenda
    }

    /// Removes what processes left in the root that were killed while they created or deleted an index.
    async fn sweep(self: &Arc<Self>) {
        let this = Arc::clone(self);
        match blocking(move || this.aquifer.sweep()).await {
            Ok(report) => report.log(),
            Err(error) => tracing::warn!(%error, "cannot sweep the root folder"),
        }
    }

    /// Looks whether something has happened in an index, and tidies it if so.
    async fn visit(self: &Arc<Self>, agenda: &mut Agenda, name: &str) {
        let (this, index) = (Arc::clone(self), name.to_owned());
        let stamps: Result<Stamps> = blocking(move || this.aquifer.stamps(&index)).await;
        let stamps = match stamps {
            Ok(stamps) => stamps,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                agenda.remove(name);
                return;
            }
            Err(error) => {
                tracing::warn!(%error, index = name, "cannot look at an index");
                agenda.unreachable(name, Instant::now());
                return;
            }
        };
        if agenda.is_due(name, stamps, Instant::now()) {
            let outcome = self.tidy(name, Round::Whole).await;
            agenda.tidied(name, stamps, outcome, Instant::now());
        }
    }

    /// Tidies one index off the async threads.
    async fn tidy(self: &Arc<Self>, name: &str, round: Round) -> Outcome {
        let (this, name) = (Arc::clone(self), name.to_owned());
        let call = move || {
            let span = tracing::info_span!("maintenance", index = name);
            span.in_scope(|| Ok(this.round(&name, round)))
        };
        // A panic has been logged already, and must not end the maintenance.
        blocking(call).await.unwrap_or(Outcome {
            failed: true,
            left: false,
        })
    }

    /// One round over one index. What fails is logged, and keeps none of the other steps from being done. Garbage is
    /// collected before anything is written that may be large: a full disk has room for the rest only after that.
    fn round(&self, name: &str, round: Round) -> Outcome {
        let mut outcome = Outcome::default();
        let index = match self.aquifer.visit(name) {
            Ok(index) => index,
            Err(error) => {
                if error.kind() == ErrorKind::NotFound {
                    outcome.note("finishing a deletion", self.aquifer.finish_deletion(name));
                }
                outcome.note("opening", Err(error));
                return outcome;
            }
        };
        let started = Instant::now();
        let soon = |patience| Instant::now() + patience;
        let (mut files_removed, mut merges) = (0, 0);
        if round == Round::Whole {
            // What this process accepts it applies without being told.
            outcome.note("draining", index.drain(soon(DRAIN_PATIENCE)));
            let collected = index.gc();
            tracing::debug!(?collected, "collected");
            files_removed = collected.as_ref().map_or(0, |report| report.files_removed);
            outcome.note("collecting garbage", collected.map(drop));
            let merged = index.merge(Some(soon(MERGE_PATIENCE)));
            tracing::debug!(?merged, "merged");
            merges = merged.as_ref().map_or(0, |report| report.merges);
            outcome.note("merging", merged.map(drop));
        }
        match self.work(&index) {
            Ok(left) => outcome.left = left,
            Err(error) => outcome.note("working on a job", Err(error)),
        }
        if round == Round::Whole && !outcome.failed {
            let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let left = outcome.left;
            tracing::info!(files_removed, merges, left, took_ms, "maintained");
        }
        outcome
    }

    /// Works on the job of an index, if it has one, for as long as patience lasts. Says whether something is left.
    fn work(&self, index: &Index) -> Result<bool> {
        let until = Instant::now() + JOB_PATIENCE;
        let told = |status: &JobStatus| {
            tracing::info!(
                job = %status.id, state = ?status.state, documents = status.documents.get(),
                done = status.done, total = status.total, checkpoints = status.checkpoints,
                "a job has come to a checkpoint"
            );
        };
        let Some(status) = index.carry_on(&*self.sources, until, &mut { told })? else {
            return Ok(false);
        };
        match status.state {
            JobState::Building | JobState::Replaying => {
                self.left.left(index.name());
                return Ok(true);
            }
            JobState::Failed => {
                let reason = status.error;
                tracing::error!(job = %status.id, reason, "a job has failed");
            }
            JobState::Finished | JobState::Cancelled => {
                tracing::info!(job = %status.id, state = ?status.state, "a job has ended");
            }
        }
        Ok(false)
    }
}

impl Outcome {
    /// Logs why a step failed.
    fn note(&mut self, step: &str, result: Result<()>) {
        let Err(error) = result else { return };
        match error.kind() {
            // Another process does the same work, or has deleted the index.
            ErrorKind::Busy | ErrorKind::Fenced => {
                self.left = true;
                tracing::debug!(%error, step, "left to another time");
            }
            ErrorKind::NotFound => tracing::debug!(%error, step, "the index is gone"),
            _ => {
                self.failed = true;
                tracing::warn!(%error, step, "maintenance failed");
            }
        }
    }
}

/// Runs `call` on a thread that may block. A panic is an error.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let ended = tokio::task::spawn_blocking(call).await;
    ended.unwrap_or_else(|error| Err(Error::internal("maintenance broke off").because(error)))
}
