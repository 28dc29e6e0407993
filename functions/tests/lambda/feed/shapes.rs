//! Which function understands what: each payload through the real programs.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{book, fixture};
use crate::process::{Function, PATIENCE, REINDEX, SEARCH, WRITER};

/// What a function makes of a payload: `answered` with what, or `failed` with which message.
async fn outcome(function: &mut Function, payload: &Value) -> String {
    function.send("one", payload.to_string(), PATIENCE).await;
    let (outcome, answer) = function.answer().await;
    match (&*outcome, answer["statusCode"].as_u64()) {
        ("response", Some(status)) => format!("answered {status}"),
        ("response", None) => format!("answered {answer}"),
        _ => format!("failed: {}", answer["errorMessage"].as_str().unwrap()),
    }
}

/// The payload, and the beginning of the outcome in the writer, in the search and in the reindex function; after `...`
/// what else is in it.
type Row = (Value, [&'static str; 3]);

async fn check(rows: impl IntoIterator<Item = Row>) {
    let root = TempDir::new().unwrap();
    let mut writer = Function::start(WRITER, &root, &[]).await;
    let mut search = Function::start(SEARCH, &root, &[]).await;
    let mut reindex = Function::start(REINDEX, &root, &[]).await;
    assert_eq!(
        outcome(&mut writer, &book("1", "Dune")).await,
        "answered 200"
    );
    for (payload, expected) in rows {
        let outcomes = [
            outcome(&mut writer, &payload).await,
            outcome(&mut search, &payload).await,
            outcome(&mut reindex, &payload).await,
        ];
        println!("{payload}: {outcomes:?}");
        for (outcome, expected) in outcomes.iter().zip(expected) {
            let (begins, holds) = expected.split_once("...").unwrap_or((expected, ""));
            let as_expected = outcome.starts_with(begins) && outcome.contains(holds);
            assert!(as_expected, "{payload}: {outcome} is not {expected}");
        }
    }
}

const ANSWERED: &str = "answered 200";
const INDEXED: &str = "answered {\"batchItemFailures\":[]}";
const TO_WRITER: &str = "failed: ...send it to the writer function";
const TO_SEARCH: &str = "failed: ...send it to the search function";
const TO_REINDEX: &str = "failed: ...send it to the reindex function";

#[tokio::test]
async fn an_event_is_indexed_by_the_writer_and_named_by_the_others() {
    let events = [
        include_str!("../fixtures/sqs.json"),
        include_str!("../fixtures/sqs-fifo.json"),
        include_str!("../fixtures/sns.json"),
        include_str!("../fixtures/eventbridge.json"),
        include_str!("../fixtures/dynamodb.json"),
        include_str!("../fixtures/kinesis.json"),
        include_str!("../fixtures/msk.json"),
        include_str!("../fixtures/kafka.json"),
    ];
    let row = |text: &str| (fixture(text), [INDEXED, TO_WRITER, TO_WRITER]);
    check(events.map(row)).await;
    let s3 = "failed: ...AQUIFER_SOURCES";
    check([
        (
            fixture(include_str!("../fixtures/firehose.json")),
            [
                "answered {\"records\":[{...\"result\":\"Ok\"",
                TO_WRITER,
                TO_WRITER,
            ],
        ),
        (
            fixture(include_str!("../fixtures/s3.json")),
            [s3, TO_WRITER, TO_WRITER],
        ),
        (
            fixture(include_str!("../fixtures/s3-eventbridge.json")),
            [s3, TO_WRITER, TO_WRITER],
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_nobody_understands_fails_everywhere_by_its_name() {
    let foreign = fixture(include_str!("../fixtures/foreign.json"));
    let root = TempDir::new().unwrap();
    let mut writer = Function::start(WRITER, &root, &[]).await;
    let mut search = Function::start(SEARCH, &root, &[]).await;
    let mut reindex = Function::start(REINDEX, &root, &[]).await;
    for (name, payload) in foreign.as_object().unwrap() {
        for function in [&mut writer, &mut search] {
            let outcome = outcome(function, payload).await;
            assert!(outcome.starts_with("failed: "), "{name}: {outcome}");
            assert!(outcome.contains(name.as_str()), "{name}: {outcome}");
        }
        let outcome = outcome(&mut reindex, payload).await;
        assert!(outcome.starts_with("failed: "), "{name}: {outcome}");
    }
    let empty = ["sqs", "dynamodb"].map(|_| json!({"Records": []}));
    for event in empty {
        let outcome = outcome(&mut writer, &event).await;
        assert!(outcome.starts_with("failed: "), "{outcome}");
    }
    for text in [
        r#"{"eventSource":"aws:kafka","records":{}}"#,
        r#"{"deliveryStreamArn":"a","records":[]}"#,
    ] {
        let outcome = outcome(&mut writer, &fixture(text)).await;
        assert!(outcome.contains("has no record"), "{text}: {outcome}");
    }
    assert!(!root.path().join("default").exists());
}

#[tokio::test]
async fn a_bare_payload_is_understood_by_one_function_and_named_by_the_others() {
    let event: Value = fixture(include_str!("../events/schedule.json"));
    let http = fixture(include_str!("../events/http-v2.json"));
    let refused = json!({"unique_key": "2", "lang": 7});
    check([
        (book("2", "two"), [ANSWERED, TO_WRITER, TO_WRITER]),
        (json!([book("2", "two")]), [ANSWERED, TO_WRITER, "failed: "]),
        (
            json!({"documents": [book("2", "two")]}),
            [ANSWERED, TO_WRITER, TO_WRITER],
        ),
        (json!({"delete": ["2"]}), [ANSWERED, TO_WRITER, TO_WRITER]),
        (
            json!({"index": "default", "delete": ["2"]}),
            [ANSWERED, TO_WRITER, TO_WRITER],
        ),
        (
            json!({"index": "none", "delete": ["2"]}),
            ["answered 404", TO_WRITER, TO_WRITER],
        ),
        (refused, ["answered 4", TO_WRITER, TO_WRITER]),
        (json!({"query": "dune"}), [TO_SEARCH, ANSWERED, TO_SEARCH]),
        (
            json!({"index": "default", "query": "dune"}),
            [TO_SEARCH, ANSWERED, TO_SEARCH],
        ),
        (
            json!({"index": "none", "query": "dune"}),
            [TO_SEARCH, "answered 404", TO_SEARCH],
        ),
        (json!({"get": "1"}), [ANSWERED, ANSWERED, TO_SEARCH]),
        (
            json!({"get": "none"}),
            ["answered 404", "answered 404", TO_SEARCH],
        ),
        (json!({"stats": true}), [ANSWERED, ANSWERED, TO_SEARCH]),
        (event, [TO_REINDEX, TO_REINDEX, "answered {\"indexes\":"]),
        (
            json!({"indexes": ["default"]}),
            [TO_REINDEX, TO_REINDEX, "answered {\"indexes\":"],
        ),
        (
            json!({"indexes": ["none"]}),
            [TO_REINDEX, TO_REINDEX, "failed: ...no index `none`"],
        ),
        (
            http,
            [
                "answered 4",
                "answered 4",
                "failed: ...an HTTP request is no order",
            ],
        ),
        (
            json!({"temperature": 20}),
            ["failed: ", "answered 400", "failed: "],
        ),
        (json!({}), ["failed: ", ANSWERED, "answered {\"indexes\":"]),
        (
            json!([]),
            ["failed: ", "failed: ...is an array", "failed: "],
        ),
        (json!("text"), ["failed: ", "answered 400", "failed: "]),
        (json!(7), ["failed: ", "answered 400", "failed: "]),
    ])
    .await;
}
