//! A writer that stops inside a commit while others overtake it, and goes on later, loses nothing of
//! theirs, and is honest about its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aquifer_indexer::config::{Config, Observer, Step};
use aquifer_indexer::index::Index;
use aquifer_indexer::layout::{self, ManifestName};
use aquifer_indexer::mount::{CountingMount, Fault, FaultyMount, Mount};
use aquifer_indexer::numbers::Version;
use aquifer_indexer::{ErrorKind, Result};

use crate::rig::{
    Folder, assert_clean, config, contents, delete, document, open, post, search, see, timeless,
    wide,
};

const EIO: i32 = 5;
const EBADF: i32 = 9;
const STEPS: [Step; 4] = [
    Step::BeforeBundle,
    Step::BeforeLink,
    Step::BeforeMark,
    Step::BeforeHead,
];

/// Where a writer sleeps until it is told to go on, or the gate is dropped.
struct Gate {
    reached: Receiver<()>,
    go: Sender<()>,
}

/// Stops whoever reaches `step` first, once.
fn gate(step: Step) -> (Observer, Gate) {
    let (reach, reached) = channel();
    let (go, going) = channel::<()>();
    let stop = Mutex::new(Some((reach, going)));
    let observer = Observer::new(move |at| {
        let stop = if at == step {
            stop.lock().unwrap().take()
        } else {
            None
        };
        if let Some((reach, going)) = stop {
            reach.send(()).unwrap();
            going.recv().ok();
        }
    });
    (observer, Gate { reached, go })
}

fn quick() -> Config {
    Config {
        overtake_after: Duration::from_millis(40),
        ..config()
    }
}

/// Runs `sleeper` on `mount` until it stops at `step`, then `meanwhile`, then the rest of `sleeper`.
fn asleep<T: Send>(
    mount: Arc<dyn Mount>,
    step: Step,
    sleeper: impl FnOnce(&Index) -> Result<T> + Send,
    meanwhile: impl FnOnce(),
) -> Result<T> {
    let (observer, gate) = gate(step);
    let first = open(
        mount,
        &Config {
            observer,
            ..quick()
        },
    );
    std::thread::scope(|scope| {
        let gate = gate;
        let sleeping = scope.spawn(|| sleeper(&first));
        gate.reached.recv().unwrap();
        meanwhile();
        gate.go.send(()).unwrap();
        sleeping.join().unwrap()
    })
}

/// An index with a document `shared`, and its version.
fn origin() -> (Folder, Version) {
    let folder = Folder::new();
    let (version, _) = post(&folder.open(&quick()), vec![document("shared", "origin")]).unwrap();
    (folder, version)
}

#[test]
fn a_writer_that_sleeps_at_any_step_is_overtaken() {
    for step in STEPS {
        let at = format!("{step:?}");
        let (folder, base) = origin();
        let (warm, second) = (folder.reader(), folder.open(&quick()));
        see(&at, &folder, &warm);
        let mut overtaker = base;
        let slept = asleep(
            folder.mount(),
            step,
            |first| {
                post(
                    first,
                    vec![document("first", "x"), document("shared", "first")],
                )
            },
            || {
                let posted = vec![document("second", "x"), document("shared", "second")];
                overtaker = post(&second, posted).unwrap().0;
                assert_eq!(see(&at, &folder, &warm)["shared"], "second");
            },
        );
        let (version, _) = slept.unwrap();
        let seen = see(&at, &folder, &warm);
        let last = if version > overtaker {
            "first"
        } else {
            "second"
        };
        assert_eq!(seen["shared"], last, "{at}: {version} and {overtaker}");
        assert_eq!((&*seen["first"], &*seen["second"]), ("x", "x"), "{at}");
        assert_eq!(
            contents(&warm).unwrap().1,
            base.next().next(),
            "{at}: applied twice"
        );
        post(&folder.open(&quick()), vec![document("third", "x")]).unwrap();
        assert_eq!(see(&at, &folder, &warm).len(), 4, "{at}");
        assert_clean(&second);
        folder.assert_swept(&second);
        assert_eq!(see(&at, &folder, &warm).len(), 4, "{at}");
    }
}

/// The mark cannot be read once the others went on: whether the sleeper's version exists is only told by
/// the versions since, not by the newest one.
#[test]
fn a_sleeper_that_cannot_tell_what_became_of_its_version_does_not_apply_it_again() {
    let (folder, _) = origin();
    let (warm, second) = (folder.reader(), folder.open(&quick()));
    let mount = FaultyMount::with_reads(folder.mount(), u64::MAX, Fault::Fail(EIO));
    let slept = asleep(
        Arc::new(mount.clone()),
        Step::BeforeMark,
        |first| post(first, vec![document("shared", "first")]),
        || {
            for text in ["second", "third"] {
                post(&second, vec![document("shared", text)]).unwrap();
            }
            mount.arm(0);
        },
    );
    assert!(mount.hit());
    let (seen, version) = contents(&warm).unwrap();
    assert_eq!(seen["shared"], "third", "applied again: {slept:?}");
    assert!(slept.is_err() || slept.unwrap().0 < version);
    assert_clean(&second);
}

/// Others commit and collect everything that the sleeper started from.
fn leave_behind(folder: &Folder, base: Version) {
    let second = folder.open(&quick());
    for round in 0..4 {
        post(
            &second,
            vec![document("shared", &format!("second {round}"))],
        )
        .unwrap();
        post(&second, vec![document("second", "x")]).unwrap();
    }
    second.compact(None).unwrap();
    second.gc().unwrap();
    second.gc().unwrap();
    for version in [base, base.next()] {
        let link = folder.path().join(layout::version_link(version));
        assert!(link.symlink_metadata().is_err(), "version {version}");
    }
}

/// What becomes of a sleeper's manifest while others collect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manifest {
    /// It is collected, so that the sleeper's link leads nowhere.
    Collected,
    /// The file server holds on to it.
    Kept,
}

/// Sleeps before it links a version, until that version was made by others and collected. Gives what became of its post.
fn link_too_late(
    folder: &Folder,
    base: Version,
    manifest: Manifest,
    fault: Option<Fault>,
) -> Result<()> {
    let mount = FaultyMount::new(
        folder.mount(),
        u64::MAX,
        fault.unwrap_or(Fault::CrashBefore),
    );
    let slept = asleep(
        Arc::new(mount.clone()),
        Step::BeforeLink,
        |first| {
            post(
                first,
                vec![document("first", "x"), document("shared", "first")],
            )
        },
        || {
            let names = folder.names(layout::MANIFESTS).into_iter();
            let mut names = names.filter_map(|name| name.parse::<ManifestName>().ok());
            let draft = names.find(|name| name.version == base.next()).unwrap();
            let draft = folder.path().join(draft.path());
            let kept = folder.path().join("kept");
            if manifest == Manifest::Kept {
                std::fs::hard_link(&draft, &kept).unwrap();
            }
            leave_behind(folder, base);
            match manifest {
                Manifest::Collected => assert!(!draft.exists()),
                Manifest::Kept => std::fs::rename(kept, draft).unwrap(),
            }
            if fault.is_some() {
                mount.arm(0);
            }
        },
    );
    assert_eq!(mount.hit(), fault.is_some());
    slept.map(drop)
}

/// Its link succeeds, since the version it makes was made and collected before.
fn check_ghost(manifest: Manifest, fault: Option<Fault>) {
    let (folder, base) = origin();
    let warm = folder.reader();
    see("before", &folder, &warm);
    let slept = link_too_late(&folder, base, manifest, fault);
    let ghost = folder.path().join(layout::version_link(base.next()));
    assert!(
        ghost.symlink_metadata().is_err(),
        "the ghost is still there"
    );
    let seen = see("after", &folder, &warm);
    assert_eq!(seen["second"], "x");
    slept.unwrap();
    assert_eq!(
        (&*seen["first"], &*seen["shared"]),
        ("x", "first"),
        "acknowledged and lost"
    );
    assert_clean(&warm);
    folder.assert_swept(&folder.open(&quick()));
}

#[test]
fn a_ghost_of_a_version_that_was_collected_is_removed() {
    check_ghost(Manifest::Kept, None);
    check_ghost(Manifest::Collected, None);
}

#[test]
fn a_ghost_whose_link_lost_its_reply_is_not_acknowledged() {
    check_ghost(Manifest::Kept, Some(Fault::FailAfter(EIO)));
    check_ghost(Manifest::Collected, Some(Fault::FailAfter(EIO)));
}

/// A server forgets the descriptors of a client that was silent for too long: the file itself still tells who was first.
#[test]
fn a_sleeper_whose_descriptors_are_forgotten_learns_that_others_were_first() {
    let (folder, _) = origin();
    let warm = folder.reader();
    see("before", &folder, &warm);
    let mount = FaultyMount::with_reads(folder.mount(), u64::MAX, Fault::Fail(EBADF));
    let slept = asleep(
        Arc::new(mount.clone()),
        Step::BeforeLink,
        |first| post(first, vec![document("first", "x")]),
        || {
            post(&folder.open(&quick()), vec![document("second", "x")]).unwrap();
            // It creates its link, reads the one that is there, and then the mark.
            mount.arm(2);
        },
    );
    assert!(mount.hit());
    slept.unwrap();
    let seen = see("after", &folder, &warm);
    assert_eq!((&*seen["first"], &*seen["second"]), ("x", "x"));
    assert_clean(&warm);
}

/// A writer dies right after it created a ghost: no reader follows the link, and collection removes it.
#[test]
fn a_ghost_whose_writer_is_dead_harms_nobody() {
    for manifest in [Manifest::Kept, Manifest::Collected] {
        let (folder, base) = origin();
        let warm = folder.reader();
        see("before", &folder, &warm);
        link_too_late(&folder, base, manifest, Some(Fault::CrashAfter)).unwrap_err();
        let ghost = folder.path().join(layout::version_link(base.next()));
        ghost.symlink_metadata().unwrap();
        std::fs::remove_file(folder.path().join(layout::HEAD)).unwrap();
        let seen = see("after", &folder, &warm);
        assert_eq!(seen["second"], "x");
        assert!(!seen.contains_key("first"), "never published");
        let next = folder.open(&quick());
        post(&next, vec![document("next", "x")]).unwrap();
        assert_eq!(see("later", &folder, &warm)["next"], "x");
        assert_clean(&warm);
        folder.assert_swept(&next);
        assert!(ghost.symlink_metadata().is_err(), "swept");
    }
}

/// Who has written alone for a while takes its own version for the newest. Here it is not: what it makes
/// cannot be linked, or is a ghost.
#[test]
fn a_writer_that_is_not_alone_any_more_starts_over() {
    let others: [fn(&Folder, Version); 2] = [leave_behind, |folder, _| {
        post(&folder.open(&quick()), vec![document("second", "x")]).unwrap();
    }];
    for others in others {
        let (folder, mut version) = origin();
        let warm = folder.reader();
        let counting = CountingMount::new(folder.mount());
        let config = Config {
            world: timeless().world,
            ..quick()
        };
        let first = open(Arc::new(counting.clone()), &config);
        for round in 0..3 {
            (version, _) = post(&first, vec![document("shared", &round.to_string())]).unwrap();
        }
        others(&folder, version);
        counting.take();
        let posted = vec![document("first", "x"), document("shared", "first")];
        post(&first, posted).unwrap();
        let counts = counting.take();
        assert_eq!(
            counts.of("symlink"),
            2,
            "it was not wrong: {:#?}",
            counts.log
        );
        let seen = see("after", &folder, &warm);
        let seen = ["first", "second", "shared"].map(|key| &*seen[key]);
        assert_eq!(seen, ["x", "x", "first"], "acknowledged and lost");
        assert_clean(&warm);
        folder.assert_swept(&folder.open(&quick()));
        post(&first, vec![document("shared", "last")]).unwrap();
        assert_eq!(see("in the end", &folder, &warm)["shared"], "last");
    }
}

#[test]
fn a_writer_that_was_alone_learns_that_the_index_was_deleted() {
    let (folder, _) = origin();
    let first = folder.open(&quick());
    for round in 0..3 {
        post(&first, vec![document("shared", &round.to_string())]).unwrap();
    }
    folder.open(&quick()).publish_deletion().unwrap();
    let refused = post(&first, vec![document("first", "x")]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound, "{refused}");
}

#[test]
fn a_sleeper_whose_files_were_all_collected_starts_over() {
    let (folder, base) = origin();
    let warm = folder.reader();
    let slept = asleep(
        folder.mount(),
        Step::BeforeLink,
        |first| post(first, vec![document("first", "x")]),
        || leave_behind(&folder, base),
    );
    slept.unwrap();
    assert_eq!(see("after", &folder, &warm)["first"], "x");
    assert_clean(&warm);
}

#[test]
fn a_sleeper_whose_bundle_was_collected_writes_another() {
    let (folder, _) = origin();
    let warm = folder.reader();
    let slept = asleep(
        folder.mount(),
        Step::BeforeLink,
        |first| {
            post(
                first,
                (0..100).map(|n| wide(&format!("w{n}"), 150)).collect(),
            )
        },
        || {
            assert_eq!(folder.names(layout::BUNDLES).len(), 1);
            folder.open(&quick()).gc().unwrap();
            assert_eq!(folder.names(layout::BUNDLES), Vec::<String>::new());
        },
    );
    slept.unwrap();
    assert_eq!(see("after", &folder, &warm).len(), 101);
    assert_clean(&warm);
    folder.assert_swept(&folder.open(&quick()));
}

/// HEAD is set back to a version that was collected long ago.
#[test]
fn a_head_that_was_set_back_misleads_nobody() {
    let (folder, base) = origin();
    let (warm, idle) = (folder.reader(), folder.reader());
    see("before", &folder, &idle);
    let slept = asleep(
        folder.mount(),
        Step::BeforeHead,
        |first| post(first, vec![document("first", "x")]),
        || {
            leave_behind(&folder, base);
            assert_eq!(see("asleep", &folder, &warm)["second"], "x");
        },
    );
    slept.unwrap();
    for _ in 0..20 {
        let seen = see("after", &folder, &warm);
        assert_eq!((&*seen["first"], &*seen["second"]), ("x", "x"));
    }
    see("after", &folder, &idle);
    let third = folder.open(&quick());
    post(&third, vec![document("third", "x")]).unwrap();
    assert_eq!(see("after", &folder, &warm).len(), 4);
    assert_clean(&third);
}

#[test]
fn maintenance_that_sleeps_takes_nothing_away() {
    let works: [fn(&Index) -> Result<()>; 2] = [
        |index| index.gc().map(drop),
        |index| index.compact(None).map(drop),
    ];
    for work in works {
        for step in [Step::BeforeLink, Step::BeforeMark, Step::BeforeHead] {
            let at = format!("{step:?}");
            let folder = Folder::new();
            let second = folder.open(&quick());
            for part in ["a", "b"] {
                let batch = (0..100).map(|n| wide(&format!("{part}{n}"), 150)).collect();
                post(&second, batch).unwrap();
            }
            second.compact(None).unwrap();
            post(&second, vec![delete("a0"), document("b0", "x")]).unwrap();
            let warm = folder.reader();
            let meanwhile = || {
                post(&second, vec![delete("a1"), document("b1", "second")]).unwrap();
                second.compact(None).unwrap();
                second.gc().unwrap();
                assert_eq!(see(&at, &folder, &warm).len(), 198);
            };
            asleep(folder.mount(), step, work, meanwhile).unwrap();
            let seen = see(&at, &folder, &warm);
            assert_eq!(
                (seen.len(), &*seen["b0"], &*seen["b1"]),
                (198, "x", "second"),
                "{at}"
            );
            assert_clean(&warm);
            folder.assert_swept(&second);
            assert_clean(&folder.reader());
        }
    }
}

/// The inputs of the merge are still there when it wakes up, with fewer documents.
#[test]
fn a_merge_that_sleeps_brings_nothing_back_that_was_deleted_meanwhile() {
    for step in [Step::BeforeBundle, Step::BeforeLink] {
        let at = format!("{step:?}");
        let folder = Folder::new();
        let second = folder.open(&quick());
        for part in ["a", "b"] {
            let batch = (0..100).map(|n| wide(&format!("{part}{n}"), 150)).collect();
            post(&second, batch).unwrap();
        }
        let warm = folder.reader();
        let meanwhile = || {
            post(&second, vec![delete("a1"), document("b1", "x")]).unwrap();
        };
        let merge = |first: &Index| first.compact(None);
        let merged = asleep(folder.mount(), step, merge, meanwhile).unwrap();
        assert!(merged.merges > 0, "{at}: {merged:?}");
        folder.assert_rules(&at);
        let seen = see(&at, &folder, &warm);
        assert_eq!((seen.len(), &*seen["b1"]), (199, "x"), "{at}");
        assert!(!seen.contains_key("a1"), "{at}");
    }
}

/// Says so when it is dropped, after a panic too.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Collecting without retention takes files from under readers again and again: that costs them a
/// fresh start, never an error.
#[test]
fn readers_never_fail_while_everything_is_collected_under_them() {
    let (folder, _) = origin();
    let writer = folder.open(&quick());
    post(&writer, vec![document("k", "common")]).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let warm = folder.reader();
        let (folder, done) = (&folder, &done);
        scope.spawn(move || {
            while !done.load(Ordering::SeqCst) {
                assert_eq!(search(&warm, "common").unwrap().len(), 1);
                assert_eq!(search(&folder.reader(), "common").unwrap().len(), 1);
            }
        });
        scope.spawn(move || {
            let _done = Done(done);
            for round in 0..60 {
                post(&writer, vec![document("k", &format!("common {round}"))]).unwrap();
                writer.compact(None).unwrap();
                writer.gc().unwrap();
            }
        });
    });
}
