//! The function that tends: orders and rounds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aquifer_functions::lambda::order::Order;
use aquifer_functions::lambda::tend::Tend;
use aquifer_functions::lambda::time::Bounds;
use aquifer_indexer::ErrorKind;
use aquifer_indexer::config::Config;
use aquifer_indexer::index::Aquifer;
use aquifer_indexer::layout;
use aquifer_indexer::reindex::{NoSources, ReindexRequest};
use lambda_runtime::LambdaEvent;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::senders::{Asked, rest};
use crate::{LONG, Place, context, environment, invoke};

fn tend(place: &Place) -> Tend {
    Tend::new(environment(&place.root, &[]), Arc::new(NoSources))
}

async fn order(tend: &Tend, payload: &str) -> Value {
    let payload = RawValue::from_string(payload.to_owned()).unwrap();
    let report = tend.answer(LambdaEvent::new(payload, context(LONG))).await;
    serde_json::from_str(report.unwrap().get()).unwrap()
}

/// The same when the time for work is over, and only that for the report is left.
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
    let report = order(&tend(&place), schedule).await;
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
    let report = order(&tend(&place), text).await;
    let index = &report["indexes"][0];
    assert_eq!(index["merged"]["merges"], 1, "{report}");
    assert_eq!(index["verified"]["problems"], json!([]), "{report}");
    assert_eq!(index["verified"]["documents"], 5, "{report}");
    assert_eq!(index["drained"], Value::Null, "{report}");
}

#[tokio::test]
async fn one_index_that_fails_keeps_no_other_from_its_turn_and_fails_the_invocation() {
    let place = Place::filled().await;
    let tend = tend(&place);
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
async fn the_next_schedule_resumes_a_job_that_there_was_no_time_for() {
    let place = Place::filled().await;
    let aquifer = Aquifer::open(place.root.path(), Config::default()).unwrap();
    let index = aquifer.index("default").unwrap();
    let deadline = Instant::now() + LONG;
    let job = index.start_reindex(&ReindexRequest::default(), deadline);
    assert!(job.unwrap().state.is_running());
    let tend = tend(&place);
    let late = order_too_late(&tend, "{}").await;
    assert_eq!(late["unreached"], json!(["default"]), "{late}");
    assert_eq!(late["indexes"], json!([]), "{late}");

    let next = order(&tend, "{}").await;
    let job = &next["indexes"][0]["job"];
    assert_eq!(job["state"], "finished", "{next}");
    assert_eq!(job["documents"], 6, "{next}");
    assert_eq!(next["unreached"], Value::Null, "{next}");
    let found = place.plain("GET", "/search?q=coffee", "").await;
    assert_eq!(found.json()["count"], 2, "{found:?}");
}

#[tokio::test]
async fn an_order_whose_job_there_was_no_time_to_start_fails_the_invocation() {
    let place = Place::filled().await;
    let tend = tend(&place);
    let text = r#"{"indexes":["default"],"tasks":["reindex"],"reindex":{}}"#;
    let payload = RawValue::from_string(text.to_owned()).unwrap();
    let event = LambdaEvent::new(payload, context(Duration::ZERO));
    let error = tend.answer(event).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    assert!(error.to_string().contains("`GET /jobs`"), "{error}");
    let jobs = place.plain("GET", "/jobs", "").await;
    assert_eq!(jobs.json()["jobs"], json!([]), "{jobs:?}");
    // Lambda tries a failed invocation again.
    let again = order(&tend, text).await;
    assert_eq!(again["indexes"][0]["job"]["state"], "finished", "{again}");
}

#[tokio::test]
async fn every_index_is_the_first_in_some_invocation() {
    let place = Place::filled().await;
    for name in ["a", "z"] {
        let created = place.plain("PUT", &format!("/indexes/{name}"), "").await;
        assert_eq!(created.status, 201, "{created:?}");
    }
    let tend = tend(&place);
    let mut first = BTreeSet::new();
    // That one of three is never drawn in so many invocations has a chance of 10 to the power of minus 35.
    for _ in 0..200 {
        let report = order_too_late(&tend, "{}").await;
        let unreached = report["unreached"].as_array().unwrap();
        assert_eq!(unreached.len(), 3, "{report}");
        first.insert(unreached[0].to_string());
    }
    assert_eq!(first.len(), 3, "{first:?}");
}

#[tokio::test]
async fn what_is_no_order_is_an_error_that_says_what_is_one() {
    let place = Place::filled().await;
    let payload = RawValue::from_string(r#"{"index":"default"}"#.to_owned()).unwrap();
    let event = LambdaEvent::new(payload, context(LONG));
    let error = tend(&place).answer(event).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("`index`") && text.contains("\"indexes\""),
        "{text}"
    );
}

#[tokio::test]
async fn an_order_examines_the_mount_and_goes_round_no_index() {
    let place = Place::filled().await;
    let report = order(&tend(&place), r#"{"tasks":["doctor"]}"#).await;
    let findings = report["doctor"]["findings"].as_array().unwrap();
    assert!(findings.len() >= 15, "{report}");
    for finding in findings {
        assert_ne!(finding["judgement"], "does_not_hold", "{finding}");
    }
    assert_eq!(report["indexes"], json!([]), "{report}");
    let report = order(&tend(&place), r#"{"tasks":["doctor","drain"]}"#).await;
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
    let tend = tend(&place).with_second_process(program);
    let payload = RawValue::from_string(r#"{"tasks":["doctor"]}"#.to_owned()).unwrap();
    let failed = tend.answer(LambdaEvent::new(payload, context(LONG))).await;
    let error = failed.unwrap_err().to_string();
    assert!(error.contains("does not do what an index needs"), "{error}");
    assert!(error.contains("coherent-page: "), "{error}");
}
