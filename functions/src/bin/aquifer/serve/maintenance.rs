//! What a server does beside answering: it applies what others have left in an inbox, works on jobs, merges,
//! and collects garbage. All of it may be killed at any moment.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aquifer_functions::http::WorkLeft;
use aquifer_indexer::index::{Aquifer, Index};
use aquifer_indexer::reindex::{JobState, JobStatus, Sources};
use aquifer_indexer::{ErrorKind, Result};
use tokio::sync::{Notify, watch};
use tokio::time::{Interval, MissedTickBehavior, interval_at};

/// How long applying what lies in an inbox may take at once.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);

/// How long one round of merging may go on before the next index has its turn.
const MERGE_PATIENCE: Duration = Duration::from_secs(60);

/// How long one round of a job may go on before the next index has its turn.
const JOB_PATIENCE: Duration = Duration::from_secs(60);

/// The indexes that a request, or a round that ran out of patience, has left work in.
#[derive(Debug, Default)]
pub(super) struct Left {
    names: Mutex<BTreeSet<String>>,
    woken: Notify,
}

impl Left {
    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner))
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
}

/// What a round is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// Everything that is due.
    Whole,
    /// What a request has left.
    Left,
}

impl Maintenance {
    /// Goes round all indexes, at intervals, and those with work left at once, until `stopped` says so. With an interval
    /// of zero only the latter.
    pub(super) async fn run(self, interval: Duration, mut stopped: watch::Receiver<bool>) {
        let this = Arc::new(self);
        let mut ticks = (!interval.is_zero()).then(|| {
            let mut ticks = interval_at(tokio::time::Instant::now() + interval, interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        loop {
            // A job that goes on for long must not keep the other indexes from their turn.
            let round = tokio::select! {
                biased;
                _ = stopped.wait_for(|stop| *stop) => return,
                () = tick(&mut ticks) => Round::Whole,
                () = this.left.woken.notified() => Round::Left,
            };
            let mut names = this.left.take();
            if round == Round::Whole {
                names.extend(this.all().await);
            }
            for name in names {
                if *stopped.borrow() {
                    return;
                }
                let worker = Arc::clone(&this);
                let call = move || {
                    tracing::info_span!("maintenance", index = name)
                        .in_scope(|| worker.tidy(&name, round));
                };
                // A panic has been logged already, and must not end the maintenance.
                drop(tokio::task::spawn_blocking(call).await);
            }
        }
    }

    async fn all(self: &Arc<Self>) -> Vec<String> {
        let this = Arc::clone(self);
        match tokio::task::spawn_blocking(move || this.aquifer.indexes()).await {
            Ok(Ok(names)) => names,
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot list the indexes");
                Vec::new()
            }
            Err(_panicked) => Vec::new(),
        }
    }

    /// Tidies one index, and logs what went wrong.
    fn tidy(&self, name: &str, round: Round) {
        let index = self.aquifer.index(name);
        match index.and_then(|index| self.round(&index, round)) {
            Ok(()) => {}
            // Another process does the same work, or has deleted the index.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Busy | ErrorKind::Fenced | ErrorKind::NotFound
                ) =>
            {
                tracing::debug!(%error, "left to another time");
            }
            Err(error) => tracing::warn!(%error, "maintenance failed"),
        }
    }

    /// One round over one index.
    fn round(&self, index: &Index, round: Round) -> Result<()> {
        index.drain(Instant::now() + DRAIN_PATIENCE)?;
        // A job that does not get on must not keep the index from being tidied.
        let job = self.work(index);
        if round == Round::Whole {
            let merged = index.merge(Some(Instant::now() + MERGE_PATIENCE))?;
            let collected = index.gc()?;
            tracing::debug!(?merged, ?collected, "tidied");
        }
        job
    }

    /// Works on the job of an index, if it has one, for as long as patience lasts.
    fn work(&self, index: &Index) -> Result<()> {
        let until = Instant::now() + JOB_PATIENCE;
        let told = |status: &JobStatus| {
            tracing::info!(
                job = %status.id, state = ?status.state, documents = status.documents,
                done = status.done, total = status.total, checkpoints = status.checkpoints,
                "a job has come to a checkpoint"
            );
        };
        let Some(status) = index.carry_on(&*self.sources, until, &mut { told })? else {
            return Ok(());
        };
        match status.state {
            JobState::Building | JobState::Replaying => self.left.left(index.name()),
            JobState::Failed => {
                let reason = status.error;
                tracing::error!(job = %status.id, reason, "a job has failed");
            }
            JobState::Finished | JobState::Cancelled => {
                tracing::info!(job = %status.id, state = ?status.state, "a job has ended");
            }
        }
        Ok(())
    }
}

/// The next tick; none ever comes without an interval.
async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
}
