//! Events of other services: what the real writer program makes of them.

mod arbitrary;
mod objects;
mod queues;
mod shapes;
mod streams;

use std::collections::BTreeMap;
use std::sync::Arc;

use aquifer_functions::http::{AppState, Settings, router};
use aquifer_indexer::config::Config;
use aquifer_indexer::index::Aquifer;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::process::{Function, PATIENCE, WRITER};

/// A writer program on a folder of its own.
struct Writer {
    root: TempDir,
    function: Function,
    sent: usize,
}

impl Writer {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let root = TempDir::new().unwrap();
        let function = Function::start(WRITER, &root, variables).await;
        Self {
            root,
            function,
            sent: 0,
        }
    }

    /// What the function answers, or the message of its failure.
    async fn send(&mut self, event: &Value) -> Result<Value, String> {
        self.sent += 1;
        let id = format!("invocation-{}", self.sent);
        self.function.send(&id, event.to_string(), PATIENCE).await;
        let (outcome, answer) = self.function.answer().await;
        match &*outcome {
            "response" => Ok(answer),
            _ => Err(answer["errorMessage"].as_str().unwrap().to_owned()),
        }
    }

    /// Sends an event of which every item is indexed.
    async fn takes(&mut self, event: Value) {
        let answer = self.send(&event).await;
        assert_eq!(answer, Ok(json!({"batchItemFailures": []})), "{event}");
    }

    /// Sends an event that fails its invocation.
    async fn refuses(&mut self, event: &Value, expected: &str) {
        let refused = self.send(event).await.unwrap_err();
        assert!(refused.contains(expected), "{event}: {refused}");
    }

    /// Sends an event, and gives the identifiers of the items that failed.
    async fn failures(&mut self, event: &Value) -> Vec<String> {
        let answer = self.send(event).await.unwrap();
        let failures = answer["batchItemFailures"].as_array().unwrap();
        let ids = failures.iter().map(|failure| &failure["itemIdentifier"]);
        ids.map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    /// The titles of the documents in the index, by their keys.
    async fn titles(&self) -> BTreeMap<String, String> {
        self.titles_in("default").await
    }

    async fn titles_in(&self, index: &str) -> BTreeMap<String, String> {
        let documents = documents(self.root.path(), index).await;
        let title = |document: Value| {
            let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
            (text("unique_key"), text("title"))
        };
        documents.into_iter().map(title).collect()
    }

    /// The last line of the log about an event.
    fn line(&self) -> Value {
        let lines = self.function.lines("err");
        let mut lines = lines.into_iter().rev();
        lines
            .find(|line| line["message"] == "indexed an event")
            .unwrap()
    }
}

/// The documents of an index, as another process sees them.
async fn documents(root: &std::path::Path, index: &str) -> Vec<Value> {
    let config = Config {
        read_only: true,
        ..Config::default()
    };
    let aquifer = Arc::new(Aquifer::open(root, config).unwrap());
    let router = router(AppState::new(aquifer, Settings::default()));
    let uri = format!("/indexes/{index}/search?limit=1000");
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    answer["result"].as_array().cloned().unwrap_or_default()
}

fn titles(expected: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, title): &(&str, &str)| ((*key).to_owned(), (*title).to_owned());
    expected.iter().map(owned).collect()
}

fn book(key: &str, title: &str) -> Value {
    json!({"unique_key": key, "title": title})
}

fn base64(text: impl ToString) -> String {
    STANDARD.encode(text.to_string())
}

fn fixture(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// An event whose only record is repeated, each time changed by what `change` does with one of `parts`.
fn repeated<T>(
    text: &str,
    parts: impl IntoIterator<Item = T>,
    change: impl Fn(&mut Value, T),
) -> Value {
    let mut event = fixture(text);
    let record = event["Records"][0].clone();
    let changed = |part| {
        let mut record = record.clone();
        change(&mut record, part);
        record
    };
    event["Records"] = parts.into_iter().map(changed).collect();
    event
}

/// Messages of a standard queue: the identifier and the body of each.
fn sqs(messages: &[(&str, String)]) -> Value {
    let text = include_str!("../fixtures/sqs.json");
    repeated(text, messages, |record, (id, body)| {
        record["messageId"] = (*id).into();
        record["body"] = body.as_str().into();
    })
}

/// Messages of a FIFO queue: the group, the number, which is the identifier too, and the body of each.
fn fifo(messages: &[(&str, u64, String)]) -> Value {
    let text = include_str!("../fixtures/sqs-fifo.json");
    repeated(text, messages, |record, (group, number, body)| {
        record["messageId"] = number.to_string().into();
        record["body"] = body.as_str().into();
        record["attributes"]["MessageGroupId"] = (*group).into();
        record["attributes"]["SequenceNumber"] = number.to_string().into();
    })
}
