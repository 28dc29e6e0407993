//! What every request has: an id, a deadline, and one line in the log.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, field};

use super::compression::{accepts_gzip, pack};
use super::counted;
use super::error::Failure;
use super::limits::{MAX_ANSWER_BYTES, MAX_REQUEST_ID_BYTES};
use super::state::AppState;

pub(super) const REQUEST_ID: &str = "x-request-id";

/// A deadline that the front door knows; put into a request's extensions, it takes effect where
/// it is earlier than the router's own.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

/// Bytes of an answer that the front door can pass on; put into a request's extensions, it takes effect
/// where it is less than the router's own bound.
#[derive(Clone, Copy, Debug)]
pub struct AnswerBytes(pub usize);

/// What the client's paths begin with before the part that the router sees: a stage, or the base path of a domain. Put into a
/// request's extensions, it is part of the addresses in the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix(pub String);

/// When a request began, when it must be over, and how large its answer may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) started: Instant,
    pub(crate) deadline: Instant,
    pub(crate) answer_bytes: usize,
}

impl Context {
    /// The context that [`observe`] put there.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_else(|| {
            let now = Instant::now();
            Self {
                started: now,
                deadline: now + super::limits::DEFAULT_DEADLINE,
                answer_bytes: MAX_ANSWER_BYTES,
            }
        })
    }

    /// Whole milliseconds since the request began.
    pub(crate) fn took_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Gives the request its context and its id, and writes its line when it is answered.
///
/// Handlers record what they know (the index, how many documents) into the span.
pub(super) async fn observe(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let own = started + state.settings().deadline;
    let deadline = match request.extensions().get::<Deadline>() {
        Some(given) => own.min(given.0),
        None => own,
    };
    let answer_bytes = match request.extensions().get::<AnswerBytes>() {
        Some(given) => MAX_ANSWER_BYTES.min(given.0),
        None => MAX_ANSWER_BYTES,
    };
    let context = Context {
        started,
        deadline,
        answer_bytes,
    };
    request.extensions_mut().insert(context);
    let id = request_id(request.headers());
    let packs = accepts_gzip(request.headers());
    let span = tracing::info_span!(
        "request",
        method = %request.method(),
        path = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str),
        request_id = id.to_str().unwrap_or_default(),
        index = field::Empty,
        documents = field::Empty,
        refused = field::Empty,
        hits = field::Empty,
        version = field::Empty,
        batch = field::Empty,
    );
    let response = next.run(request).instrument(span.clone()).await;
    let response = pack(response, packs).await;
    let mut response = counted::within(state.budget(), response);
    response.headers_mut().insert(REQUEST_ID, id);
    span.in_scope(|| write_line(&response, context.took_ms()));
    response
}

/// Writes the line of an answer.
pub(crate) fn write_line(response: &Response, took_ms: u64) {
    let status = response.status().as_u16();
    match response.extensions().get::<Failure>() {
        None => tracing::info!(status, took_ms, "answered"),
        Some(Failure { problem, detail }) if status >= 500 => {
            tracing::error!(status, took_ms, problem, detail, "failed");
        }
        Some(Failure { problem, detail }) => {
            tracing::info!(status, took_ms, problem, detail, "refused");
        }
    }
}

/// The client's own id where it is short and harmless to write into a log; else a new one.
#[expect(
    clippy::disallowed_methods,
    reason = "ids of requests sort by time in a log, and nothing depends on them"
)]
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=+/@".contains(byte);
    if let Some(given) = headers.get(REQUEST_ID) {
        let bytes = given.as_bytes();
        if (1..=MAX_REQUEST_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(harmless) {
            return given.clone();
        }
    }
    HeaderValue::from_str(&uuid::Uuid::now_v7().to_string())
        .unwrap_or(HeaderValue::from_static("none"))
}
