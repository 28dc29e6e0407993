//! Merging within little: large reads past the cache, scratch files wherever there is room, nothing left behind.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aquifer_indexer::budget::Budget;
use aquifer_indexer::config::{Config, MIB};
use aquifer_indexer::index::Operation;
use aquifer_indexer::layout;
use aquifer_indexer::mount::CountingMount;
use aquifer_indexer::reindex::{JobState, NoSources, ReindexRequest};

use crate::rig::{Folder, assert_clean, config, delete, docs, open, post, search, soon, wide};

/// Commits, each of which leaves a bundle of more than a mebibyte.
const COMMITS: u64 = 4;
const DOCUMENTS: u64 = 120;
const WORDS: u64 = 1500;

/// A small budget, with so many MiB of scratch disk.
fn little(scratch_mib: u64) -> Config {
    let budget = Budget::new(128 * MIB as u64, Some(scratch_mib * MIB as u64));
    Config {
        retention: config().retention,
        ..Config::within(budget)
    }
}

fn key(commit: u64, number: u64) -> String {
    format!("k{commit}-{number:04}")
}

/// An index with some deletes, in several large segments.
fn filled() -> Folder {
    let folder = Folder::new();
    let index = folder.open(&config());
    for commit in 0..COMMITS {
        let documents = (0..DOCUMENTS).map(|number| wide(&key(commit, number), WORDS));
        post(&index, documents.collect()).unwrap();
    }
    let gone: Vec<Operation> = (0..10).map(|number| delete(&key(1, number))).collect();
    post(&index, gone).unwrap();
    folder
}

fn check_merged(folder: &Folder) {
    let index = folder.reader();
    let found = search(&index, "").unwrap();
    assert_eq!(found.len() as u64, COMMITS * DOCUMENTS - 10);
    assert!(!found.contains(&key(1, 3)) && found.contains(&key(1, 10)));
    assert_clean(&index);
}

#[test]
fn inputs_are_read_once_in_large_pieces_and_leave_the_cache_alone() {
    let folder = filled();
    let mount = Arc::new(CountingMount::new(folder.mount()));
    let index = open(Arc::clone(&mount) as _, &little(1000));
    let before = index.stats().unwrap();
    let counts = mount.take();
    assert!(counts.bytes_read < before.bytes / 4, "{counts:?}");
    let merged = index.compact(None).unwrap();
    assert_eq!((merged.merges, merged.segments), (1, 1), "{merged:?}");
    let (counts, after) = (mount.take(), index.stats().unwrap());
    println!(
        "{} bytes merged: {} read in {} reads, {} written; {} bytes in the cache, then {}",
        before.bytes,
        counts.bytes_read,
        counts.of("read"),
        counts.bytes_written,
        before.cache_bytes,
        after.cache_bytes
    );
    // Columns and field norms are read twice; the rest once.
    assert!(
        counts.bytes_read < before.bytes * 5 / 4,
        "{}",
        counts.bytes_read
    );
    assert!(
        counts.bytes_written < before.bytes * 5 / 4,
        "{}",
        counts.bytes_written
    );
    assert!(
        counts.of("read") < before.bytes / (48 * 1024),
        "{}",
        counts.of("read")
    );
    assert!(after.cache_bytes < before.cache_bytes + MIB, "{after:?}");
    check_merged(&folder);
}

#[test]
fn without_a_scratch_disk_a_merge_goes_through_the_folder_and_leaves_nothing_there() {
    let folder = filled();
    let mount = Arc::new(CountingMount::new(folder.mount()));
    let index = open(Arc::clone(&mount) as _, &little(0));
    let before = index.stats().unwrap();
    drop(mount.take());
    assert_eq!(index.compact(None).unwrap().segments, 1);
    let counts = mount.take();
    let made = counts
        .log
        .iter()
        .filter(|call| call.starts_with("create scratch/"));
    assert!(made.count() > 0, "{:#?}", counts.log);
    assert_eq!(folder.names(layout::SCRATCH), Vec::<String>::new());
    println!(
        "{} bytes merged through the folder: {} read, {} written",
        before.bytes, counts.bytes_read, counts.bytes_written
    );
    // Everything but the stored documents is written and read once more.
    assert!(
        counts.bytes_written < before.bytes * 2,
        "{}",
        counts.bytes_written
    );
    check_merged(&folder);
}

#[test]
fn what_a_killed_merge_left_in_the_folder_is_swept_when_it_is_old() {
    let folder = filled();
    let index = folder.open(&config());
    let sweep = |name: &str, hours: u64| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = std::fs::File::create(&path).unwrap();
        let age = Duration::from_secs(hours * 3600);
        file.set_modified(SystemTime::now() - age).unwrap();
        index.gc().unwrap();
        !path.exists()
    };
    assert!(sweep("scratch/old", 7) && !sweep("scratch/young", 5));
    assert!(sweep("attempts/old", 25) && !sweep("attempts/young", 23));
}

#[test]
fn a_job_removes_its_own_bundles_as_soon_as_it_has_merged_them() {
    let folder = Folder::new();
    let index = folder.open(&Config {
        // What anybody may still read is kept, and nothing of that is the job's.
        retention: Duration::from_secs(3600),
        // Steps as small as can be at first, so that there are enough of them to be merged.
        job_step_bytes: 1,
        ..little(1000)
    });
    for commit in 0..COMMITS {
        let documents = (0..600).map(|number| wide(&key(commit, number), 60));
        post(&index, documents.collect()).unwrap();
    }
    let request = ReindexRequest::default();
    index.start_reindex(&request, soon()).unwrap();
    let (mut steps, mut most) = (0, 0);
    let before = folder.names(layout::BUNDLES).len();
    let mut watch = |_: &_| {
        steps += 1;
        most = most.max(folder.names(layout::BUNDLES).len());
    };
    let ended = index.carry_on(&NoSources, soon(), &mut watch).unwrap();
    assert_eq!(ended.unwrap().state, JobState::Finished);
    let left = folder.names(layout::BUNDLES).len();
    let named = index.stats().unwrap();
    println!("{before} bundles before, {most} at the most in {steps} steps, {left} afterwards");
    assert!(steps > 10, "{steps} steps");
    assert!(named.containers < steps, "{named:?}");
    assert_eq!(left, before + named.containers, "{named:?}");
    assert_eq!(named.documents, docs(COMMITS * 600));
    assert_clean(&index);
}

/// Each field of a segment takes memory by the mebibyte before it holds anything: where that alone exceeds the memory for
/// building, a segment must not end after a few documents.
#[test]
fn a_small_budget_makes_few_segments() {
    let folder = Folder::new();
    let budget = Budget::new(1, Some(100 * MIB as u64));
    let index = folder.open(&Config::within(budget));
    let documents: Vec<_> = (0..DOCUMENTS)
        .map(|number| wide(&key(0, number), WORDS))
        .collect();
    let text: usize = documents
        .iter()
        .map(|document| format!("{document:?}").len())
        .sum();
    post(&index, documents).unwrap();
    let (segments, mib) = (index.stats().unwrap().segments, text / MIB + 1);
    assert!(segments <= mib, "{segments} segments of {mib} MiB");
    assert_clean(&index);
}
