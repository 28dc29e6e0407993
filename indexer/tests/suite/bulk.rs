//! Loading many documents: the same result as posting them, in few segments and without leavings.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use aquifer_indexer::config::Config;
use aquifer_indexer::document::Document;
use aquifer_indexer::index::{Bulk, BulkReport, Index, Operation};
use aquifer_indexer::layout;
use aquifer_indexer::mapping::Definition;
use aquifer_indexer::mount::{Fault, FaultyMount};
use aquifer_indexer::numbers::Version;
use aquifer_indexer::reindex::{JobState, NoSources, ReindexRequest};
use aquifer_indexer::{ErrorKind, Result};

use crate::rig::{
    Contents, Folder, assert_clean, config, contents, delete, docs, document, open, post, search,
    see, soon,
};

/// A retention that leaves time for a load.
fn patient() -> Config {
    Config {
        retention: Duration::from_secs(3600),
        ..config()
    }
}

fn documents(operations: impl IntoIterator<Item = Operation>) -> Vec<Document> {
    let document = |operation| match operation {
        Operation::Upsert(document) => document,
        other => panic!("{other:?} is no upsert"),
    };
    operations.into_iter().map(document).collect()
}

/// Document `number` of round `round`, in which a word tells the round.
fn numbered(number: u64, round: &str) -> Operation {
    let text = format!("{round} number{number} of{} words", number % 10);
    document(&format!("k{number:06}"), &text)
}

fn load(bulk: &Bulk, operations: impl IntoIterator<Item = Operation>) -> Result<()> {
    let all = documents(operations);
    all.chunks(500).try_for_each(|some| bulk.add(some.to_vec()))
}

fn retired(index: &Index) -> usize {
    let snapshot = index.snapshot().unwrap();
    snapshot.manifest().body.retired.len()
}

/// The bundles that the newest version names are all that there are.
fn assert_no_leavings(folder: &Folder, index: &Index) {
    let snapshot = index.snapshot().unwrap();
    let body = &snapshot.manifest().body;
    let named = body.containers.iter().map(|container| container.id.path());
    let named: BTreeSet<String> = named.filter(|path| path.starts_with("bundles/")).collect();
    let names = folder.names(layout::BUNDLES).into_iter();
    let there: BTreeSet<String> = names.map(|name| format!("bundles/{name}")).collect();
    assert_eq!(there, named);
}

#[test]
fn twenty_thousand_documents_end_in_few_segments_without_leavings() {
    let folder = Folder::new();
    let index = folder.open(&patient());
    // Some 270 segments, of which most are merged twice.
    let bulk = index.bulk().unwrap().segments_of(6_000);
    load(&bulk, (0..20_000).map(|number| numbered(number, "first"))).unwrap();
    assert_eq!(folder.reader().stats().unwrap().documents, docs(0));
    let report = bulk.finish().unwrap();
    drop(bulk);
    let expected = BulkReport {
        version: Version::new(2),
        publications: 1,
        created: docs(20_000),
        ..BulkReport::default()
    };
    assert_eq!(report, expected);
    let stats = folder.reader().stats().unwrap();
    assert_eq!(stats.documents, docs(20_000));
    assert!(stats.segments <= 7, "{} segments", stats.segments);
    assert_eq!(retired(&index), 0);
    assert!(!index.pending().unwrap().merge, "a merge is due");
    assert_no_leavings(&folder, &index);
    assert_clean(&folder.reader());
    assert_eq!(
        search(&folder.reader(), "number19999").unwrap(),
        ["k019999"]
    );
}

#[test]
fn a_load_does_what_posting_one_by_one_does() {
    let base = |number: u64| numbered(number * 3, "base");
    // Every key comes up to three times, near and far from each other, and some were there before.
    let keys = |number: u64| (number * 7919) % 900;
    let operations = || (0..2400).map(|number| (keys(number), number));
    let loaded = {
        let folder = Folder::new();
        let index = folder.open(&patient());
        post(&index, (0..200).map(base).collect()).unwrap();
        let bulk = index.bulk().unwrap().segments_of(3_000);
        load(
            &bulk,
            operations().map(|(key, number)| numbered(key, &format!("round{number}"))),
        )
        .unwrap();
        let report = bulk.finish().unwrap();
        assert!(report.publications > 0, "ordinary commits");
        assert_clean(&folder.reader());
        (everything(&folder.reader()), report.created, report.updated)
    };
    let posted = {
        let folder = Folder::new();
        let index = folder.open(&patient());
        post(&index, (0..200).map(base).collect()).unwrap();
        let (mut created, mut updated) = (docs(0), docs(0));
        let all: Vec<_> = operations()
            .map(|(key, number)| numbered(key, &format!("round{number}")))
            .collect();
        for some in all.chunks(50) {
            let (_, counts) = post(&index, some.to_vec()).unwrap();
            created += counts.created;
            updated += counts.updated;
        }
        (everything(&folder.reader()), created, updated)
    };
    assert_eq!(loaded.0, posted.0);
    assert_eq!((loaded.1, loaded.2), (posted.1, posted.2));
}

/// Every document and some counts.
fn everything(reader: &Index) -> (Contents, Vec<Vec<String>>) {
    let queries = ["base", "of3", "number12", "round2399", "round0 OR base"];
    let found = queries.map(|query| search(reader, query).unwrap());
    (contents(reader).unwrap().0, found.to_vec())
}

#[test]
fn segments_whose_documents_were_all_replaced_leave_nothing() {
    let folder = Folder::new();
    let index = folder.open(&patient());
    let bulk = index.bulk().unwrap().segments_of(2_000);
    for round in ["first", "second", "third"] {
        load(&bulk, (0..100).map(|number| numbered(number, round))).unwrap();
    }
    let report = bulk.finish().unwrap();
    assert_eq!((report.created, report.updated), (docs(100), docs(200)));
    assert_eq!(search(&folder.reader(), "third").unwrap().len(), 100);
    assert_no_leavings(&folder, &index);
    assert_clean(&folder.reader());
}

#[test]
fn what_fits_into_one_batch_is_one_ordinary_commit() {
    let folder = Folder::new();
    let index = folder.open(&patient());
    let bulk = index.bulk().unwrap();
    load(&bulk, (0..10).map(|number| numbered(number, "few"))).unwrap();
    let report = bulk.finish().unwrap();
    assert_eq!((report.publications, report.created), (0, docs(10)));
    assert_eq!(folder.names(layout::BUNDLES), Vec::<String>::new());
    assert_eq!(search(&folder.reader(), "few").unwrap().len(), 10);
}

#[test]
fn others_post_and_delete_meanwhile() {
    let folder = Folder::new();
    let index = folder.open(&patient());
    let there = (0..100).map(|number| document(&format!("old{number}"), "old"));
    post(&index, there.collect()).unwrap();
    let bulk = index.bulk().unwrap().segments_of(5_000);
    let done = AtomicBool::new(false);
    let posted = thread::scope(|scope| {
        let poster = scope.spawn(|| {
            let other = folder.open(&patient());
            let mut posts = 0_u64;
            while !done.load(Ordering::SeqCst) || posts < 20 {
                let gone = delete(&format!("old{}", posts % 50));
                let new = document(&format!("other{posts}"), "other");
                post(&other, vec![gone, new]).unwrap();
                posts += 1;
            }
            posts
        });
        let lanes: Vec<_> = (0..2_u64)
            .map(|lane| {
                let bulk = &bulk;
                scope.spawn(move || {
                    let own = (0..3000).filter(|number| number % 2 == lane);
                    load(bulk, own.map(|number| numbered(number, "mine"))).unwrap();
                })
            })
            .collect();
        lanes.into_iter().for_each(|lane| lane.join().unwrap());
        // These replace documents of the other writer's segments.
        let again = (50..100).map(|number| document(&format!("old{number}"), "mine again"));
        load(&bulk, again).unwrap();
        let report = bulk.finish().unwrap();
        done.store(true, Ordering::SeqCst);
        assert_eq!((report.created, report.updated), (docs(3000), docs(50)));
        poster.join().unwrap()
    });
    let reader = folder.reader();
    let stats = reader.stats().unwrap();
    let gone = posted.min(50);
    assert_eq!(stats.documents, docs(3000 + 100 - gone + posted));
    assert_eq!(search(&reader, "again").unwrap().len(), 50);
    assert_clean(&reader);
}

#[test]
fn a_load_given_up_leaves_nothing_and_one_killed_leaves_orphans() {
    let folder = Folder::new();
    let index = folder.open(&patient());
    let some = || (0..1000).map(|number| numbered(number, "lost"));
    let bulk = index.bulk().unwrap().segments_of(5_000);
    load(&bulk, some()).unwrap();
    assert!(!folder.names(layout::BUNDLES).is_empty());
    drop(bulk);
    assert_eq!(folder.names(layout::BUNDLES), Vec::<String>::new());

    let bulk = index.bulk().unwrap().segments_of(5_000);
    load(&bulk, some()).unwrap();
    // As if the process had been killed.
    std::mem::forget(bulk);
    assert!(!folder.names(layout::BUNDLES).is_empty());
    assert_eq!(contents(&folder.reader()).unwrap().0, Contents::new());
    let other = folder.open(&patient());
    post(&other, vec![numbered(1, "kept")]).unwrap();
    other.gc().unwrap();
    assert!(
        !folder.names(layout::BUNDLES).is_empty(),
        "within retention"
    );
    folder.assert_swept(&folder.open(&config()));
    assert_eq!(contents(&folder.reader()).unwrap().0.len(), 1);
    assert_clean(&folder.reader());
}

#[test]
fn what_was_collected_meanwhile_is_not_published() {
    let folder = Folder::new();
    let index = folder.open(&patient());
    post(&index, vec![numbered(7, "before")]).unwrap();
    let bulk = index.bulk().unwrap().segments_of(5_000);
    load(&bulk, (0..300).map(|number| numbered(number, "late"))).unwrap();
    // The process sleeps for longer than retention, and another collects.
    for name in folder.names(layout::BUNDLES) {
        let path = folder.path().join(layout::BUNDLES).join(name);
        let file = std::fs::File::options().write(true).open(path).unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(7200);
        file.set_modified(long_ago).unwrap();
    }
    let other = folder.open(&patient());
    assert!(other.gc().unwrap().files_removed > 0);
    let error = bulk.finish().unwrap_err();
    let kinds = [ErrorKind::Fenced, ErrorKind::Unavailable];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert_eq!(bulk.published(), BulkReport::default());
    assert!(bulk.add(documents([numbered(1, "more")])).is_err());
    drop(bulk);
    let seen = contents(&folder.reader()).unwrap().0;
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_clean(&folder.reader());
}

#[test]
fn a_job_that_runs_or_starts_learns_of_every_key() {
    for starts_before in [true, false] {
        let folder = Folder::new();
        let index = folder.open(&patient());
        post(&index, (0..50).map(|n| numbered(n, "base")).collect()).unwrap();
        let other = folder.open(&patient());
        let start = || {
            other
                .start_reindex(&ReindexRequest::default(), soon())
                .unwrap()
        };
        if starts_before {
            start();
        }
        let bulk = index.bulk().unwrap().segments_of(5_000);
        load(&bulk, (20..1000).map(|n| numbered(n, "loaded"))).unwrap();
        if !starts_before {
            start();
        }
        let report = bulk.finish().unwrap();
        assert_eq!((report.created, report.updated), (docs(950), docs(30)));
        drop(bulk);
        let ended = other.carry_on(&NoSources, soon(), &mut |_| {}).unwrap();
        assert_eq!(ended.unwrap().state, JobState::Finished);
        let reader = folder.reader();
        assert_eq!(reader.stats().unwrap().documents, docs(1000));
        assert_eq!(search(&reader, "base").unwrap().len(), 20);
        assert_clean(&reader);
        folder.assert_swept(&folder.open(&config()));
    }
}

#[test]
fn a_mapping_that_changes_meanwhile_is_that_of_the_loaded_documents() {
    let folder = Folder::new();
    let index = folder.open(&patient());
    post(&index, vec![numbered(0, "base")]).unwrap();
    let bulk = index.bulk().unwrap().segments_of(5_000);
    load(&bulk, (0..300).map(|n| numbered(n, "walking"))).unwrap();
    let definition: Definition = serde_json::from_str(r#"{"languages": []}"#).unwrap();
    let request = ReindexRequest {
        definition: Some(definition.clone()),
        ..ReindexRequest::default()
    };
    let other = folder.open(&patient());
    other.start_reindex(&request, soon()).unwrap();
    other.carry_on(&NoSources, soon(), &mut |_| {}).unwrap();
    bulk.finish().unwrap();
    let reader = folder.reader();
    assert_eq!(reader.schema().unwrap().definition(), &definition);
    assert_eq!(reader.stats().unwrap().documents, docs(300));
    assert_eq!(search(&reader, "walking").unwrap().len(), 300);
    // No English analyser reads them any more.
    assert_eq!(search(&reader, "walk").unwrap(), Vec::<String>::new());
    assert_clean(&reader);
}

#[test]
fn dying_and_failing_at_every_operation_shows_all_of_it_or_nothing() {
    const EIO: i32 = 5;
    let prepared = Folder::new();
    let there = (0..20).map(|number| numbered(number, "base"));
    post(&prepared.open(&patient()), there.collect()).unwrap();
    let all: Vec<Operation> = (10..60).map(|number| numbered(number, "load")).collect();
    for fault in [
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::CrashDuring,
        Fault::Fail(EIO),
        Fault::FailAfter(EIO),
    ] {
        for target in 0.. {
            assert!(target < 500, "it does not end");
            let at = format!("{fault:?} at operation {target}");
            let folder = prepared.copy();
            let mount = FaultyMount::new(folder.mount(), u64::MAX, fault);
            let index = open(Arc::new(mount.clone()), &patient());
            let warm = folder.reader();
            let before = contents(&warm).unwrap().0;
            let after = crate::rig::applied(&before, &all);
            mount.arm(target);
            // Twenty segments and more, of which sixteen are merged, and some at the end.
            let bulk = index.bulk().unwrap().segments_of(200);
            let result = load(&bulk, all.clone()).and_then(|()| bulk.finish());
            drop(bulk);
            let hit = mount.hit();
            assert!(hit || result.is_ok(), "{at}: {result:?}");
            let seen = see(&at, &folder, &warm);
            assert!(seen == before || seen == after, "{at}: torn: {seen:?}");
            assert!(result.is_err() || seen == after, "{at}: said to be there");
            let other = folder.open(&config());
            post(&other, vec![document("later", "later")])
                .unwrap_or_else(|error| panic!("{at}: afterwards: {error}"));
            post(&other, vec![delete("later")]).unwrap();
            folder.assert_swept(&other);
            let seen = see(&at, &folder, &warm);
            assert!(
                seen == before || seen == after,
                "{at}: afterwards: {seen:?}"
            );
            assert!(result.is_err() || seen == after, "{at}: lost");
            assert_clean(&other);
            if !hit {
                assert!(target > 10, "{fault:?}: only {target} operations");
                break;
            }
        }
    }
}
