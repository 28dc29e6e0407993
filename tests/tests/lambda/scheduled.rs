//! What nobody waits for: the schedule, and work that takes several invocations.

use std::collections::BTreeMap;
use std::time::Duration;

use aquifer_indexer::config::Config;
use aquifer_indexer::index::Aquifer;
use aquifer_indexer::reindex::JobState;
use aquifer_tests::local_lambda::{LocalLambda, REINDEX, Trio};
use aquifer_tests::{Client, Cluster, eventually};
use serde_json::{Value, json};

use crate::{door, lambda};

const PATIENCE: Duration = Duration::from_secs(600);

/// Documents are added by so many until building them anew takes several invocations, which depends on the machine.
const DOCUMENTS: usize = 15_000;
const ROUNDS: usize = 8;
const BATCH: usize = 3_000;
const WORDS: usize = 150;
/// What an invocation may take: a few of the shortest steps of a job, also on a machine that is busy otherwise.
const TIMEOUT: Duration = Duration::from_secs(4);

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
fn schedules_resume_a_reindex_until_it_ends() {
    let cluster = Cluster::new();
    let trio = Trio {
        reindex_timeout: TIMEOUT,
        ..Trio::default()
    };
    let Some(lambda) = lambda(&cluster, trio) else {
        return;
    };
    let client = Client::new(&door(&lambda));
    let took = (1..=ROUNDS).find_map(|round| {
        let documents = round * DOCUMENTS;
        for first in (documents - DOCUMENTS..documents).step_by(BATCH) {
            let body = Value::Array((first..first + BATCH).map(document).collect());
            let answer = client.post("/documents", &body.to_string());
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        let invocations = build_anew(&cluster, &lambda, documents as u64);
        assert_eq!(client.search(&[])["count"], documents);
        (invocations >= 3).then_some(invocations)
    });
    println!("{took:?} invocations");
    assert!(
        took.is_some(),
        "so many documents are built in two invocations"
    );
    drop(lambda);
    cluster.check();
}

/// Starts a job and invokes the function as a schedule does, until the job has ended. How many invocations worked on it and
/// ended in time.
fn build_anew(cluster: &Cluster, lambda: &LocalLambda, documents: u64) -> u64 {
    let read_only = Config {
        read_only: true,
        ..Config::default()
    };
    let aquifer = Aquifer::open(cluster.root(), read_only).unwrap();
    let index = aquifer.index("default").unwrap();
    let known = index.jobs().unwrap().len();
    let mut order =
        json!({"indexes": ["default"], "tasks": ["reindex"], "reindex": {}}).to_string();
    let mut invocations = 0;
    let job = eventually("the job ends", PATIENCE, || {
        // What the writer has handed over keeps the only environment busy, and a cold start may take all the time.
        let report: Value = match lambda.invoke(REINDEX, &order) {
            Ok(outcome) => serde_json::from_slice(&outcome.payload).unwrap_or_default(),
            Err(_busy) => Value::Null,
        };
        println!("{report}");
        invocations += u64::from(report["indexes"][0]["job"].is_object());
        let jobs = index.jobs().unwrap();
        if jobs.len() > known {
            "{}".clone_into(&mut order);
        }
        let newest = jobs.into_iter().max_by_key(|job| job.started_version);
        newest.filter(|job| !job.state.is_running() && order == "{}")
    });
    assert_eq!(job.state, JobState::Finished, "{job:?}");
    assert_eq!(job.documents.get(), documents, "{job:?}");
    assert_eq!(index.jobs().unwrap().len(), known + 1);
    invocations
}

fn document(number: usize) -> Value {
    let words: Vec<String> = (0..WORDS)
        .map(|word| format!("w{}", (number * 31 + word * 17) % 5000))
        .collect();
    json!({"unique_key": format!("{number:06}"), "content": words.join(" ")})
}
