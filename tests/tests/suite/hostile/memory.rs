//! Requests that would take more memory than there is for them.

use std::io::Write;
use std::net::TcpStream;
use std::thread;

use aquifer_functions::http::limits::{MAX_ANSWER_BYTES, MAX_BODY_BYTES};
use aquifer_indexer::budget::Budget;
use aquifer_tests::{Cluster, Server, eventually};

use super::{MIB, PATIENCE, connect, gzip, head, post_gzip, read_all, status_of};

/// What a server takes besides what it counts: its code, its threads, and what the allocator does not give back.
const BESIDE: u64 = 192 * MIB as u64;

/// What a server on this machine has for its requests.
fn request_bytes() -> usize {
    Budget::of_process(None, None).request_bytes()
}

/// Expects that the server never held more than `bytes` for its requests.
#[track_caller]
fn check_peak(server: &Server, before: u64, bytes: usize) {
    let peak = server.peak_memory();
    println!(
        "{} MiB before, {} MiB at the most",
        before / MIB as u64,
        peak / MIB as u64
    );
    assert!(peak <= before + bytes as u64 + BESIDE, "{before} {peak}");
}

#[test]
fn small_bodies_that_unpack_to_millions_of_elements_are_refused_without_collecting_them() {
    const CLIENTS: usize = 24;
    /// Of so many requests one has numbers that are taken, and take long to index.
    const NUMBERS_ONE_IN: usize = 12;
    let cluster = Cluster::new();
    let server = cluster.writer().start();
    let before = server.memory_from_now();
    let many = gzip("[1", ",1", 8 * MIB - 16, "]");
    let wrapped = gzip("{\"documents\":[1", ",1", 8 * MIB - 16, "]}");
    let numbers = gzip("{\"unique_key\":\"k\",\"n\":[1", ",1", 500_000, "]}\n");
    assert!(many.len() < 17_000, "{}", many.len());
    let address = server.address();
    let answers: Vec<_> = thread::scope(|scope| {
        let post = |at: usize| {
            let kind = if at.is_multiple_of(NUMBERS_ONE_IN) {
                3
            } else {
                at % 3
            };
            let (path, body) = match kind {
                0 => ("/documents", &many),
                1 => ("/documents", &wrapped),
                2 => ("/documents/delete", &many),
                _ => ("/documents", &numbers),
            };
            (kind, post_gzip(address, path, body))
        };
        let clients: Vec<_> = (0..CLIENTS)
            .map(|at| scope.spawn(move || post(at)))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    for (kind, answer) in &answers {
        let expected: &[u16] = match kind {
            0..=2 => &[413],
            _ => &[200, 202],
        };
        let status = status_of(answer);
        assert!(
            expected.contains(&status) || status == 503,
            "{kind}: {answer}"
        );
    }
    let served = answers
        .iter()
        .filter(|(_, answer)| status_of(answer) != 503);
    assert!(served.count() >= CLIENTS / 2);
    check_peak(&server, before, request_bytes());
    assert_eq!(server.get("/health").status, 200);
    server.end();
}

#[test]
fn bodies_that_are_coming_in_are_bounded_together() {
    const CLIENTS: usize = 100;
    let cluster = Cluster::new();
    let server = cluster.writer().start();
    let before = server.memory_from_now();
    let body = vec![b' '; MAX_BODY_BYTES - 1];
    let open: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = connect(server.address());
            let head = head("/documents", MAX_BODY_BYTES, "");
            stream.write_all(head.as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    let mut sent = vec![0; CLIENTS];
    let mut stalled = 0;
    // Each sends all but its last byte, as far as the server takes it.
    while stalled < 20 {
        let mut progress = 0;
        for (stream, sent) in open.iter().zip(&mut sent) {
            let mut stream = stream;
            if let Ok(bytes) = stream.write(&body[*sent..]) {
                *sent += bytes;
                progress += bytes;
            }
        }
        stalled = if progress == 0 { stalled + 1 } else { 0 };
        thread::sleep(std::time::Duration::from_millis(20));
    }
    // Small requests have memory of their own.
    for at in 0..20 {
        let posted = server.post("/documents", &format!(r#"{{"unique_key":"{at}"}}"#));
        assert_eq!(posted.status, 200, "{posted:?}");
    }
    let found = server.post("/search", r#"{"query":""}"#);
    assert_eq!(found.body["count"], 20);
    check_peak(&server, before, request_bytes() / 4);
    drop(open);
    server.end();
}

/// Fills the index with `count` documents of a mebibyte each.
fn fill(server: &Server, count: usize) {
    let text = "x".repeat(MIB - 100);
    for at in 0..count {
        let document = format!(r#"{{"unique_key":"{at}","metadata":{{"n":{at}}},"_x":"{text}"}}"#);
        let posted = server.post("/documents", &document);
        assert_eq!(posted.status, 200, "{posted:?}");
    }
}

#[test]
fn clients_that_do_not_read_hold_only_so_much_and_are_disconnected() {
    const CLIENTS: usize = 12;
    const DOCUMENTS: usize = 20;
    let cluster = Cluster::new();
    let server = cluster.writer().start();
    fill(&server, DOCUMENTS);
    let before = server.memory_from_now();
    let request = format!(
        "GET /search?limit={DOCUMENTS} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    );
    let open: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = connect(server.address());
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    // Small answers have memory of their own.
    for _ in 0..20 {
        assert_eq!(server.get("/search?limit=0").status, 200);
    }
    let sockets = server.sockets();
    eventually("a client is disconnected", PATIENCE, || {
        (server.sockets() < sockets).then_some(())
    });
    let lengths: Vec<(u16, usize)> = open
        .into_iter()
        .map(|mut stream| {
            let answer = read_all(&mut stream);
            (status_of(&answer), answer.len())
        })
        .collect();
    let cut = lengths
        .iter()
        .filter(|(status, length)| *status == 200 && *length < DOCUMENTS * (MIB - 200));
    let cut = cut.count();
    println!("{cut} of {CLIENTS} answers were cut off, {lengths:?}");
    assert!(cut > 0, "{lengths:?}");
    let odd = |(status, _): &&(u16, usize)| ![200, 503].contains(status);
    assert_eq!(lengths.iter().find(odd), None);
    // Of each answer the documents and the text may be there at once.
    check_peak(&server, before, request_bytes() / 4 * 2);
    assert_eq!(server.get("/health").status, 200);
    server.end();
}

#[test]
fn an_answer_has_a_limit_that_says_what_to_ask_for() {
    let cluster = Cluster::new();
    let server = cluster.writer().start();
    let count = MAX_ANSWER_BYTES / MIB + 1;
    fill(&server, count);
    let all = server.get(&format!("/search?limit={count}"));
    assert_eq!(all.status, 413, "{}", all.text.len());
    assert_eq!(all.body["type"], "/problems/answer-too-large");
    let detail = all.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("limit") && detail.contains("fields"),
        "{detail}"
    );
    let few = server.get(&format!("/search?limit={count}&fields=unique_key"));
    assert_eq!(few.status, 200);
    server.end();
}
