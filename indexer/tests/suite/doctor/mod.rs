//! Examinations of a mount: of one that does as the index expects, and of mounts that lie.

mod lies;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use aquifer_indexer::Aquifer;
use aquifer_indexer::clock::{Clock, SystemClock};
use aquifer_indexer::config::Config;
use aquifer_indexer::doctor::{
    CallFailure, DoctorReport, Examination, InProcess, Judgement, Order, Partner, Yield,
};
use aquifer_indexer::error::{Error, ErrorKind, Result};
use aquifer_indexer::mount::{Fault, FaultyMount, RootFolder, Wrap};
use aquifer_indexer::world::World;
use tempfile::TempDir;

use self::lies::{Lie, roots};

/// A clock that does not wait, and whose time of day can be off.
#[derive(Debug, Default)]
struct Unwaiting {
    slept: Mutex<Duration>,
    off_ms: u64,
}

impl Clock for Unwaiting {
    fn now(&self) -> Instant {
        Instant::now() + *self.slept.lock().unwrap()
    }

    fn wall_ms(&self) -> u64 {
        SystemClock.wall_ms() + self.off_ms
    }

    fn sleep(&self, pause: Duration) {
        *self.slept.lock().unwrap() += pause;
    }
}

fn root(folder: &TempDir) -> RootFolder {
    RootFolder::open(folder.path(), false).unwrap()
}

/// Examines a mount of which the two sides see these folders.
fn examine([here, there]: &[RootFolder; 2], clock: Unwaiting) -> DoctorReport {
    let companion = InProcess::new(there.clone());
    let examination = Examination::of(here).by(World::at(Arc::new(clock)));
    examination.run(&companion).unwrap()
}

/// The checks that came to this judgement.
fn judged(report: &DoctorReport, judgement: Judgement) -> Vec<&'static str> {
    report
        .judged(judgement)
        .map(|finding| finding.check)
        .collect()
}

/// Expects that a mount that tells `lie` fails these checks and no others.
#[track_caller]
fn check(lie: Lie, expected: &[&str]) {
    // In memory where there is such a file system: each examination waits for hundreds of writes.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| TempDir::new());
    let folder = folder.unwrap();
    let report = examine(&roots(&root(&folder), lie), Unwaiting::default());
    let failed = judged(&report, Judgement::DoesNotHold);
    assert_eq!(failed, expected, "{lie:?}: {:#?}", report.findings);
    assert_eq!(report.is_well(), expected.is_empty(), "{lie:?}");
    for finding in report.judged(Judgement::DoesNotHold) {
        assert!(finding.advice.is_some(), "{finding:?}");
    }
}

#[test]
fn every_lie_is_found_and_by_its_own_check() {
    check(Lie::CreatesTwice, &["exclusive-create"]);
    check(Lie::LinksOver, &["exclusive-link"]);
    check(Lie::HasNoLinks, &["exclusive-link", "link-text"]);
    check(Lie::ForgetsLinks, &["exclusive-link", "link-text"]);
    check(Lie::FollowsLinks, &["link-text"]);
    check(Lie::RenamesOver, &["rename-of-folder"]);
    check(Lie::KeepsRemovedFolders, &["removed-folder"]);
    check(Lie::LosesWrites, &["durable-write"]);
    check(Lie::FailsToSync, &["durable-write"]);
    check(Lie::ShowsHalfFiles, &["close-to-open"]);
    check(Lie::RemembersPages, &["coherent-page"]);
    check(Lie::ReusesRemovedFiles, &["unlinked-file"]);
    check(Lie::RemembersListings, &["listing"]);
    check(Lie::StampsByEachMachine, &["one-clock"]);
    check(Lie::LocksOnOneMachine, &["lock"]);
    check(Lie::NeverUnlocks, &["lock", "lock-of-the-dead"]);
}

#[test]
fn a_name_that_stays_missing_is_no_failure_but_is_reported() {
    let folder = TempDir::new().unwrap();
    let lying = roots(&root(&folder), Lie::RemembersMissingNames);
    let report = examine(&lying, Unwaiting::default());
    let unknown = judged(&report, Judgement::Unknown);
    assert!(unknown.contains(&"early-name"), "{:#?}", report.findings);
    assert!(report.is_well(), "{:#?}", report.findings);
}

#[test]
fn a_machine_whose_clock_is_off_is_told_so() {
    let folder = TempDir::new().unwrap();
    let clock = Unwaiting {
        off_ms: 3_600_000,
        ..Unwaiting::default()
    };
    let report = examine(&[root(&folder), root(&folder)], clock);
    assert_eq!(only_warning(&report), "ms ahead of the server");
    let late = examine(
        &roots(&root(&folder), Lie::StampsTooLate),
        Unwaiting::default(),
    );
    assert_eq!(only_warning(&late), "ms behind the server");
}

/// What the only warning says of this machine's clock, in a report that is well all the same.
#[track_caller]
fn only_warning(report: &DoctorReport) -> &str {
    assert!(report.is_well(), "{:#?}", report.findings);
    assert_eq!(judged(report, Judgement::Warning), ["clock-skew"]);
    let warning = report.judged(Judgement::Warning).next().unwrap();
    assert!(warning.advice.is_some(), "{warning:?}");
    let seen = warning.seen.strip_prefix("this machine is ").unwrap();
    seen.split_once(' ').unwrap().1
}

#[test]
fn a_local_disk_is_well_and_neither_an_index_nor_the_root_is_touched() {
    let folder = TempDir::new().unwrap();
    let aquifer = Aquifer::open(folder.path(), Config::default()).unwrap();
    aquifer.index_or_create("books").unwrap();
    let before = contents(folder.path());
    let report = examine(&[root(&folder), root(&folder)], Unwaiting::default());
    assert!(report.is_well(), "{:#?}", report.findings);
    assert_eq!(contents(folder.path()), before);
    let calls: Vec<_> = report
        .latencies
        .iter()
        .map(|latency| latency.call)
        .collect();
    let expected = [
        "create", "write", "fsync", "symlink", "open", "read", "stat", "list", "lock", "unlink",
    ];
    assert_eq!(calls, expected);
    assert!(report.latencies.iter().all(|latency| latency.count >= 20));
}

/// Every file and folder below `folder`, with its bytes and the time at which it was changed; not the folder itself.
fn contents(folder: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let bytes = if path.is_dir() {
            found.extend(contents(&path));
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        found.insert(path, (modified, bytes));
    }
    found
}

/// A partner that answers a few orders, and then none.
#[derive(Debug)]
struct Vanishing {
    inner: InProcess,
    left: Mutex<u32>,
}

impl Partner for Vanishing {
    fn name(&self) -> String {
        "a partner that vanishes".to_owned()
    }

    fn carry_out(&self, order: &Order) -> Result<Result<Yield, CallFailure>> {
        let mut left = self.left.lock().unwrap();
        if *left == 0 {
            return Err(Error::new(ErrorKind::Unavailable, "no answer"));
        }
        *left -= 1;
        self.inner.carry_out(order)
    }
}

#[test]
fn a_partner_that_vanishes_ends_the_examination_and_nothing_is_left_behind() {
    let folder = TempDir::new().unwrap();
    let root = root(&folder);
    for answers in [0, 1, 2, 30] {
        let peer = Vanishing {
            inner: InProcess::new(root.clone()),
            left: Mutex::new(answers),
        };
        let companion = InProcess::new(root.clone());
        let examined = Examination::of(&root).with_peer(&peer).run(&companion);
        assert_eq!(examined.unwrap_err().kind(), ErrorKind::Unavailable);
        drop(peer);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{answers}");
    }
}

#[test]
fn what_a_crash_leaves_is_no_index_and_is_swept() {
    let folder = TempDir::new().unwrap();
    let crash = |inner| FaultyMount::new(inner, 40, Fault::CrashBefore);
    let wrap = Wrap::new(move |inner| Arc::new(crash(inner)));
    let crashing = root(&folder).wrapped(wrap);
    let companion = InProcess::new(root(&folder));
    let examined = Examination::of(&crashing).run(&companion);
    assert!(!examined.is_ok_and(|report| report.is_well()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let config = Config {
        retention: Duration::ZERO,
        ..Config::default()
    };
    let aquifer = Aquifer::open(folder.path(), config).unwrap();
    assert_eq!(aquifer.indexes().unwrap(), Vec::<String>::new());
    assert_eq!(aquifer.sweep().unwrap().removed, 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
