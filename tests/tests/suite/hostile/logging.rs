//! Whoever reads the log may stop, or go.

use std::io::{self, Read};
use std::thread;

use aquifer_tests::Cluster;

/// So long that a few thousand lines about it fill the queue of the log and the pipe.
fn long_path() -> String {
    format!("/nothing/{}", "x".repeat(1000))
}

#[test]
fn a_closed_log_neither_fails_nor_empties_an_answer() {
    let cluster = Cluster::new();
    let (reader, writer) = io::pipe().unwrap();
    let server = cluster.writer().stderr(writer).start();
    drop(reader);
    for at in 0..50 {
        let posted = server.post("/documents", &format!(r#"{{"unique_key":"{at}"}}"#));
        assert_eq!(posted.status, 200, "{posted:?}");
    }
    assert_eq!(server.search(&[])["count"], 50);
    let lost = server.get("/health").body["log_lines_lost"].as_u64();
    assert!(lost.unwrap() > 0, "{lost:?}");
    server.end();
}

#[test]
fn a_log_that_is_not_read_holds_nobody_up_and_says_what_was_lost() {
    const REQUESTS_MAX: usize = 20_000;
    let cluster = Cluster::new();
    let (mut reader, writer) = io::pipe().unwrap();
    let server = cluster.writer().stderr(writer).start();
    let path = long_path();
    let lost = || {
        server.get("/health").body["log_lines_lost"]
            .as_u64()
            .unwrap()
    };
    let mut requests = 0;
    while lost() == 0 {
        for _ in 0..100 {
            assert_eq!(server.get(&path).status, 404);
        }
        requests += 100;
        assert!(
            requests < REQUESTS_MAX,
            "nothing is lost, although nothing is read"
        );
    }
    println!("lines were lost after {requests} requests");
    let log = thread::spawn(move || {
        let mut log = String::new();
        reader.read_to_string(&mut log).unwrap();
        log
    });
    server.end();
    let log = log.join().unwrap();
    assert!(log.contains("log lines were lost"), "{} bytes", log.len());
}

#[test]
fn a_log_that_is_not_read_does_not_delay_the_end() {
    let cluster = Cluster::new();
    let (reader, writer) = io::pipe().unwrap();
    let server = cluster.writer().stderr(writer).start();
    let path = long_path();
    for _ in 0..500 {
        assert_eq!(server.get(&path).status, 404);
    }
    server.end();
    drop(reader);
}
