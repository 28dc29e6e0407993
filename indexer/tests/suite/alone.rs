//! What a process leaves out while no other process writes, and how others get their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aquifer_indexer::config::{Config, Observer, Step};
use aquifer_indexer::index::{Batch, Outcome, Wait};
use aquifer_indexer::layout;
use aquifer_indexer::mount::CountingMount;

use crate::rig::{Folder, assert_clean, config, contents, document, open, post, soon, timeless};

/// Commits in a row of which one takes the lock (`writer::alone`).
const LOCKED_ONE_IN: u64 = 8;
/// Attempts at one version (`writer::history`).
const ATTEMPTS: usize = 16;

#[test]
fn one_post_of_eight_takes_the_lock() {
    let folder = Folder::new();
    let counting = CountingMount::new(folder.mount());
    let index = open(Arc::new(counting.clone()), &timeless());
    let mut locked = Vec::new();
    for number in 1..=2 * LOCKED_ONE_IN + 1 {
        counting.take();
        post(&index, vec![document(&number.to_string(), "x")]).unwrap();
        if counting.take().of("lock") > 0 {
            locked.push(number);
        }
    }
    let streak = LOCKED_ONE_IN;
    assert_eq!(locked, [1, 2, streak + 1, 2 * streak + 1]);
}

/// Of two processes one posts whenever the other is about to link its version, and needs no lock for it. The other one
/// holds the lock, and is first once the process that was alone has tried to take it.
#[test]
fn a_process_that_holds_the_lock_and_keeps_coming_second_has_its_turn() {
    let folder = Folder::new();
    let config = timeless();
    let now = config.world.clock.now();
    let alone = Arc::new(folder.open(&config));
    for round in 0..3 {
        post(&alone, vec![document("alone", &round.to_string())]).unwrap();
    }
    let rival = Arc::clone(&alone);
    let observer = Observer::new(move |step| {
        if step == Step::BeforeLink {
            let operations = vec![document("rival", "x")];
            // A post that meets the lock does not wait for its result.
            let posted = rival.submit(Batch { operations }, Wait::Visible, now);
            assert!(matches!(
                posted.unwrap(),
                Outcome::Applied { .. } | Outcome::Durable { .. }
            ));
        }
    });
    let second = folder.open(&Config { observer, ..config });
    post(&second, vec![document("second", "x")]).unwrap();
    let fenced = second.counters().fenced;
    assert!((1..=LOCKED_ONE_IN).contains(&fenced), "{fenced} attempts");
    alone.drain(soon()).unwrap();
    let (found, _) = contents(&folder.reader()).unwrap();
    assert_eq!(found.len(), 3, "{found:?}");
    assert_clean(&alone);
}

/// On a mount whose locks exclude no process a writer may come second in every attempt. Then its batch goes into the inbox, as
/// where another process holds the lock, and the request goes on waiting.
#[test]
fn a_post_that_comes_second_in_every_attempt_goes_into_the_inbox() {
    let folder = Arc::new(Folder::new());
    let (rival, left) = (Arc::clone(&folder), AtomicUsize::new(ATTEMPTS));
    let in_the_inbox = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&in_the_inbox);
    let observer = Observer::new(move |step| {
        if step != Step::BeforeLink {
            return;
        }
        seen.store(rival.names(layout::INBOX).len(), Ordering::SeqCst);
        let again = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        });
        if again.is_ok() {
            // Another file has the name of the lock, so that both hold one.
            std::fs::remove_file(rival.path().join("lock")).unwrap();
            post(&rival.open(&config()), vec![document("rival", "x")]).unwrap();
        }
    });
    let second = folder.open(&Config {
        observer,
        ..config()
    });
    post(&second, vec![document("second", "x")]).unwrap();
    assert_eq!(second.counters().fenced, ATTEMPTS as u64);
    assert_eq!(
        in_the_inbox.load(Ordering::SeqCst),
        1,
        "it was durable before it was visible"
    );
    let (found, _) = contents(&folder.reader()).unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_clean(&second);
}
