//! What is posted is found, by everybody, at once, and stays.

use std::sync::Arc;

use aquifer_indexer::ErrorKind;
use aquifer_indexer::config::Config;
use aquifer_indexer::index::{Aquifer, Batch, Counts, Outcome, Wait};

use crate::rig::{Folder, assert_clean, config, delete, docs, document, open, post, search, soon};

#[test]
fn a_post_is_seen_by_warm_and_cold_readers() {
    let folder = Folder::new();
    let writer = folder.open(&config());
    let reader = folder.open(&Config {
        read_only: true,
        ..config()
    });
    assert!(search(&reader, "coffee").unwrap().is_empty());
    for round in 0..30 {
        let key = format!("k{round}");
        let (_, counts) = post(&writer, vec![document(&key, "fresh coffee")]).unwrap();
        assert_eq!(
            counts,
            Counts {
                created: docs(1),
                ..Counts::default()
            }
        );
        assert_eq!(search(&reader, "coffee").unwrap().len(), round + 1);
        let cold = folder.open(&Config {
            read_only: true,
            ..config()
        });
        assert_eq!(search(&cold, "coffee").unwrap().len(), round + 1);
    }
    assert_clean(&reader);
}

/// Opening an index by its name does not ask whether HEAD is up to date; the first request does.
#[test]
fn what_happens_after_an_index_was_opened_by_its_name_is_noticed_by_its_first_search() {
    let folder = tempfile::tempdir().unwrap();
    let root = Aquifer::open(folder.path(), config()).unwrap();
    let writer = root.index_or_create("default").unwrap();
    post(&writer, vec![document("first", "fresh coffee")]).unwrap();
    let open = || {
        let reader = Config {
            read_only: true,
            ..config()
        };
        let root = Aquifer::open(folder.path(), reader).unwrap();
        root.index("default").unwrap()
    };
    let (reader, late) = (open(), open());
    post(&writer, vec![document("second", "fresh coffee")]).unwrap();
    assert_eq!(search(&reader, "coffee").unwrap(), ["first", "second"]);
    root.delete_index("default").unwrap();
    let error = search(&late, "coffee").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn upserts_and_deletes_count_what_they_did() {
    let folder = Folder::new();
    let index = folder.open(&config());
    let batch = vec![
        document("a", "one"),
        document("b", "two"),
        document("a", "three"),
    ];
    let (_, counts) = post(&index, batch).unwrap();
    assert_eq!(
        counts,
        Counts {
            created: docs(2),
            updated: docs(1),
            ..Counts::default()
        }
    );
    assert_eq!(search(&index, "one").unwrap(), Vec::<String>::new());
    assert_eq!(search(&index, "three").unwrap(), ["a"]);
    let (_, counts) = post(
        &index,
        vec![delete("a"), delete("c"), document("b", "four")],
    )
    .unwrap();
    assert_eq!(
        counts,
        Counts {
            deleted: docs(1),
            missing: docs(1),
            updated: docs(1),
            ..Counts::default()
        }
    );
    assert!(index.get("a", None, soon()).unwrap().is_none());
    let found = index.get("b", None, soon()).unwrap().unwrap();
    assert!(found.source.contains("four"));
    assert_clean(&index);
}

#[test]
fn many_versions_merge_and_collect_and_nothing_is_lost() {
    let folder = Folder::new();
    let index = folder.open(&config());
    let reader = folder.open(&Config {
        read_only: true,
        ..config()
    });
    for round in 0..200 {
        let key = format!("k{}", round % 50);
        post(&index, vec![document(&key, &format!("word{round} common"))]).unwrap();
        if round % 20 == 0 {
            index.gc().unwrap();
            index.merge(None).unwrap();
        }
    }
    assert_eq!(search(&reader, "common").unwrap().len(), 50);
    index.compact(None).unwrap();
    index.gc().unwrap();
    index.gc().unwrap();
    let stats = index.stats().unwrap();
    assert_eq!(
        (stats.documents, stats.deleted_documents, stats.segments),
        (docs(50), docs(0), 1)
    );
    assert_eq!(search(&reader, "common").unwrap().len(), 50);
    assert_clean(&index);
    let names = |folder_name: &str| {
        let mut names: Vec<_> = std::fs::read_dir(folder.path().join(folder_name))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert!(names("bundles").len() <= 1, "{:?}", names("bundles"));
    let manifests = names("manifests");
    let (links, manifests): (Vec<_>, Vec<_>) =
        manifests.iter().partition(|name| !name.contains('-'));
    assert!(links.len() <= 3 && manifests.len() <= 3, "{manifests:?}");
}

#[test]
fn concurrent_posts_share_commits() {
    let folder = Folder::new();
    let index = Arc::new(folder.open(&config()));
    let before = index.stats().unwrap().version;
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let index = Arc::clone(&index);
            scope.spawn(move || {
                for round in 0..10 {
                    let key = format!("{thread}-{round}");
                    post(&index, vec![document(&key, "together")]).unwrap();
                    assert!(search(&index, "together").unwrap().contains(&key));
                }
            });
        }
    });
    assert_eq!(search(&index, "together").unwrap().len(), 160);
    let commits = index.stats().unwrap().version.since(before);
    assert!(commits < 160, "{commits} commits for 160 posts");
    assert_clean(&index);
}

#[test]
fn a_durable_batch_becomes_visible_by_itself() {
    let folder = Folder::new();
    let index = folder.open(&config());
    let batch = Batch {
        operations: vec![document("a", "later")],
    };
    let Outcome::Durable { batch } = index.submit(batch, Wait::Durable, soon()).unwrap() else {
        panic!("it should not have waited");
    };
    index.drain(soon()).unwrap();
    assert_eq!(search(&index, "later").unwrap(), ["a"]);
    let status = index.batch_status(&batch.to_string()).unwrap();
    assert_eq!(serde_json::to_value(status).unwrap()["state"], "applied");
}

#[test]
fn a_lock_without_a_living_holder_is_overtaken() {
    let folder = Folder::new();
    let mount = folder.mount();
    let _held = mount.try_lock("lock").unwrap().unwrap();
    let index = folder.open(&config());
    post(&index, vec![document("a", "one")]).unwrap();
    assert_eq!(search(&index, "one").unwrap(), ["a"]);
    // The next one does not wait again.
    let other = folder.open(&config());
    post(&other, vec![document("b", "one")]).unwrap();
    assert_eq!(search(&index, "one").unwrap(), ["a", "b"]);
    assert_clean(&index);
}

#[test]
fn a_read_only_process_refuses_to_write_and_leaves_no_trace() {
    let folder = Folder::new();
    let reader = open(
        folder.mount(),
        &Config {
            read_only: true,
            ..config()
        },
    );
    let batch = Batch {
        operations: vec![document("a", "one")],
    };
    let error = reader.submit(batch, Wait::Visible, soon()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(search(&reader, "one").unwrap().is_empty());
    assert!(!folder.path().join("lock").exists());
    assert!(!folder.path().join("HEAD").exists());
}

#[test]
fn an_index_that_was_deleted_can_be_created_again() {
    use aquifer_indexer::index::Aquifer;
    use aquifer_indexer::mapping::Definition;

    let root = tempfile::tempdir().unwrap();
    let writer = Aquifer::open(root.path(), config()).unwrap();
    let reader = Aquifer::open(
        root.path(),
        Config {
            read_only: true,
            ..config()
        },
    )
    .unwrap();
    assert!(writer.create_index("a", &Definition::default()).unwrap());
    assert!(!writer.create_index("a", &Definition::default()).unwrap());
    post(&writer.index("a").unwrap(), vec![document("k", "old")]).unwrap();
    let followed = reader.index("a").unwrap();
    assert_eq!(search(&followed, "old").unwrap(), ["k"]);
    writer.delete_index("a").unwrap();
    assert_eq!(
        search(&followed, "old").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(reader.index("a").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(writer.indexes().unwrap(), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    assert!(writer.create_index("a", &Definition::default()).unwrap());
    assert!(
        search(&reader.index("a").unwrap(), "old")
            .unwrap()
            .is_empty()
    );

    // The deletion is cut short after its version is published.
    let config = &config();
    let index = open(
        Arc::new(aquifer_indexer::mount::PosixMount::open(&root.path().join("a")).unwrap()),
        config,
    );
    post(&index, vec![document("k", "older")]).unwrap();
    index.publish_deletion().unwrap();
    let gone = writer
        .index("a")
        .and_then(|index| index.snapshot().map(drop));
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(writer.create_index("a", &Definition::default()).unwrap());
    assert_eq!(writer.indexes().unwrap(), ["a"]);
}

#[test]
fn many_keys_at_once_are_found_like_few() {
    let folder = Folder::new();
    let index = folder.open(&config());
    let documents =
        |numbers: std::ops::Range<u32>| numbers.map(|n| document(&format!("{n:05}"), "words"));
    let (_, counts) = post(&index, documents(1000..3000).collect()).unwrap();
    assert_eq!((counts.created, counts.updated), (docs(2000), docs(0)));
    // Keys before, between and after those that are there; every third of those.
    let mixed: Vec<_> = documents(500..3500).step_by(3).collect();
    let (_, counts) = post(&index, mixed).unwrap();
    assert_eq!((counts.created, counts.updated), (docs(333), docs(667)));
    // A segment whose keys all come before these, and one with both.
    let (_, counts) = post(&index, documents(2990..3490).collect()).unwrap();
    assert_eq!((counts.created, counts.updated), (docs(327), docs(173)));
    let deleted: Vec<_> = (0..4000).map(|n| delete(&format!("{n:05}"))).collect();
    let (_, counts) = post(&index, deleted).unwrap();
    assert_eq!(index.stats().unwrap().documents, docs(0));
    assert_eq!((counts.deleted, counts.missing), (docs(2660), docs(1340)));
}
