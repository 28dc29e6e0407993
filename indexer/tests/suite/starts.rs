//! Many requests at once in a process that has nothing open, or nothing that is still there.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use aquifer_indexer::config::Config;
use aquifer_indexer::index::{Aquifer, Index};
use aquifer_indexer::mount::CountingMount;

use crate::rig::{Folder, config, document, open, post, search};

const REQUESTS: usize = 16;

fn reading() -> Config {
    Config {
        read_only: true,
        ..config()
    }
}

/// Searches from many threads at once; each finds so many documents.
#[track_caller]
fn search_at_once(index: &Index, documents: usize) {
    let waiting = AtomicUsize::new(REQUESTS);
    let found: Vec<usize> = thread::scope(|scope| {
        let search = || {
            // Closer together than threads that have to be woken up.
            waiting.fetch_sub(1, Ordering::SeqCst);
            while waiting.load(Ordering::SeqCst) > 0 {
                std::thread::yield_now();
            }
            search(index, "words").unwrap().len()
        };
        let threads: Vec<_> = (0..REQUESTS).map(|_| scope.spawn(search)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(found, [documents; REQUESTS]);
}

#[test]
fn one_request_fetches_head_for_all() {
    let folder = Folder::new();
    let writer = folder.open(&config());
    post(&writer, vec![document("one", "some words")]).unwrap();
    let counting = CountingMount::new(folder.mount());
    let reader = open(Arc::new(counting.clone()), &reading());
    search_at_once(&reader, 1);
    let counts = counting.take();
    let heads = counts
        .log
        .iter()
        .filter(|line| line.contains("open") && line.contains("HEAD"));
    assert_eq!(heads.count(), 1, "{:#?}", counts.log);
}

#[test]
fn every_request_asks_whether_what_head_says_is_the_newest() {
    let root = tempfile::tempdir().unwrap();
    let writer = Aquifer::open(root.path(), config()).unwrap();
    let writer = writer.index_or_create("default").unwrap();
    post(&writer, vec![document("one", "some words")]).unwrap();
    let head = root.path().join("default/HEAD");
    let lagging = fs::read(&head).unwrap();
    post(&writer, vec![document("two", "more words")]).unwrap();
    // Its writer died before it wrote it.
    fs::write(&head, lagging).unwrap();
    for _ in 0..300 {
        let reader = Aquifer::open(root.path(), reading()).unwrap();
        search_at_once(&reader.index("default").unwrap(), 2);
    }
}
