//! Indexes that are copied from S3.

use std::path::Path;

use aquifer_functions::sources::copy;
use aquifer_indexer::ErrorKind;
use aquifer_indexer::config::Config;
use aquifer_indexer::document::Document;
use aquifer_indexer::index::{Aquifer, Batch, Operation, Wait};
use aquifer_indexer::mapping::Definition;
use aquifer_indexer::search::SearchRequest;
use tempfile::TempDir;

use crate::server::{ACCESS_KEY, SECRET_KEY, Server};

const PREFIX: &str = "s3://bucket/indexes";
const ROOM: u64 = 1 << 30;

/// A server with two indexes in its bucket, as `aws s3 sync` uploads them.
fn uploaded() -> Server {
    let server = Server::start();
    let root = server.bucket().join("indexes");
    std::fs::create_dir(&root).unwrap();
    let aquifer = Aquifer::open(&root, Config::default()).unwrap();
    for name in ["books", "films"] {
        aquifer.create_index(name, &Definition::default()).unwrap();
        let index = aquifer.index(name).unwrap();
        for key in ["a", "b"] {
            let source = format!(r#"{{"unique_key":"{name}-{key}","title":"some words"}}"#);
            let document = Document::parse(&source, &index.schema().unwrap()).unwrap();
            let operations = vec![Operation::Upsert(document)];
            index
                .submit(Batch { operations }, Wait::Visible, soon())
                .unwrap();
        }
    }
    server
}

fn soon() -> std::time::Instant {
    std::time::Instant::now() + std::time::Duration::from_secs(300)
}

fn copied(server: &Server, url: &str, folder: &Path, room: u64) -> aquifer_indexer::Result<()> {
    let variables = server.variables(ACCESS_KEY, SECRET_KEY);
    let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    copy(url, folder, room, &owned)
}

#[test]
fn indexes_are_copied_verified_and_searched() {
    let server = uploaded();
    let folder = TempDir::new().unwrap();
    copied(&server, PREFIX, folder.path(), ROOM).unwrap();
    drop(server);
    let config = Config {
        read_only: true,
        ..Config::default()
    };
    let aquifer = Aquifer::open(folder.path(), config).unwrap();
    assert_eq!(aquifer.indexes().unwrap(), ["books", "films"]);
    let request = SearchRequest {
        query: "words".to_owned(),
        ..SearchRequest::default()
    };
    let index = aquifer.index("films").unwrap();
    assert_eq!(index.search(&request, soon()).unwrap().count.get(), 2);
}

#[test]
fn what_is_no_index_too_large_or_not_whole_is_not_used() {
    let server = uploaded();
    let refused = |url: &str, room: u64| {
        let folder = TempDir::new().unwrap();
        copied(&server, url, folder.path(), room).unwrap_err()
    };
    let error = refused("s3://bucket/elsewhere", ROOM);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("there is no index"), "{error}");
    let error = refused(PREFIX, 1000);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("room for 0 MiB"), "{error}");

    // One byte that arrived wrong, and a file that is not there yet.
    let manifests = server.bucket().join("indexes/films/manifests");
    let mut newest: Vec<_> = std::fs::read_dir(&manifests)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    newest.sort();
    let newest = newest.pop().unwrap();
    let mut wrong = std::fs::read(&newest).unwrap();
    // In the manifest, behind the page that the next version marks.
    wrong[5000] ^= 1;
    std::fs::write(&newest, wrong).unwrap();
    let error = refused(PREFIX, ROOM);
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    std::fs::remove_file(&newest).unwrap();
    // A bucket has no links: a tool that copies an index there puts the manifest's bytes in their place.
    let name = newest.file_name().unwrap().to_str().unwrap();
    let link = manifests.join(name.split_once('-').unwrap().0);
    std::fs::remove_file(link).unwrap();
    let error = refused(PREFIX, ROOM);
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
