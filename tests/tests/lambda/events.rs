//! Events of other services: indexed, reported item by item, or failed.

use aquifer_tests::Cluster;
use aquifer_tests::local_lambda::{LocalLambda, READS, REINDEX, Trio, WRITES};
use serde_json::{Value, json};

use crate::lambda;

macro_rules! fixture {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!(
            "../../../functions/tests/lambda/fixtures/",
            $name
        )))
        .unwrap()
    };
}

/// What a function answers, and whether its invocation failed.
fn invoke(lambda: &LocalLambda, function: &str, event: &Value) -> (Value, bool) {
    let outcome = lambda.invoke(function, &event.to_string()).unwrap();
    let answer = serde_json::from_slice(&outcome.payload).unwrap();
    (answer, outcome.failed)
}

#[track_caller]
fn check(lambda: &LocalLambda, event: &Value, failures: &[&str]) {
    let failures = failures.iter().map(|id| json!({"itemIdentifier": id}));
    let expected = json!({"batchItemFailures": failures.collect::<Vec<_>>()});
    let answered = invoke(lambda, WRITES, event);
    assert_eq!(answered, (expected, false), "{event}");
}

/// The title of the document `1`, as the search function finds it.
fn title(lambda: &LocalLambda) -> Value {
    let (answer, failed) = invoke(lambda, READS, &json!({"get": "1"}));
    assert!(!failed, "{answer}");
    let document: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    document["title"].clone()
}

#[test]
fn events_are_indexed_or_fail() {
    let cluster = Cluster::new();
    let Some(lambda) = lambda(&cluster, Trio::default()) else {
        return;
    };
    for event in [
        fixture!("sqs.json"),
        fixture!("sqs-fifo.json"),
        fixture!("sns.json"),
        fixture!("eventbridge.json"),
        fixture!("dynamodb.json"),
        fixture!("kinesis.json"),
        fixture!("msk.json"),
        fixture!("kafka.json"),
    ] {
        check(&lambda, &event, &[]);
        assert_eq!(title(&lambda), "Dune", "{event}");
        for function in [READS, REINDEX] {
            let (error, failed) = invoke(&lambda, function, &event);
            let message = error["errorMessage"].as_str().unwrap();
            assert!(
                failed && message.contains("send it to the writer function"),
                "{error}"
            );
        }
    }
    drop(lambda);
    cluster.check();
}

#[test]
fn one_item_fails_without_the_others_and_an_older_one_changes_nothing() {
    let cluster = Cluster::new();
    let Some(lambda) = lambda(&cluster, Trio::default()) else {
        return;
    };
    let mut event = fixture!("dynamodb.json");
    let mut bad = event["Records"][0].clone();
    bad["dynamodb"]["SequenceNumber"] = "112".into();
    bad["dynamodb"]["NewImage"]["pages"] = json!({"N": "many"});
    event["Records"].as_array_mut().unwrap().push(bad.clone());
    check(&lambda, &event, &["112"]);
    assert_eq!(title(&lambda), "Dune");
    let (error, failed) = invoke(&lambda, WRITES, &json!({"Records": [bad]}));
    assert!(failed, "{error}");

    let record = &mut event["Records"][0]["dynamodb"];
    record["SequenceNumber"] = "99".into();
    record["NewImage"]["title"]["S"] = "older".into();
    event["Records"].as_array_mut().unwrap().pop();
    check(&lambda, &event, &[]);
    assert_eq!(title(&lambda), "Dune");
    drop(lambda);
    cluster.check();
}
