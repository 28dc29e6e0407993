//! Working on a job until it has ended, time is up, or Ctrl-C comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aquifer_functions::sources::ExternalSources;
use aquifer_indexer::ErrorKind;
use aquifer_indexer::clock::{Clock as _, SystemClock};
use aquifer_indexer::index::Index;
use aquifer_indexer::reindex::JobStatus;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::bar::Bar;

/// Without a bound: longer than any job takes, so that a step never looks too long to begin with.
const UNBOUNDED: Duration = Duration::from_secs(365 * 24 * 3600);

/// How often a job is looked at that another process works on.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long that process may show no progress before the job is taken over: several of its steps.
const TAKE_OVER_AFTER: Duration = Duration::from_secs(30);

/// Works on the job that runs; none when Ctrl-C came first.
///
/// # Errors
/// What keeps this process from going on; the job stays at its last checkpoint.
pub(super) fn to_the_end(
    index: Arc<Index>,
    sources: ExternalSources,
    begun: JobStatus,
    until: Option<Instant>,
) -> Result<Option<JobStatus>> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot listen for Ctrl-C")?;
    let bar = Bar::new(&begun);
    let until = until.unwrap_or_else(|| Instant::now() + UNBOUNDED);
    let worker = Worker {
        index,
        sources,
        bar: bar.clone(),
        until,
    };
    let outcome = runtime.block_on(async {
        // Before the work, so that the signal never meets a process that does not know it.
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
        let work = tokio::task::spawn_blocking(move || worker.run(begun));
        tokio::select! {
            outcome = work => outcome.context("the work on the job broke off")?.map(Some),
            _ = interrupt.recv() => Ok(None),
        }
    });
    bar.finish();
    // It may be cut off anywhere: what counts is the last checkpoint.
    runtime.shutdown_background();
    outcome
}

struct Worker {
    index: Arc<Index>,
    sources: ExternalSources,
    bar: Bar,
    until: Instant,
}

impl Worker {
    fn run(&self, begun: JobStatus) -> Result<JobStatus> {
        let mut last = begun;
        loop {
            let mut seen = last.clone();
            let mut watch = |status: &JobStatus| {
                self.bar.show(status);
                seen = status.clone();
            };
            match self.index.carry_on(&self.sources, self.until, &mut watch) {
                Ok(Some(status)) if status.id == last.id => return Ok(status),
                // Another process has ended it meanwhile.
                Ok(_) => return Ok(self.index.job(last.id)?),
                Err(error) if matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Busy) => {
                    tracing::debug!(%error, "following the job");
                    last = self.follow(seen)?;
                }
                Err(error) => {
                    let told = "the job stays at its last checkpoint, and `aquifer reindex` goes on with it";
                    return Err(anyhow::Error::new(error).context(told));
                }
            }
            if !last.state.is_running() || Instant::now() >= self.until {
                return Ok(last);
            }
        }
    }

    /// Watches another process work on the job, until it has ended or stands still.
    fn follow(&self, mut last: JobStatus) -> Result<JobStatus> {
        let mut moved = Instant::now();
        while moved.elapsed() < TAKE_OVER_AFTER && Instant::now() < self.until {
            let now = self.index.job(last.id)?;
            self.bar.show(&now);
            if !now.state.is_running() {
                return Ok(now);
            }
            if now != last {
                moved = Instant::now();
                last = now;
            }
            SystemClock.sleep(LOOK_EVERY);
        }
        Ok(last)
    }
}
