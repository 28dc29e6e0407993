//! An environment sleeps while the index goes on and its files are removed, and then answers right.

use std::collections::BTreeMap;
use std::time::Duration;

use aquifer_tests::local_lambda::{READS, REINDEX, Trio};
use aquifer_tests::{Client, Cluster, eventually};
use serde_json::json;

use crate::{door, lambda};

/// How long collecting what was needed may take: some retentions.
const PATIENCE: Duration = Duration::from_secs(300);

const POSTS: usize = 30;

#[test]
fn a_search_that_slept_across_commits_and_collections_finds_everything() {
    let cluster = Cluster::new();
    let retention = ("AQUIFER_RETENTION".to_owned(), "1s".to_owned());
    let trio = Trio {
        environments_max: 1,
        variables: BTreeMap::from([retention]),
        ..Trio::default()
    };
    let Some(lambda) = lambda(&cluster, trio) else {
        return;
    };
    let client = Client::new(&door(&lambda));
    let post = |number: usize| {
        // Each is large enough for files of its own.
        let content = format!("common number{number} {}", "padding ".repeat(2000));
        let document = json!({"unique_key": format!("{number}"), "content": content});
        let answer = client.post("/documents", &document.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    post(0);
    let found = client.search(&[("q", "common")]);
    assert_eq!(found["count"], 1, "{found}");
    assert_eq!(lambda.frozen(READS), 1, "the environment is not stopped");
    let known = cluster.names("manifests");

    (1..POSTS).for_each(post);
    let collect = r#"{"tasks":["merge","collect"]}"#;
    eventually("what it knew is gone", PATIENCE, || {
        // The writer may have invoked it just now: it has one environment.
        let outcome = lambda.invoke(REINDEX, collect).ok()?;
        assert!(!outcome.failed, "{outcome:?}");
        let left = cluster.names("manifests");
        known.iter().all(|name| !left.contains(name)).then_some(())
    });

    assert_eq!(lambda.frozen(READS), 1, "it did not sleep all the time");
    let found = client.search(&[("q", "common"), ("limit", "100")]);
    assert_eq!(found["count"], POSTS, "{found}");
    let last = format!("number{}", POSTS - 1);
    let found = client.search(&[("q", last.as_str())]);
    assert_eq!(
        found["result"][0]["unique_key"],
        (POSTS - 1).to_string(),
        "{found}"
    );
    let tally = lambda.tally(READS);
    assert_eq!((tally.started, tally.failed), (1, 0), "{tally:?}");
    drop(lambda);
    cluster.check();
}
