//! Whether the service answers at all, and whether it can do what it is there for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout_at;

use super::error::{Problem, Sort};
use super::request::Context;
use super::state::AppState;
use crate::advice::advised;
use crate::log_queue::LogQueue;
use aquifer_indexer::index::{Aquifer, Counted};

/// How long the result of a probe counts: load balancers ask every few seconds, each of them, and a probe writes.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a probe is waited for. A network file system that hangs does not answer at all.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);

/// The answer to `GET /health`.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    status: &'static str,
    version: &'static str,
    read_only: bool,
    /// What the process has done with its indexes.
    work: Counted,
    /// Lines of the log that whoever reads it did not take in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_lines_lost: Option<u64>,
}

/// The answer to `GET /health/ready` of a server that is ready.
#[derive(Debug, Serialize)]
pub(super) struct Ready {
    status: &'static str,
}

/// `GET /health`: touches no file, so that a slow file system does not get the process killed.
pub(super) async fn get(State(state): State<AppState>) -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        read_only: state.settings().read_only,
        work: state.aquifer().counters(),
        log_lines_lost: state.settings().log.as_ref().map(LogQueue::lost),
    })
}

/// `GET /health/ready`: whether the root folder is there and, on a server that writes, takes a file.
pub(super) async fn ready(
    State(state): State<AppState>,
    context: Context,
) -> Result<Json<Ready>, Problem> {
    let until = context.deadline.min(Instant::now() + PROBE_PATIENCE);
    let probed = state.readiness().probe(state.shared_aquifer(), until).await;
    match probed {
        Ok(()) => Ok(Json(Ready { status: "ready" })),
        Err(detail) => Err(Problem::new(Sort::Unavailable, detail)),
    }
}

/// What is known of the root folder.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Probes>);

#[derive(Debug, Default)]
struct Probes {
    /// The last result, and when it came.
    last: Option<(Instant, Result<(), String>)>,
    /// The probe that runs. One that hangs is not joined by a second one.
    running: Option<JoinHandle<Result<(), String>>>,
}

impl Readiness {
    /// The result of a probe that is recent enough; waits for one until `until`.
    async fn probe(&self, aquifer: Arc<Aquifer>, until: Instant) -> Result<(), String> {
        let silent = || Err("the file system does not answer: look at its server".to_owned());
        let Ok(mut probes) = timeout_at(until.into(), self.0.lock()).await else {
            return silent();
        };
        if let Some((when, result)) = &probes.last
            && when.elapsed() < PROBE_INTERVAL
        {
            return result.clone();
        }
        let running = probes.running.get_or_insert_with(|| {
            tokio::task::spawn_blocking(move || aquifer.probe().map_err(|error| advised(&error)))
        });
        let Ok(ended) = timeout_at(until.into(), running).await else {
            return silent();
        };
        let result = ended.unwrap_or_else(|error| Err(format!("the probe broke off: {error}")));
        probes.running = None;
        probes.last = Some((Instant::now(), result.clone()));
        result
    }
}
