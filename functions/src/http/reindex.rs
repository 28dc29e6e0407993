//! Reindexing: jobs are started, followed and cancelled here; whoever tends the index works on them.

use aquifer_indexer::index::Index;
use aquifer_indexer::reindex::{JobStatus, ReindexRequest};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::body::{Admitted, Packed, Purpose};
use super::error::Problem;
use super::indexes::read;
use super::limits::MAX_SOURCE_BYTES;
use super::parameters::Parameters;
use super::request::Context;
use super::state::AppState;
use super::target::{JobId, MayWrite, Target};

/// The answer to a job that was started.
#[derive(Debug, Serialize)]
struct Started {
    job: JobStatus,
    status_url: String,
}

#[derive(Debug, Serialize)]
struct Jobs {
    jobs: Vec<JobStatus>,
}

/// `POST /reindex`: 202 with the job, 409 while another one runs. Without a body the index is built anew as it is.
pub(super) async fn start(
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
        let request: ReindexRequest = body.unpack()?.object_or_default()?;
        if let Some(url) = &request.source {
            check_length(url)?;
            worker.settings().sources.check(url)?;
        }
        let index = worker.index(&name)?;
        let job = index.start_reindex(&request, context.deadline)?;
        worker.settings().left.left(index.name());
        Ok(job)
    };
    let body = (body, Purpose::Json);
    let job = state
        .with_body(state.writes(), context.deadline, body, call)
        .await?;
    tracing::info!(job = %job.id, source = job.source, "a job was started");
    let status_url = format!("{}/jobs/{}", target.prefix, job.id);
    let location = [(header::LOCATION, status_url.clone())];
    let started = Json(Started { job, status_url });
    Ok((StatusCode::ACCEPTED, location, started).into_response())
}

fn check_length(url: &str) -> Result<(), Problem> {
    if url.len() <= MAX_SOURCE_BYTES {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "the source has {} bytes and may have {MAX_SOURCE_BYTES}: name a folder or a prefix with a shorter name",
        url.len()
    )))
}

/// `GET /jobs`: the job that runs, and the last that ended, the newest first.
pub(super) async fn list(
    State(state): State<AppState>,
    target: Target,
    context: Context,
    uri: Uri,
) -> Result<Response, Problem> {
    let list = |index: &Index| {
        Ok(Jobs {
            jobs: index.jobs()?,
        })
    };
    read(&state, &target, context, &uri, list).await
}

/// `GET /jobs/{job}`: how far a job is, or what became of it.
pub(super) async fn status(
    State(state): State<AppState>,
    target: Target,
    JobId(id): JobId,
    context: Context,
    uri: Uri,
) -> Result<Response, Problem> {
    let status = move |index: &Index| Ok(index.job(id)?);
    read(&state, &target, context, &uri, status).await
}

/// `DELETE /jobs/{job}`: cancels a job; one that has ended stays as it is. Either way the answer says
/// what became of it.
pub(super) async fn cancel(
    _may_write: MayWrite,
    State(state): State<AppState>,
    target: Target,
    JobId(id): JobId,
    context: Context,
    uri: Uri,
) -> Result<Response, Problem> {
    Parameters::read(&uri, &[])?;
    let worker = state.clone();
    let name = target.index.clone();
    let call = move || Ok(worker.index(&name)?.cancel_job(id, context.deadline)?);
    let status = state.writes().run(context.deadline, call).await?;
    Ok(Json(status).into_response())
}
