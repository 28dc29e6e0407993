//! A process dies, or the file system refuses, at every single operation: nothing that was
//! acknowledged is lost, nothing happens twice, and nothing is left lying.

use std::sync::Arc;

use aquifer_indexer::Result;
use aquifer_indexer::config::Config;
use aquifer_indexer::index::{Batch, Index, Operation, Outcome, Wait};
use aquifer_indexer::layout::{self, ManifestName};
use aquifer_indexer::mount::{CountingMount, Fault, FaultyMount};
use aquifer_indexer::reindex::{NoSources, ReindexRequest};

use crate::rig::{
    Folder, applied, assert_clean, config, contents, delete, document, open, post, see, soon, wide,
};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

const CRASHES: [Fault; 3] = [Fault::CrashBefore, Fault::CrashAfter, Fault::CrashDuring];
const FAILURES: [Fault; 3] = [Fault::Fail(EIO), Fault::Fail(ENOSPC), Fault::FailAfter(EIO)];

/// What a process does when it dies or is refused.
type Act = dyn Fn(&Folder, &Index) -> Result<()>;

/// Something a process does, and what it does to the contents if it succeeds.
struct Scenario {
    folder: Folder,
    /// Posts that the process has made before, unharmed.
    posts_before: u32,
    act: Box<Act>,
    effect: Vec<Operation>,
}

impl Scenario {
    fn post(folder: Folder, operations: Vec<Operation>) -> Self {
        let effect = operations.clone();
        let act =
            Box::new(move |_: &Folder, index: &Index| post(index, operations.clone()).map(drop));
        Self {
            folder,
            posts_before: 0,
            act,
            effect,
        }
    }

    fn maintain(folder: Folder, act: impl Fn(&Index) -> Result<()> + 'static) -> Self {
        let act = Box::new(move |_: &Folder, index: &Index| act(index));
        Self {
            folder,
            posts_before: 0,
            act,
            effect: Vec::new(),
        }
    }

    /// Runs it with every operation hit by every fault, until a run goes through unharmed.
    fn enumerate(&self) {
        for fault in CRASHES.into_iter().chain(FAILURES) {
            let mut target = 0;
            while self.run(target, fault) {
                target += 1;
                assert!(target < 500, "it does not end");
            }
            assert!(target > 3, "{fault:?}: only {target} operations");
            println!("{fault:?}: {target} operations");
        }
    }

    /// One run; whether the fault was hit.
    fn run(&self, target: u64, fault: Fault) -> bool {
        let at = format!("{fault:?} at operation {target}");
        let folder = self.folder.copy();
        let mount = FaultyMount::new(folder.mount(), u64::MAX, fault);
        let index = open(Arc::new(mount.clone()), &config());
        for round in 0..self.posts_before {
            post(&index, vec![document("before", &round.to_string())]).unwrap();
        }
        let warm = folder.reader();
        let before = contents(&warm).unwrap().0;
        let after = applied(&before, &self.effect);
        mount.arm(target);
        let result = (self.act)(&folder, &index);
        let hit = mount.hit();
        assert!(hit || result.is_ok(), "{at}: {result:?}");
        mount.arm(u64::MAX);
        folder.assert_rules(&at);
        // Readers go on whatever happened, and see all of it or nothing.
        let seen = see(&at, &folder, &warm);
        assert!(seen == before || seen == after, "{at}: torn: {seen:?}");
        assert!(
            result.is_err() || seen == after,
            "{at}: acknowledged and not visible"
        );

        let alive = matches!(fault, Fault::Fail(_) | Fault::FailAfter(_));
        let survivor = alive.then_some(index);
        let other = folder.open(&config());
        let next = survivor.as_ref().unwrap_or(&other);
        let later = vec![document("later", &format!("after {target}"))];
        post(next, later.clone()).unwrap_or_else(|error| panic!("{at}: afterwards: {error}"));
        folder.assert_rules(&at);
        let seen = see(&at, &folder, &warm);
        let (without, with) = (applied(&before, &later), applied(&after, &later));
        assert!(
            seen == without || seen == with,
            "{at}: afterwards: {seen:?}"
        );
        assert!(
            result.is_err() || seen == with,
            "{at}: acknowledged and lost"
        );
        post(&other, vec![delete("later")]).unwrap_or_else(|error| panic!("{at}: {error}"));
        let settled = applied(&seen, &[delete("later")]);
        // A job that a crash has left behind goes on where it was.
        carry_on(&other).unwrap_or_else(|error| panic!("{at}: carried on: {error}"));
        folder.assert_rules(&at);
        assert_clean(next);
        folder.assert_swept(&other);
        assert_eq!(see(&at, &folder, &warm), settled, "{at}: after collecting");
        assert_clean(&other);
        hit
    }
}

/// A few documents in segments of their own, with deletes.
fn some_documents() -> Folder {
    let folder = Folder::new();
    let index = folder.open(&config());
    for round in 0..3 {
        let keys = ["a", "b", "c", "d"].map(|key| format!("{key}{round}"));
        post(
            &index,
            keys.iter().map(|key| document(key, "version 1")).collect(),
        )
        .unwrap();
    }
    post(&index, vec![delete("b0"), document("c0", "version 2")]).unwrap();
    folder
}

fn wide_documents(prefix: &str, count: u64) -> Vec<Operation> {
    (0..count)
        .map(|n| wide(&format!("{prefix}{n}"), 150))
        .collect()
}

#[test]
fn the_first_post_of_an_index() {
    Scenario::post(Folder::new(), vec![document("a", "version 1")]).enumerate();
}

#[test]
fn a_small_post() {
    Scenario::post(some_documents(), vec![document("new", "version 1")]).enumerate();
}

/// It takes its own last version for the newest.
#[test]
fn a_small_post_of_a_process_that_writes_alone() {
    let operations = vec![document("new", "version 1"), delete("a0")];
    Scenario {
        posts_before: 3,
        ..Scenario::post(some_documents(), operations)
    }
    .enumerate();
}

#[test]
fn a_post_that_replaces_and_deletes() {
    let operations = vec![
        document("a0", "version 2"),
        delete("a1"),
        delete("nobody"),
        document("new", "version 1"),
        document("a0", "version 3"),
    ];
    Scenario::post(some_documents(), operations).enumerate();
}

#[test]
fn a_post_that_writes_a_bundle() {
    let mut operations = wide_documents("wide", 120);
    operations.extend([delete("a0"), document("a1", "version 2")]);
    Scenario::post(some_documents(), operations).enumerate();
}

#[test]
fn a_post_that_merges() {
    let folder = Folder::new();
    let index = folder.open(&config());
    for round in 0..7 {
        post(
            &index,
            ["k", "l"]
                .map(|key| document(&format!("{key}{round}"), "version 1"))
                .to_vec(),
        )
        .unwrap();
    }
    let segments = index.stats().unwrap().segments;
    assert_eq!(segments, 7);
    let operations = vec![document("k7", "version 1"), delete("k0")];
    let copy = folder.copy();
    let merged = copy.open(&config());
    post(&merged, operations.clone()).unwrap();
    assert!(
        merged.stats().unwrap().segments < segments,
        "nothing was merged"
    );
    Scenario::post(folder, operations).enumerate();
}

#[test]
fn draining_the_inbox() {
    let folder = some_documents();
    let batches = [
        vec![document("a0", "version 2"), document("new", "version 1")],
        vec![delete("a0"), document("a1", "version 2")],
        vec![document("a0", "version 3")],
    ];
    for batch in &batches {
        folder.lay(folder.mount(), batch.clone()).unwrap();
    }
    let effect = batches.concat();
    let act = Box::new(|_: &Folder, index: &Index| index.drain(soon()));
    Scenario {
        folder,
        posts_before: 0,
        act,
        effect,
    }
    .enumerate();
}

/// Half a batch, which nobody was told is durable, is not waited for until the deadline.
#[test]
fn draining_ends_where_only_half_a_batch_is_left() {
    let folder = some_documents();
    let id = folder
        .lay(folder.mount(), vec![document("torn", "x")])
        .unwrap();
    let batch = folder.path().join(layout::batch(id));
    let bytes = std::fs::read(&batch).unwrap();
    std::fs::write(&batch, &bytes[..bytes.len() - 1]).unwrap();
    let counting = CountingMount::new(folder.mount());
    let index = open(Arc::new(counting.clone()), &config());
    index.drain(soon()).unwrap();
    let counts = counting.take();
    assert!(counts.of("list") <= 3, "{:#?}", counts.log);
}

/// Its file cannot be removed at first. The versions name it until it is gone, so that it is not applied again.
#[test]
fn a_post_after_an_applied_batch_has_remained_in_the_inbox() {
    let origin = some_documents();
    let batch = vec![document("a0", "version 2")];
    origin.lay(origin.mount(), batch).unwrap();
    // A process dies when it has applied the batch, and before it removes the file.
    let remains = (0..).find_map(|target| {
        let folder = origin.copy();
        let mount = FaultyMount::new(folder.mount(), target, Fault::CrashBefore);
        drop(open(Arc::new(mount.clone()), &config()).drain(soon()));
        assert!(mount.hit(), "no operation removes the file");
        let applied = contents(&folder.reader()).unwrap().0["a0"] == "version 2";
        (applied && !folder.names(layout::INBOX).is_empty()).then_some(folder)
    });
    Scenario::post(remains.unwrap(), vec![document("a0", "version 3")]).enumerate();
}

/// The batch that was accepted before is never lost, whatever becomes of the post.
#[test]
fn a_post_that_finds_a_batch_in_the_inbox() {
    let origin = some_documents();
    origin
        .lay(origin.mount(), vec![document("a0", "version 2")])
        .unwrap();
    for fault in CRASHES.into_iter().chain(FAILURES) {
        for target in 0.. {
            let at = format!("{fault:?} at operation {target}");
            let folder = origin.copy();
            let mount = FaultyMount::new(folder.mount(), target, fault);
            let index = open(Arc::new(mount.clone()), &config());
            let posted = post(&index, vec![document("a0", "version 3")]);
            drop(index);
            folder.assert_rules(&at);
            let other = folder.open(&config());
            post(&other, vec![document("later", "x")]).unwrap();
            folder.assert_rules(&at);
            let seen = contents(&other).unwrap().0;
            let honest = match posted {
                Ok(_) => &["version 3"][..],
                Err(_) => &["version 2", "version 3"],
            };
            assert!(
                honest.contains(&&*seen["a0"]),
                "{at}: {seen:?} after {posted:?}"
            );
            folder.assert_swept(&other);
            assert_clean(&other);
            if !mount.hit() {
                break;
            }
        }
    }
}

/// While somebody else holds the lock, a batch goes into the inbox.
#[test]
fn accepting_a_batch_while_somebody_else_holds_the_lock() {
    let origin = some_documents();
    let operations = vec![document("a0", "version 2"), delete("a1")];
    let patient = Config {
        overtake_after: std::time::Duration::from_secs(3600),
        ..config()
    };
    let copy = origin.copy();
    let counted = FaultyMount::new(copy.mount(), u64::MAX, Fault::CrashBefore);
    copy.lay(Arc::new(counted.clone()), operations.clone())
        .unwrap();
    let accepting = counted.operations();
    assert!(accepting >= 3, "{accepting} operations");
    for fault in CRASHES.into_iter().chain(FAILURES) {
        for target in 0..=accepting {
            let at = format!("{fault:?} at operation {target}");
            let folder = origin.copy();
            let warm = folder.reader();
            let before = contents(&warm).unwrap().0;
            let after = applied(&before, &operations);
            let held = folder.mount().try_lock("lock").unwrap().unwrap();
            let mount = FaultyMount::new(folder.mount(), target, fault);
            let index = open(Arc::new(mount.clone()), &patient);
            let batch = Batch {
                operations: operations.clone(),
            };
            let accepted = index.submit(batch, Wait::Durable, soon());
            assert_eq!(see(&at, &folder, &warm), before);
            drop((held, index));
            folder.assert_rules(&at);
            let other = folder.open(&config());
            post(&other, vec![document("later", "x")]).unwrap();
            post(&other, vec![delete("later")]).unwrap();
            let seen = see(&at, &folder, &warm);
            match accepted {
                Ok(Outcome::Durable { .. }) => assert_eq!(seen, after, "{at}: accepted and lost"),
                Ok(outcome) => panic!("{at}: {outcome:?}"),
                Err(_) => assert!(seen == before || seen == after, "{at}: torn: {seen:?}"),
            }
            folder.assert_swept(&other);
            assert_clean(&other);
        }
    }
}

#[test]
fn compacting_small_segments() {
    Scenario::maintain(some_documents(), |index| index.compact(None).map(drop)).enumerate();
}

#[test]
fn compacting_into_a_bundle() {
    let folder = some_documents();
    let index = folder.open(&config());
    post(&index, wide_documents("x", 100)).unwrap();
    post(&index, wide_documents("y", 100)).unwrap();
    assert_eq!(folder.names("bundles").len(), 2);
    Scenario::maintain(folder, |index| index.compact(None).map(drop)).enumerate();
}

#[test]
fn collecting_garbage() {
    let folder = some_documents();
    let index = folder.open(&config());
    post(&index, wide_documents("x", 100)).unwrap();
    post(&index, wide_documents("y", 100)).unwrap();
    index.compact(None).unwrap();
    // What crashes leave: an orphan, a draft, half a batch.
    std::fs::write(folder.path().join("bundles/9-orphan.bundle"), "half").unwrap();
    let draft = ManifestName {
        version: index.stats().unwrap().version.next(),
        nonce: uuid::Uuid::new_v4(),
    };
    std::fs::write(folder.path().join(draft.path()), "half").unwrap();
    let id = folder
        .lay(folder.mount(), vec![document("torn", "x")])
        .unwrap();
    let batch = folder.path().join(layout::batch(id));
    let bytes = std::fs::read(&batch).unwrap();
    std::fs::write(&batch, &bytes[..bytes.len() - 1]).unwrap();
    Scenario::maintain(folder, |index| index.gc().map(drop)).enumerate();
}

/// A job that was started before, carried on to its end.
#[test]
fn building_anew_and_swapping() {
    let folder = some_documents();
    let index = folder.open(&config());
    let start = index.start_reindex(&ReindexRequest::default(), soon());
    start.unwrap();
    post(&index, vec![document("a0", "version 2"), delete("a1")]).unwrap();
    Scenario::maintain(folder, carry_on).enumerate();
}

#[test]
fn starting_a_job_and_cancelling_it() {
    let act = |index: &Index| {
        let job = index.start_reindex(&ReindexRequest::default(), soon())?;
        index.cancel_job(job.id, soon()).map(drop)
    };
    Scenario::maintain(some_documents(), act).enumerate();
}

fn carry_on(index: &Index) -> Result<()> {
    index.carry_on(&NoSources, soon(), &mut |_| {}).map(drop)
}
