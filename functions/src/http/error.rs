//! Failures as RFC 9457 problem documents with a stable `type`.

use std::any::Any;
use std::io;
use std::path::Path;

use aquifer_indexer::document::{DocumentError, kind};
use aquifer_indexer::quote::shortened;
use aquifer_indexer::{Error, ErrorKind};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::limits::{MAX_LISTED_BYTES, RETRY_AFTER_SECONDS};
use super::measured::Measured;
use crate::advice::{advised, followed};

/// The sorts of failure that a client can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Invalid,
    Misdirected,
    ForeignPage,
    ReadOnly,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    TooLarge,
    AnswerTooLarge,
    UnsupportedEncoding,
    Refused,
    Busy,
    Deadline,
    Unavailable,
    Fenced,
    Corrupt,
    Internal,
}

impl Sort {
    /// The status, the last part of the `type`, and the title, which never change for a sort.
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Invalid => (
                StatusCode::BAD_REQUEST,
                "/problems/invalid-request",
                "The request is wrong",
            ),
            Self::Misdirected => (
                StatusCode::MISDIRECTED_REQUEST,
                "/problems/misdirected",
                "This server does not answer to that host name",
            ),
            Self::ForeignPage => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "/problems/foreign-page",
                "A web page of another origin must send JSON",
            ),
            Self::ReadOnly => (
                StatusCode::FORBIDDEN,
                "/problems/read-only",
                "This server only reads",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "/problems/not-found",
                "There is no such thing",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "/problems/method-not-allowed",
                "The method does not apply here",
            ),
            Self::RequestTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "/problems/request-timeout",
                "The body did not arrive in time",
            ),
            Self::Conflict => (
                StatusCode::CONFLICT,
                "/problems/conflict",
                "The request contradicts what exists",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "/problems/too-large",
                "The request exceeds a limit",
            ),
            Self::AnswerTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "/problems/answer-too-large",
                "The answer exceeds a limit",
            ),
            Self::UnsupportedEncoding => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "/problems/unsupported-encoding",
                "The content encoding is not understood",
            ),
            Self::Refused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "/problems/documents-refused",
                "Every document was refused",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "/problems/busy",
                "Too much is going on",
            ),
            Self::Deadline => (
                StatusCode::SERVICE_UNAVAILABLE,
                "/problems/deadline",
                "The deadline came first",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "/problems/unavailable",
                "The file system refused",
            ),
            Self::Fenced => (
                StatusCode::SERVICE_UNAVAILABLE,
                "/problems/fenced",
                "Another writer has taken over",
            ),
            Self::Corrupt => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "/problems/corrupt",
                "A file of the index is damaged",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "/problems/internal",
                "This program has a defect",
            ),
        }
    }
}

impl From<ErrorKind> for Sort {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::Invalid,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::TooLarge => Self::TooLarge,
            ErrorKind::AnswerTooLarge => Self::AnswerTooLarge,
            ErrorKind::Busy => Self::Busy,
            ErrorKind::Deadline => Self::Deadline,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::Fenced => Self::Fenced,
            ErrorKind::Internal => Self::Internal,
        }
    }
}

/// Why one document of a batch was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DocumentProblem {
    /// Which document it was, counted from 0 in the body.
    pub position: usize,
    /// Its key, where one could be read.
    pub unique_key: Option<String>,
    /// A stable name of what is wrong.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is wrong and how to mend it.
    pub detail: String,
}

/// The documents of a request that were refused: the first of them one by one, the others counted.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Refusals {
    #[serde(rename = "errors")]
    pub(crate) listed: Vec<DocumentProblem>,
    #[serde(rename = "more_errors", skip_serializing_if = "is_zero")]
    more: usize,
    /// What the listed ones take of the answer.
    #[serde(skip)]
    bytes: usize,
    #[serde(skip)]
    common: Common,
}

/// What a listed document takes of the answer besides its key and what is wrong with it.
const LISTED_BYTES: usize = 96;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What all refusals of a request have in common.
#[derive(Clone, Copy, Debug, Default)]
struct Common {
    not_too_large: bool,
    readable: bool,
}

impl Refusals {
    /// Adds one, whose text begins in the line `line` of the body.
    pub(crate) fn add(&mut self, position: usize, line: usize, error: DocumentError) {
        let detail = error.located(line);
        self.common.not_too_large |= error.kind != kind::TOO_LARGE;
        self.common.readable |= ![kind::INVALID_JSON, kind::NOT_AN_OBJECT].contains(&error.kind);
        self.bytes +=
            LISTED_BYTES + detail.len() + error.unique_key.as_ref().map_or(0, String::len);
        if self.bytes > MAX_LISTED_BYTES {
            self.more += 1;
            return;
        }
        self.listed.push(DocumentProblem {
            position,
            unique_key: error.unique_key,
            kind: error.kind.to_owned(),
            detail,
        });
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.listed.len() + self.more
    }

    /// What a request is answered of which nothing was accepted: 413 when every document was too large, 400 when none was
    /// JSON, 422 when they say what the index does not take.
    pub(crate) fn into_problem(self) -> Problem {
        let detail = match self.listed.as_slice() {
            [] => return Problem::invalid("the body holds no document: send one at least"),
            [only] => only.detail.clone(),
            [first, ..] => format!(
                "none of the {} documents was accepted; the first: {}",
                self.count(),
                first.detail
            ),
        };
        let sort = if !self.common.not_too_large {
            Sort::TooLarge
        } else if !self.common.readable {
            Sort::Invalid
        } else {
            Sort::Refused
        };
        let problem = Problem::new(sort, detail);
        Problem {
            refusals: self,
            ..problem
        }
    }
}

/// A failure on its way to the client.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    sort: Sort,
    detail: String,
    /// What the log says instead of the detail, where it may say more than a client.
    logged: Option<String>,
    refusals: Refusals,
}

impl Problem {
    pub(crate) fn new(sort: Sort, detail: impl Into<String>) -> Self {
        Self {
            sort,
            detail: shortened(detail.into()).into_owned(),
            logged: None,
            refusals: Refusals::default(),
        }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Sort::Invalid, detail)
    }

    /// Whether the same request may succeed a moment later, since too much is going on now.
    pub(crate) fn is_busy(&self) -> bool {
        self.sort == Sort::Busy
    }

    /// Whether the answer was larger than was allowed.
    pub(crate) fn is_answer_too_large(&self) -> bool {
        self.sort == Sort::AnswerTooLarge
    }

    /// The answer to a panic, whose own text only the log sees.
    pub(crate) fn from_panic(_panic: Box<dyn Any + Send + 'static>) -> Response {
        Self::new(
            Sort::Internal,
            "the request met a defect in this program; its log says more",
        )
        .into_response()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let whole = advised(&error);
        let sort = Sort::from(error.kind());
        let (status, ..) = sort.parts();
        if !status.is_server_error() && error.path().is_none_or(Path::is_relative) {
            return Self::new(sort, whole);
        }
        Self {
            logged: Some(whole),
            ..Self::new(sort, public(&error))
        }
    }
}

/// What a client is told of a failure on the server's side: the file, where it lies in the folder of an index, what is
/// wrong, and the system's reason. Where the mount is, and what else a cause names, is for the log.
fn public(error: &Error) -> String {
    let mut text = String::new();
    if let Some(path) = error.path().filter(|path| path.is_relative()) {
        text.push_str(&format!("{}: ", path.display()));
    }
    text.push_str(error.message());
    let mut text = followed(text, error);
    if let Some(code) = error.reason().os_error().and_then(io::Error::raw_os_error) {
        let words = format!(": {}", io::Error::from_raw_os_error(code));
        if !text.ends_with(&words) {
            text.push_str(&words);
        }
    }
    text
}

/// What the log line of a failed request says besides its status.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) problem: &'static str,
    pub(crate) detail: String,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(flatten)]
    refusals: Option<&'a Refusals>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, kind, title) = self.sort.parts();
        let document = Document {
            r#type: kind,
            title,
            status: status.as_u16(),
            detail: &self.detail,
            refusals: (self.refusals.count() > 0).then_some(&self.refusals),
        };
        let mut response = (status, Json(document)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        if self.refusals.count() > 0 {
            response.extensions_mut().insert(Measured {
                documents: 0,
                refused: self.refusals.count(),
                hits: None,
            });
        }
        response.extensions_mut().insert(Failure {
            problem: kind,
            detail: self.logged.unwrap_or(self.detail),
        });
        if self.refusals.count() > 0 {
            response.extensions_mut().insert(Measured {
                documents: 0,
                refused: self.refusals.count(),
                hits: None,
            });
        }
        response
    }
}
