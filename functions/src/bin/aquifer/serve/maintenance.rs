//! What a server does beside answering: it applies batches that were accepted as durable,
//! merges, and collects garbage. All of it may be killed at any moment.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aquifer_indexer::index::{Aquifer, Index};
use aquifer_indexer::{ErrorKind, Result};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval_at};

/// How long applying what lies in an inbox may take at once.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);

/// How long one round of merging may go on before the next index has its turn.
const MERGE_PATIENCE: Duration = Duration::from_secs(60);

/// Starts it; it ends when `stopped` says so.
pub(super) fn start(
    aquifer: Arc<Aquifer>,
    interval: Duration,
    accepted: mpsc::Receiver<String>,
    stopped: &watch::Receiver<bool>,
) {
    tokio::spawn(drain(Arc::clone(&aquifer), accepted, stopped.clone()));
    if !interval.is_zero() {
        tokio::spawn(tidy(aquifer, interval, stopped.clone()));
    }
}

/// Applies what requests have left in an inbox, as soon as they have.
async fn drain(
    aquifer: Arc<Aquifer>,
    mut accepted: mpsc::Receiver<String>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let first = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            name = accepted.recv() => name,
        };
        let Some(first) = first else { return };
        let mut names = BTreeSet::from([first]);
        while let Ok(name) = accepted.try_recv() {
            names.insert(name);
        }
        for name in names {
            let apply = |index: &Index| index.drain(Instant::now() + DRAIN_PATIENCE);
            on(&aquifer, name, "applying accepted batches", apply).await;
        }
    }
}

/// Goes round all indexes, at intervals.
async fn tidy(aquifer: Arc<Aquifer>, interval: Duration, mut stopped: watch::Receiver<bool>) {
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
            on(&aquifer, name, "maintenance", round).await;
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

/// Works on an index on a thread that may block, and logs what went wrong.
async fn on<F>(aquifer: &Arc<Aquifer>, name: String, what: &'static str, work: F)
where
    F: FnOnce(&Index) -> Result<()> + Send + 'static,
{
    let aquifer = Arc::clone(aquifer);
    let span = tracing::info_span!("maintenance", index = name);
    let call = move || {
        let _entered = span.enter();
        match aquifer.index(&name).and_then(|index| work(&index)) {
            Ok(()) => {}
            // Another process does the same work, or has deleted the index.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Busy | ErrorKind::Fenced | ErrorKind::NotFound
                ) =>
            {
                tracing::debug!(%error, what, "left to another time");
            }
            Err(error) => tracing::warn!(%error, what, "failed"),
        }
    };
    // A panic has been logged already, and must not end the maintenance.
    drop(tokio::task::spawn_blocking(call).await);
}
