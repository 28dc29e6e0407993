//! Stopping this process in the middle of its work, so that a test sees what the others do then. Only programs with the
//! feature `test-options` have it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aquifer_indexer::clock::{Clock as _, SystemClock};
use aquifer_indexer::config::{Observer, Step};
use clap::Args;
use rustix::process::{Signal, getpid, kill_process};

/// The signal goes to the process, so that any of its threads may meet it first. The one that has
/// reached the step waits this long, so that it is not further when it is stopped.
const STOP_TAKES: Duration = Duration::from_secs(1);

/// Where to stop.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct StopAt {
    /// Stops the process (SIGSTOP) when it first reaches this step of a commit or a merge (before-bundle, before-link,
    /// before-mark, before-head), of creating an index (before-name) or of deleting one (before-remove, before-free);
    /// for trying out what happens then
    #[arg(long, env = "AQUIFER_STOP_AT", hide = true)]
    stop_at: Option<Step>,
}

impl StopAt {
    pub(crate) fn observer(self) -> Observer {
        self.stop_at.map(stop_at).unwrap_or_default()
    }
}

/// Stops this process when `step` is reached for the first time. SIGCONT lets it go on.
fn stop_at(step: Step) -> Observer {
    let stopped = AtomicBool::new(false);
    Observer::new(move |reached| {
        if reached == step && !stopped.swap(true, Ordering::SeqCst) {
            tracing::warn!(?step, "stopping, as --stop-at asks");
            if let Err(error) = kill_process(getpid(), Signal::STOP) {
                tracing::error!(%error, "this process cannot stop itself");
            }
            SystemClock.sleep(STOP_TAKES);
        }
    })
}
