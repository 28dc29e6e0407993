//! Stopping this process in the middle of a commit, to try out what the others do then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use aquifer_indexer::config::{Observer, Step};
use rustix::process::{Signal, getpid, kill_process};

/// The signal goes to the process, so that any of its threads may meet it first. The one that has
/// reached the step waits this long, so that it is not further when it is stopped.
const STOP_TAKES: Duration = Duration::from_secs(1);

/// Stops this process when a commit reaches `step` for the first time. SIGCONT lets it go on.
pub(super) fn stop_at(step: Step) -> Observer {
    let stopped = AtomicBool::new(false);
    Observer::new(move |reached| {
        if reached == step && !stopped.swap(true, Ordering::SeqCst) {
            tracing::warn!(?step, "stopping, as --stop-at asks");
            if let Err(error) = kill_process(getpid(), Signal::STOP) {
                tracing::error!(%error, "this process cannot stop itself");
            }
            thread::sleep(STOP_TAKES);
        }
    })
}
