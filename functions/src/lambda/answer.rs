//! Answers in the shape that the sender of an event understands, and no larger than it takes.

use std::collections::BTreeMap;

use aquifer_indexer::{Error, ErrorKind};
use axum::body::to_bytes;
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use lambda_http::Body;
use lambda_http::aws_lambda_events::alb::AlbTargetGroupResponse;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayV2httpResponse};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::event::Shape;
use crate::http::{Failure, Problem, Sort};

/// Bytes of what a function may answer, the JSON around the body included: Lambda's quota, as its
/// error names it.
pub const ANSWER_BYTES_MAX: usize = 6_291_556;

/// Bytes of what a load balancer takes: 1 MB, whichever megabyte is meant.
pub const BALANCER_ANSWER_BYTES_MAX: usize = 1_000_000;

/// What a bare invocation is answered. What it asked with is text, and so is what it gets.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BareAnswer {
    status_code: u16,
    body: Body,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_base64_encoded: bool,
}

/// What VPC Lattice understands: one value for each header.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LatticeAnswer {
    is_base64_encoded: bool,
    status_code: u16,
    status_description: String,
    headers: BTreeMap<String, String>,
    body: Body,
}

/// Writes `response`; a problem document instead of one that is too large.
///
/// # Errors
/// [`aquifer_indexer::ErrorKind::Internal`] when the response breaks off.
pub async fn write(shape: Shape, response: Response) -> Result<Box<RawValue>, Error> {
    let may_be_packed = shape != Shape::Bare && !response.headers().contains_key(CONTENT_ENCODING);
    let answer = write_whole(shape, response).await?;
    let (length, limit) = (answer.get().len(), limit(shape));
    if length <= limit {
        return Ok(answer);
    }
    write_whole(
        shape,
        too_large(length, limit, may_be_packed).into_response(),
    )
    .await
}

/// Bytes that an answer in this shape may come to.
pub(super) fn limit(shape: Shape) -> usize {
    match shape {
        Shape::Balancer { .. } => BALANCER_ANSWER_BYTES_MAX,
        Shape::V1 | Shape::V2 | Shape::Lattice | Shape::Bare => ANSWER_BYTES_MAX,
    }
}

/// Why the invocation fails of a bare request that could not be carried out. A status would count as success where nobody
/// reads it: an asynchronous invocation would not be tried again.
pub(super) fn failure(response: &Response) -> Error {
    let status = response.status();
    let detail = response.extensions().get::<Failure>();
    let detail = detail.map_or("no reason is given", |failure| failure.detail.as_str());
    let kind = if status == StatusCode::SERVICE_UNAVAILABLE {
        ErrorKind::Unavailable
    } else {
        ErrorKind::Internal
    };
    Error::new(kind, format!("{}: {detail}", description(status)))
}

fn too_large(length: usize, limit: usize, may_be_packed: bool) -> Problem {
    let packed = if may_be_packed {
        ", or for a packed one with `accept-encoding: gzip`"
    } else {
        ""
    };
    Problem::new(
        Sort::AnswerTooLarge,
        format!(
            "the answer comes to {length} bytes as it travels, and {limit} are the limit here: ask for \
             a part of it with limit and offset, or for less of each document with fields{packed}"
        ),
    )
}

async fn write_whole(shape: Shape, response: Response) -> Result<Box<RawValue>, Error> {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX)
        .await
        .map_err(|error| Error::internal("the answer broke off").because(error))?;
    let (status, headers) = (parts.status, parts.headers);
    let (body, is_base64_encoded) = match String::from_utf8(bytes.into()) {
        Ok(text) => (Body::Text(text), false),
        Err(binary) => (Body::Binary(binary.into_bytes()), true),
    };
    let written = match shape {
        Shape::V1 => {
            let mut answer = ApiGatewayProxyResponse::default();
            answer.status_code = status.as_u16().into();
            // A REST API would send what stands in both twice.
            answer.multi_value_headers = headers;
            answer.body = Some(body);
            answer.is_base64_encoded = is_base64_encoded;
            to_raw_value(&answer)
        }
        Shape::V2 => {
            let mut answer = ApiGatewayV2httpResponse::default();
            answer.status_code = status.as_u16().into();
            answer.headers = joined(&headers);
            answer.body = Some(body);
            answer.is_base64_encoded = is_base64_encoded;
            to_raw_value(&answer)
        }
        Shape::Balancer { multi_value } => {
            let mut answer = AlbTargetGroupResponse::default();
            answer.status_code = status.as_u16().into();
            answer.status_description = Some(description(status));
            if multi_value {
                answer.multi_value_headers = headers;
            } else {
                answer.headers = joined(&headers);
            }
            answer.body = Some(body);
            answer.is_base64_encoded = is_base64_encoded;
            to_raw_value(&answer)
        }
        Shape::Lattice => to_raw_value(&LatticeAnswer {
            is_base64_encoded,
            status_code: status.as_u16(),
            status_description: description(status),
            headers: single(&headers),
            body,
        }),
        Shape::Bare => to_raw_value(&BareAnswer {
            status_code: status.as_u16(),
            body,
            is_base64_encoded,
        }),
    };
    written.map_err(|error| Error::internal("an answer is no JSON").because(error))
}

fn description(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or_default();
    format!("{} {reason}", status.as_u16())
}

/// The headers as texts, each with one value.
fn single(headers: &HeaderMap) -> BTreeMap<String, String> {
    let joined = joined(headers);
    let texts = joined
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    texts.collect()
}

/// The same headers, each with one value: several are joined by commas, as RFC 9110 (5.3) allows.
fn joined(headers: &HeaderMap) -> HeaderMap {
    let join = |name: &HeaderName| {
        let values: Vec<&[u8]> = headers
            .get_all(name)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        let value = HeaderValue::from_bytes(&values.join(&b", "[..])).ok()?;
        Some((name.clone(), value))
    };
    headers.keys().filter_map(join).collect()
}
