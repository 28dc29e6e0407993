//! Many indexes in one process: few of them are open, and what was accepted is applied by few threads.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use aquifer_indexer::ErrorKind;
use aquifer_indexer::config::Config;
use aquifer_indexer::index::{Aquifer, Batch, Index, Outcome, Wait};
use aquifer_indexer::mapping::Definition;

use crate::rig::{assert_clean, config, docs, document, post, search, soon};

/// A root folder with so many empty indexes, of which the process keeps `open` open.
fn root(indexes: usize, open: usize) -> (tempfile::TempDir, Aquifer) {
    let memory = Path::new("/dev/shm");
    let folder = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
    let folder = folder.unwrap();
    let config = Config {
        open_indexes: open,
        ..config()
    };
    let aquifer = Aquifer::open(folder.path(), config).unwrap();
    for number in 0..indexes {
        let name = format!("i{number:04}");
        assert!(aquifer.create_index(&name, &Definition::default()).unwrap());
    }
    (folder, aquifer)
}

/// The folders of indexes below `root` that this process holds descriptors in.
fn open_folders(root: &Path) -> BTreeSet<String> {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = links.filter_map(|link| std::fs::read_link(link.unwrap().path()).ok());
    targets
        .filter_map(|target| {
            let inside = target.strip_prefix(root).ok()?.to_owned();
            let first = inside.components().next()?;
            Some(first.as_os_str().to_string_lossy().into_owned())
        })
        .collect()
}

/// Looks until `done`.
fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what}: it does not come");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn indexes_are_listed_without_being_opened_and_few_stay_open() {
    let (folder, aquifer) = root(300, 4);
    std::fs::create_dir(folder.path().join("no-index")).unwrap();
    // Creating closes behind itself.
    until("closed", || open_folders(folder.path()).len() <= 4);
    drop(aquifer);
    let aquifer = Aquifer::open(
        folder.path(),
        Config {
            open_indexes: 4,
            ..config()
        },
    )
    .unwrap();
    let names = aquifer.indexes().unwrap();
    assert_eq!(names.len(), 300);
    assert_eq!(open_folders(folder.path()), BTreeSet::new());
    for name in &names {
        let index = aquifer.index(name).unwrap();
        post(&index, vec![document(name, "some words")]).unwrap();
    }
    assert_eq!(aquifer.counters().commits, 300, "also of those closed");
    let last: BTreeSet<String> = names[296..].iter().cloned().collect();
    until("the last are open", || open_folders(folder.path()) == last);
    // A visit keeps nothing open, and does not close what others use.
    for name in &names {
        let index = aquifer.visit(name).unwrap();
        assert_eq!(search(&index, "words").unwrap(), [name.as_str()]);
    }
    until("the same are open", || open_folders(folder.path()) == last);
    aquifer.delete_index("i0007").unwrap();
    let left = aquifer.indexes().unwrap();
    assert_eq!(left.len(), 299);
    assert!(!left.contains(&"i0007".to_owned()));
    assert_eq!(
        aquifer.visit("i0007").unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn an_index_that_is_closed_while_it_is_used_is_not_opened_a_second_time() {
    let (folder, aquifer) = root(3, 1);
    let used = aquifer.index("i0000").unwrap();
    post(&used, vec![document("one", "some words")]).unwrap();
    aquifer.index("i0001").unwrap();
    aquifer.index("i0002").unwrap();
    assert!(Arc::ptr_eq(&used, &aquifer.index("i0000").unwrap()));
    // Who writes through both handles writes through one writer: nobody is fenced, nobody waits for a lock.
    thread::scope(|scope| {
        for writer in 0..4 {
            let (aquifer, used) = (&aquifer, &used);
            scope.spawn(move || {
                for number in 0..10 {
                    aquifer.index("i0001").unwrap();
                    let found;
                    let index: &Index = if number % 2 == 0 {
                        used
                    } else {
                        found = aquifer.index("i0000").unwrap();
                        &found
                    };
                    let key = format!("{writer}-{number}");
                    post(index, vec![document(&key, "some words")]).unwrap();
                }
            });
        }
    });
    let counted = aquifer.counters();
    assert_eq!((counted.batches, counted.fenced), (41, 0));
    assert_eq!(search(&used, "words").unwrap().len(), 41);
    drop(used);
    aquifer.index("i0001").unwrap();
    // A file may still be being closed in another thread.
    let only = BTreeSet::from(["i0001".to_owned()]);
    until("closed", || open_folders(folder.path()) == only);
    assert_eq!(aquifer.counters(), counted);
    assert_clean(&aquifer.index("i0000").unwrap());
}

fn accept(index: &Index, key: &str) {
    let batch = Batch {
        operations: vec![document(key, "some words")],
    };
    let outcome = index.submit(batch, Wait::Durable, soon()).unwrap();
    assert!(matches!(outcome, Outcome::Durable { .. }));
}

#[test]
fn what_is_accepted_is_applied_in_few_commits() {
    const INDEXES: usize = 5;
    const EACH: usize = 60;
    let (_folder, aquifer) = root(INDEXES, 1);
    let names = aquifer.indexes().unwrap();
    for number in 0..EACH {
        for name in &names {
            accept(&aquifer.index(name).unwrap(), &number.to_string());
        }
    }
    for name in &names {
        // Through visits, so that the index is not opened by looking.
        until("drained", || {
            aquifer.visit(name).unwrap().stats().unwrap().inbox == 0
        });
        let stats = aquifer.index(name).unwrap().stats().unwrap();
        assert_eq!(stats.documents, docs(EACH as u64));
        assert!(stats.version.get() as usize <= EACH / 2, "{stats:?}");
    }
    assert_eq!(aquifer.counters().batches as usize, INDEXES * EACH);
}

#[test]
fn what_is_accepted_is_applied_by_few_threads() {
    const INDEXES: usize = 60;
    const ALONE: &str = "AQUIFER_TEST_ALONE";
    // Other tests drain as well, so that only a process of its own has no other threads.
    if std::env::var_os(ALONE).is_none() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "open::what_is_accepted_is_applied_by_few_threads",
            ])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && told.contains("1 passed"),
            "{told}"
        );
        return;
    }
    let (_folder, aquifer) = root(INDEXES, INDEXES);
    for name in aquifer.indexes().unwrap() {
        accept(&aquifer.index(&name).unwrap(), "1");
        // Two drain; those before them may still be ending.
        let draining = draining();
        assert!(draining <= INDEXES / 4, "{draining} threads drain");
    }
    until("drained", || aquifer.counters().batches as usize == INDEXES);
}

/// The threads of this process that apply what was accepted.
fn draining() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()
    };
    tasks
        .map(name)
        .filter(|name| name.trim() == "drain")
        .count()
}

#[test]
fn who_stops_leaves_what_was_accepted_to_the_next() {
    let (folder, aquifer) = root(1, 1);
    let index = aquifer.index("i0000").unwrap();
    accept(&index, "before");
    aquifer.stop(soon());
    for number in 0..20 {
        accept(&index, &number.to_string());
    }
    let left = index.stats().unwrap().inbox;
    assert!((20..=21).contains(&left), "{left}");
    drop((index, aquifer));
    let next = Aquifer::open(folder.path(), config()).unwrap();
    let index = next.index("i0000").unwrap();
    index.drain(soon()).unwrap();
    assert_eq!(search(&index, "words").unwrap().len(), 21);
}
