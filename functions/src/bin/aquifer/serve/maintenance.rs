//! What a server does beside answering: it applies what others have left in an inbox, merges,
//! and collects garbage. All of it may be killed at any moment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aquifer_indexer::index::{Aquifer, Index};
use aquifer_indexer::{ErrorKind, Result};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval_at};

/// How long applying what lies in an inbox may take at once.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);

/// How long one round of merging may go on before the next index has its turn.
const MERGE_PATIENCE: Duration = Duration::from_secs(60);

/// Goes round all indexes, at intervals, until `stopped` says so.
pub(super) async fn run(
    aquifer: Arc<Aquifer>,
    interval: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    let mut ticks = interval_at(tokio::time::Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        let lister = Arc::clone(&aquifer);
        let names = match tokio::task::spawn_blocking(move || lister.indexes()).await {
            Ok(Ok(names)) => names,
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot list the indexes");
                continue;
            }
            Err(_panicked) => continue,
        };
        for name in names {
            if *stopped.borrow() {
                return;
            }
            let aquifer = Arc::clone(&aquifer);
            let call = move || {
                tracing::info_span!("maintenance", index = name).in_scope(|| tidy(&aquifer, &name));
            };
            // A panic has been logged already, and must not end the maintenance.
            drop(tokio::task::spawn_blocking(call).await);
        }
    }
}

/// One round over one index.
fn round(index: &Index) -> Result<()> {
    index.drain(Instant::now() + DRAIN_PATIENCE)?;
    let merged = index.merge(Some(Instant::now() + MERGE_PATIENCE))?;
    let collected = index.gc()?;
    tracing::debug!(?merged, ?collected, "tidied");
    Ok(())
}

/// Tidies one index, and logs what went wrong.
fn tidy(aquifer: &Aquifer, name: &str) {
    match aquifer.index(name).and_then(|index| round(&index)) {
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
