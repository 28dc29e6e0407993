//! Operations on the file system, counted exactly: they do not depend on the machine.

use std::sync::Arc;

use aquifer_indexer::config::Config;
use aquifer_indexer::mount::{CountingMount, OperationCounts};

use crate::rig::{Folder, config, document, open, post, search, timeless};

/// Write-class calls of a small post of a process that seems to be the only writer: the manifest's creation, write and folder
/// sync; the link and the folder sync after it; the mark; HEAD.
const POST_WRITES: u64 = 7;
/// Another process locks and unlocks, too.
const LOCKING: u64 = 2;

fn print(what: &str, counts: &OperationCounts) {
    println!("{what}: {:?}", counts.calls);
}

#[test]
fn a_small_post_makes_seven_changing_calls() {
    let folder = Folder::new();
    let counting = CountingMount::new(folder.mount());
    let index = open(Arc::new(counting.clone()), &timeless());
    post(&index, vec![document("warm", "up")]).unwrap();
    counting.take();
    for round in 0..4 {
        post(&index, vec![document(&format!("k{round}"), "some words")]).unwrap();
        let counts = counting.take();
        print("post of one document", &counts);
        let locking = if round == 0 { LOCKING } else { 0 };
        assert_eq!(
            counts.write_class(),
            POST_WRITES + locking,
            "{:#?}",
            counts.log
        );
        // The mark before the link, unless this process has written alone for a while, and after it; the inbox.
        // What was written is not opened again.
        let marks = if round == 0 { 2 } else { 1 };
        assert_eq!(
            (counts.of("read"), counts.of("list"), counts.of("open")),
            (marks, 1, 0),
            "{:#?}",
            counts.log
        );
    }
    let hundred = (0..100)
        .map(|n| document(&format!("h{n}"), "some words"))
        .collect();
    post(&index, hundred).unwrap();
    let counts = counting.take();
    print("post of a hundred documents", &counts);
    assert_eq!(counts.write_class(), POST_WRITES, "{:#?}", counts.log);
}

#[test]
fn a_warm_reader_without_news_makes_one_read() {
    let folder = Folder::new();
    let writer = folder.open(&config());
    post(
        &writer,
        (0..50)
            .map(|n| document(&format!("k{n}"), "coffee words"))
            .collect(),
    )
    .unwrap();
    let counting = CountingMount::new(folder.mount());
    let reader = open(
        Arc::new(counting.clone()),
        &Config {
            read_only: true,
            ..config()
        },
    );
    assert_eq!(search(&reader, "coffee").unwrap().len(), 50);
    counting.take();
    for _ in 0..3 {
        search(&reader, "coffee").unwrap();
        let counts = counting.take();
        assert_eq!(
            counts.calls.iter().collect::<Vec<_>>(),
            [(&"read", &1)],
            "{:#?}",
            counts.log
        );
    }
    post(&writer, vec![document("news", "coffee")]).unwrap();
    assert_eq!(search(&reader, "coffee").unwrap().len(), 51);
    let counts = counting.take();
    print("refresh with one small commit", &counts);
    // The mark, and the new manifest with the pages of the new segment in it.
    assert_eq!(
        (counts.of("read"), counts.of("open")),
        (2, 1),
        "{:#?}",
        counts.log
    );
    assert_eq!(counts.write_class(), 0);
}
