//! Escape sequences of documents, names and services do not reach a terminal.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::thread;

use crate::{Ended, Place, text};

/// Clears a screen, sets a title, and turns the direction of what follows, written as JSON does.
const ESCAPED: &str = r"\u001b[2J\u001b]0;x\u0007\u009b31m\u007f\u202e";
/// The same, as it is.
const RAW: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{7f}\u{202e}";

#[track_caller]
fn check(ended: &Ended) {
    for text in [&ended.out, &ended.err] {
        let hostile = |c: char| c != '\n' && c.is_control() || c == '\u{202e}';
        assert!(!text.contains(hostile), "{ended:?}");
    }
}

#[test]
fn what_a_document_holds_is_shown_as_text() {
    let place = Place::new();
    let document = format!(
        r#"{{"unique_key":"k{0}","lang":"en","title":"t{0}","content":"words {0}","tags":["{0}"]}}"#,
        r"\u202e"
    );
    let hostile = format!(
        r#"{{"unique_key":"h","title":"a{ESCAPED}","content":"words {ESCAPED}","tags":["b{ESCAPED}"]}}"#
    );
    let file = place.write("a.ndjson", format!("{document}\n{hostile}\n"));
    place.run(&["import", text(&file)]).succeeded();
    for words in [
        &["search"][..],
        &["search", "words"],
        &["search", "title:a"],
    ] {
        let ended = place.run(words);
        check(&ended);
        assert!(ended.succeeded().contains(r"\u{1b}[2J"), "{words:?}");
    }
}

#[test]
fn what_is_refused_is_reported_as_text() {
    let place = Place::new();
    let lines = [
        format!(r#"{{"unique_key":"{ESCAPED}"}}"#),
        format!(r#"{{"unique_key":"k","updated_at":"{ESCAPED}"}}"#),
        format!(r#"{{"unique_key":"\u202ek","{ESCAPED}":1}}"#),
        format!("{{\"unique_key\":\"k\", {RAW}}}"),
    ];
    let ended = place.run_with_input(&["import", "-"], lines.join("\n").as_bytes());
    check(&ended);
    assert_eq!(ended.failed().lines().count(), 4);
}

#[test]
fn names_of_files_and_indexes_are_shown_as_text() {
    let place = Place::new();
    for name in [
        format!("{RAW}.json"),
        format!("{RAW}.txt"),
        format!("{RAW}\n.ndjson"),
    ] {
        place.write(&format!("docs/{name}"), "{");
    }
    std::os::unix::fs::symlink("/", place.path(&format!("docs/{RAW}-link"))).unwrap();
    let odd = place
        .path("docs")
        .join(OsStr::from_bytes(b"\x1b[2J\xff.json"));
    std::fs::write(odd, "{}").unwrap();
    let folder = place.path("docs");
    for command in [
        &["create-index", "docs"][..],
        &["import", "docs"],
        &["import", &format!("docs/{RAW}.json")],
        &["import", RAW],
        &["create-index", RAW],
        &["search", "--index", RAW],
        &["stats", "--root", RAW],
        &["reindex", "--source", text(&folder), "--skip-refused"],
        &["reindex", "--source", RAW],
        &["reindex", "--definition", RAW],
    ] {
        check(&place.run(command));
    }
}

#[test]
fn what_a_service_answers_is_shown_as_text() {
    for body in [format!(r#"{{"detail":"{ESCAPED}"}}"#), RAW.to_owned()] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let read = stream.read(&mut [0; 4096]).unwrap();
            assert!(read > 0);
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 400 Bad\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .unwrap();
        });
        let ended = Place::new().run_with_input(&["import", "-", "--url", &url], b"{}");
        check(&ended);
        assert!(ended.failed().contains(r"\u{1b}"));
    }
}
