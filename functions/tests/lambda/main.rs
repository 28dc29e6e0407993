//! What the functions promise: events go in, and what comes out is what the router would have said.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test does not expect is to fail it"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test reads the time of day, and waits for other processes"
)]

mod bare;
mod bodies;
mod doors;
mod endpoint;
mod events;
mod feed;
mod handoff;
mod inbox_age;
mod limits;
mod process;
mod senders;
#[path = "../sources/server.rs"]
#[expect(dead_code, reason = "the tests of sources use more of it")]
mod server;
mod tend;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aquifer_functions::http::{AppState, Settings, router};
use aquifer_functions::lambda::environment::Environment;
use aquifer_functions::lambda::front::Front;
use aquifer_functions::lambda::role::Role;
use aquifer_indexer::config::Config;
use aquifer_indexer::index::Aquifer;
use aquifer_indexer::reindex::NoSources;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use lambda_runtime::{Context, LambdaEvent};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

/// A folder, the two functions over it, and the router over it that a server would have.
struct Place {
    root: TempDir,
    writer: Front,
    search: Front,
    router: Router,
}

impl Place {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let aquifer = Arc::new(Aquifer::open(root.path(), Config::default()).unwrap());
        Self {
            writer: Front::new(environment(&root, &[]), Role::Writer, no_sources(), None),
            search: Front::new(environment(&root, &[]), Role::Search, no_sources(), None),
            router: router(AppState::new(aquifer, Settings::default())),
            root,
        }
    }

    /// With documents whose keys and words are hard on whoever passes them on.
    async fn filled() -> Self {
        let place = Self::new();
        let documents = json!([
            {"unique_key": "a/b c", "lang": "en", "title": "coffee & tea", "tags": ["x", "y z"]},
            {"unique_key": "日本語", "lang": "ja", "title": "認証が必要です", "tags": ["工"]},
            {"unique_key": "100%", "title": "a+b=c coffee", "tags": ["x"]},
            {"unique_key": "50%25", "title": "percent"},
            {"unique_key": "plus+sign", "title": "plus", "tags": ["a+b"]},
            {"unique_key": "q?x#y", "title": "question"},
        ]);
        let answer = place
            .plain("POST", "/documents", documents.to_string())
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        place
    }

    /// What the router says to a request that comes over a socket.
    async fn plain(&self, method: &str, uri: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(method).uri(uri);
        let response = self.router.clone();
        let response = response
            .oneshot(request.body(body.into()).unwrap())
            .await
            .unwrap();
        let header = |name: &str| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let (content_type, location, allow) =
            (header("content-type"), header("location"), header("allow"));
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer {
            status,
            content_type,
            location,
            allow,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
        .without_times()
    }
}

fn no_sources() -> Arc<NoSources> {
    Arc::new(NoSources)
}

/// An environment over `root`, with further variables.
fn environment(root: &TempDir, more: &[(&str, &str)]) -> Environment {
    let path = root.path().to_str().unwrap();
    environment_of(&[&[("AQUIFER_ROOT", path)], more].concat())
}

/// An environment with these variables.
fn environment_of(variables: &[(&str, &str)]) -> Environment {
    let lookup = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Environment::of(lookup).unwrap()
}

/// An invocation that has so much time left.
fn context(left: Duration) -> Context {
    let deadline = (SystemTime::now() + left).duration_since(SystemTime::UNIX_EPOCH);
    let mut context = Context::default();
    context.deadline = u64::try_from(deadline.unwrap().as_millis()).unwrap();
    context.request_id = "invocation-1".to_owned();
    context.xray_trace_id = Some("Root=1-5c536348-3d683b8b04734faae651f476".to_owned());
    context
}

/// Time enough.
const LONG: Duration = Duration::from_secs(300);

/// What an event is answered, as it stands in the payload.
async fn invoke(front: &Front, payload: impl Into<String>, left: Duration) -> Value {
    let payload = RawValue::from_string(payload.into()).unwrap();
    let answer = front.answer(LambdaEvent::new(payload, context(left))).await;
    serde_json::from_str(answer.unwrap().get()).unwrap()
}

/// What a client sees.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    content_type: Option<String>,
    location: Option<String>,
    allow: Option<String>,
    body: String,
}

impl Answer {
    /// Of a payload, in whatever shape.
    fn of(payload: &Value) -> Self {
        let header = |name: &str| {
            let one = &payload["headers"][name];
            let several = &payload["multiValueHeaders"][name];
            one.as_str().map(str::to_owned).or_else(|| {
                let values = several.as_array()?.iter();
                let values: Vec<&str> = values.map(|value| value.as_str().unwrap()).collect();
                Some(values.join(", "))
            })
        };
        Self {
            status: u16::try_from(payload["statusCode"].as_u64().unwrap()).unwrap(),
            content_type: header("content-type"),
            location: header("location"),
            allow: header("allow"),
            body: payload["body"].as_str().unwrap().to_owned(),
        }
        .without_times()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Byte for byte but for how long it took.
    fn without_times(mut self) -> Self {
        if let Some(at) = self.body.find("\"took_ms\":") {
            let digits = at + "\"took_ms\":".len();
            let rest = self.body[digits..].trim_start_matches(|c: char| c.is_ascii_digit());
            self.body = format!("{}0{rest}", &self.body[..digits]);
        }
        self
    }
}
