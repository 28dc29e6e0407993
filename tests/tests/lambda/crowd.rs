//! Many clients at once: several environments of each function on one folder, and more clients than environments.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use aquifer_tests::local_lambda::{READS, Trio, WRITES};
use aquifer_tests::{Answer, Client, Cluster, eventually};
use serde_json::json;

use crate::{door, lambda};

const ENVIRONMENTS: usize = 3;
const CLIENTS: usize = 6;
const POSTS: usize = 6;
const DOCUMENTS: usize = 5;
/// How long a client goes on where every environment is busy.
const PATIENCE: Duration = Duration::from_secs(300);

/// Asks until a function was free: the door says 503 until then.
fn persistently(what: &str, ask: impl Fn() -> Answer) -> Answer {
    eventually(what, PATIENCE, || {
        let answer = ask();
        (answer.status != 503).then_some(answer)
    })
}

#[test]
fn no_document_is_lost_and_each_is_found_at_once() {
    let cluster = Cluster::new();
    let trio = Trio {
        environments_max: ENVIRONMENTS,
        ..Trio::default()
    };
    let Some(lambda) = lambda(&cluster, trio) else {
        return;
    };
    let url = door(&lambda);
    let together = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (url, together) = (&url, &together);
            scope.spawn(move || {
                let client = Client::new(url);
                together.wait();
                for post in 0..POSTS {
                    post_and_find(&client, number, post);
                }
            });
        }
    });

    let client = Client::new(&url);
    let mut found = BTreeSet::new();
    let answer = client.search(&[("limit", "1000")]);
    for document in answer["result"].as_array().unwrap() {
        found.insert(document["unique_key"].as_str().unwrap().to_owned());
    }
    assert_eq!(found.len(), CLIENTS * POSTS * DOCUMENTS, "{found:?}");
    for name in [READS, WRITES] {
        let tally = lambda.tally(name);
        assert!(tally.started > 1 && tally.failed == 0, "{name}: {tally:?}");
        assert!(tally.started <= ENVIRONMENTS as u64, "{name}: {tally:?}");
    }
    let throttled = lambda.tally(WRITES).throttled;
    assert!(throttled > 0, "the crowd was none");
    drop(lambda);
    cluster.check();
}

/// Posts a few documents, and expects the next search to find them, whichever environment answers it.
fn post_and_find(client: &Client, number: usize, post: usize) {
    let documents: Vec<_> = (0..DOCUMENTS)
        .map(|document| {
            json!({
                "unique_key": format!("{number}-{post}-{document}"),
                "title": format!("word{number}x{post}"),
            })
        })
        .collect();
    let body = json!(documents).to_string();
    let answer = persistently("a post is taken", || client.post("/documents", &body));
    assert_eq!(answer.status, 200, "{answer:?}");
    let search = format!("/search?q=word{number}x{post}");
    let answer = persistently("a search is answered", || client.get(&search));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["count"], DOCUMENTS, "{answer:?}");
}
