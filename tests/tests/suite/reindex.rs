//! An index is built anew while documents are posted into it: none is lost, and each is found at once.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use aquifer_tests::{Cluster, Server, eventually};

/// Documents that are there before, where there are no real ones.
const MADE_UP: usize = 5_000;
/// Documents that are posted while the job runs.
const POSTS: usize = 1_000;
/// Who posts them.
const CLIENTS: usize = 8;
/// Bounds what must happen at all.
const PATIENCE: Duration = Duration::from_secs(600);

/// The real English documents, or made-up ones.
fn documents(cluster: &Cluster) -> PathBuf {
    if let Some(folder) = std::env::var_os("AQUIFER_TEST_DATA") {
        return PathBuf::from(folder).join("en.ndjson.zst");
    }
    println!("AQUIFER_TEST_DATA is not set: {MADE_UP} made-up documents instead of real ones");
    let mut lines = String::new();
    for number in 0..MADE_UP {
        let text = format!("document number {number} of those that were there before");
        let key = format!("before-{number}");
        writeln!(
            lines,
            r#"{{"unique_key":"{key}","lang":"en","content":"{text}"}}"#
        )
        .unwrap();
    }
    std::fs::create_dir_all(cluster.scratch()).unwrap();
    let path = cluster.scratch().join("documents.ndjson");
    std::fs::write(&path, lines).unwrap();
    path
}

#[test]
fn what_is_posted_while_the_whole_index_is_built_anew_is_there_afterwards() {
    let cluster = Cluster::new();
    let documents = documents(&cluster);
    let imported = cluster.run(&["import", &documents.display().to_string()]);
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let (writer, reader) = (cluster.writer().start(), cluster.reader().start());
    let before = count(&reader);
    let started = writer.post("/reindex", "");
    assert_eq!(started.status, 202, "{started:?}");
    let job = started.body["status_url"].as_str().unwrap().to_owned();
    let posted = AtomicUsize::new(0);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (writer, reader, posted) = (writer.client(), reader.client(), &posted);
            scope.spawn(move || {
                for number in (client..POSTS).step_by(CLIENTS) {
                    let key = key(number);
                    let body = format!(r#"{{"unique_key":"{key}","tags":"meanwhile"}}"#);
                    let answer = writer.post("/documents", &body);
                    assert_eq!(answer.status, 200, "{answer:?}");
                    let found = reader.get(&format!("/documents/{key}"));
                    assert_eq!(found.status, 200, "{key} was acknowledged: {found:?}");
                    posted.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        scope.spawn(|| {
            let ended = eventually("the job ends", PATIENCE, || {
                let status = reader.get(&job);
                assert_eq!(status.status, 200, "{status:?}");
                status.body["ended_version"].is_u64().then_some(status)
            });
            println!(
                "{before} documents built anew, {} posted by then: {}",
                posted.load(Ordering::SeqCst),
                ended.text
            );
        });
    });
    let ended = reader.get(&job).body;
    assert_eq!(ended["state"], "finished", "{ended}");
    assert_eq!(ended["refused"], 0, "{ended}");
    // What was posted before the swap had to be carried over, and there was some.
    assert!(ended["replayed"].as_u64().unwrap() > 0, "{ended}");
    for server in [&writer, &reader] {
        assert_eq!(count(server), before + POSTS as u64);
        let meanwhile = server.search(&[("tag", "meanwhile"), ("limit", "0")]);
        assert_eq!(meanwhile["count"], POSTS, "{meanwhile}");
    }
    [writer, reader].into_iter().for_each(Server::end);
    cluster.check();
}

/// A key before, between or behind those that are there: the job comes by some of them later.
fn key(number: usize) -> String {
    format!("{}-meanwhile", number * 7919 % 10_000)
}

fn count(server: &Server) -> u64 {
    server.search(&[("limit", "0")])["count"].as_u64().unwrap()
}
