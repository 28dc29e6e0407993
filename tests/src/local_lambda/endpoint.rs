//! The Invoke operation of Lambda's API, as the SDKs call it.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};

use super::Functions;
use super::function::Refused;

/// The most that an invocation may carry: 6 MiB, and 1 MiB where nobody waits for it.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const PAYLOAD_MAX: usize = 6 * 1024 * 1024;
const EVENT_MAX: usize = 1024 * 1024;

/// What the emulator calls the only function that it runs.
const UNNAMED: &str = "function";

/// The functions, and which of them goes by [`UNNAMED`].
#[derive(Clone)]
struct Endpoint {
    functions: Arc<Functions>,
    unnamed: String,
}

/// The routes. Like the emulator they take every method.
pub(super) fn router(functions: Arc<Functions>, unnamed: &str) -> Router {
    Router::new()
        .route("/2015-03-31/functions/{name}/invocations", any(invoke))
        // What is too large is refused below, in Lambda's own words.
        .layer(DefaultBodyLimit::disable())
        .with_state(Endpoint {
            functions,
            unnamed: unnamed.to_owned(),
        })
}

async fn invoke(
    State(Endpoint { functions, unnamed }): State<Endpoint>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = headers
        .get("x-amz-invocation-type")
        .map_or("RequestResponse", |kind| kind.to_str().unwrap_or_default());
    let known = match plain(&name) {
        UNNAMED => &unnamed,
        known => known,
    };
    let Some(function) = functions.get(known) else {
        let message = format!("Function not found: {name}");
        return refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message);
    };
    let payload = if body.is_empty() {
        b"{}".to_vec()
    } else {
        body.to_vec()
    };
    let max = if kind == "Event" {
        EVENT_MAX
    } else {
        PAYLOAD_MAX
    };
    if payload.len() > max {
        let message = format!("{} bytes exceeded the limit of {max} bytes", payload.len());
        return refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestTooLargeException",
            &message,
        );
    }
    if let Err(error) = serde_json::from_slice::<Value>(&payload) {
        let message = format!("Could not parse request body into json: {error}");
        return refusal(
            StatusCode::BAD_REQUEST,
            "InvalidRequestContentException",
            &message,
        );
    }
    match kind {
        "DryRun" => StatusCode::NO_CONTENT.into_response(),
        "Event" => {
            functions.queue(function, payload);
            StatusCode::ACCEPTED.into_response()
        }
        "RequestResponse" => match function.invoke(payload).await {
            Ok(outcome) => {
                let mut response = outcome.payload.into_response();
                let headers = response.headers_mut();
                headers.insert("content-type", "application/json".parse().unwrap());
                headers.insert("x-amz-executed-version", "$LATEST".parse().unwrap());
                if outcome.failed {
                    headers.insert("x-amz-function-error", "Unhandled".parse().unwrap());
                }
                response
            }
            Err(refused) => refused.into_response(),
        },
        other => {
            let message = format!("{other} is no invocation type");
            refusal(
                StatusCode::BAD_REQUEST,
                "InvalidParameterValueException",
                &message,
            )
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Throttled => refusal(
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequestsException",
                "Rate Exceeded.",
            ),
            Self::Broken(why) => {
                refusal(StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", &why)
            }
        }
    }
}

/// A failure as the SDKs read it: the kind in a header, the rest in the body.
fn refusal(status: StatusCode, kind: &'static str, message: &str) -> Response {
    let mut body = json!({"Type": "User", "Message": message});
    if status == StatusCode::TOO_MANY_REQUESTS {
        // This one alone has its message in lower case.
        body = json!({"Type": "User", "message": message, "Reason": "ConcurrentInvocationLimitExceeded"});
    }
    let headers = [
        ("x-amzn-errortype", kind),
        ("content-type", "application/json"),
    ];
    (status, headers, body.to_string()).into_response()
}

/// The name in what may be a name, a partial or a whole ARN, with or without a version.
fn plain(name: &str) -> &str {
    let name = name.split_once("function:").map_or(name, |(_, rest)| rest);
    name.split_once(':').map_or(name, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_function_goes_by_several_names() {
        for name in [
            "f",
            "f:live",
            "123456789012:function:f",
            "arn:aws:lambda:us-east-1:123456789012:function:f",
            "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST",
        ] {
            assert_eq!(plain(name), "f", "{name}");
        }
    }
}
