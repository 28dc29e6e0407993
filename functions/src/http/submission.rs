//! The way of a batch from a request to the index, and the answer that says where it got to.

use std::sync::Arc;

use aquifer_indexer::document::kind;
use aquifer_indexer::index::{Batch, Counts, Index, Operation, Outcome, Wait};
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::Span;

use super::error::{DocumentProblem, Problem, Sort};
use super::measured::Measured;
use super::parameters::Parameters;
use super::request::Context;
use super::state::AppState;
use super::target::Target;

/// A batch that is ready, and what of the request is not in it.
pub(crate) struct Prepared {
    pub(crate) operations: Vec<Operation>,
    pub(crate) errors: Vec<DocumentProblem>,
}

/// A batch that is durable at least.
pub(crate) struct Submitted {
    pub(crate) outcome: Outcome,
    accepted: usize,
    errors: Vec<DocumentProblem>,
}

/// The answer to a batch that is durable and not visible yet.
#[derive(Debug, Serialize)]
struct Durable {
    batch: String,
    status_url: String,
    accepted: usize,
    errors: Vec<DocumentProblem>,
    took_ms: u64,
}

/// Prepares a batch and hands it to the index, off the threads that serve connections.
pub(crate) async fn submit<F>(
    state: &AppState,
    context: Context,
    wait: Wait,
    prepare: F,
) -> Result<Submitted, Problem>
where
    F: FnOnce(&AppState) -> Result<(Arc<Index>, Prepared), Problem> + Send + 'static,
{
    let worker = state.clone();
    let call = move || {
        let (index, Prepared { operations, errors }) = prepare(&worker)?;
        let accepted = operations.len();
        let span = Span::current();
        span.record("documents", accepted);
        span.record("refused", errors.len());
        if operations.is_empty() {
            return Err(all_refused(errors));
        }
        let outcome = index.submit(Batch { operations }, wait, context.deadline)?;
        match &outcome {
            Outcome::Applied { version, .. } => {
                span.record("version", version);
            }
            Outcome::Durable { batch } => {
                span.record("batch", tracing::field::display(batch));
            }
        }
        Ok(Submitted {
            outcome,
            accepted,
            errors,
        })
    };
    state.writes().run(context.deadline, call).await
}

impl Submitted {
    /// 200 with what `applied` makes of it, 202 while it is only durable, and 207 either way
    /// when some of the request was refused, so that a refusal is never overlooked.
    pub(crate) fn answer<T: Serialize>(
        self,
        target: &Target,
        context: Context,
        applied: impl FnOnce(u64, Counts, usize, Vec<DocumentProblem>) -> T,
    ) -> Response {
        let Self {
            outcome,
            accepted,
            errors,
        } = self;
        let measured = Measured {
            documents: accepted,
            refused: errors.len(),
            hits: None,
        };
        let refused = !errors.is_empty();
        let status = |whole| {
            if refused {
                StatusCode::MULTI_STATUS
            } else {
                whole
            }
        };
        let mut response = match outcome {
            Outcome::Applied { version, counts } => {
                let body = applied(version, counts, accepted, errors);
                (status(StatusCode::OK), Json(body)).into_response()
            }
            Outcome::Durable { batch } => {
                let status_url = format!("{}/batches/{batch}", target.prefix);
                let location = [(header::LOCATION, status_url.clone())];
                let body = Durable {
                    batch: batch.to_string(),
                    status_url,
                    accepted,
                    errors,
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
            "the parameter wait should be visible or durable, not {other:?}"
        ))),
    }
}

/// 413 when every document was too large, 400 when none was JSON, 422 when they say what the index
/// does not take.
fn all_refused(errors: Vec<DocumentProblem>) -> Problem {
    let detail = match errors.as_slice() {
        [] => return Problem::invalid("the body holds no document: send one at least"),
        [only] => only.detail.clone(),
        [first, ..] => format!(
            "none of the {} documents was accepted; the first: {}",
            errors.len(),
            first.detail
        ),
    };
    let all = |kinds: &[&str]| errors.iter().all(|error| kinds.contains(&&*error.kind));
    let sort = if all(&[kind::TOO_LARGE]) {
        Sort::TooLarge
    } else if all(&[kind::INVALID_JSON, kind::NOT_AN_OBJECT]) {
        Sort::Invalid
    } else {
        Sort::Refused
    };
    Problem::new(sort, detail).about(errors)
}
