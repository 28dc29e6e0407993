//! The way of a batch from a request to the index, and the answer that says where it got to.

use std::sync::Arc;

use aquifer_indexer::index::{Batch, Counts, Index, Operation, Outcome, Wait};
use aquifer_indexer::numbers::Version;
use aquifer_indexer::quote::quoted;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::Span;

use super::body::{Admitted, Packed, Purpose, Unpacked};
use super::budget::Held;
use super::error::{Problem, Refusals};
use super::measured::Measured;
use super::parameters::Parameters;
use super::request::Context;
use super::state::AppState;
use super::target::Target;

/// A batch that is ready, and what of the request is not in it.
pub(crate) struct Prepared {
    pub(crate) operations: Vec<Operation>,
    pub(crate) refusals: Refusals,
    /// The memory of the operations.
    pub(crate) held: Option<Held>,
}

/// A batch that is durable at least.
pub(crate) struct Submitted {
    pub(crate) outcome: Outcome,
    accepted: usize,
    refusals: Refusals,
}

/// The answer to a batch that is durable and not visible yet.
#[derive(Debug, Serialize)]
struct Durable {
    batch: String,
    status_url: String,
    accepted: usize,
    #[serde(flatten)]
    refusals: Refusals,
    took_ms: u64,
}

/// Prepares a batch of what is in `body` and hands it to the index, off the threads that serve connections.
pub(crate) async fn submit<F>(
    state: &AppState,
    context: Context,
    wait: Wait,
    body: Packed,
    prepare: F,
) -> Result<Submitted, Problem>
where
    F: FnOnce(&AppState, Unpacked) -> Result<(Arc<Index>, Prepared), Problem> + Send + 'static,
{
    let worker = state.clone();
    let call = move |body: Admitted| {
        let (index, prepared) = prepare(&worker, body.unpack()?)?;
        hand_over(&worker, &index, prepared, wait, context)
    };
    let body = (body, Purpose::Documents);
    state
        .with_body(state.writes(), context.deadline, body, call)
        .await
}

/// Hands a batch to the index. Blocks.
pub(crate) fn hand_over(
    state: &AppState,
    index: &Index,
    prepared: Prepared,
    wait: Wait,
    context: Context,
) -> Result<Submitted, Problem> {
    let Prepared {
        operations,
        refusals,
        held: _held,
    } = prepared;
    let accepted = operations.len();
    let span = Span::current();
    span.record("documents", accepted);
    span.record("refused", refusals.count());
    if operations.is_empty() {
        return Err(refusals.into_problem());
    }
    let outcome = index.submit(Batch { operations }, wait, context.deadline)?;
    match &outcome {
        Outcome::Applied { version, .. } => {
            span.record("version", version.get());
        }
        Outcome::Durable { batch } => {
            span.record("batch", tracing::field::display(batch));
            state.settings().left.left(index.name());
        }
    }
    Ok(Submitted {
        outcome,
        accepted,
        refusals,
    })
}

impl Submitted {
    /// 200 with what `applied` makes of it, 202 while it is only durable, and 207 either way
    /// when some of the request was refused, so that a refusal is never overlooked.
    pub(crate) fn answer<T: Serialize>(
        self,
        target: &Target,
        context: Context,
        applied: impl FnOnce(Version, Counts, usize, Refusals) -> T,
    ) -> Response {
        let Self {
            outcome,
            accepted,
            refusals,
        } = self;
        let measured = Measured {
            documents: accepted,
            refused: refusals.count(),
            hits: None,
        };
        let refused = refusals.count() > 0;
        let status = |whole| {
            if refused {
                StatusCode::MULTI_STATUS
            } else {
                whole
            }
        };
        let mut response = match outcome {
            Outcome::Applied { version, counts } => {
                let body = applied(version, counts, accepted, refusals);
                (status(StatusCode::OK), Json(body)).into_response()
            }
            Outcome::Durable { batch } => {
                let status_url = format!("{}/batches/{batch}", target.prefix);
                let location = [(header::LOCATION, status_url.clone())];
                let body = Durable {
                    batch: batch.to_string(),
                    status_url,
                    accepted,
                    refusals,
                    took_ms: context.took_ms(),
                };
                (status(StatusCode::ACCEPTED), location, Json(body)).into_response()
            }
        };
        response.extensions_mut().insert(measured);
        response
    }
}

/// What `wait` asks for: `visible` (the default) or `durable`.
pub(crate) fn wait(parameters: &Parameters) -> Result<Wait, Problem> {
    match parameters.one(&["wait"])? {
        None | Some("visible") => Ok(Wait::Visible),
        Some("durable") => Ok(Wait::Durable),
        Some(other) => Err(Problem::invalid(format!(
            "the parameter wait should be visible or durable, not {}",
            quoted(other)
        ))),
    }
}
