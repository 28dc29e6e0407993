//! What searches cost the process that answers them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use aquifer_tests::{Cluster, Server};

const MIB: u64 = 1024 * 1024;

/// Documents of [`LARGE_BYTES`] each: together several times what an answer may come to.
const LARGE: usize = 150;
const LARGE_BYTES: usize = 900_000;
/// As many as fit into the body of a request.
const LARGE_A_POST: usize = 6;

/// What a search may add to the memory of the process: an answer of 32 MiB, and the first group of 16 documents of 900 KB
/// as they are read, unpacked and taken over. All documents at once come to 130 MiB, three times.
const SEARCH_MEMORY: u64 = 128 * MIB;

/// Clients that ask for as much as they may, at once.
const CROWD: usize = 64;
/// Cheap searches beside them.
const CHEAP: usize = 20;

fn server(cluster: &Cluster) -> Server {
    cluster
        .writer()
        .maintenance_interval(Duration::ZERO)
        .start()
}

#[test]
fn a_search_over_large_documents_holds_one_answer_and_one_group() {
    let cluster = Cluster::new();
    let server = server(&cluster);
    let text = "lorem ipsum ".repeat(LARGE_BYTES / 12);
    for batch in 0..LARGE / LARGE_A_POST {
        let documents: Vec<String> = (0..LARGE_A_POST)
            .map(|n| {
                format!(r#"{{"unique_key":"{batch}-{n}","title":"large","content":"{text}"}}"#)
            })
            .collect();
        let posted = server.post("/documents", &format!("[{}]", documents.join(",")));
        assert_eq!(posted.status, 200, "{:.300}", posted.text);
    }
    // Once, so that what it keeps for later searches is there.
    server.search(&[("limit", "1"), ("fields", "title")]);
    for (parameters, status) in [
        (&[("limit", "1000")][..], 413),
        (&[("limit", "1000"), ("fields", "title")], 200),
        (
            &[
                ("limit", "1000"),
                ("fields", "title"),
                ("q", "ipsum"),
                ("highlight", "true"),
            ],
            200,
        ),
    ] {
        let before = server.memory_from_now();
        let answer = server.try_get("/search", parameters).unwrap();
        assert_eq!(answer.status, status, "{:.300}", answer.text);
        if status == 413 {
            assert_eq!(answer.body["type"], "/problems/answer-too-large");
        } else {
            assert_eq!(answer.body["result"].as_array().unwrap().len(), LARGE);
        }
        let grown = server.peak_memory().saturating_sub(before);
        println!("{parameters:?} took {} MiB", grown / MIB);
        assert!(
            grown < SEARCH_MEMORY,
            "{parameters:?} took {} MiB",
            grown / MIB
        );
    }
    server.end();
    cluster.check();
}

#[test]
fn a_crowd_of_expensive_searches_leaves_room_for_cheap_ones() {
    let cluster = Cluster::new();
    let server = server(&cluster);
    let lines: String = (0..4000)
        .map(|n| {
            let words: String = (0..12).map(|w| format!("a{} ", n * 7 + w * 13)).collect();
            format!("{{\"unique_key\":\"{n}\",\"title\":\"cheap {n}\",\"content\":\"{words}\"}}\n")
        })
        .collect();
    assert_eq!(server.post("/documents", &lines).status, 200);
    // Distinct prefixes, so that none is the same clause as another.
    let query: String = (100..350).map(|n| format!("a{n}* ")).collect();
    let answered = AtomicUsize::new(0);
    let meanwhile = thread::scope(|scope| {
        for _ in 0..CROWD {
            scope.spawn(|| {
                let parameters = [("q", &*query), ("limit", "1000"), ("highlight", "true")];
                let answer = server.try_get("/search", &parameters).unwrap();
                assert!([200, 503].contains(&answer.status), "{:.300}", answer.text);
                answered.fetch_add(1, Ordering::SeqCst);
            });
        }
        for n in 0..CHEAP {
            let answer = server.try_get("/search", &[("q", "cheap"), ("limit", "1")]);
            assert_eq!(answer.unwrap().status, 200, "cheap search {n}");
        }
        answered.load(Ordering::SeqCst)
    });
    println!("{CHEAP} cheap searches were answered beside {meanwhile} of {CROWD} expensive ones");
    // Where all take turns alike, the expensive ones end before.
    assert!(meanwhile < CROWD / 2, "{meanwhile} came before");
    server.end();
    cluster.check();
}
