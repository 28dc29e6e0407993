//! Connections that are opened and not used.

use std::io::Write;
use std::thread;

use aquifer_indexer::descriptors;
use aquifer_tests::{Cluster, Server};

use super::{connect, head, read_all, status_of};

/// Half of a request's headers.
const HALF: &[u8] = b"GET /health HTTP/1.1\r\nhost: ";

/// Opens `count` connections that only send `sent`, and expects that others are answered all the same.
#[track_caller]
fn others_are_answered(server: &Server, count: usize, sent: &[u8]) {
    descriptors::raise_limit();
    let mut open = Vec::new();
    for at in 0..count {
        let mut stream = connect(server.address());
        // The server may have closed it already, since it takes only so many.
        drop(stream.write_all(sent));
        open.push(stream);
        if at % 100 == 0 {
            assert_eq!(server.get("/health").status, 200);
        }
    }
    for _ in 0..20 {
        let mut stream = connect(server.address());
        stream
            .write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .unwrap();
        let answer = read_all(&mut stream);
        assert_eq!(status_of(&answer), 200, "{answer}");
    }
    let posted = server.post("/documents", r#"{"unique_key":"k"}"#);
    assert_eq!(posted.status, 200, "{posted:?}");
    assert_eq!(server.search(&[])["count"], 1);
}

#[test]
fn half_sent_headers_lock_nobody_out() {
    let cluster = Cluster::new();
    let server = cluster.writer().descriptors(1024).start();
    others_are_answered(&server, 1500, HALF);
    server.end();
}

#[test]
fn idle_connections_lock_nobody_out() {
    let cluster = Cluster::new();
    let server = cluster.writer().descriptors(256).start();
    others_are_answered(&server, 300, b"");
    let log = server.end_and_log();
    assert!(log.contains("every connection is taken"), "{log}");
}

#[test]
fn what_comes_to_a_stand_is_ended_and_the_server_goes_on() {
    let cluster = Cluster::new();
    let server = cluster.writer().start();
    let mut header = connect(server.address());
    header.write_all(HALF).unwrap();
    let mut body = connect(server.address());
    let beginning = head("/documents", 100, "connection: close\r\n") + "{";
    body.write_all(beginning.as_bytes()).unwrap();
    thread::scope(|scope| {
        let header = scope.spawn(|| read_all(&mut header));
        let body = read_all(&mut body);
        assert_eq!(status_of(&body), 408, "{body}");
        assert!(body.contains("came to a stand"), "{body}");
        let header = header.join().unwrap();
        assert_eq!(header, "", "half a header is not answered");
    });
    assert_eq!(server.get("/health").status, 200);
    server.end();
}

#[test]
fn connections_without_a_request_do_not_delay_the_end() {
    let cluster = Cluster::new();
    let server = cluster.writer().start();
    let mut half = connect(server.address());
    half.write_all(HALF).unwrap();
    let _idle = connect(server.address());
    // It keeps its connection, too.
    assert_eq!(server.get("/health").status, 200);
    let log = server.end_and_log();
    assert!(log.contains("\"stopped\""), "{log}");
    assert!(!log.contains("did not end in time"), "{log}");
    assert_eq!(read_all(&mut half), "");
}

#[test]
fn a_request_that_is_coming_in_is_answered_before_the_end() {
    let cluster = Cluster::new();
    let server = cluster.writer().start();
    let document = r#"{"unique_key":"k"}"#;
    let mut stream = connect(server.address());
    let (first, second) = document.split_at(5);
    let request = head("/documents", document.len(), "expect: 100-continue\r\n") + first;
    stream.write_all(request.as_bytes()).unwrap();
    // When the server asks for the body, it has the request.
    let mut asked = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    server.terminate();
    stream.write_all(second.as_bytes()).unwrap();
    let answer = read_all(&mut stream);
    assert!(
        answer.contains("200 OK") && answer.contains("\"accepted\":1"),
        "{answer}"
    );
    let status = server.ended();
    assert!(status.success(), "{status}");
}
