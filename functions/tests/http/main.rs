//! What the service promises over HTTP: requests go into the router, the answers are compared
//! whole.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test does not expect is to fail it"
)]

mod answers;
mod batches;
mod documents;
mod health;
mod indexes;
mod jobs;
mod pages;
mod refusals;
mod requests;
mod search;
mod searches;
mod versions;

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use aquifer_functions::http::{AppState, Settings, router};
use aquifer_indexer::config::Config;
use aquifer_indexer::index::Aquifer;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, Request, StatusCode};
use flate2::write::GzEncoder;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

/// A service over a folder of its own.
struct Service {
    root: TempDir,
    router: Router,
}

impl Service {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let root = TempDir::new().unwrap();
        let router = Self::over(&root, settings);
        Self { root, router }
    }

    /// Another service over the same folder, that only reads.
    fn reader(&self) -> Router {
        let settings = Settings {
            read_only: true,
            ..Settings::default()
        };
        Self::over(&self.root, settings)
    }

    fn over(root: &TempDir, settings: Settings) -> Router {
        let config = Config {
            read_only: settings.read_only,
            ..Config::default()
        };
        let aquifer = Aquifer::open(root.path(), config).unwrap();
        router(AppState::new(Arc::new(aquifer), settings))
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, Body::empty()).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, Body::empty()).await
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send("POST", path, body).await
    }

    async fn put(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send("PUT", path, body).await
    }

    async fn send(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(method).uri(path);
        self.request(request.body(body.into()).unwrap()).await
    }

    async fn request(&self, request: Request<Body>) -> Answer {
        answer(&self.router, request).await
    }

    /// Three documents to find.
    async fn filled() -> Self {
        let service = Self::new();
        let documents = r#"[
            {"unique_key": "418", "lang": "en", "title": "418 I am a teapot", "tags": ["418", "joke"],
             "content": "The server refuses to brew coffee with a teapot."},
            {"unique_key": "404", "lang": "en", "title": "404 Not Found", "tags": ["404"],
             "content": "The server cannot find the coffee.", "updated_at": "2024-05-01T00:00:00Z"},
            {"unique_key": "200", "lang": "en", "title": "200 OK", "tags": ["200"],
             "content": "All is well.", "updated_at": "2024-06-01T00:00:00Z"}]"#;
        let answer = service.post("/documents", documents).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer}");
        service
    }
}

async fn answer(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// What a client sees.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The keys of the documents that were found, in their order.
    fn keys(&self) -> Vec<String> {
        let json = self.json();
        let documents = json["result"]
            .as_array()
            .unwrap_or_else(|| panic!("{self}"));
        let key = |document: &Value| document["unique_key"].as_str().unwrap().to_owned();
        documents.iter().map(key).collect()
    }
}

/// The headers that belong to the contract.
const SHOWN_HEADERS: [&str; 5] = [
    "content-type",
    "allow",
    "location",
    "retry-after",
    "aquifer-version",
];

/// Everything but what differs from run to run.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for name in SHOWN_HEADERS {
            if let Some(value) = self.headers.get(HeaderName::from_static(name)) {
                writeln!(f, "{name}: {}", value.to_str().unwrap())?;
            }
        }
        let Ok(mut json) = serde_json::from_str::<Value>(&self.body) else {
            return f.write_str(&self.body);
        };
        redact(&mut json);
        write!(f, "{}", serde_json::to_string_pretty(&json).unwrap())
    }
}

fn redact(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "took_ms" => *value = "[ms]".into(),
                    "score" if value.is_number() => *value = "[score]".into(),
                    _ => redact(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}
