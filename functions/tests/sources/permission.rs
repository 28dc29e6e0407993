//! What may be read, and what is told where it may not.

use std::os::unix::fs::symlink;

use aquifer_functions::sources::ExternalSources;
use aquifer_indexer::ErrorKind;
use tempfile::TempDir;

use super::*;

fn refused(sources: &ExternalSources, url: &str) -> String {
    let error = sources.check(url).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
    // Somebody else may have the right to go on with the job.
    match sources.open(url) {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{url}"),
    }
    error.to_string()
}

#[test]
fn only_what_is_listed_may_be_named() {
    let root = TempDir::new().unwrap();
    put(root.path(), "sources/books/a.json", "{}");
    put(root.path(), "elsewhere/a.json", "{}");
    let list = " sources , s3://bucket/docs/,, ";
    let sources = ExternalSources::listed(root.path(), list).unwrap();
    for url in [
        "sources",
        "sources/books",
        "s3://bucket/docs",
        "s3://bucket/docs/x/",
    ] {
        sources.check(url).unwrap();
    }
    let absolute = root.path().join("sources/books").display().to_string();
    assert_eq!(read_all(&sources, &absolute, 1, false).unwrap().len(), 1);
    for url in ["elsewhere", "/etc", "s3://bucket/docs-2", "s3://other/docs"] {
        let told = refused(&sources, url);
        assert!(
            told.contains("AQUIFER_SOURCES allows what lies below"),
            "{told}"
        );
        assert!(told.contains("s3://bucket/docs/"), "{told}");
    }
    for url in ["sources/../elsewhere", "sources/..", "http://h/x"] {
        assert!(refused(&sources, url).contains("names no source"), "{url}");
    }
    let none = ExternalSources::listed(root.path(), "").unwrap();
    assert!(refused(&none, "sources").contains("no external sources are configured"));
    assert!(ExternalSources::listed(root.path(), "a,../b").is_err());
}

#[test]
fn links_lead_nowhere() {
    let root = TempDir::new().unwrap();
    put(root.path(), "secret/s.json", "{\"secret\":true}");
    put(root.path(), "sources/a.json", "{}");
    let link = |target: &str, name: &str| {
        symlink(
            root.path().join(target),
            root.path().join("sources").join(name),
        )
        .unwrap();
    };
    link("secret", "folder");
    link("secret/s.json", "file.json");
    link("sources", "loop");
    let sources = ExternalSources::listed(root.path(), "sources").unwrap();
    let seen = read_all(&sources, "sources", 1, true).unwrap();
    assert_eq!(seen, ["{\"unique_key\":\"a.json\"}"]);
    let Err(error) = sources.open("sources/folder") else {
        panic!("a link was followed")
    };
    assert!(error.to_string().contains("no such folder"), "{error}");
    // Also where a file becomes a link after it was listed.
    let mut source = open(&sources, "sources");
    put(root.path(), "sources/b.ndjson", lines("b", 3));
    let mut position = None::<String>;
    for _ in 0..2 {
        position = source.next(position.as_deref(), 1).unwrap().position;
    }
    fs::remove_file(root.path().join("sources/b.ndjson")).unwrap();
    link("secret/s.json", "b.ndjson");
    let rest = open(&sources, "sources")
        .next(position.as_deref(), 1)
        .unwrap();
    assert_eq!((told(&rest), rest.position), (vec![], None));
    // An operator's own link is an operator's own choice.
    symlink(root.path().join("sources"), root.path().join("linked")).unwrap();
    let sources = ExternalSources::listed(root.path(), "linked").unwrap();
    assert_eq!(read_all(&sources, "linked", 1, false).unwrap().len(), 1);
}

#[test]
fn a_source_that_is_not_there_or_empty_is_an_error_and_no_empty_index() {
    let server = Server::start();
    put(&server.bucket(), "docs/readme.txt", "x");
    put(&server.bucket(), "none/a.ndjson", "");
    let sources = server.sources();
    let folder = server.bucket().join("docs").display().to_string();
    for url in ["s3://bucket/docs", "s3://bucket/nothing-here", &folder] {
        let error = read_all(&sources, url, 1, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{url}: {error}");
        assert!(error.to_string().contains(".ndjson"), "{error}");
    }
    let error = read_all(&sources, "s3://no-such-bucket/x", 1, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("no such bucket"), "{error}");
    let error = read_all(&sources, &format!("{folder}/missing"), 1, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    // An object that holds none is something else: somebody wrote it.
    assert_eq!(
        read_all(&sources, "s3://bucket/none", 1, true).unwrap(),
        [""; 0]
    );
}

#[test]
fn wrong_credentials_are_told() {
    let server = Server::start();
    put(&server.bucket(), "docs/a.json", "{}");
    for (key, secret) in [("nobody", "not-a-secret"), ("reader", "wrong")] {
        let sources = server.sources_as(key, secret);
        let error = read_all(&sources, "s3://bucket/docs", 1, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("credentials"), "{error}");
        assert!(
            !format!("{sources:?}").contains(secret),
            "no secret is shown"
        );
    }
}
