//! Request bodies: read within a bound and a deadline, unpacked within another bound.

use std::io::Read;

use aquifer_indexer::document::BodyFormat;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use tokio::time::timeout_at;

use super::error::{Problem, Sort};
use super::limits::{MAX_BODY_BYTES, MAX_UNPACKED_BODY_BYTES};
use super::request::Context;

/// A body as it travelled.
#[derive(Debug)]
pub(crate) struct Packed {
    bytes: Bytes,
    gzip: bool,
    format: BodyFormat,
}

impl Packed {
    /// How the body says that it is written.
    pub(crate) fn format(&self) -> BodyFormat {
        self.format
    }

    /// The body's own bytes. Computes for as long as unpacking takes.
    pub(crate) fn unpack(self) -> Result<Bytes, Problem> {
        if !self.gzip {
            return Ok(self.bytes);
        }
        let bound = u64::try_from(MAX_UNPACKED_BODY_BYTES).unwrap_or(u64::MAX);
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(self.bytes.as_ref())
            .take(bound.saturating_add(1))
            .read_to_end(&mut unpacked)
            .map_err(|error| {
                Problem::invalid(format!(
                    "the body is not the gzip that its content-encoding promises: {error}"
                ))
            })?;
        if unpacked.len() > MAX_UNPACKED_BODY_BYTES {
            return Err(Problem::new(
                Sort::TooLarge,
                format!(
                    "the body unpacks to more than {MAX_UNPACKED_BODY_BYTES} bytes: send it in \
                     parts"
                ),
            ));
        }
        Ok(unpacked.into())
    }
}

impl Packed {
    /// Reads the body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T, Problem> {
        parse(&self.unpack()?)
    }

    /// As [`Packed::json`], a body of nothing but white space being the default.
    pub(crate) fn json_or_default<T: DeserializeOwned + Default>(self) -> Result<T, Problem> {
        let bytes = self.unpack()?;
        if bytes.trim_ascii().is_empty() {
            return Ok(T::default());
        }
        parse(&bytes)
    }
}

impl<S: Sync> FromRequest<S> for Packed {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let deadline = Context::of(request.extensions()).deadline;
        let (parts, body) = request.into_parts();
        let gzip = is_gzip(&parts.headers)?;
        let format = format(&parts.headers);
        let announced = parts
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
            return Err(too_large());
        }
        match timeout_at(deadline.into(), read(body)).await {
            Ok(read) => Ok(Self {
                bytes: read?,
                gzip,
                format,
            }),
            Err(_elapsed) => Err(Problem::new(
                Sort::RequestTimeout,
                "the body did not arrive before the request's deadline: send less at once",
            )),
        }
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::invalid(format!("the body cannot be read: {error}")))
}

fn format(headers: &HeaderMap) -> BodyFormat {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    content_type.map_or(BodyFormat::Unknown, BodyFormat::of_content_type)
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    to_bytes(body, MAX_BODY_BYTES).await.map_err(|error| {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(current) = cause {
            if current.is::<LengthLimitError>() {
                return too_large();
            }
            cause = current.source();
        }
        Problem::invalid(format!("the body broke off: {error}"))
    })
}

fn too_large() -> Problem {
    Problem::new(
        Sort::TooLarge,
        format!(
            "the body is longer than {MAX_BODY_BYTES} bytes: send it in parts, or packed with \
             gzip"
        ),
    )
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else {
        return Ok(false);
    };
    match encoding.to_str().unwrap_or("?").trim() {
        "" | "identity" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        other => Err(Problem::new(
            Sort::UnsupportedEncoding,
            format!("the content-encoding {other:?} is not understood: use gzip, or none"),
        )),
    }
}
