//! The indexes themselves: created, listed, described, deleted; and their numbers.

use aquifer_indexer::index::{BatchStatus, Index, Stats};
use aquifer_indexer::mapping::Definition;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::body::{Admitted, Packed, Purpose};
use super::error::Problem;
use super::parameters::Parameters;
use super::request::Context;
use super::state::AppState;
use super::target::{BatchId, MayWrite, Target};

#[derive(Debug, Serialize)]
struct Listing {
    indexes: Vec<String>,
}

#[derive(Serialize)]
struct Description {
    name: String,
    definition: Definition,
    stats: Stats,
}

#[derive(Serialize)]
struct Created<'a> {
    name: &'a str,
    created: bool,
}

/// `GET /indexes`: the names.
pub(super) async fn list(
    State(state): State<AppState>,
    context: Context,
    uri: Uri,
) -> Result<Response, Problem> {
    Parameters::read(&uri, &[])?;
    let worker = state.clone();
    let call = move || {
        let mut names = worker.aquifer().indexes()?;
        names.retain(|name| worker.settings().served.includes(name));
        Ok(names)
    };
    let indexes = state.reads().run(context.deadline, call).await?;
    Ok(Json(Listing { indexes }).into_response())
}

/// `PUT /indexes/{index}` with a definition, or without one for the default: 201 when it is new,
/// 200 when it exists with the same definition, 409 when it has another.
pub(super) async fn create(
    _may_write: MayWrite,
    State(state): State<AppState>,
    target: Target,
    context: Context,
    uri: Uri,
    body: Packed,
) -> Result<Response, Problem> {
    Parameters::read(&uri, &[])?;
    let worker = state.clone();
    let name = target.index.clone();
    let call = move |body: Admitted| {
        let definition: Definition = body.unpack()?.object_or_default()?;
        Ok(worker.aquifer().create_index(&name, &definition)?)
    };
    let body = (body, Purpose::Json);
    let created = state
        .with_body(state.writes(), context.deadline, body, call)
        .await?;
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let answer = Json(Created {
        name: &target.index,
        created,
    });
    Ok((status, [(header::LOCATION, &target.prefix)], answer).into_response())
}

/// `GET /indexes/{index}`: its definition and its numbers.
pub(super) async fn describe(
    State(state): State<AppState>,
    target: Target,
    context: Context,
    uri: Uri,
) -> Result<Response, Problem> {
    let describe = |index: &Index| {
        Ok(Description {
            name: index.name().to_owned(),
            definition: index.schema()?.definition().clone(),
            stats: index.stats()?,
        })
    };
    read(&state, &target, context, &uri, describe).await
}

/// `DELETE /indexes/{index}`, with everything in it.
pub(super) async fn delete(
    _may_write: MayWrite,
    State(state): State<AppState>,
    target: Target,
    context: Context,
    uri: Uri,
) -> Result<Response, Problem> {
    Parameters::read(&uri, &[])?;
    let worker = state.clone();
    let call = move || Ok(worker.aquifer().delete_index(&target.index)?);
    state.writes().run(context.deadline, call).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /stats`: the numbers of an index.
pub(super) async fn stats(
    State(state): State<AppState>,
    target: Target,
    context: Context,
    uri: Uri,
) -> Result<Response, Problem> {
    read(&state, &target, context, &uri, |index| Ok(index.stats()?)).await
}

/// `GET /batches/{batch}`: how far a batch has come that was answered 202.
pub(super) async fn batch(
    State(state): State<AppState>,
    target: Target,
    BatchId(id): BatchId,
    context: Context,
    uri: Uri,
) -> Result<Response, Problem> {
    let status =
        move |index: &Index| -> Result<BatchStatus, Problem> { Ok(index.batch_status(&id)?) };
    read(&state, &target, context, &uri, status).await
}

/// Answers a question about an index with JSON; no parameter is understood.
pub(super) async fn read<T, F>(
    state: &AppState,
    target: &Target,
    context: Context,
    uri: &Uri,
    question: F,
) -> Result<Response, Problem>
where
    T: Serialize + Send + 'static,
    F: Fn(&Index) -> Result<T, Problem> + Send + 'static,
{
    Parameters::read(uri, &[])?;
    let worker = state.clone();
    let name = target.index.clone();
    let call = move || worker.ask(&name, question);
    let answer = state.reads().run(context.deadline, call).await?;
    Ok(Json(answer).into_response())
}
