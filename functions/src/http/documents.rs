//! Documents: posted, read as they came in, deleted.

use aquifer_indexer::document::{self, BodyFormat, Document, DocumentError, limits};
use aquifer_indexer::index::{Operation, Outcome, Wait};
use aquifer_indexer::mapping::IndexSchema;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::body::Packed;
use super::error::{DocumentProblem, Problem, Sort};
use super::parameters::Parameters;
use super::request::Context;
use super::state::AppState;
use super::submission::{self, Prepared};
use super::target::{MayWrite, Target, UniqueKey};
use super::versions;

/// Names the version that a document was read from: its body is the document itself.
const VERSION: HeaderName = HeaderName::from_static("aquifer-version");

/// The answer to posted documents that every search sees from now on.
#[derive(Debug, Serialize)]
struct Posted {
    version: u64,
    accepted: usize,
    created: u32,
    updated: u32,
    errors: Vec<DocumentProblem>,
    took_ms: u64,
}

/// The answer to deletes that every search sees from now on.
#[derive(Debug, Serialize)]
struct Deleted {
    version: u64,
    deleted: u32,
    missing: u32,
    errors: Vec<DocumentProblem>,
    took_ms: u64,
}

/// `POST /documents`: one document, an array, `{"documents": [...]}`, or a document a line.
pub(super) async fn post(
    _may_write: MayWrite,
    State(state): State<AppState>,
    target: Target,
    context: Context,
    uri: Uri,
    body: Packed,
) -> Result<Response, Problem> {
    let wait = submission::wait(&Parameters::read(&uri, &["wait"])?)?;
    let name = target.index.clone();
    let prepare = move |state: &AppState| {
        let format = body.format();
        let body = body.unpack()?;
        let index = state.index_to_fill(&name)?;
        let prepared = upserts(&body, format, &*index.schema()?)?;
        Ok((index, prepared))
    };
    let submitted = submission::submit(&state, context, wait, prepare).await?;
    Ok(
        submitted.answer(&target, context, |version, counts, accepted, errors| {
            Posted {
                version,
                accepted,
                created: counts.created,
                updated: counts.updated,
                errors,
                took_ms: context.took_ms(),
            }
        }),
    )
}

/// `GET /documents/{unique_key}`: the document, byte for byte as it came in.
pub(super) async fn get(
    State(state): State<AppState>,
    target: Target,
    UniqueKey(key): UniqueKey,
    context: Context,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(&uri, &["min_version"])?;
    let min_version = parameters.parsed("min_version", "a version number")?;
    let wanted = key.clone();
    let found = versions::ask(
        &state,
        state.reads(),
        &target.index,
        min_version,
        context.deadline,
        move |index| Ok(index.get_now(&wanted, min_version)?),
    )
    .await?;
    let found = found.ok_or_else(|| no_document(&key, &target))?;
    tracing::Span::current().record("version", found.version);
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (VERSION, HeaderValue::from(found.version)),
    ];
    Ok((headers, String::from(found.source)).into_response())
}

/// `DELETE /documents/{unique_key}`: 404 where there was none to delete.
pub(super) async fn delete(
    _may_write: MayWrite,
    State(state): State<AppState>,
    target: Target,
    UniqueKey(key): UniqueKey,
    context: Context,
    uri: Uri,
) -> Result<Response, Problem> {
    let wait = submission::wait(&Parameters::read(&uri, &["wait"])?)?;
    let submitted = delete_keys(&state, &target, context, wait, vec![key.clone()]).await?;
    match &submitted.outcome {
        Outcome::Applied { counts, .. } if counts.deleted == 0 => Err(no_document(&key, &target)),
        _ => Ok(deleted(submitted, &target, context)),
    }
}

/// The keys in the body of `POST /documents/delete`.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "the body should be {\"unique_keys\": [\"...\"]}, or only the array of strings"
)]
enum Keys {
    Array(Vec<String>),
    Object(NamedKeys),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedKeys {
    unique_keys: Vec<String>,
}

/// `POST /documents/delete`: many keys at once; those that are not there are counted.
pub(super) async fn delete_many(
    _may_write: MayWrite,
    State(state): State<AppState>,
    target: Target,
    context: Context,
    uri: Uri,
    body: Packed,
) -> Result<Response, Problem> {
    let wait = submission::wait(&Parameters::read(&uri, &["wait"])?)?;
    let keys = match body.json()? {
        Keys::Array(keys) | Keys::Object(NamedKeys { unique_keys: keys }) => keys,
    };
    let submitted = delete_keys(&state, &target, context, wait, keys).await?;
    Ok(deleted(submitted, &target, context))
}

async fn delete_keys(
    state: &AppState,
    target: &Target,
    context: Context,
    wait: Wait,
    keys: Vec<String>,
) -> Result<submission::Submitted, Problem> {
    let name = target.index.clone();
    let prepare = move |state: &AppState| {
        let index = state.index(&name)?;
        Ok((index, deletes(keys)?))
    };
    submission::submit(state, context, wait, prepare).await
}

fn deleted(submitted: submission::Submitted, target: &Target, context: Context) -> Response {
    submitted.answer(target, context, |version, counts, _accepted, errors| {
        Deleted {
            version,
            deleted: counts.deleted,
            missing: counts.missing,
            errors,
            took_ms: context.took_ms(),
        }
    })
}

fn upserts(body: &[u8], format: BodyFormat, schema: &IndexSchema) -> Result<Prepared, Problem> {
    let mut operations = Vec::new();
    let mut errors = Vec::new();
    for part in document::split(body, format)? {
        match part.text.and_then(|source| Document::parse(source, schema)) {
            Ok(document) => operations.push(Operation::Upsert(document)),
            Err(error) => errors.push(problem(part.index, error)),
        }
    }
    Ok(Prepared { operations, errors })
}

fn deletes(keys: Vec<String>) -> Result<Prepared, Problem> {
    if keys.is_empty() {
        return Err(Problem::invalid("the body names no key: name one at least"));
    }
    if keys.len() > limits::BATCH_DOCUMENTS {
        return Err(Problem::new(
            Sort::TooLarge,
            format!(
                "the body names {} keys, and a batch holds {}: send it in parts",
                keys.len(),
                limits::BATCH_DOCUMENTS
            ),
        ));
    }
    Ok(Prepared {
        operations: keys.into_iter().map(Operation::Delete).collect(),
        errors: Vec::new(),
    })
}

fn problem(position: usize, error: DocumentError) -> DocumentProblem {
    DocumentProblem {
        position,
        unique_key: error.unique_key,
        kind: error.kind.to_string(),
        detail: error.detail,
    }
}

fn no_document(key: &str, target: &Target) -> Problem {
    Problem::new(
        Sort::NotFound,
        format!("the index {:?} holds no document {key:?}", target.index),
    )
}
