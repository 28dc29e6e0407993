//! Doors for plain HTTP: a request becomes an event, a function is invoked, and its answer becomes a response, as
//! Amazon's gateways do it.

mod answer;
mod event;
mod shape;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;

use self::shape::BROKEN;
use super::{Functions, endpoint, schedule};

/// The most that an event may carry: what Lambda takes of an invocation, with everything around the body.
const EVENT_MAX: usize = 6 * 1024 * 1024;

/// What stands between the client and the functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Front {
    /// API Gateway's HTTP API, payload 2.0; with a stage in the path, or on `$default`.
    HttpApi {
        /// The stage, which every path then begins with.
        stage: Option<String>,
    },
    /// API Gateway's REST API, payload 1.0, set up for binary bodies of every type.
    RestApi {
        /// The stage, which every path begins with.
        stage: String,
    },
    /// The URL of a function of its own.
    FunctionUrl,
    /// An Application Load Balancer, set up for multi-value headers or not.
    Balancer {
        /// Headers and parameters with all their values.
        multi_value: bool,
    },
}

/// Which function answers what.
#[derive(Clone, Debug)]
pub struct Routes {
    /// The function that answers what only reads.
    pub reads: String,
    /// The function that answers everything else.
    pub writes: String,
    /// The function that a schedule invokes.
    pub scheduled: String,
}

impl Routes {
    /// The function for a request: searches and reads have one of their own.
    fn of(&self, method: &Method, path: &str) -> &str {
        let path = match path.strip_prefix("/indexes/") {
            Some(rest) => rest.find('/').map_or("", |slash| rest.split_at(slash).1),
            None => path,
        };
        let reads = method.is_safe() || (method == Method::POST && path == "/search");
        if reads { &self.reads } else { &self.writes }
    }
}

struct Door {
    functions: Arc<Functions>,
    front: Front,
    routes: Routes,
}

/// A request as it came.
struct Asked<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    body: &'a [u8],
    peer: SocketAddr,
}

/// The door as a service. Two paths are no part of it: `POST /_schedule` fires the schedule, and functions are invoked at the
/// path of Lambda's API, where `function` is the one that reads, as the emulator has it.
pub(super) fn router(functions: Arc<Functions>, front: Front, routes: Routes) -> Router {
    let api = endpoint::router(Arc::clone(&functions), &routes.reads);
    let door = Door {
        functions,
        front,
        routes,
    };
    Router::new()
        .route("/_schedule", post(fire))
        .fallback(pass)
        // What is too large is refused below, as the gateway does it.
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::new(door))
        .merge(api)
}

async fn pass(
    State(door): State<Arc<Door>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = Asked {
        method: &method,
        uri: &uri,
        headers: &headers,
        body: &body,
        peer,
    };
    let Some(path) = door.front.inner(uri.path()) else {
        return refusal(door.front.unknown_stage());
    };
    if body.len() > door.front.body_max() {
        return refusal((StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"));
    }
    let event = event::of(&door.front, &asked, path).to_string();
    if event.len() > EVENT_MAX {
        return refusal((StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long"));
    }
    let name = door.routes.of(&method, path);
    let Some(function) = door.functions.get(name) else {
        return refusal(BROKEN);
    };
    match function.invoke(event.into_bytes()).await {
        Ok(outcome) if !outcome.failed => answer::response(&door.front, &outcome.payload)
            .unwrap_or_else(|why| {
                eprintln!("{name}: {why}");
                refusal(door.front.failed())
            }),
        Ok(outcome) => {
            eprintln!("{name}: {}", String::from_utf8_lossy(&outcome.payload));
            refusal(door.front.failed())
        }
        Err(super::Refused::Throttled) => refusal(door.front.throttled()),
        Err(super::Refused::Broken(why)) => {
            eprintln!("{name}: {why}");
            refusal(BROKEN)
        }
    }
}

/// Invokes the scheduled function as the scheduler does, without waiting; a body is the schedule's input.
async fn fire(State(door): State<Arc<Door>>, body: String) -> Response {
    let name = &door.routes.scheduled;
    let Some(function) = door.functions.get(name) else {
        return refusal(BROKEN);
    };
    match schedule::event(&body) {
        Ok(event) => {
            door.functions.queue(function, event.into_bytes());
            (StatusCode::ACCEPTED, Json(json!({"queued": name}))).into_response()
        }
        Err(error) => {
            let message = format!("the input is no JSON: {error}");
            (StatusCode::BAD_REQUEST, Json(json!({"message": message}))).into_response()
        }
    }
}

fn refusal((status, message): (StatusCode, &'static str)) -> Response {
    (status, Json(json!({"message": message}))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_find_their_function() {
        let routes = Routes {
            reads: "search".to_owned(),
            writes: "writer".to_owned(),
            scheduled: "reindex".to_owned(),
        };
        for (method, path, expected) in [
            (Method::GET, "/search", "search"),
            (Method::POST, "/search", "search"),
            (Method::POST, "/indexes/books/search", "search"),
            (Method::GET, "/documents/a/b", "search"),
            (Method::GET, "/indexes/books", "search"),
            (Method::PUT, "/indexes/books", "writer"),
            (Method::POST, "/indexes/search", "writer"),
            (Method::POST, "/documents", "writer"),
            (Method::POST, "/documents/search", "writer"),
            (Method::DELETE, "/documents/search", "writer"),
        ] {
            assert_eq!(routes.of(&method, path), expected, "{method} {path}");
        }
    }
}
