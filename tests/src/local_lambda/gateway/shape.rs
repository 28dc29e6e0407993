//! What differs between the doors beside the events: stages, and how each says that it could not answer.

use axum::http::StatusCode;

use super::Front;

/// How a door refuses: the status, and the sentence it gives.
type Refusal = (StatusCode, &'static str);

/// How every door refuses where a function cannot be invoked at all.
pub(super) const BROKEN: Refusal = (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");

/// Bytes of a body that a load balancer passes on to a function: 1 MB, whichever megabyte is meant.
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html>
const BALANCED_BODY_MAX: usize = 1_000_000;

impl Front {
    /// Bytes that a body may have as it travels to the door.
    pub(super) fn body_max(&self) -> usize {
        match self {
            Self::Balancer { .. } => BALANCED_BODY_MAX,
            // The event around it is bounded.
            Self::HttpApi { .. } | Self::RestApi { .. } | Self::FunctionUrl => usize::MAX,
        }
    }

    /// The path without the stage; `None` where it does not begin with it.
    pub(super) fn inner<'a>(&self, path: &'a str) -> Option<&'a str> {
        let stage = match self {
            Self::RestApi { stage } => stage,
            Self::HttpApi { stage: Some(stage) } => stage,
            _ => return Some(path),
        };
        let inner = path.strip_prefix('/')?.strip_prefix(stage.as_str())?;
        match inner {
            "" => Some("/"),
            inner => inner.starts_with('/').then_some(inner),
        }
    }

    /// Nothing is deployed where the request went.
    pub(super) fn unknown_stage(&self) -> Refusal {
        match self {
            Self::RestApi { .. } => (StatusCode::FORBIDDEN, "Forbidden"),
            _ => (StatusCode::NOT_FOUND, "Not Found"),
        }
    }

    /// The function failed, or answered what the door does not understand.
    pub(super) fn failed(&self) -> Refusal {
        match self {
            Self::HttpApi { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
            Self::RestApi { .. } => (StatusCode::BAD_GATEWAY, "Internal server error"),
            Self::FunctionUrl => (StatusCode::BAD_GATEWAY, "Internal Server Error"),
            Self::Balancer { .. } => (StatusCode::BAD_GATEWAY, "Bad Gateway"),
        }
    }

    /// Every environment is busy.
    pub(super) fn throttled(&self) -> Refusal {
        match self {
            Self::HttpApi { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
            Self::RestApi { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"),
            Self::FunctionUrl => (StatusCode::TOO_MANY_REQUESTS, "Rate Exceeded."),
            Self::Balancer { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_the_whole_first_part_of_a_path() {
        let rest = Front::RestApi {
            stage: "prod".to_owned(),
        };
        assert_eq!(rest.inner("/prod/search"), Some("/search"));
        assert_eq!(rest.inner("/prod"), Some("/"));
        assert_eq!(rest.inner("/production"), None);
        assert_eq!(rest.inner("/search"), None);
        let plain = Front::HttpApi { stage: None };
        assert_eq!(plain.inner("/prod/search"), Some("/prod/search"));
    }
}
