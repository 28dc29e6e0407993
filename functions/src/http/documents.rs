//! Documents: posted, read as they came in, deleted.

use aquifer_indexer::document::{self, Document, limits};
use aquifer_indexer::index::{Operation, Outcome};
use aquifer_indexer::mapping::IndexSchema;
use aquifer_indexer::numbers::{DocCount, Version};
use aquifer_indexer::quote::quoted;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::body::{Packed, Unpacked};
use super::error::{Problem, Refusals, Sort};
use super::keys::Keys;
use super::parameters::Parameters;
use super::request::Context;
use super::state::AppState;
use super::submission::{self, Prepared};
use super::target::{MayWrite, Target, UniqueKey};
use super::versions;

/// Names the version that a document was read from: its body is the document itself.
pub(super) const VERSION: HeaderName = HeaderName::from_static("aquifer-version");

/// The answer to posted documents that every search sees from now on.
#[derive(Debug, Serialize)]
struct Posted {
    version: Version,
    accepted: usize,
    created: DocCount,
    updated: DocCount,
    #[serde(flatten)]
    refusals: Refusals,
    took_ms: u64,
}

/// The answer to deletes that every search sees from now on.
#[derive(Debug, Serialize)]
struct Deleted {
    version: Version,
    deleted: DocCount,
    missing: DocCount,
    #[serde(flatten)]
    refusals: Refusals,
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
    let prepare = move |state: &AppState, body: Unpacked| {
        let index = state.index_to_fill(&name)?;
        let prepared = upserts(body, &*index.schema()?)?;
        Ok((index, prepared))
    };
    let submitted = submission::submit(&state, context, wait, body, prepare).await?;
    Ok(
        submitted.answer(&target, context, |version, counts, accepted, refusals| {
            Posted {
                version,
                accepted,
                created: counts.created,
                updated: counts.updated,
                refusals,
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
    let min_version = parameters.min_version()?;
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
    tracing::Span::current().record("version", found.version.get());
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (VERSION, HeaderValue::from(found.version.get())),
        (
            header::CACHE_CONTROL,
            state.settings().cache_control.clone(),
        ),
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
    let worker = state.clone();
    let name = target.index.clone();
    Document::check_key(&key).map_err(|error| Problem::invalid(error.detail))?;
    let prepared = Prepared {
        operations: vec![Operation::Delete(key.clone())],
        refusals: Refusals::default(),
        held: None,
    };
    let call = move || {
        let index = worker.index(&name)?;
        submission::hand_over(&worker, &index, prepared, wait, context)
    };
    let submitted = state.writes().run(context.deadline, call).await?;
    match &submitted.outcome {
        Outcome::Applied { counts, .. } if counts.deleted == DocCount::ZERO => {
            Err(no_document(&key, &target))
        }
        _ => Ok(deleted(submitted, &target, context)),
    }
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
    let name = target.index.clone();
    let prepare = move |state: &AppState, body: Unpacked| {
        let index = state.index(&name)?;
        Ok((index, deletes(body.json()?)?))
    };
    let submitted = submission::submit(&state, context, wait, body, prepare).await?;
    Ok(deleted(submitted, &target, context))
}

fn deleted(submitted: submission::Submitted, target: &Target, context: Context) -> Response {
    submitted.answer(target, context, |version, counts, _accepted, refusals| {
        Deleted {
            version,
            deleted: counts.deleted,
            missing: counts.missing,
            refusals,
            took_ms: context.took_ms(),
        }
    })
}

/// Reads the documents of a body, as long as they fit into the memory that there is for them.
fn upserts(body: Unpacked, schema: &IndexSchema) -> Result<Prepared, Problem> {
    let mut operations = Vec::new();
    let mut refusals = Refusals::default();
    let mut bytes = 0;
    for part in document::split(&body.bytes, body.format)? {
        match part.text.and_then(|source| Document::parse(source, schema)) {
            Ok(document) => {
                bytes += document.memory_bytes();
                if bytes > body.parsed_max {
                    return Err(Problem::new(
                        Sort::TooLarge,
                        format!(
                            "the first {} documents take more than {} bytes of memory once they are read: \
                             send them in several requests",
                            part.index + 1,
                            body.parsed_max
                        ),
                    ));
                }
                operations.push(Operation::Upsert(document));
            }
            Err(error) => refusals.add(part.index, part.line.unwrap_or(1), error),
        }
    }
    Ok(Prepared {
        operations,
        refusals,
        held: Some(body.keep(bytes)),
    })
}

fn deletes(keys: Keys) -> Result<Prepared, Problem> {
    if keys.count == 0 {
        return Err(Problem::invalid("the body names no key: name one at least"));
    }
    if keys.count > limits::BATCH_DOCUMENTS {
        return Err(Problem::new(
            Sort::TooLarge,
            format!(
                "the body names {} keys, and a batch holds {}: send it in parts",
                keys.count,
                limits::BATCH_DOCUMENTS
            ),
        ));
    }
    let mut operations = Vec::with_capacity(keys.count);
    let mut refusals = Refusals::default();
    for (position, key) in keys.kept.into_iter().enumerate() {
        match key {
            Ok(key) => operations.push(Operation::Delete(key)),
            Err(error) => refusals.add(position, 1, error),
        }
    }
    Ok(Prepared {
        operations,
        refusals,
        held: None,
    })
}

fn no_document(key: &str, target: &Target) -> Problem {
    Problem::new(
        Sort::NotFound,
        format!(
            "the index {} holds no document {}",
            quoted(&target.index),
            quoted(key)
        ),
    )
}
