//! Indexes are created and deleted while other processes stall, die, or lose replies, at every single operation: what
//! was acknowledged to an index stays in it until that index is deleted, and nothing is left lying.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aquifer_indexer::config::Config;
use aquifer_indexer::index::{Aquifer, Batch, Outcome, Wait};
use aquifer_indexer::mapping::Definition;
use aquifer_indexer::mount::{Fault, FaultyMount, Mount, PosixMount, Wrap};
use aquifer_indexer::{ErrorKind, Result};

use crate::rig::{assert_clean, config, document, post, search, soon};

const EIO: i32 = 5;
const ENOENT: i32 = 2;
const ENOSPC: i32 = 28;
const ENOTEMPTY: i32 = 39;
/// The index that everybody wants.
const NAME: &str = "a";

/// A root folder of indexes, in memory where the system has room for files there.
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
        Self(folder.unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A process of its own.
    fn process(&self) -> Aquifer {
        process(self.path())
    }

    /// A process whose operations `faulty` counts and breaks.
    fn faulty(&self, faulty: &FaultyMount) -> Aquifer {
        let faulty = faulty.clone();
        let wrap = Wrap::new(move |inner| Arc::new(faulty.over(inner)));
        Aquifer::open_through(wrap, self.path(), quick()).unwrap()
    }

    fn mount(&self) -> Arc<dyn Mount> {
        Arc::new(PosixMount::open(self.path()).unwrap())
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    /// Sweeps once everything is old enough, after which nothing but indexes is there.
    fn assert_swept(&self, at: &str) {
        for name in self.names().iter().filter(|name| name.starts_with('.')) {
            age(&self.path().join(name));
        }
        let report = self.process().sweep().unwrap();
        assert_eq!(report.kept, [], "{at}");
        let left = self.names();
        assert!(left.iter().all(|name| name == NAME), "{at}: {left:?}");
    }
}

fn process(root: &Path) -> Aquifer {
    Aquifer::open(root, quick()).unwrap()
}

/// Nobody works on after an answer, so that nothing happens beside what is told here.
fn quick() -> Config {
    Config {
        after_answer: false,
        overtake_after: Duration::from_millis(40),
        ..config()
    }
}

fn age(folder: &Path) {
    let long_ago = SystemTime::now() - Duration::from_secs(24 * 3600);
    let folder = std::fs::File::open(folder).unwrap();
    folder.set_modified(long_ago).unwrap();
}

fn create(process: &Aquifer) -> Result<bool> {
    process.create_index(NAME, &Definition::default())
}

fn add(process: &Aquifer, key: &str) {
    post(&process.index(NAME).unwrap(), vec![document(key, "word")]).unwrap();
}

/// Asks as the router does: an index that turns out to be gone is opened again by its name.
fn keys(process: &Aquifer) -> Vec<String> {
    let index = process.index(NAME).unwrap();
    match search(&index, "word") {
        Err(_) if index.is_gone() => search(&process.index(NAME).unwrap(), "word").unwrap(),
        found => found.unwrap(),
    }
}

/// What a process does, and what of it is stalled or broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Create,
    Delete,
    Post,
    PostDurably,
}

const ACTS: [Act; 4] = [Act::Create, Act::Delete, Act::Post, Act::PostDurably];

impl Act {
    fn run(self, process: &Aquifer) -> Result<()> {
        match self {
            Self::Create => create(process).map(drop),
            Self::Delete => process.delete_index(NAME),
            Self::Post => post(&*process.index(NAME)?, vec![document("stalled", "word")]).map(drop),
            Self::PostDurably => {
                let operations = vec![document("stalled", "word")];
                let index = process.index(NAME)?;
                let outcome = index.submit(Batch { operations }, Wait::Durable, soon())?;
                assert!(matches!(outcome, Outcome::Durable { .. }));
                Ok(())
            }
        }
    }
}

/// The story of a lost index: a process stalls anywhere in what it does. Meanwhile others delete the index, create it
/// again, and fill it. Whatever the process does when it wakes up, the new index is theirs.
#[test]
fn who_wakes_up_cannot_touch_the_index_that_was_created_meanwhile() {
    for act in ACTS {
        for recreations in [1, 2] {
            let mut target = 0;
            while stalls(act, recreations, target) {
                target += 1;
                assert!(target < 500, "it does not end");
            }
            println!("{act:?}: {target} operations");
            assert!(target > 2, "{act:?}: only {target} operations");
        }
    }
}

fn stalls(act: Act, recreations: u32, target: u64) -> bool {
    let at = format!("{act:?} stalls in operation {target}, {recreations} indexes later");
    let root = Root::new();
    let first = root.process();
    if act != Act::Create {
        create(&first).unwrap();
        add(&first, "old");
    }
    let path = root.path().to_owned();
    let created = Arc::new(Mutex::new(false));
    let noted = Arc::clone(&created);
    let faulty = FaultyMount::stalling(root.mount(), u64::MAX, move || {
        let others = process(&path);
        for round in 0..recreations {
            match others.delete_index(NAME) {
                Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
                _ => {}
            }
            *noted.lock().unwrap() = create(&others).unwrap();
            add(&others, &format!("new-{round}"));
        }
    });
    let sleeper = root.faulty(&faulty);
    // It knows the index from before.
    if act != Act::Create {
        assert_eq!(keys(&sleeper), ["old"], "{at}");
    }
    faulty.arm(target);
    let result = act.run(&sleeper);
    if !faulty.hit() {
        result.unwrap();
        return false;
    }
    assert!(*created.lock().unwrap(), "{at}");
    let reader = root.process();
    let newest = format!("new-{}", recreations - 1);
    let found = keys(&reader);
    assert!(found.contains(&newest), "{at}: {found:?} after {result:?}");
    assert!(!found.contains(&"old".to_owned()), "{at}: {found:?}");
    assert_clean(&reader.index(NAME).unwrap());
    assert!(keys(&first).contains(&newest), "{at}: the first process");
    root.assert_swept(&at);
    assert!(
        keys(&root.process()).contains(&newest),
        "{at}: after the sweep"
    );
    true
}

/// A process dies, is refused, or loses a reply at every operation of creating and deleting; another does the same
/// afterwards and succeeds.
#[test]
fn a_creation_or_deletion_that_breaks_off_is_finished_by_the_next() {
    let faults = [
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::CrashDuring,
        Fault::Fail(EIO),
        Fault::Fail(ENOSPC),
        Fault::FailAfter(EIO),
        // The client asks again, and the server has forgotten that it did it.
        Fault::FailAfter(ENOENT),
        Fault::FailAfter(ENOTEMPTY),
    ];
    for act in [Act::Create, Act::Delete] {
        for fault in faults {
            let mut target = 0;
            while breaks(act, fault, target) {
                target += 1;
                assert!(target < 500, "it does not end");
            }
            assert!(target > 3, "{act:?}, {fault:?}: only {target} operations");
        }
    }
}

fn breaks(act: Act, fault: Fault, target: u64) -> bool {
    let at = format!("{act:?}, {fault:?} at operation {target}");
    let root = Root::new();
    let other = root.process();
    if act == Act::Delete {
        create(&other).unwrap();
        add(&other, "old");
    }
    let faulty = FaultyMount::new(root.mount(), u64::MAX, fault);
    let broken = root.faulty(&faulty);
    if act == Act::Delete {
        assert_eq!(keys(&broken), ["old"]);
    }
    faulty.arm(target);
    let result = act.run(&broken);
    let hit = faulty.hit();
    assert!(hit || result.is_ok(), "{at}: {result:?}");
    faulty.arm(u64::MAX);
    let there = root
        .process()
        .index(NAME)
        .and_then(|index| index.snapshot().map(drop))
        .is_ok();
    if result.is_ok() {
        assert_eq!(there, act == Act::Create, "{at}: acknowledged");
    }
    match act {
        Act::Create => {
            let created = create(&other).unwrap_or_else(|error| panic!("{at}: {error}"));
            assert!(created != there, "{at}");
        }
        _ => {
            let deleted = other.delete_index(NAME);
            let gone = deleted.is_err_and(|error| error.kind() == ErrorKind::NotFound);
            assert_eq!(gone, !there, "{at}");
            assert!(!root.names().contains(NAME), "{at}: {:?}", root.names());
            create(&other).unwrap_or_else(|error| panic!("{at}: {error}"));
        }
    }
    add(&other, "new");
    assert_eq!(keys(&root.process()), ["new"], "{at}");
    root.assert_swept(&at);
    assert_eq!(keys(&root.process()), ["new"], "{at}: after the sweep");
    hit
}

/// Moves the index away as earlier releases did before they removed it.
fn move_away(root: &Root) -> String {
    let away = format!(".deleted-{NAME}-{}", uuid::Uuid::new_v4().simple());
    std::fs::rename(root.path().join(NAME), root.path().join(&away)).unwrap();
    away
}

#[test]
fn an_index_that_an_earlier_release_moved_away_alive_gets_its_name_back() {
    let root = Root::new();
    let process = root.process();
    create(&process).unwrap();
    add(&process, "kept");
    move_away(&root);
    assert_eq!(process.sweep().unwrap().restored, [NAME]);
    assert_eq!(keys(&process), ["kept"]);

    let away = move_away(&root);
    let process = root.process();
    create(&process).unwrap();
    add(&process, "new");
    let report = process.sweep().unwrap();
    assert_eq!(report.restored, [""; 0]);
    assert_eq!(report.kept[0].folder, away, "{report:?}");
    assert!(
        report.kept[0].reason.contains("never deleted"),
        "{report:?}"
    );
    assert_eq!(keys(&process), ["new"]);
}

#[test]
fn a_deleted_index_that_an_earlier_release_left_is_removed() {
    let root = Root::new();
    let process = root.process();
    create(&process).unwrap();
    process.index(NAME).unwrap().publish_deletion().unwrap();
    move_away(&root);
    assert_eq!(process.sweep().unwrap().removed, 1);
    assert!(root.names().is_empty(), "{:?}", root.names());
}

/// Somebody else's folder is not an index, and nothing of it is touched.
#[test]
fn a_folder_of_somebody_else_is_left_alone() {
    let files = [
        "notes",
        "scratch/letter",
        "inbox/mail",
        "manifests/of-a-ship",
    ];
    for file in files {
        let root = Root::new();
        let path = root.path().join(NAME).join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "mine").unwrap();
        let process = root.process();
        let error = create(&process).unwrap_err();
        let expected = [ErrorKind::Conflict, ErrorKind::Corrupt];
        assert!(expected.contains(&error.kind()), "{file}: {error}");
        assert!(error.to_string().contains("move"), "{file}: {error}");
        let deleted = process.delete_index(NAME).unwrap_err();
        let expected = [ErrorKind::NotFound, ErrorKind::Corrupt];
        assert!(expected.contains(&deleted.kind()), "{file}: {deleted}");
        assert_eq!(std::fs::read(&path).unwrap(), b"mine", "{file}");
        assert_eq!(root.names().len(), 1, "{file}: {:?}", root.names());
    }
    let root = Root::new();
    std::fs::create_dir(root.path().join(NAME)).unwrap();
    assert!(create(&root.process()).unwrap(), "in an empty folder");
}

/// A file that is put into the folder of an index outlives it.
#[test]
fn what_does_not_belong_to_a_deleted_index_is_kept() {
    let root = Root::new();
    let process = root.process();
    create(&process).unwrap();
    let notes = root.path().join(NAME).join("notes");
    std::fs::write(&notes, "mine").unwrap();
    process.delete_index(NAME).unwrap();
    let gone = process
        .index(NAME)
        .and_then(|index| index.snapshot().map(drop));
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(std::fs::read(&notes).unwrap(), b"mine");
    let refused = create(&process).unwrap_err();
    assert!(refused.to_string().contains("notes"), "{refused}");
}

#[test]
fn of_many_creators_one_succeeds_and_many_may_delete() {
    let root = Root::new();
    for round in 0..20 {
        let created: usize = std::thread::scope(|scope| {
            let creators: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| usize::from(create(&root.process()).unwrap())))
                .collect();
            creators.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(created, 1, "round {round}");
        let process = root.process();
        add(&process, "new");
        assert_eq!(keys(&process), ["new"]);
        let deleted: usize = std::thread::scope(|scope| {
            let deleters: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| usize::from(root.process().delete_index(NAME).is_ok())))
                .collect();
            deleters.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert!(deleted >= 1, "round {round}");
        assert!(!root.names().contains(NAME), "round {round}");
    }
    root.assert_swept("in the end");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Somebody puts a backup into the place of an index that processes have open: as another folder of the same name, or
/// into the same folder.
#[test]
fn an_index_that_is_replaced_by_a_backup_is_opened_again() {
    for same_folder in [false, true] {
        let root = Root::new();
        let process = root.process();
        create(&process).unwrap();
        add(&process, "kept");
        let (index, backup) = (root.path().join(NAME), root.path().join("backup"));
        copy(&index, &backup);
        add(&process, "lost");
        assert_eq!(keys(&process), ["kept", "lost"]);
        if same_folder {
            for entry in std::fs::read_dir(&index).unwrap() {
                let path = entry.unwrap().path();
                let removed = std::fs::remove_dir_all(&path);
                removed.or_else(|_| std::fs::remove_file(&path)).unwrap();
            }
            copy(&backup, &index);
        } else {
            std::fs::rename(&index, root.path().join("before")).unwrap();
            std::fs::rename(&backup, &index).unwrap();
        }
        // Guards against a hang; how soon it is noticed is not tested.
        let deadline = soon();
        while keys(&process) != ["kept"] {
            assert!(std::time::Instant::now() < deadline, "it is never noticed");
            std::thread::sleep(Duration::from_millis(50));
        }
        add(&process, "new");
        assert_eq!(keys(&root.process()), ["kept", "new"]);
        assert_eq!(keys(&process), ["kept", "new"]);
    }
}

/// Indexes that cannot be opened are listed.
#[test]
fn no_index_is_left_out_of_the_list() {
    let root = Root::new();
    let process = root.process();
    create(&process).unwrap();
    add(&process, "a");
    std::fs::remove_file(root.path().join(NAME).join("HEAD")).unwrap();
    std::fs::remove_dir_all(root.path().join(NAME).join("manifests")).unwrap();
    let batch = root.path().join(NAME).join("inbox/left.batch");
    std::fs::write(batch, "x").unwrap();
    std::os::unix::fs::symlink(root.path().join(NAME), root.path().join("linked")).unwrap();
    std::fs::create_dir(root.path().join("empty")).unwrap();
    assert_eq!(root.process().indexes().unwrap(), [NAME, "linked"]);
}

/// The parents of a new root exist after a power loss; here, that they are made at all.
#[test]
fn a_root_is_made_with_the_folders_that_lead_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a/b/c");
    let config = Config {
        create_root: true,
        ..quick()
    };
    create(&Aquifer::open(&root, config).unwrap()).unwrap();
    process(&root).probe().unwrap();
    assert_eq!(
        std::fs::read_dir(&root).unwrap().count(),
        1,
        "a probe leaves nothing"
    );
}
