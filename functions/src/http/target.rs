//! What a request is about: an index, a document, and whether it may write.

use aquifer_indexer::index::no_index;
use aquifer_indexer::quote::{quoted, shortened};
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use uuid::Uuid;

use super::error::Problem;
use super::request::{Context, Prefix};
use super::state::AppState;

/// The index that the path names, or the default one.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The index's name.
    pub(crate) index: String,
    /// What the client's paths to this index begin with: the front door's prefix, and `/indexes/{index}` where the path
    /// names one.
    pub(crate) prefix: String,
}

impl FromRequestParts<AppState> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Prefix(prefix) = parts.extensions.get().cloned().unwrap_or_default();
        let target = match parameter(parts, "index").await? {
            Some(index) => Self {
                prefix: format!("{prefix}/indexes/{index}"),
                index,
            },
            None => Self {
                index: state.settings().default_index.clone(),
                prefix,
            },
        };
        tracing::Span::current().record("index", &*shortened(target.index.as_str()));
        if !state.settings().served.includes(&target.index) {
            return Err(no_index(&target.index).into());
        }
        Ok(target)
    }
}

/// The key of the document that the path names, percent-decoded.
#[derive(Clone, Debug)]
pub(crate) struct UniqueKey(pub(crate) String);

impl FromRequestParts<AppState> for UniqueKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, Problem> {
        let key = parameter(parts, "unique_key").await?;
        // `/documents/delete` is a route of its own, and a document may have that key.
        Ok(Self(key.unwrap_or_else(|| "delete".to_owned())))
    }
}

/// The id of the batch that the path names.
#[derive(Clone, Debug)]
pub(crate) struct BatchId(pub(crate) String);

impl FromRequestParts<AppState> for BatchId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, Problem> {
        Ok(Self(parameter(parts, "batch").await?.unwrap_or_default()))
    }
}

/// The id of the job that the path names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobId(pub(crate) Uuid);

impl FromRequestParts<AppState> for JobId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, Problem> {
        let text = parameter(parts, "job").await?.unwrap_or_default();
        text.parse().map(Self).map_err(|_wrong| {
            Problem::invalid(format!(
                "{} is no job: use the `id` that the answer to POST /reindex gave, or that GET /jobs lists",
                quoted(&text)
            ))
        })
    }
}

/// Proof that this server writes; a handler that changes something takes it first, so that
/// nothing is read from a client that is refused anyway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MayWrite;

impl FromRequestParts<AppState> for MayWrite {
    type Rejection = Problem;

    async fn from_request_parts(_parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        state.must_write().map(|()| Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Context {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self::of(&parts.extensions))
    }
}

async fn parameter(parts: &mut Parts, name: &str) -> Result<Option<String>, Problem> {
    let parameters = RawPathParams::from_request_parts(parts, &())
        .await
        .map_err(|error| {
            Problem::invalid(format!(
                "the path is not percent-encoded UTF-8: {}",
                error.body_text()
            ))
        })?;
    let found = parameters.iter().find(|(key, _)| *key == name);
    Ok(found.map(|(_, value)| value.to_owned()))
}
