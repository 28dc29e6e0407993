//! A batch that changes nothing makes no version, and is applied all the same.

use aquifer_indexer::index::{BatchState, Counts};

use crate::rig::*;

/// Enough posts in a row that a writer takes its own last version for the newest.
const STREAK: u32 = 5;

fn missing(count: u64) -> Counts {
    Counts {
        missing: docs(count),
        ..Counts::default()
    }
}

#[test]
fn deleting_what_is_not_there_makes_no_version() {
    let folder = Folder::new();
    let index = folder.open(&config());
    let (version, _) = post(&index, vec![document("a", "one")]).unwrap();
    for _ in 0..3 {
        let (seen, counts) = post(&index, vec![delete("b"), delete("c")]).unwrap();
        assert_eq!((seen, counts), (version, missing(2)));
    }
    // What comes and goes in one batch was there in between.
    let (seen, counts) = post(&index, vec![document("d", "x"), delete("d")]).unwrap();
    assert_eq!(
        (seen, counts.created, counts.deleted),
        (version, docs(1), docs(1))
    );
    let (seen, counts) = post(&index, vec![delete("b"), delete("a")]).unwrap();
    assert_eq!(
        (seen, counts.deleted, counts.missing),
        (version.next(), docs(1), docs(1))
    );
    assert_clean(&index);
}

#[test]
fn what_another_writer_has_just_added_is_deleted() {
    let folder = Folder::new();
    let (one, other) = (folder.open(&config()), folder.open(&config()));
    for number in 0..STREAK {
        post(&one, vec![document("a", &number.to_string())]).unwrap();
    }
    let (added, _) = post(&other, vec![document("b", "two")]).unwrap();
    let (version, counts) = post(&one, vec![delete("b")]).unwrap();
    assert_eq!((version, counts.deleted), (added.next(), docs(1)));
    assert_eq!(search(&folder.reader(), "two").unwrap(), [""; 0]);
}

#[test]
fn an_accepted_batch_is_recorded_even_if_it_changes_nothing() {
    let folder = Folder::new();
    let index = folder.open(&config());
    let (version, _) = post(&index, vec![document("a", "one")]).unwrap();
    let batch = folder.lay(folder.mount(), vec![delete("b")]).unwrap();
    index.drain(soon()).unwrap();
    // Its file may outlive it, and must not delete what comes later.
    let status = index.batch_status(&batch.to_string()).unwrap();
    assert_eq!(status.state, BatchState::Applied);
    assert_eq!(status.version, Some(version.next()));
    post(&index, vec![document("b", "two")]).unwrap();
    index.drain(soon()).unwrap();
    assert_eq!(search(&index, "two").unwrap(), ["b"]);
}
