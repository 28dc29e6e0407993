//! The function that tends: orders, rounds and chains.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aquifer_functions::lambda::handoff::Handoff;
use aquifer_functions::lambda::order::Order;
use aquifer_functions::lambda::tend::Tend;
use aquifer_functions::lambda::time::Bounds;
use aquifer_indexer::layout;
use aquifer_indexer::reindex::NoSources;
use lambda_runtime::LambdaEvent;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::senders::{Asked, rest};
use crate::{LONG, Place, context, environment, invoke};

fn tend(place: &Place, endpoint: Option<&Endpoint>) -> Tend {
    let handoff = endpoint.map(|endpoint| endpoint.handoff() as Arc<dyn Handoff>);
    Tend::new(environment(&place.root, &[]), Arc::new(NoSources), handoff)
}

async fn order(tend: &Tend, payload: &str) -> Value {
    let payload = RawValue::from_string(payload.to_owned()).unwrap();
    let report = tend.answer(LambdaEvent::new(payload, context(LONG))).await;
    serde_json::from_str(report.unwrap().get()).unwrap()
}

/// The same when the time for work is over, and only that for the continuation is left.
async fn order_too_late(tend: &Tend, payload: &str) -> Value {
    let until = Instant::now();
    let bounds = Bounds {
        until,
        end: until + LONG,
    };
    let report = tend.carry_out(Order::read(payload).unwrap(), bounds).await;
    serde_json::to_value(report.unwrap()).unwrap()
}

#[tokio::test]
async fn a_schedule_applies_what_was_left_behind() {
    let place = Place::filled().await;
    let mut late = Asked::new("POST", "/documents?wait=durable");
    late.body = json!({"unique_key": "late", "title": "latecomer"})
        .to_string()
        .into_bytes();
    let answer = invoke(&place.writer, rest(&late).to_string(), LONG).await;
    assert_eq!(answer["statusCode"], 202, "{answer}");
    let search = "/search?q=latecomer";
    assert_eq!(place.plain("GET", search, "").await.json()["count"], 0);

    // A process was killed a day ago while it created an index.
    let stranded = layout::new_folder("other", uuid::Uuid::from_u128(7));
    let stranded = place.root.path().join(stranded);
    std::fs::create_dir(&stranded).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(24 * 3600);
    let folder = std::fs::File::open(&stranded).unwrap();
    folder.set_modified(long_ago).unwrap();

    let schedule = include_str!("events/schedule.json");
    let report = order(&tend(&place, None), schedule).await;
    assert_eq!(report["indexes"][0]["index"], "default", "{report}");
    assert_eq!(report["indexes"][0]["drained"], 1, "{report}");
    assert_eq!(report["indexes"][0]["failed"], Value::Null, "{report}");
    assert_eq!(report["indexes"][0]["verified"], Value::Null, "{report}");
    assert!(report["indexes"][0]["collected"].is_object(), "{report}");
    assert_eq!(place.plain("GET", search, "").await.json()["count"], 1);
    assert!(!stranded.exists(), "the root was swept");
}

#[tokio::test]
async fn an_order_compacts_and_verifies() {
    let place = Place::filled().await;
    place.plain("DELETE", "/documents/100%25", "").await;
    let text = r#"{"indexes":["default"],"tasks":["verify","compact"]}"#;
    let report = order(&tend(&place, None), text).await;
    let index = &report["indexes"][0];
    assert_eq!(index["merged"]["merges"], 1, "{report}");
    assert_eq!(index["verified"]["problems"], json!([]), "{report}");
    assert_eq!(index["verified"]["documents"], 5, "{report}");
    assert_eq!(index["drained"], Value::Null, "{report}");
}

#[tokio::test]
async fn one_index_that_fails_keeps_no_other_from_its_turn_and_fails_the_invocation() {
    let place = Place::filled().await;
    let tend = tend(&place, None);
    let text = r#"{"indexes":["none","default"]}"#;
    let bounds = Bounds::of(&context(LONG));
    let report = tend.carry_out(Order::read(text).unwrap(), bounds).await;
    let report = serde_json::to_value(report.unwrap()).unwrap();
    let failed = report["indexes"][0]["failed"][0]["error"].as_str().unwrap();
    let advice = "no index `none`: create it with PUT /indexes/none or `aquifer create-index`";
    assert!(failed.contains(advice), "{report}");
    assert_eq!(report["indexes"][1]["drained"], 0, "{report}");

    let payload = RawValue::from_string(text.to_owned()).unwrap();
    let answer = tend.answer(LambdaEvent::new(payload, context(LONG))).await;
    let error = answer.unwrap_err().to_string();
    assert!(error.contains("drain of the index \"none\""), "{error}");
    assert!(error.contains(advice), "{error}");
}

#[tokio::test]
async fn a_job_goes_on_in_the_invocation_that_the_first_one_asks_for() {
    let (place, endpoint) = (Place::filled().await, Endpoint::new().await);
    let tend = tend(&place, Some(&endpoint));
    let text = r#"{"indexes":["default"],"tasks":["reindex"],"reindex":{}}"#;
    let first = order_too_late(&tend, text).await;
    assert_eq!(first["unreached"], json!(["default"]), "{first}");
    assert_eq!(
        first["continued"],
        json!({"count": 1, "idle": 1}),
        "{first}"
    );
    let asked = endpoint.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].kind, "Event");

    let second = order(&tend, &asked[0].payload).await;
    let job = &second["indexes"][0]["job"];
    assert_eq!(job["state"], "finished", "{second}");
    assert_eq!(job["documents"], 6, "{second}");
    assert_eq!(second["continued"], Value::Null, "{second}");
    assert_eq!(endpoint.asked().len(), 1);
    let found = place.plain("GET", "/search?q=coffee", "").await;
    assert_eq!(found.json()["count"], 2, "{found:?}");
}

#[tokio::test]
async fn a_chain_that_gets_nowhere_is_left_to_the_schedule() {
    let (place, endpoint) = (Place::filled().await, Endpoint::new().await);
    let tend = tend(&place, Some(&endpoint));
    let mut payload = "{}".to_owned();
    let mut reports = Vec::new();
    for _ in 0..5 {
        let report = order_too_late(&tend, &payload).await;
        let continued = report["continued"].is_object();
        reports.push(report);
        if !continued {
            break;
        }
        payload = endpoint.asked().last().unwrap().payload.clone();
    }
    assert_eq!(reports.len(), 2, "{reports:?}");
    assert!(reports[1]["stopped"].is_string(), "{reports:?}");
    assert_eq!(endpoint.asked().len(), 1);
}

#[tokio::test]
async fn a_continuation_that_nobody_takes_is_told() {
    let place = Place::filled().await;
    let missing = [(404, "ResourceNotFoundException")];
    let endpoint = Endpoint::refusing(&missing).await;
    let report = order_too_late(&tend(&place, Some(&endpoint)), "{}").await;
    let stopped = report["stopped"].as_str().unwrap();
    assert!(stopped.contains("reindexer"), "{report}");
}

#[tokio::test]
async fn what_is_no_order_is_an_error_that_says_what_is_one() {
    let place = Place::filled().await;
    let payload = RawValue::from_string(r#"{"index":"default"}"#.to_owned()).unwrap();
    let event = LambdaEvent::new(payload, context(LONG));
    let error = tend(&place, None).answer(event).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("`index`") && text.contains("\"indexes\""),
        "{text}"
    );
}

#[tokio::test]
async fn an_order_examines_the_mount_and_goes_round_no_index() {
    let place = Place::filled().await;
    let report = order(&tend(&place, None), r#"{"tasks":["doctor"]}"#).await;
    let findings = report["doctor"]["findings"].as_array().unwrap();
    assert!(findings.len() >= 15, "{report}");
    for finding in findings {
        assert_ne!(finding["judgement"], "does_not_hold", "{finding}");
    }
    assert_eq!(report["indexes"], json!([]), "{report}");
    let report = order(&tend(&place, None), r#"{"tasks":["doctor","drain"]}"#).await;
    assert_eq!(report["indexes"][0]["drained"], 0, "{report}");
    assert!(report["doctor"].is_object(), "{report}");
    let left = std::fs::read_dir(place.root.path()).unwrap().count();
    assert_eq!(left, 1, "only the index is there");
}

#[tokio::test]
async fn an_assumption_that_does_not_hold_fails_the_invocation() {
    let place = Place::new();
    // A second process whose calls all fail.
    let program = place.root.path().join("second");
    let script = "#!/bin/sh\nread -r begin\necho '{\"done\":{\"Ok\":\"done\"}}'\nwhile read -r order; do\n  \
                  echo '{\"done\":{\"Err\":{\"errno\":5,\"text\":\"Input/output error\"}}}'\ndone\n";
    std::fs::write(&program, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let tend = tend(&place, None).with_second_process(program);
    let payload = RawValue::from_string(r#"{"tasks":["doctor"]}"#.to_owned()).unwrap();
    let failed = tend.answer(LambdaEvent::new(payload, context(LONG))).await;
    let error = failed.unwrap_err().to_string();
    assert!(error.contains("does not do what an index needs"), "{error}");
    assert!(error.contains("coherent-page: "), "{error}");
}
