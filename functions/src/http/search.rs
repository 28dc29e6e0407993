//! Searches, by query parameters or by a JSON body.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aquifer_indexer::index::Index;
use aquifer_indexer::search::{Allowance, SearchRequest, Sort};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};

use super::answer::search_answer;
use super::body::Packed;
use super::error::Problem;
use super::measured::Measured;
use super::parameters::Parameters;
use super::request::Context;
use super::state::AppState;
use super::target::Target;
use super::versions;

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
    let request = body.json_or_default()?;
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
    let request = Arc::new(request);
    let search = move |index: &Index| {
        let response = index.search_now(&request, &allowance)?;
        let span = tracing::Span::current();
        span.record("hits", response.count);
        span.record("version", response.version);
        let count = response.count;
        let json = search_answer(&request, response, context.took_ms()).map_err(|error| {
            let detail = format!("a document in the index is not JSON: {error}");
            Problem::new(super::error::Sort::Corrupt, detail)
        })?;
        Ok((json, count))
    };
    let turnstile = state.searches();
    let (json, hits) = versions::ask(
        state,
        turnstile,
        &target.index,
        min_version,
        context.deadline,
        search,
    )
    .await?;
    let content_type = HeaderValue::from_static("application/json");
    let mut answer = ([(header::CONTENT_TYPE, content_type)], Body::from(json)).into_response();
    answer.extensions_mut().insert(Measured {
        hits: Some(hits),
        ..Measured::default()
    });
    Ok(answer)
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
