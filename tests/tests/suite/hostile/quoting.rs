//! What a client sends is repeated to it, and to the log, in parts only.

use std::net::SocketAddr;

use aquifer_functions::http::limits::MAX_LISTED_BYTES;
use aquifer_tests::Cluster;

use super::{MIB, gzip, send_gzip, status_of};

/// Bytes of an answer about one thing, and of a line in the log.
const SHORT: usize = 16 * 1024;

#[track_caller]
fn check(address: SocketAddr, request: (&str, &str), body: &[u8], expected: u16) {
    let (method, path) = request;
    let answer = send_gzip(address, method, path, body);
    let (beginning, _) = answer.split_at(answer.floor_char_boundary(500));
    assert_eq!(status_of(&answer), expected, "{request:?}: {beginning}");
    assert!(
        answer.len() < SHORT,
        "{request:?}: {} bytes answer {}: {beginning}",
        answer.len(),
        body.len()
    );
}

#[test]
fn a_small_request_makes_neither_a_large_answer_nor_a_long_line() {
    let cluster = Cluster::new();
    let server = cluster.writer().start();
    let strict = r#"{"mapping":{"dynamic":"strict"}}"#;
    let address = server.address();
    check(
        address,
        ("PUT", "/indexes/strict"),
        &gzip(strict, "", 0, ""),
        201,
    );
    let documents = ("POST", "/indexes/strict/documents");
    let long = MIB - 1000;
    // A name, a value, a key, a language, a date: each a mebibyte.
    for (before, after) in [
        ("{\"unique_key\":\"k\",\"", "\":1}"),
        ("{\"unique_key\":\"", "\"}"),
        ("{\"unique_key\":\"k\",\"tags\":\"", "\"}"),
        ("{\"unique_key\":\"k\",\"lang\":\"", "\"}"),
        ("{\"unique_key\":\"k\",\"updated_at\":\"", "\"}"),
    ] {
        let body = gzip(before, "x", long, after);
        let status = if before.contains("unique_key\":\"\"") || before.contains("tags") {
            413
        } else {
            422
        };
        check(address, documents, &body, status);
    }
    let name = gzip("{\"", "x", long, "\":1}");
    for request in [
        ("PUT", "/indexes/books"),
        ("POST", "/search"),
        ("POST", "/reindex"),
        ("POST", "/documents/delete"),
    ] {
        check(address, request, &name, 400);
    }
    let field = gzip(
        "{\"mapping\":{\"fields\":{\"",
        "x",
        long,
        "\":{\"type\":\"text\"}}}}",
    );
    check(address, ("PUT", "/indexes/books"), &field, 400);
    let kind = gzip(
        "{\"mapping\":{\"fields\":{\"a\":{\"type\":\"",
        "x",
        long,
        "\"}}}}",
    );
    check(address, ("PUT", "/indexes/books"), &kind, 400);
    let source = gzip("{\"source\":\"", "x", long, "\"}");
    check(address, ("POST", "/reindex"), &source, 400);
    let language = gzip("{\"lang\":\"", "x", long, "\"}");
    check(address, ("POST", "/search"), &language, 400);
    let sort = gzip("{\"sort\":[\"title:", "x", long, "\"]}");
    check(address, ("POST", "/search"), &sort, 400);
    // And in the path.
    let long = "x".repeat(8000);
    let empty = gzip("", "", 0, "");
    for path in [
        format!("/{long}"),
        format!("/search?{long}=1"),
        format!("/search?limit={long}"),
        format!("/indexes/{long}/stats"),
        format!("/jobs/{long}"),
        format!("/batches/{long}"),
        format!("/documents/{long}"),
    ] {
        let status = if path.starts_with("/x") || path.starts_with("/documents") {
            404
        } else {
            400
        };
        check(address, ("GET", &path), &empty, status);
    }
    let log = server.end_and_log();
    let longest = log.lines().map(str::len).max().unwrap();
    println!("the longest line has {longest} bytes");
    assert!(longest < SHORT, "{longest}");
}

#[test]
fn refused_documents_are_listed_up_to_a_limit_and_counted_beyond() {
    const REFUSED: usize = 9_999;
    let cluster = Cluster::new();
    let server = cluster.writer().start();
    let body = "{}\n".repeat(REFUSED) + "{\"unique_key\":\"k\"}\n";
    for (body, status) in [(body, 207), ("{}\n".repeat(REFUSED), 422)] {
        let answer = server.post("/documents", &body);
        assert_eq!(answer.status, status, "{}", answer.text.len());
        let listed = answer.body["errors"].as_array().unwrap().len();
        let more = answer.body["more_errors"].as_u64().unwrap();
        assert!(listed > 1000 && more > 0, "{listed} {more}");
        assert_eq!(listed as u64 + more, REFUSED as u64);
        assert!(
            answer.text.len() < MAX_LISTED_BYTES * 2,
            "{}",
            answer.text.len()
        );
    }
    server.end();
}
