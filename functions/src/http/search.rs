//! Searches, by query parameters or by a JSON body.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aquifer_indexer::index::Index;
use aquifer_indexer::search::{Allowance, SearchRequest, Sort};
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};

use super::answer::{answer_bytes, search_answer};
use super::body::{Admitted, Packed, Purpose};
use super::budget::Held;
use super::counted::{Counted, counted};
use super::error::Problem;
use super::measured::Measured;
use super::parameters::Parameters;
use super::request::Context;
use super::state::AppState;
use super::target::Target;
use super::versions;

/// What a hit is expected to take of an answer. Where it takes more, and memory is short, the search is made once more.
const HIT_BYTES: usize = 8 * 1024;

/// What `GET /search` understands.
const PARAMETERS: &[&str] = &[
    "q",
    "query",
    "operator",
    "lang",
    "language",
    "tag",
    "filter",
    "sort",
    "limit",
    "offset",
    "fields",
    "highlight",
    "min_version",
];

/// `GET /search?q=...`.
pub(super) async fn get(
    State(state): State<AppState>,
    target: Target,
    context: Context,
    uri: Uri,
) -> Result<Response, Problem> {
    let request = from_parameters(&Parameters::read(&uri, PARAMETERS)?)?;
    answer(&state, target, context, request).await
}

/// `POST /search` with a JSON body; without one it finds everything.
pub(super) async fn post(
    State(state): State<AppState>,
    target: Target,
    context: Context,
    uri: Uri,
    body: Packed,
) -> Result<Response, Problem> {
    Parameters::read(&uri, &[])?;
    // Unpacked and parsed in a turn, off the threads that serve connections.
    let read = |body: Admitted| body.unpack()?.json_or_default();
    let body = (body, Purpose::Json);
    let request = state
        .with_body(state.reads(), context.deadline, body, read)
        .await?;
    answer(&state, target, context, request).await
}

/// Ends a search when the request is dropped, as it is when the client has gone.
#[derive(Default)]
struct Wanted {
    not_any_more: Arc<AtomicBool>,
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.not_any_more.store(true, Ordering::Relaxed);
    }
}

/// An answer that is written, and counted until the client has it.
struct Found {
    json: Vec<u8>,
    held: Held,
    hits: u64,
}

impl Found {
    fn into_response(self) -> Response {
        let content_type = HeaderValue::from_static("application/json");
        let body = counted(self.json, self.held);
        let mut answer = ([(header::CONTENT_TYPE, content_type)], body).into_response();
        let extensions = answer.extensions_mut();
        extensions.insert(Counted);
        extensions.insert(Measured {
            hits: Some(self.hits),
            ..Measured::default()
        });
        answer
    }
}

async fn answer(
    state: &AppState,
    target: Target,
    context: Context,
    request: SearchRequest,
) -> Result<Response, Problem> {
    let wanted = Wanted::default();
    let allowance = Allowance {
        deadline: context.deadline,
        answer_bytes: context.answer_bytes,
        cancelled: Arc::clone(&wanted.not_any_more),
    };
    let min_version = request.min_version;
    let (worker, request) = (state.clone(), Arc::new(request));
    let search = move |index: &Index| search(&worker, index, context, &request, &allowance);
    let found = versions::ask(
        state,
        state.searches(),
        &target.index,
        min_version,
        context.deadline,
        search,
    )
    .await?;
    Ok(found.into_response())
}

/// Searches, and writes the answer. Blocks.
fn search(
    state: &AppState,
    index: &Index,
    context: Context,
    request: &SearchRequest,
    allowance: &Allowance,
) -> Result<Found, Problem> {
    let bytes_max = context.answer_bytes;
    let take = |bytes: usize| {
        let answers = &state.budget().answers;
        answers.take_blocking(bytes.min(bytes_max), context.deadline)
    };
    let mut held = take(request.limit.saturating_mul(HIT_BYTES))?;
    let mut response = index.search_now(request, allowance)?;
    let bytes = answer_bytes(&response);
    if bytes > held.bytes() && bytes <= bytes_max {
        // Whoever waits for memory must not hold any.
        drop((response, held));
        held = take(bytes + bytes / 8)?;
        response = index.search_now(request, allowance)?;
    }
    let span = tracing::Span::current();
    span.record("hits", response.count);
    span.record("version", response.version);
    let hits = response.count;
    let json = search_answer(request, response, context.took_ms()).map_err(|error| {
        let detail = format!("a document in the index is not JSON: {error}");
        Problem::new(super::error::Sort::Corrupt, detail)
    })?;
    if json.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    Ok(Found { json, held, hits })
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(
        super::error::Sort::AnswerTooLarge,
        format!(
            "the answer comes to more than {bytes_max} bytes: ask for a part of it with limit and \
             offset, or for less of each document with fields"
        ),
    )
}

fn from_parameters(parameters: &Parameters) -> Result<SearchRequest, Problem> {
    let default = SearchRequest::default();
    let owned = |name: &str| parameters.all(name).map(str::to_owned).collect();
    let mut sort = Vec::new();
    for keys in parameters.all("sort") {
        sort.extend(Sort::parse_list(keys)?);
    }
    Ok(SearchRequest {
        query: parameters
            .one(&["q", "query"])?
            .unwrap_or_default()
            .to_owned(),
        operator: parameters
            .parsed("operator", "or (any word may match) or and (all must)")?
            .unwrap_or_default(),
        lang: parameters.one(&["lang", "language"])?.map(str::to_owned),
        tags: owned("tag"),
        filter: owned("filter"),
        sort,
        limit: parameters
            .parsed("limit", "a number of results")?
            .unwrap_or(default.limit),
        offset: parameters
            .parsed("offset", "a number of results")?
            .unwrap_or(default.offset),
        fields: parameters.list("fields"),
        highlight: parameters.switch("highlight")?,
        min_version: parameters.parsed("min_version", "a version number")?,
    })
}
