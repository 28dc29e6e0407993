//! What nobody waits for: the schedule, and work that takes several invocations.

use std::collections::BTreeMap;
use std::time::Duration;

use aquifer_indexer::config::Config;
use aquifer_indexer::index::Aquifer;
use aquifer_indexer::reindex::JobState;
use aquifer_tests::local_lambda::{REINDEX, Trio};
use aquifer_tests::{Client, Cluster, eventually};
use serde_json::{Value, json};

use crate::{door, lambda};

const PATIENCE: Duration = Duration::from_secs(120);

/// Enough that building them anew takes longer than one invocation has.
const DOCUMENTS: usize = 12_000;
const BATCH: usize = 2_000;
const WORDS: usize = 150;

#[test]
fn a_schedule_collects_what_is_not_needed() {
    let cluster = Cluster::new();
    let retention = ("AQUIFER_RETENTION".to_owned(), "1s".to_owned());
    let trio = Trio {
        variables: BTreeMap::from([retention]),
        ..Trio::default()
    };
    let Some(lambda) = lambda(&cluster, trio) else {
        return;
    };
    let client = Client::new(&door(&lambda));
    for number in 0..5 {
        let document = json!({"unique_key": "one", "title": format!("version {number}")});
        assert_eq!(client.post("/documents", &document.to_string()).status, 200);
    }
    let known = cluster.names("manifests");
    eventually("the schedule collects them", PATIENCE, || {
        assert_eq!(client.post("/_schedule", "").status, 202);
        let left = cluster.names("manifests");
        (left.len() < known.len()).then_some(())
    });
    let before = lambda.tally(REINDEX).invoked;
    let order = r#"{"indexes":["default"],"tasks":["verify"]}"#;
    assert_eq!(client.post("/_schedule", order).status, 202);
    eventually("the schedule's order is followed", PATIENCE, || {
        (lambda.tally(REINDEX).invoked > before).then_some(())
    });
    assert_eq!(client.search(&[])["count"], 1);
    assert_eq!(lambda.tally(REINDEX).failed, 0);
    drop(lambda);
    cluster.check();
}

#[test]
fn a_reindex_goes_on_over_several_invocations() {
    let cluster = Cluster::new();
    let trio = Trio {
        reindex_timeout: Duration::from_secs(2),
        ..Trio::default()
    };
    let Some(lambda) = lambda(&cluster, trio) else {
        return;
    };
    let client = Client::new(&door(&lambda));
    for batch in 0..DOCUMENTS / BATCH {
        let documents = (batch * BATCH..(batch + 1) * BATCH).map(document);
        let body = Value::Array(documents.collect()).to_string();
        let answer = client.post("/documents", &body);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // What the writer handed over keeps the only environment busy until it is done.
    let order = r#"{"indexes":["default"],"tasks":["reindex"],"reindex":{}}"#;
    let outcome = eventually("the reindex function is free", PATIENCE, || {
        lambda.invoke(REINDEX, order).ok()
    });
    assert!(!outcome.failed, "{outcome:?}");
    let report: Value = serde_json::from_slice(&outcome.payload).unwrap();
    println!("the first invocation: {report}");
    assert_eq!(
        report["continued"]["count"], 1,
        "it was done at once: {report}"
    );

    let before = lambda.tally(REINDEX).invoked;
    let read_only = Config {
        read_only: true,
        ..Config::default()
    };
    let aquifer = Aquifer::open(cluster.root(), read_only).unwrap();
    let index = aquifer.index("default").unwrap();
    let job = eventually("the job ends", PATIENCE, || {
        let mut jobs = index.jobs().unwrap().into_iter();
        jobs.find(|job| !job.state.is_running())
    });
    let tally = lambda.tally(REINDEX);
    println!("{tally:?}: {job:?}");
    assert_eq!(job.state, JobState::Finished, "{job:?}");
    assert_eq!(job.documents, DOCUMENTS as u64, "{job:?}");
    assert!(tally.invoked >= before + 2, "{tally:?} after {before}");
    assert_eq!(tally.failed, 0, "{tally:?}");
    assert_eq!(client.search(&[])["count"], DOCUMENTS);
    drop(lambda);
    cluster.check();
}

fn document(number: usize) -> Value {
    let words: Vec<String> = (0..WORDS)
        .map(|word| format!("w{}", (number * 31 + word * 17) % 5000))
        .collect();
    json!({"unique_key": format!("{number:06}"), "content": words.join(" ")})
}
