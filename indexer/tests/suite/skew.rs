//! Writers whose wall clocks are a day wrong, each in its own direction, and jump while they work: the order of writes, what
//! is applied, locks and collections do not depend on them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use aquifer_indexer::ErrorKind;
use aquifer_indexer::clock::SkewedClock;
use aquifer_indexer::config::{Config, Observer, Step};
use aquifer_indexer::index::{Batch, BatchState, Index, Operation, Outcome, Wait};
use aquifer_indexer::layout::{self, BatchId};
use aquifer_indexer::mount::{FaultyMount, Mount};
use aquifer_indexer::numbers::{Epoch, LockGeneration, Version};
use aquifer_indexer::world::World;
use uuid::Uuid;

use crate::rig::{
    Contents, Folder, applied, assert_clean, config, contents, delete, document, open, post, see,
    soon, wide,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Nothing is applied before the test says so.
fn settings() -> Config {
    Config {
        after_answer: false,
        ..config()
    }
}

/// A process with a clock of its own.
struct Process {
    clock: Arc<SkewedClock>,
    index: Index,
}

impl Process {
    fn new(mount: Arc<dyn Mount>, skew_ms: i64, config: Config) -> Self {
        let clock = Arc::new(SkewedClock::new(skew_ms));
        let world = World::at(Arc::clone(&clock) as _);
        let index = open(mount, &Config { world, ..config });
        Self { clock, index }
    }

    /// Accepts a batch into the inbox.
    fn accept(&self, operations: Vec<Operation>) -> BatchId {
        let batch = Batch { operations };
        match self.index.submit(batch, Wait::Durable, soon()).unwrap() {
            Outcome::Durable { batch } => batch,
            applied => panic!("{applied:?}"),
        }
    }
}

/// One history as it is published, version by version.
struct History {
    version: Version,
    nonce: Uuid,
    writer: Uuid,
    epoch: Epoch,
}

impl History {
    fn of(index: &Index) -> Self {
        let snapshot = index.snapshot().unwrap();
        let manifest = snapshot.manifest();
        Self {
            version: manifest.version,
            nonce: manifest.nonce,
            writer: manifest.body.writer,
            epoch: manifest.epoch,
        }
    }

    /// At most one version has been published since: it follows upon the last, in a new epoch if its writer is another.
    fn follow(&mut self, index: &Index) {
        let next = Self::of(index);
        if next.version != self.version {
            assert_eq!(next.version, self.version.next());
            let snapshot = index.snapshot().unwrap();
            assert_eq!(snapshot.manifest().body.previous, self.nonce);
            let same_writer = next.writer == self.writer;
            let epoch = if same_writer {
                self.epoch
            } else {
                self.epoch.next()
            };
            assert_eq!(next.epoch, epoch, "version {}", next.version);
        }
        *self = next;
    }
}

/// The `step`-th batch. It removes what the one before added, so that a batch which is applied twice or out of turn shows.
fn batch(step: usize) -> Vec<Operation> {
    let before = step.saturating_sub(1);
    vec![
        document("shared", &format!("step {step}")),
        delete(&format!("step-{before}")),
        document(&format!("step-{step}"), "here"),
    ]
}

/// Two writers in turn, one a day ahead and one a day behind. `jumps`: every few steps each clock is set to the other side.
fn write_in_turn(skews: [i64; 2], jumps: bool) {
    let folder = Folder::new();
    let writers = skews.map(|skew| Process::new(folder.mount(), skew, settings()));
    let warm = folder.reader();
    let mut history = History::of(&warm);
    let mut shown = Contents::new();
    let mut accepted: Vec<(BatchId, Vec<Operation>)> = Vec::new();
    for step in 0..60 {
        let at = format!("step {step} of {skews:?}, jumps: {jumps}");
        let writer = &writers[step % 2];
        if jumps && step % 5 == 4 {
            let side = if step % 10 == 4 { -1 } else { 1 };
            for (writer, skew) in writers.iter().zip(skews) {
                writer.clock.set(side * skew);
            }
        }
        if step % 7 == 6 {
            // What is acknowledged now has replaced everything that was accepted before.
            post(&writer.index, batch(step)).unwrap();
        } else {
            let id = writer.accept(batch(step));
            if let Some((last, _)) = accepted.last() {
                assert!(id > *last, "{at}: {id} comes after {last}");
            }
            accepted.push((id, batch(step)));
            if step % 4 != 3 {
                assert_eq!(see(&at, &folder, &warm), shown, "{at}");
                continue;
            }
            writers[step % 3 % 2].index.drain(soon()).unwrap();
        }
        for (_, batch) in &accepted {
            shown = applied(&shown, batch);
        }
        if step % 7 == 6 {
            shown = applied(&shown, &batch(step));
        }
        assert_eq!(see(&at, &folder, &warm), shown, "{at}");
        history.follow(&folder.reader());
        for (id, _) in accepted.drain(..) {
            let status = warm.batch_status(&id.to_string()).unwrap();
            assert_eq!(status.state, BatchState::Applied, "{at}");
            assert_eq!(status.version, Some(history.version), "{at}");
        }
    }
    for (_, batch) in &accepted {
        shown = applied(&shown, batch);
    }
    writers[0].index.drain(soon()).unwrap();
    assert_eq!(see("the end", &folder, &warm), shown);
    assert_clean(&writers[1].index);
    folder.assert_swept(&writers[1].index);
    assert_eq!(see("after the collection", &folder, &warm), shown);
    assert_clean(&folder.reader());
}

#[test]
fn writes_count_in_the_order_of_their_answers_whatever_the_clocks_say() {
    for skews in [[DAY_MS, -DAY_MS], [-DAY_MS, DAY_MS]] {
        for jumps in [false, true] {
            write_in_turn(skews, jumps);
        }
    }
}

/// The writer that is ahead has applied batches with later identities than any that the other gives out.
#[test]
fn a_batch_of_a_clock_that_is_behind_is_reported_with_a_version_that_has_it() {
    let mut reached = false;
    for target in 0.. {
        let folder = Folder::new();
        let ahead = Process::new(folder.mount(), DAY_MS, settings());
        ahead.accept(vec![document("a", "ahead")]);
        ahead.index.drain(soon()).unwrap();
        let behind = Process::new(folder.mount(), -DAY_MS, settings());
        let id = behind.accept(vec![document("b", "behind")]);
        let version = Arc::new(AtomicU64::new(0));
        let (drained, own) = (Arc::clone(&version), behind.index);
        let meanwhile = move || {
            own.drain(soon()).unwrap();
            drained.store(own.snapshot().unwrap().version().get(), Ordering::SeqCst);
        };
        let mount = FaultyMount::stalling(folder.mount(), target, meanwhile).and_reads();
        let read_only = Config {
            read_only: true,
            ..settings()
        };
        let asking = open(Arc::new(mount.clone()), &read_only);
        let status = asking.batch_status(&id.to_string()).unwrap();
        if !mount.hit() {
            assert_eq!(status.state, BatchState::Pending);
            break;
        }
        reached |= status.state == BatchState::Applied;
        if status.state == BatchState::Applied {
            let first = Version::new(version.load(Ordering::SeqCst));
            let told = status.version.unwrap();
            assert!(told >= first, "operation {target}: {told} before {first}");
        }
    }
    assert!(
        reached,
        "the batch was never applied while its state was asked for"
    );
}

/// Accepting takes a minute at most; whoever is not sure that it did not take longer must not acknowledge.
#[test]
fn a_batch_during_which_the_clock_jumps_is_not_acknowledged_and_never_applied() {
    for skew in [DAY_MS, -DAY_MS] {
        for target in 0.. {
            let folder = Folder::new();
            let clock = Arc::new(OnceLock::<Arc<SkewedClock>>::new());
            let jumping = Arc::clone(&clock);
            let jump = move || jumping.get().unwrap().set(skew);
            let mount = FaultyMount::stalling(folder.mount(), target, jump);
            let process = Process::new(Arc::new(mount.clone()), 0, settings());
            clock.set(Arc::clone(&process.clock)).unwrap();
            let operations = vec![document("a", "x")];
            let batch = Batch { operations };
            let outcome = process.index.submit(batch, Wait::Durable, soon());
            if !mount.hit() {
                assert!(target > 0, "accepting a batch writes");
                break;
            }
            // The jump comes before the time is first looked at, or after.
            let names = folder.names(layout::INBOX);
            match outcome {
                Ok(Outcome::Durable { batch }) => assert_eq!(names, [format!("{batch}.batch")]),
                Ok(applied) => panic!("{applied:?}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                    assert_eq!(names, Vec::<String>::new(), "operation {target}");
                }
            }
        }
    }
}

#[test]
fn a_holder_is_not_overtaken_because_a_clock_jumps() {
    let patient = || Config {
        overtake_after: Duration::from_secs(3600),
        ..settings()
    };
    for skew in [DAY_MS, -DAY_MS] {
        let folder = Folder::new();
        let contender = Process::new(folder.mount(), 0, patient());
        let (holder_clock, folder) = (Arc::new(SkewedClock::new(-skew)), &folder);
        let (jumped, once) = (Arc::clone(&holder_clock), AtomicBool::new(false));
        let observer = Observer::new(move |step| {
            if step == Step::BeforeLink && !once.swap(true, Ordering::SeqCst) {
                for skew in [skew, 0, -skew, 2 * skew] {
                    contender.clock.set(skew);
                    jumped.set(-skew);
                    let moment = Instant::now() + Duration::from_millis(50);
                    contender.accept(vec![document("contender", "x")]);
                    contender.index.drain(moment).unwrap();
                }
            }
        });
        let world = World::at(holder_clock);
        let holder = open(
            folder.mount(),
            &Config {
                observer,
                world,
                ..patient()
            },
        );
        let (version, _) = post(&holder, vec![document("holder", "x")]).unwrap();
        let snapshot = folder.reader().snapshot().unwrap();
        assert_eq!(snapshot.version(), version, "nothing came in between");
        assert_eq!(
            snapshot.manifest().body.lock_generation,
            LockGeneration::FIRST,
            "{skew}"
        );
        folder.open(&config()).drain(soon()).unwrap();
        let (shown, _) = contents(&folder.reader()).unwrap();
        assert_eq!(shown.keys().collect::<Vec<_>>(), ["contender", "holder"]);
        assert_clean(&holder);
    }
}

#[test]
fn what_is_collected_depends_on_the_age_by_the_servers_clock_alone() {
    for skew in [DAY_MS, -DAY_MS] {
        let folder = Folder::new();
        let retention = Duration::from_secs(3600);
        let process = Process::new(
            folder.mount(),
            skew,
            Config {
                retention,
                ..settings()
            },
        );
        for key in ["a", "b", "c"] {
            post(&process.index, vec![wide(key, 20_000)]).unwrap();
        }
        let held = folder.reader();
        let shown = see("before", &folder, &held);
        process.index.compact(None).unwrap();
        let files = folder.files();
        process.clock.set(-skew);
        assert_eq!(process.index.gc().unwrap().files_removed, 0, "{skew}");
        assert_eq!(folder.files(), files, "{skew}");
        assert_eq!(see("all is young", &folder, &held), shown);
        age(&folder, retention * 2);
        // A process that has not looked yet: this one knows how long nothing grows old.
        let other = Process::new(
            folder.mount(),
            skew,
            Config {
                retention,
                ..settings()
            },
        );
        assert!(other.index.gc().unwrap().files_removed > 0, "{skew}");
        assert_eq!(see("the old is gone", &folder, &folder.reader()), shown);
        assert_clean(&other.index);
    }
}

/// Makes every file older, as the server sees it.
fn age(folder: &Folder, by: Duration) {
    for path in folder.files() {
        let file = std::fs::File::options()
            .write(true)
            .open(folder.path().join(path))
            .unwrap();
        file.set_modified(SystemTime::now() - by).unwrap();
    }
}

/// A run with seeded identities has the same files again; the clock is not held, so their content may differ.
#[test]
fn a_seed_gives_the_same_names_again() {
    let run = |seed| {
        let ids = Arc::new(aquifer_indexer::ids::SeededIds::new(seed));
        let world = World {
            ids,
            ..World::default()
        };
        let folder = Folder::of(&world);
        let index = folder.open(&Config {
            world,
            ..settings()
        });
        post(&index, vec![wide("a", 20_000), document("b", "x")]).unwrap();
        post(&index, vec![delete("a")]).unwrap();
        let names = [layout::BUNDLES, layout::MANIFESTS];
        let names = names.map(|place| (place, folder.names(place)));
        (BTreeMap::from(names), History::of(&index).nonce)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
