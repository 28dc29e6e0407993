//! Request bodies: read within a bound and a deadline, unpacked within another bound, and counted while they are held.

use std::io::Read;
use std::time::Instant;

use aquifer_indexer::document::{BodyFormat, json_error};
use aquifer_indexer::quote::quoted;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout_at;

use super::budget::{Budget, Held};
use super::error::{Problem, Sort};
use super::limits::{
    MAX_BODY_BYTES, MAX_JSON_BYTES, MAX_PARSED_BYTES, MAX_UNPACKED_BODY_BYTES, PARSED_FACTOR,
    STALL_BYTES, STALL_TIMEOUT, USUAL_FACTOR,
};
use super::request::Context;
use super::state::AppState;

/// The most that deflate makes of a byte.
const DEFLATE_FACTOR: usize = 1032;

/// What a body is read for, which decides how long it may be once it is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Documents, or the keys of documents.
    Documents,
    /// A question, or a definition.
    Json,
}

impl Purpose {
    fn bytes_max(self) -> usize {
        match self {
            Self::Documents => MAX_UNPACKED_BODY_BYTES,
            Self::Json => MAX_JSON_BYTES,
        }
    }
}

/// A body as it travelled.
#[derive(Debug)]
pub(crate) struct Packed {
    bytes: Bytes,
    gzip: bool,
    format: BodyFormat,
    held: Held,
}

/// A body that may be unpacked and read: there is memory for it.
#[derive(Debug)]
pub(crate) struct Admitted {
    packed: Packed,
    purpose: Purpose,
    room: Held,
}

/// A body's own bytes, and the memory for what is read from them.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) bytes: Bytes,
    pub(crate) format: BodyFormat,
    /// Bytes of memory that what is read from it may take.
    pub(crate) parsed_max: usize,
    room: Held,
    /// The memory of [`Self::bytes`], where those are the body as it travelled.
    _held: Option<Held>,
}

impl Packed {
    /// Takes the memory to unpack and to read it, as much as it may need at the most.
    pub(crate) async fn admit(
        self,
        purpose: Purpose,
        budget: &Budget,
        deadline: Instant,
    ) -> Result<Admitted, Problem> {
        let length = self.bytes.len();
        let (unpacked, own) = if self.gzip {
            let unpacked = length
                .saturating_mul(DEFLATE_FACTOR)
                .min(purpose.bytes_max());
            (unpacked, unpacked)
        } else {
            (length, 0)
        };
        let parsed = unpacked.saturating_mul(PARSED_FACTOR).min(MAX_PARSED_BYTES);
        let room = budget.parsed.take(own + parsed, deadline).await?;
        Ok(Admitted {
            packed: self,
            purpose,
            room,
        })
    }
}

impl Admitted {
    /// The body's own bytes. Computes for as long as unpacking takes.
    pub(crate) fn unpack(self) -> Result<Unpacked, Problem> {
        let Self {
            packed,
            purpose,
            mut room,
        } = self;
        let bytes_max = purpose.bytes_max();
        let (bytes, held) = if packed.gzip {
            (gunzip(&packed.bytes, bytes_max)?, None)
        } else {
            (packed.bytes, Some(packed.held))
        };
        if bytes.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        let usual = bytes.len().saturating_mul(USUAL_FACTOR);
        let parsed_max = MAX_PARSED_BYTES.min(room.bytes().max(usual));
        room.shrink(bytes.len() + bytes.len().saturating_mul(PARSED_FACTOR).min(parsed_max));
        Ok(Unpacked {
            bytes,
            format: packed.format,
            parsed_max,
            room,
            _held: held,
        })
    }
}

impl Unpacked {
    /// Reads the body as JSON. What it becomes is validated right away, and small then.
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T, Problem> {
        let text = std::str::from_utf8(&self.bytes).map_err(|error| {
            let told = format!("the body is not UTF-8: {error}");
            Problem::invalid(told)
        })?;
        serde_json::from_str(text).map_err(|error| {
            let ((line, column), why) = json_error(text, &error);
            Problem::invalid(format!(
                "the body cannot be read: {why} at line {line} column {column}"
            ))
        })
    }

    /// Reads the body as a JSON object, one of nothing but white space being the default. (serde would take an array of the
    /// members' values for it as well.)
    pub(crate) fn object_or_default<T: DeserializeOwned + Default>(self) -> Result<T, Problem> {
        match self.bytes.trim_ascii().first() {
            None => Ok(T::default()),
            Some(b'[') => Err(Problem::invalid(
                "the body is an array, and a JSON object is expected, as in {}",
            )),
            Some(_) => self.json(),
        }
    }

    /// Gives back the memory of the body but for the `bytes` that are kept of what was read from it.
    pub(crate) fn keep(self, bytes: usize) -> Held {
        let mut room = self.room;
        room.shrink(bytes);
        room
    }
}

fn gunzip(packed: &[u8], bytes_max: usize) -> Result<Bytes, Problem> {
    let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(packed)
        .take(bound.saturating_add(1))
        .read_to_end(&mut unpacked)
        .map_err(|error| {
            Problem::invalid(format!(
                "the body is not the gzip that its content-encoding promises: {error}"
            ))
        })?;
    if unpacked.len() > bytes_max {
        return Err(Problem::new(
            Sort::TooLarge,
            format!("the body unpacks to more than {bytes_max} bytes: send it in parts"),
        ));
    }
    Ok(unpacked.into())
}

impl FromRequest<AppState> for Packed {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let deadline = Context::of(request.extensions()).deadline;
        let (parts, body) = request.into_parts();
        let gzip = is_gzip(&parts.headers)?;
        let format = format(&parts.headers);
        let announced = announced(&parts.headers, &body)?;
        // Of one that comes in pieces it is not known how long it will be.
        let most = announced.unwrap_or(MAX_BODY_BYTES);
        let mut held = state.budget().bodies.take(most, deadline).await?;
        let bytes = read(body, announced, deadline).await?;
        held.shrink(bytes.len());
        Ok(Self {
            bytes,
            gzip,
            format,
            held,
        })
    }
}

/// How long the body says that it is.
fn announced(headers: &HeaderMap, body: &Body) -> Result<Option<usize>, Problem> {
    use axum::body::HttpBody as _;
    let header = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let Some(length) = header.or(body.size_hint().exact()) else {
        return Ok(None);
    };
    match usize::try_from(length) {
        Ok(length) if length <= MAX_BODY_BYTES => Ok(Some(length)),
        _ => Err(too_large(MAX_BODY_BYTES)),
    }
}

fn format(headers: &HeaderMap) -> BodyFormat {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    content_type.map_or(BodyFormat::Unknown, BodyFormat::of_content_type)
}

/// Reads a body that comes before `deadline`, and does not come to a stand before.
async fn read(
    mut body: Body,
    announced: Option<usize>,
    deadline: Instant,
) -> Result<Bytes, Problem> {
    use axum::body::HttpBody as _;
    let mut read = Vec::new();
    let mut progress = (Instant::now(), 0);
    loop {
        let stalled = progress.0 + STALL_TIMEOUT;
        let frame = match timeout_at(deadline.min(stalled).into(), body.frame()).await {
            Ok(None) => return Ok(read.into()),
            Ok(Some(frame)) => {
                frame.map_err(|error| Problem::invalid(format!("the body broke off: {error}")))?
            }
            Err(_elapsed) => return Err(late(deadline <= stalled)),
        };
        // What follows the body is not looked at.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if read.len() + data.len() > MAX_BODY_BYTES {
            return Err(too_large(MAX_BODY_BYTES));
        }
        if read.is_empty() {
            if body.is_end_stream() {
                return Ok(data);
            }
            read.reserve_exact(announced.unwrap_or(data.len()).max(data.len()));
        }
        read.extend_from_slice(&data);
        if read.len() - progress.1 >= STALL_BYTES {
            progress = (Instant::now(), read.len());
        }
    }
}

fn late(deadline_came: bool) -> Problem {
    let detail = if deadline_came {
        "the body did not arrive before the request's deadline: send less at once".to_owned()
    } else {
        format!(
            "the body came to a stand: send {STALL_BYTES} bytes of it, or the rest, within {} seconds",
            STALL_TIMEOUT.as_secs()
        )
    };
    Problem::new(Sort::RequestTimeout, detail)
}

fn too_large(bytes_max: usize) -> Problem {
    let advice = if bytes_max == MAX_BODY_BYTES {
        "send it in parts, or packed with gzip"
    } else {
        "send it in parts"
    };
    Problem::new(
        Sort::TooLarge,
        format!("the body is longer than {bytes_max} bytes: {advice}"),
    )
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else {
        return Ok(false);
    };
    let encoding = encoding.to_str().unwrap_or("?").trim();
    match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" | "none" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        _ => Err(Problem::new(
            Sort::UnsupportedEncoding,
            format!(
                "the content-encoding {} is not understood: use gzip, or identity",
                quoted(encoding)
            ),
        )),
    }
}
