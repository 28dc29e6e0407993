//! Answers in the shape that the sender of an event understands, and no larger than it takes.

use std::collections::BTreeMap;

use aquifer_indexer::Error;
use axum::body::to_bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::event::Shape;
use crate::http::{Problem, Sort};

/// Bytes of what a function may answer, the JSON around the body included: Lambda's quota, as its
/// error names it.
pub const ANSWER_BYTES_MAX: usize = 6_291_556;

/// Bytes of what a load balancer takes: 1 MB, whichever megabyte is meant.
pub const BALANCER_ANSWER_BYTES_MAX: usize = 1_000_000;

/// What the sender of an HTTP event, or of a bare one, is answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<&'a str, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_headers: Option<BTreeMap<&'a str, Vec<String>>>,
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_base64_encoded: Option<bool>,
}

/// Writes `response`; a problem document instead of one that is too large.
///
/// # Errors
/// [`aquifer_indexer::ErrorKind::Internal`] when the response breaks off.
pub async fn write(shape: Shape, response: Response) -> Result<Box<RawValue>, Error> {
    let answer = write_whole(shape, response).await?;
    let (length, limit) = (answer.get().len(), limit(shape));
    if length <= limit {
        return Ok(answer);
    }
    write_whole(shape, too_large(length, limit).into_response()).await
}

fn limit(shape: Shape) -> usize {
    match shape {
        Shape::Balancer { .. } => BALANCER_ANSWER_BYTES_MAX,
        Shape::V1 | Shape::V2 | Shape::Bare => ANSWER_BYTES_MAX,
    }
}

fn too_large(length: usize, limit: usize) -> Problem {
    Problem::new(
        Sort::AnswerTooLarge,
        format!(
            "the answer comes to {length} bytes as it travels, and {limit} are the limit here: ask for \
             a part of it with limit and offset, or for less of each document with fields"
        ),
    )
}

async fn write_whole(shape: Shape, response: Response) -> Result<Box<RawValue>, Error> {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX)
        .await
        .map_err(|error| Error::internal("the answer broke off").because(error))?;
    let encoded;
    let (body, binary) = match std::str::from_utf8(&bytes) {
        Ok(text) => (text, false),
        Err(_) => {
            encoded = STANDARD.encode(&bytes);
            (encoded.as_str(), true)
        }
    };
    let mut answer = Answer {
        status_code: parts.status.as_u16(),
        status_description: None,
        headers: None,
        multi_value_headers: None,
        body,
        is_base64_encoded: Some(binary),
    };
    match shape {
        // A REST API would send what stands in both twice.
        Shape::V1 => answer.multi_value_headers = Some(several(&parts.headers)),
        Shape::V2 => answer.headers = Some(single(&parts.headers)),
        Shape::Balancer { multi_value } => {
            answer.status_description = Some(description(parts.status));
            if multi_value {
                answer.multi_value_headers = Some(several(&parts.headers));
            } else {
                answer.headers = Some(single(&parts.headers));
            }
        }
        Shape::Bare => answer.is_base64_encoded = binary.then_some(true),
    }
    to_raw_value(&answer).map_err(|error| Error::internal("an answer is no JSON").because(error))
}

fn description(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or_default();
    format!("{} {reason}", status.as_u16())
}

fn several(headers: &HeaderMap) -> BTreeMap<&str, Vec<String>> {
    let mut map = BTreeMap::<&str, Vec<String>>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        map.entry(name.as_str()).or_default().push(value);
    }
    map
}

fn single(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let joined = several(headers).into_iter();
    joined
        .map(|(name, values)| (name, values.join(", ")))
        .collect()
}
