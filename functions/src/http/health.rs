//! Whether the service answers at all.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::state::AppState;
use crate::log_queue::LogQueue;

/// The answer to `GET /health`.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    status: &'static str,
    version: &'static str,
    read_only: bool,
    /// Lines of the log that whoever reads it did not take in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_lines_lost: Option<u64>,
}

/// `GET /health`: touches no file, so that a slow file system does not get the process killed.
pub(super) async fn get(State(state): State<AppState>) -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        read_only: state.settings().read_only,
        log_lines_lost: state.settings().log.as_ref().map(LogQueue::lost),
    })
}
