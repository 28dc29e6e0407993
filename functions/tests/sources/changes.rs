//! A source that changes while it is read: documents may come again, none is left out.

use std::time::Duration;

use super::*;

/// Both sources over the same objects.
fn both(server: &Server) -> [String; 2] {
    let folder = server.bucket().join("docs");
    ["s3://bucket/docs".to_owned(), folder.display().to_string()]
}

/// Reads `first` documents, lets `change` happen, and reads the rest in a source that was opened anew.
fn around(server: &Server, url: &str, first: usize, change: impl FnOnce(&Path)) -> Vec<String> {
    let sources = server.sources();
    let (mut seen, mut position) = (Vec::new(), None::<String>);
    let mut source = open(&sources, url);
    while seen.len() < first {
        let chunk = source.next(position.as_deref(), 1).unwrap();
        seen.extend(told(&chunk));
        position = chunk.position;
    }
    change(&server.bucket());
    let mut source = open(&sources, url);
    while position.is_some() {
        let chunk = source.next(position.as_deref(), 1).unwrap();
        seen.extend(told(&chunk));
        position = chunk.position;
    }
    seen
}

fn keys(names: &[&str]) -> Vec<String> {
    let key = |name: &&str| format!("{{\"unique_key\":\"{name}\"}}");
    names.iter().map(key).collect()
}

#[test]
fn an_object_that_has_changed_is_read_again_from_its_start() {
    let server = Server::start();
    for url in both(&server) {
        put(&server.bucket(), "docs/a.ndjson", lines("a", 3));
        put(&server.bucket(), "docs/b.ndjson", lines("b", 1));
        let seen = around(&server, &url, 2, |bucket| {
            put(bucket, "docs/a.ndjson", lines("new", 4))
        });
        let expected = keys(&["a0", "a1", "new0", "new1", "new2", "new3", "b0"]);
        assert_eq!(seen, expected, "{url}");
    }
}

#[test]
fn an_object_that_is_gone_is_passed_over() {
    let server = Server::start();
    for url in both(&server) {
        put(&server.bucket(), "docs/a.ndjson", lines("a", 3));
        put(&server.bucket(), "docs/b.ndjson", lines("b", 1));
        let gone = |bucket: &Path| fs::remove_file(bucket.join("docs/a.ndjson")).unwrap();
        let seen = around(&server, &url, 2, gone);
        assert_eq!(seen, keys(&["a0", "a1", "b0"]), "{url}");
    }
}

#[test]
fn what_comes_behind_the_position_is_read_and_what_came_before_it_is_not_listed() {
    let server = Server::start();
    for url in both(&server) {
        put(&server.bucket(), "docs/b.ndjson", lines("b", 2));
        let seen = around(&server, &url, 2, |bucket| {
            put(bucket, "docs/a.ndjson", lines("a", 1));
            put(bucket, "docs/c/c.ndjson", lines("c", 1));
        });
        assert_eq!(seen, keys(&["b0", "b1", "c0"]), "{url}");
        fs::remove_dir_all(server.bucket().join("docs")).unwrap();
    }
}

#[test]
fn an_object_that_changes_between_two_of_its_parts_is_begun_with_again() {
    let server = Server::start();
    let long = |mark: char| -> String {
        let filler = mark.to_string().repeat(1_000);
        (0..12_000)
            .map(|number| format!("{{\"unique_key\":\"{number}\",\"c\":\"{filler}\"}}\n"))
            .collect()
    };
    put(&server.bucket(), "docs/a.ndjson", long('x'));
    let sources = server.sources();
    let mut source = open(&sources, "s3://bucket/docs");
    let first = source.next(None, 1_000_000).unwrap();
    // Of the same size, so that only its version tells.
    put(&server.bucket(), "docs/a.ndjson", long('y'));
    let (mut seen, mut position) = (Vec::new(), first.position);
    while position.is_some() {
        let chunk = source.next(position.as_deref(), 1_000_000).unwrap();
        seen.extend(told(&chunk));
        position = chunk.position;
    }
    let expected = long('y');
    let new: Vec<_> = seen
        .iter()
        .filter(|text| text.contains("yyy"))
        .map(String::as_str)
        .collect();
    assert!(
        new == expected.lines().collect::<Vec<_>>(),
        "{} of the new",
        new.len()
    );
}

#[test]
fn after_an_error_the_same_position_is_read_again() {
    let server = Server::start();
    put(&server.bucket(), "docs/a.ndjson", lines("a", 2));
    put(&server.bucket(), "docs/b.ndjson", lines("b", 2));
    let folder = server.bucket().join("docs");
    let mut source = open(&server.sources(), &folder.display().to_string());
    let first = source.next(None, 1).unwrap();
    let position = first.position.unwrap();
    let again = |source: &mut Box<dyn DocumentSource>| {
        told(&source.next(Some(&position), usize::MAX).unwrap())
    };
    let expected = keys(&["a1", "b0", "b1"]);
    assert_eq!(again(&mut source), expected);
    // Asked for once more, as after a checkpoint that did not come about.
    assert_eq!(again(&mut source), expected);
    let wrong = source.next(Some("nonsense"), 1).unwrap_err();
    assert!(wrong.to_string().contains("no position"), "{wrong}");
    assert_eq!(again(&mut source), expected);
}

#[test]
fn a_server_that_is_gone_is_an_error_that_may_pass() {
    let server = Server::start();
    put(&server.bucket(), "docs/a.ndjson", lines("a", 2));
    let sources = server.sources();
    drop(server);
    let started = std::time::Instant::now();
    let error = open(&sources, "s3://bucket/docs")
        .next(None, 1)
        .unwrap_err();
    assert_eq!(
        error.kind(),
        aquifer_indexer::ErrorKind::Unavailable,
        "{error}"
    );
    // The bound on all attempts together; it fails here if an attempt has none.
    assert!(started.elapsed() < Duration::from_secs(150));
}
