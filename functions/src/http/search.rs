//! Searches, by query parameters or by a JSON body.

use aquifer_indexer::index::Index;
use aquifer_indexer::search::{SearchRequest, Sort};
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

/// What a hit is expected to take of an answer. Where it takes more, and memory is short, the search is made once more.
const HIT_BYTES: usize = 2 * 1024;

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
    let worker = state.clone();
    let call = move || search(&worker, &target, context, &request);
    let found = state.reads().run(context.deadline, call).await?;
    Ok(found.into_response())
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
    let worker = state.clone();
    let call = move |body: Admitted| {
        let request = body.unpack()?.json_or_default()?;
        search(&worker, &target, context, &request)
    };
    let body = (body, Purpose::Json);
    let found = state
        .with_body(state.reads(), context.deadline, body, call)
        .await?;
    Ok(found.into_response())
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

/// Searches, and writes the answer. Blocks.
fn search(
    state: &AppState,
    target: &Target,
    context: Context,
    request: &SearchRequest,
) -> Result<Found, Problem> {
    let bytes_max = state.settings().answer_bytes;
    let take = |bytes: usize| {
        let answers = &state.budget().answers;
        answers.take_blocking(bytes.min(bytes_max), context.deadline)
    };
    let search = |index: &Index| Ok(index.search(request, context.deadline)?);
    let mut held = take(request.limit.saturating_mul(HIT_BYTES))?;
    let mut response = state.ask(&target.index, search)?;
    let bytes = answer_bytes(&response);
    if bytes > held.bytes() && bytes <= bytes_max {
        // Whoever waits for memory must not hold any.
        drop((response, held));
        held = take(bytes + bytes / 8)?;
        response = state.ask(&target.index, search)?;
    }
    let span = tracing::Span::current();
    span.record("hits", response.count);
    span.record("version", response.version);
    if answer_bytes(&response) > bytes_max {
        return Err(too_large(bytes_max));
    }
    let json = search_answer(request, &response, context.took_ms()).map_err(|error| {
        let detail = format!("a document in the index is not JSON: {error}");
        Problem::new(super::error::Sort::Corrupt, detail)
    })?;
    if json.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    Ok(Found {
        json,
        held,
        hits: response.count,
    })
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
