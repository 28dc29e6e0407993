//! Whatever the payload is, the function does not panic, and does not answer with success what it did not index.

use std::sync::Arc;

use aquifer_functions::lambda::bare;
use aquifer_functions::lambda::feed::payload::{EventKind, Payload};
use aquifer_functions::lambda::front::Front;
use aquifer_functions::lambda::order::Order;
use aquifer_functions::lambda::role::Role;
use aquifer_indexer::config::Config;
use aquifer_indexer::index::Aquifer;
use aquifer_indexer::numbers::Version;
use lambda_runtime::LambdaEvent;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::{LONG, context, environment, no_sources};

/// How many payloads are tried. Each gets a folder of its own.
const CASES: u32 = 512;

const FIXTURES: [&str; 11] = [
    include_str!("../fixtures/sqs.json"),
    include_str!("../fixtures/sqs-fifo.json"),
    include_str!("../fixtures/sns.json"),
    include_str!("../fixtures/eventbridge.json"),
    include_str!("../fixtures/dynamodb.json"),
    include_str!("../fixtures/kinesis.json"),
    include_str!("../fixtures/msk.json"),
    include_str!("../fixtures/kafka.json"),
    include_str!("../fixtures/s3.json"),
    include_str!("../fixtures/s3-eventbridge.json"),
    include_str!("../fixtures/firehose.json"),
];

/// Names that mean something to a function.
const NAMES: [&str; 16] = [
    "unique_key",
    "documents",
    "delete",
    "index",
    "Records",
    "records",
    "body",
    "eventSource",
    "detail",
    "source",
    "detail-type",
    "query",
    "get",
    "requestContext",
    "S",
    "title",
];

/// Texts that mean something to a function.
const TEXTS: [&str; 9] = [
    "1",
    "",
    "aws:sqs",
    "aws:s3",
    "REMOVE",
    "ObjectRemoved:Delete",
    "{\"unique_key\": \"2\"}",
    "{\"delete\": [\"1\"]}",
    "bm8ganNvbg==",
];

/// JSON in which no array is empty, so that nothing in it asks for nothing.
fn json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        proptest::sample::select(&TEXTS[..]).prop_map(str::to_owned),
        "\\PC{0,8}"
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = proptest::sample::select(&NAMES[..]).prop_map(str::to_owned);
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(Value::from),
            vec((name, inner), 0..4).prop_map(|fields| Value::from(Map::from_iter(fields))),
        ]
    })
}

/// One of the fixtures, one node of which is replaced or removed.
fn mutated() -> impl Strategy<Value = Value> {
    let fixture = proptest::sample::select(&FIXTURES[..]);
    let replacement = proptest::option::of(json());
    (fixture, any::<proptest::sample::Index>(), replacement).prop_map(|(text, at, replacement)| {
        let mut event: Value = serde_json::from_str(text).unwrap();
        let pointers = pointers(&event, "");
        let pointer = &pointers[at.index(pointers.len())];
        match replacement {
            Some(value) => *event.pointer_mut(pointer).unwrap() = value,
            None => remove(&mut event, pointer),
        }
        event
    })
}

fn pointers(value: &Value, at: &str) -> Vec<String> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), value))
            .collect(),
        Value::Array(values) => {
            let numbered = values.iter().enumerate();
            numbered
                .map(|(at, value)| (at.to_string(), value))
                .collect()
        }
        _ => Vec::new(),
    };
    let mut all = vec![at.to_owned()];
    for (name, value) in inner {
        all.extend(pointers(
            value,
            &format!("{at}/{}", name.replace('/', "~1")),
        ));
    }
    all
}

fn remove(event: &mut Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else {
        *event = Value::Null;
        return;
    };
    match event.pointer_mut(parent).unwrap() {
        Value::Object(fields) => drop(fields.remove(&name.replace("~1", "/"))),
        Value::Array(values) => drop(values.remove(name.parse().unwrap())),
        _ => {}
    }
}

/// The version of the index; none where there is no index.
fn version(root: &TempDir) -> Option<Version> {
    let config = Config {
        read_only: true,
        ..Config::default()
    };
    let aquifer = Aquifer::open(root.path(), config).unwrap();
    let index = aquifer.index("default").ok()?;
    Some(index.snapshot().unwrap().version())
}

async fn check(payload: &Value) {
    let root = TempDir::new().unwrap();
    let front = Front::new(environment(&root, &[]), Role::Writer, no_sources(), None);
    let aquifer = Arc::new(Aquifer::open(root.path(), Config::default()).unwrap());
    aquifer.index_or_create("default").unwrap();
    let before = version(&root);
    let text = RawValue::from_string(payload.to_string()).unwrap();
    let event = LambdaEvent::new(text, context(LONG));
    // To delete what is not there changes nothing.
    let deletes = payload.to_string().contains("delete");
    let answered = front.answer(event).await;
    let kind = Payload::of(&payload.to_string());
    let is_event = matches!(kind, Payload::Event(_));
    check_others(payload, &kind);
    let Ok(answer) = answered else {
        return;
    };
    let answer: Value = serde_json::from_str(answer.get()).unwrap();
    match answer["statusCode"].as_u64() {
        // An answer with a status is for somebody who reads it: never for the source of an event.
        Some(status) => {
            assert!(!is_event, "{payload}: {answer}");
            let reads = payload.get("get").is_some() || payload.get("requestContext").is_some();
            assert!(
                status >= 400 || reads || deletes || version(&root) > before,
                "{payload}: {answer}"
            );
        }
        None => {
            assert!(is_event, "{payload}: {answer}");
            let failed = answer.to_string().contains("ProcessingFailed");
            assert!(
                failed || deletes || version(&root) > before,
                "{payload}: {answer}"
            );
        }
    }
}

/// The other functions take no event. The reindex function finds orders in those of EventBridge.
fn check_others(payload: &Value, kind: &Payload) {
    let text = payload.to_string();
    let search = bare::request(Role::Search, &text);
    let order = Order::read(&text);
    if let Payload::Event(kind) = kind {
        assert!(search.is_err(), "{payload}: {search:?}");
        let orders_too = *kind == EventKind::EventBridge;
        assert!(order.is_err() || orders_too, "{payload}: {order:?}");
    }
}

#[test]
fn no_payload_is_answered_with_success_that_was_not_indexed() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(Runs {
        cases: CASES,
        failure_persistence: None,
        ..Runs::default()
    });
    let payload = prop_oneof![3 => mutated(), 1 => json()];
    runner
        .run(&payload, |payload| {
            runtime.block_on(check(&payload));
            Ok(())
        })
        .unwrap();
}
