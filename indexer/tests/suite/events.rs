//! Events arrive more than once and in any order: the newest change of each key is what counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aquifer_indexer::clock::SkewedClock;
use aquifer_indexer::config::Config;
use aquifer_indexer::document::Document;
use aquifer_indexer::index::{Batch, Change, Counts, Index, Operation, Wait};
use aquifer_indexer::order::{Order, Position};
use aquifer_indexer::reindex::{JobState, NoSources, ReindexRequest};
use aquifer_indexer::world::World;
use proptest::prelude::*;

use crate::rig::{
    Contents, Folder, assert_clean, config, contents, delete, docs, document, post, schema, see,
    soon,
};

const STREAM: &str = "stream";

fn order(source: &str, position: u64) -> Order {
    Order::new(source, Position::number(position)).unwrap()
}

/// The change that an event of `source` reports at `position`: the new content of a key, or that it was deleted.
fn event(source: &str, position: u64, key: &str, content: Option<&str>) -> Operation {
    let change = match content {
        None => Change::Delete(key.into()),
        Some(content) => {
            let text = serde_json::json!({"unique_key": key, "lang": "en", "content": content});
            Change::Upsert(Document::parse(&text.to_string(), &schema()).unwrap())
        }
    };
    Operation::Ordered(order(source, position), change)
}

fn upsert(position: u64, key: &str, content: &str) -> Operation {
    event(STREAM, position, key, Some(content))
}

fn outdated(count: u64) -> Counts {
    Counts {
        outdated: docs(count),
        ..Counts::default()
    }
}

fn content(index: &Index, key: &str) -> Option<String> {
    contents(index).unwrap().0.remove(key)
}

#[test]
fn an_older_change_is_left_out() {
    let folder = Folder::new();
    let index = folder.open(&config());
    post(&index, vec![upsert(5, "a", "new"), upsert(6, "b", "b")]).unwrap();
    let (_, counts) = post(&index, vec![upsert(4, "a", "old")]).unwrap();
    assert_eq!(counts, outdated(1));
    assert_eq!(content(&index, "a").as_deref(), Some("new"));
    let (_, counts) = post(&index, vec![upsert(9, "a", "newest"), upsert(7, "a", "x")]).unwrap();
    assert_eq!((counts.updated, counts.outdated), (docs(1), docs(1)));
    let seen = see("the end", &folder, &index);
    assert_eq!(seen["a"], "newest");
    assert_eq!(index.stats().unwrap().documents, docs(2));
    assert_clean(&index);
}

#[test]
fn the_same_change_again_changes_nothing() {
    let folder = Folder::new();
    let index = folder.open(&config());
    let changes = || {
        vec![
            upsert(1, "a", "one"),
            upsert(2, "a", "two"),
            upsert(3, "b", "b"),
        ]
    };
    let (_, first) = post(&index, changes()).unwrap();
    assert_eq!((first.created, first.updated), (docs(2), docs(1)));
    post(&index, vec![document("a", "by hand")]).unwrap();
    let (_, again) = post(&index, changes()).unwrap();
    assert_eq!(again, outdated(3));
    assert_eq!(content(&index, "a").as_deref(), Some("by hand"));
    post(&index, vec![upsert(4, "a", "four")]).unwrap();
    assert_eq!(content(&index, "a").as_deref(), Some("four"));
}

#[test]
fn a_deletion_outlives_a_change_before_it() {
    let folder = Folder::new();
    let index = folder.open(&config());
    let (_, counts) = post(&index, vec![event(STREAM, 2, "a", None)]).unwrap();
    assert_eq!(counts.missing, docs(1));
    post(&index, vec![upsert(1, "a", "late")]).unwrap();
    assert_eq!(content(&index, "a"), None);
    // Also by a process that has seen nothing, after everything was merged and built anew.
    index.compact(None).unwrap();
    rebuild(&index);
    drop(index);
    let index = folder.open(&config());
    let (_, counts) = post(&index, vec![upsert(1, "a", "late")]).unwrap();
    assert_eq!(counts, outdated(1));
    post(&index, vec![upsert(3, "a", "again")]).unwrap();
    assert_eq!(content(&index, "a").as_deref(), Some("again"));
    assert_clean(&index);
}

#[test]
fn positions_of_different_sources_do_not_compare() {
    let folder = Folder::new();
    let index = folder.open(&config());
    post(&index, vec![event("one", 9, "a", Some("one"))]).unwrap();
    post(&index, vec![event("two", 1, "a", Some("two"))]).unwrap();
    assert_eq!(content(&index, "a").as_deref(), Some("two"));
    post(&index, vec![delete("a")]).unwrap();
    assert_eq!(content(&index, "a"), None);
    post(&index, vec![event("two", 1, "a", Some("two"))]).unwrap();
    assert_eq!(content(&index, "a"), None, "a redelivery brings it back");
}

#[test]
fn an_accepted_event_keeps_its_order() {
    let folder = Folder::new();
    let index = folder.open(&config());
    post(&index, vec![upsert(5, "a", "new")]).unwrap();
    for operations in [vec![upsert(4, "a", "old")], object("s3://b/k", 1, &["b"])] {
        let batch = Batch { operations };
        index.submit(batch, Wait::Durable, soon()).unwrap();
    }
    index.drain(soon()).unwrap();
    let seen = see("drained", &folder, &index);
    assert_eq!((seen["a"].as_str(), seen["b"].as_str()), ("new", "b 1"));
    assert_eq!(seen.len(), 2);
}

/// A whole object: it holds these keys at this position, or none since it was removed.
fn object(name: &str, position: u64, keys: &[&str]) -> Vec<Operation> {
    let ordered = |change| Operation::Ordered(order(name, position), change);
    let upsert = |key: &&str| event(name, position, key, Some(&format!("{key} {position}")));
    let mut operations = vec![ordered(Change::Claim)];
    operations.extend(keys.iter().map(upsert));
    operations.push(ordered(Change::Sweep));
    operations
}

#[test]
fn a_new_version_of_an_object_replaces_what_came_from_the_one_before() {
    let folder = Folder::new();
    let index = folder.open(&config());
    post(&index, object("o", 1, &["a", "b", "c"])).unwrap();
    post(&index, object("other", 1, &["c", "d"])).unwrap();
    let (_, counts) = post(&index, object("o", 2, &["b", "e"])).unwrap();
    // `c` has come from the other object since.
    assert_eq!(
        (counts.created, counts.updated, counts.deleted),
        (docs(1), docs(1), docs(1))
    );
    let keys = |seen: Contents| seen.into_keys().collect::<Vec<_>>();
    assert_eq!(keys(see("2", &folder, &index)), ["b", "c", "d", "e"]);
    let (_, late) = post(&index, object("o", 1, &["a", "b", "c"])).unwrap();
    assert_eq!(late, outdated(3));
    post(&index, object("o", 4, &[])).unwrap();
    assert_eq!(keys(see("removed", &folder, &index)), ["c", "d"]);
    post(&index, object("o", 3, &["a"])).unwrap();
    assert_eq!(keys(see("late", &folder, &index)), ["c", "d"]);
    assert_clean(&index);
}

#[test]
fn an_object_in_several_batches_may_begin_again() {
    let folder = Folder::new();
    let index = folder.open(&config());
    post(&index, object("o", 1, &["z"])).unwrap();
    let whole = object("o", 2, &["a", "b", "c"]);
    let parts = [&whole[..2], &[whole[0].clone(), whole[2].clone()][..]];
    for part in parts.into_iter().chain(parts) {
        let (_, counts) = post(&index, part.to_vec()).unwrap();
        assert_eq!(counts.outdated, docs(0));
    }
    post(
        &index,
        vec![whole[0].clone(), whole[3].clone(), whole[4].clone()],
    )
    .unwrap();
    let seen = see("the end", &folder, &index);
    assert_eq!(seen.into_keys().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn records_are_found_by_no_search_and_merged_by_themselves() {
    let folder = Folder::new();
    let index = folder.open(&config());
    for position in 0..200 {
        let key = format!("k{}", position % 20);
        post(&index, vec![upsert(position, &key, "text")]).unwrap();
    }
    let stats = index.stats().unwrap();
    assert_eq!(stats.documents, docs(20));
    assert!(stats.segments < 20, "{} segments", stats.segments);
    assert_eq!(see("the end", &folder, &index).len(), 20);
    index.compact(None).unwrap();
    assert_eq!(
        index.stats().unwrap().segments,
        2,
        "documents, and the ledger"
    );
    assert_eq!(see("merged", &folder, &index).len(), 20);
    assert_clean(&index);
    folder.assert_swept(&index);
}

#[test]
fn the_record_of_a_deletion_is_dropped_after_four_weeks() {
    for (days, kept) in [(27, true), (29, false)] {
        let folder = Folder::new();
        let index = folder.open(&config());
        post(&index, vec![event(STREAM, 2, "a", None)]).unwrap();
        post(&index, vec![upsert(3, "b", "b")]).unwrap();
        let later = open_later(&folder, Duration::from_secs(days * 24 * 60 * 60));
        later.compact(None).unwrap();
        let (_, counts) = post(&later, vec![upsert(1, "a", "late")]).unwrap();
        assert_eq!(counts.outdated, docs(u64::from(kept)), "after {days} days");
        // A record of a document that is there stays.
        let (_, counts) = post(&later, vec![upsert(2, "b", "late")]).unwrap();
        assert_eq!(counts.outdated, docs(1));
        assert_clean(&later);
    }
}

/// A process whose wall clock is ahead.
fn open_later(folder: &Folder, ahead: Duration) -> Index {
    let clock = SkewedClock::new(i64::try_from(ahead.as_millis()).unwrap());
    folder.open(&Config {
        world: World::at(Arc::new(clock)),
        ..config()
    })
}

fn rebuild(index: &Index) {
    let request = ReindexRequest::default();
    index.start_reindex(&request, soon()).unwrap();
    let ended = index.carry_on(&NoSources, soon(), &mut |_| {}).unwrap();
    assert_eq!(ended.unwrap().state, JobState::Finished);
}

/// What happens between two deliveries.
#[derive(Clone, Copy, Debug)]
enum Between {
    Nothing,
    Merge,
    Compact,
    Rebuild,
    Reopen,
    /// The delivery goes into the inbox, and is applied with the next.
    Accept,
}

fn between() -> impl Strategy<Value = Between> {
    prop_oneof![
        6 => Just(Between::Nothing),
        1 => Just(Between::Merge),
        1 => Just(Between::Compact),
        1 => Just(Between::Rebuild),
        1 => Just(Between::Reopen),
        2 => Just(Between::Accept),
    ]
}

/// Delivers batches of operations, with what happens before each.
fn deliver(deliveries: Vec<(Vec<Operation>, Between)>) -> (Folder, Contents) {
    let folder = Folder::new();
    let mut index = folder.open(&config());
    for (operations, between) in deliveries {
        match between {
            Between::Merge => drop(index.merge(None).unwrap()),
            Between::Compact => drop(index.compact(None).unwrap()),
            Between::Rebuild => rebuild(&index),
            Between::Reopen => index = folder.open(&config()),
            Between::Accept => {
                let batch = Batch { operations };
                index.submit(batch, Wait::Durable, soon()).unwrap();
                continue;
            }
            Between::Nothing => {}
        }
        post(&index, operations).unwrap();
    }
    index.drain(soon()).unwrap();
    assert_clean(&index);
    let seen = see("the end", &folder, &index);
    (folder, seen)
}

#[derive(Clone, Debug)]
struct Deliveries {
    /// Which key or object changes, and whether it is there afterwards.
    history: Vec<(u8, bool)>,
    /// The changes as they are delivered, some more than once.
    delivered: Vec<usize>,
    /// How they are cut into batches, and what happens before each.
    cuts: Vec<(usize, Between)>,
}

fn deliveries(changes: usize) -> impl Strategy<Value = Deliveries> {
    let history = prop::collection::vec((0_u8..5, prop::bool::weighted(0.7)), 1..changes);
    history.prop_flat_map(|history| {
        let len = history.len();
        let all = Just((0..len).collect::<Vec<_>>());
        let more = prop::collection::vec(0..len, 0..=len);
        let order = (all, more).prop_map(|(all, more)| [all, more].concat());
        let cuts = prop::collection::vec((1_usize..5, between()), 2 * len);
        (order.prop_shuffle(), cuts).prop_map(move |(delivered, cuts)| Deliveries {
            history: history.clone(),
            delivered,
            cuts,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_delivery_ends_like_the_history(deliveries in deliveries(24)) {
        let Deliveries { history, delivered, cuts } = deliveries;
        let mut expected = Contents::new();
        let mut operations = Vec::new();
        for (position, (key, live)) in history.iter().enumerate() {
            let (key, text) = (format!("k{key}"), format!("at {position}"));
            let content = live.then_some(text.as_str());
            operations.push(event(STREAM, position as u64, &key, content));
            expected.remove(&key);
            expected.extend(live.then_some((key, text)));
        }
        let mut rest = delivered.as_slice();
        let mut batches = Vec::new();
        for (len, between) in cuts {
            let (now, later) = rest.split_at(len.min(rest.len()));
            rest = later;
            let batch: Vec<Operation> = now.iter().map(|&at| operations[at].clone()).collect();
            if !batch.is_empty() {
                batches.push((batch, between));
            }
        }
        prop_assert!(rest.is_empty());
        let (_folder, seen) = deliver(batches);
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn objects_end_like_their_newest_versions(deliveries in deliveries(12)) {
        let Deliveries { history, delivered, cuts } = deliveries;
        // Each change makes a new version of one of five objects: it holds some of six keys of its own, or is removed.
        let mut newest: BTreeMap<u8, Contents> = BTreeMap::new();
        let mut versions = Vec::new();
        for (position, &(number, live)) in history.iter().enumerate() {
            let has = |bit: &usize| live && (position * 7 + 3) >> bit & 1 == 1;
            let keys: Vec<String> = (0..6).filter(has).map(|bit| format!("o{number}-{bit}")).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            versions.push(object(&format!("o{number}"), position as u64, &keys));
            let content = |key: &&str| ((*key).to_owned(), format!("{key} {position}"));
            newest.insert(number, keys.iter().map(content).collect());
        }
        let betweens = cuts.into_iter().map(|(_, between)| between);
        let delivered = delivered.iter().map(|&at| versions[at].clone());
        let (_folder, seen) = deliver(delivered.zip(betweens).collect());
        let expected: Contents = newest.into_values().flatten().collect();
        prop_assert_eq!(seen, expected);
    }
}
