//! Searches, by query parameters or by a JSON body.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aquifer_indexer::index::Index;
use aquifer_indexer::search::{Allowance, SearchRequest, Sort};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::answer::search_answer;
use super::body::{Admitted, Packed, Purpose};
use super::budget::Held;
use super::caching::Cacheable;
use super::counted::{Counted, counted};
use super::error::Problem;
use super::limits::{MEDIUM_BYTES, SMALL_BYTES};
use super::measured::Measured;
use super::parameters::Parameters;
use super::request::Context;
use super::state::AppState;
use super::target::Target;
use super::versions;

/// What a hit is expected to take of an answer. Where it takes more, the search is made again with more memory.
const HIT_BYTES: usize = 4 * 1024;

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
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let request = from_parameters(&Parameters::read(&uri, PARAMETERS)?)?;
    let cacheable = Cacheable::new(&request, &headers);
    let mut response = answer(&state, target, context, request, Some(cacheable)).await?;
    let cache_control = state.settings().cache_control.clone();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, cache_control);
    Ok(response)
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
    let read = |body: Admitted| body.unpack()?.object_or_default();
    let body = (body, Purpose::Json);
    let request = state
        .with_body(state.reads(), context.deadline, body, read)
        .await?;
    answer(&state, target, context, request, None).await
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

/// Searches within the memory that there is for answers. An answer that turns out to be larger than was expected is let go
/// of, and made again when there is more: whoever waits for memory must not hold any.
async fn answer(
    state: &AppState,
    target: Target,
    context: Context,
    request: SearchRequest,
    cacheable: Option<Cacheable>,
) -> Result<Response, Problem> {
    let wanted = Wanted::default();
    let request = Arc::new(request);
    let expected = request.limit.saturating_mul(HIT_BYTES).max(SMALL_BYTES);
    let mut bytes = expected.min(context.answer_bytes);
    loop {
        let allowance = Allowance {
            deadline: context.deadline,
            answer_bytes: bytes,
            cancelled: Arc::clone(&wanted.not_any_more),
        };
        match find(state, &target, context, &request, allowance, &cacheable).await {
            Err(problem) if problem.is_answer_too_large() && bytes < context.answer_bytes => {
                bytes = if bytes < MEDIUM_BYTES {
                    MEDIUM_BYTES.min(context.answer_bytes)
                } else {
                    context.answer_bytes
                };
            }
            found => return found,
        }
    }
}

/// What a search came to.
enum Found {
    /// The client has the answer with this tag.
    Known(HeaderValue),
    /// The answer as JSON, its memory, how many documents match, and its tag where it may be kept.
    Answer(Vec<u8>, Held, u64, Option<HeaderValue>),
}

/// Searches within an allowance, for whose bytes memory is taken when it is the request's turn: whoever waits for a version
/// holds none.
async fn find(
    state: &AppState,
    target: &Target,
    context: Context,
    request: &Arc<SearchRequest>,
    allowance: Allowance,
    cacheable: &Option<Cacheable>,
) -> Result<Response, Problem> {
    let min_version = request.min_version;
    let (request, worker, cacheable) = (Arc::clone(request), state.clone(), cacheable.clone());
    let search = move |index: &Index| {
        if let Some(tag) = known(index, cacheable.as_ref())? {
            return Ok(Found::Known(tag));
        }
        let answers = &worker.budget().answers;
        let held = answers.take_blocking(allowance.answer_bytes, allowance.deadline)?;
        let response = index.search_now(&request, &allowance)?;
        let span = tracing::Span::current();
        span.record("hits", response.count.get());
        span.record("version", response.version.get());
        let count = response.count.get();
        let tag = cacheable
            .as_ref()
            .map(|cacheable| cacheable.tag(response.lineage, response.version));
        let json = search_answer(&request, response, context.took_ms()).map_err(|error| {
            let detail = format!("a document in the index is not JSON: {error}");
            Problem::new(super::error::Sort::Corrupt, detail)
        })?;
        Ok(Found::Answer(json, held, count, tag))
    };
    let turnstile = state.searches();
    let found = versions::ask(
        state,
        turnstile,
        &target.index,
        min_version,
        context.deadline,
        search,
    )
    .await?;
    Ok(match found {
        Found::Known(tag) => tagged(StatusCode::NOT_MODIFIED.into_response(), Some(tag)),
        Found::Answer(json, held, hits, tag) => tagged(found_answer(json, held, hits), tag),
    })
}

/// The tag of the newest version's answer, where the client asks whether it has that and does.
fn known(index: &Index, cacheable: Option<&Cacheable>) -> Result<Option<HeaderValue>, Problem> {
    let Some(cacheable) = cacheable.filter(|cacheable| cacheable.is_conditional()) else {
        return Ok(None);
    };
    let snapshot = index.snapshot()?;
    let tag = cacheable.tag(snapshot.manifest().lineage, snapshot.version());
    Ok(cacheable.is_known(&tag).then_some(tag))
}

fn tagged(mut response: Response, tag: Option<HeaderValue>) -> Response {
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn found_answer(json: Vec<u8>, held: Held, hits: u64) -> Response {
    let content_type = HeaderValue::from_static("application/json");
    let body = counted(json, held);
    let mut answer = ([(header::CONTENT_TYPE, content_type)], body).into_response();
    let extensions = answer.extensions_mut();
    extensions.insert(Counted);
    extensions.insert(Measured {
        hits: Some(hits),
        ..Measured::default()
    });
    answer
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
        min_version: parameters.min_version()?,
    })
}
