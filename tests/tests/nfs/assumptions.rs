//! What `indexer/STORAGE.md` assumes of an NFS mount, seen with the calls that the index itself makes.

use std::thread;

use aquifer_tests::lab::{FileAccess, FileOrder, Lab, Machine, Mounted, Plan, Setting};
use rustix::io::Errno;

/// In-place overwrites that another machine must see.
const OVERWRITES: u32 = 200;

/// A machine, and calls on its mount that must succeed unless they say otherwise.
struct Hand<'a>(&'a Machine);

impl Hand<'_> {
    #[track_caller]
    fn ok(&self, order: FileOrder) -> String {
        let outcome = self.0.file(order.clone());
        outcome.unwrap_or_else(|errno| panic!("{order:?} in {}: errno {errno}", self.0.name()))
    }

    #[track_caller]
    fn refused(&self, order: FileOrder) -> Errno {
        let outcome = self.0.file(order.clone());
        match outcome {
            Err(errno) => Errno::from_raw_os_error(errno),
            Ok(done) => panic!("{order:?} in {}: {done:?}", self.0.name()),
        }
    }

    #[track_caller]
    fn open(&self, path: &str, access: FileAccess) {
        self.ok(FileOrder::Open {
            file: path.into(),
            path: path.into(),
            access,
        });
    }

    #[track_caller]
    fn create(&self, path: &str, text: &str) {
        self.open(path, FileAccess::CoherentNew);
        self.write(path, text);
    }

    #[track_caller]
    fn close(&self, path: &str) {
        self.ok(FileOrder::Close { file: path.into() });
    }

    #[track_caller]
    fn read(&self, file: &str) -> String {
        self.ok(FileOrder::Read { file: file.into() })
    }

    #[track_caller]
    fn write(&self, file: &str, text: &str) {
        self.ok(FileOrder::Write {
            file: file.into(),
            text: text.into(),
        });
    }
}

fn symlink(text: &str, path: &str) -> FileOrder {
    FileOrder::Symlink {
        text: text.into(),
        path: path.into(),
    }
}

fn read_link(path: &str) -> FileOrder {
    FileOrder::ReadLink { path: path.into() }
}

fn lock(path: &str) -> FileOrder {
    FileOrder::TryLock { path: path.into() }
}

fn unlink(path: &str) -> FileOrder {
    FileOrder::Unlink { path: path.into() }
}

pub(crate) fn hold_on_the_mount(setting: Setting) {
    let lab = Lab::boot(Plan::new(setting, 2));
    lab.client('A').mount(Mounted::ReadWrite);
    lab.client('B').mount(Mounted::ReadWrite);
    let (a, b) = (Hand(lab.client('A')), Hand(lab.client('B')));

    // A name is created once, by whichever way, and a link keeps its text and is not followed.
    a.create("manifest-a", "from a");
    a.ok(symlink("manifest-a", "version"));
    assert_eq!(b.refused(symlink("manifest-b", "version")), Errno::EXIST);
    let again = FileOrder::Open {
        file: "again".into(),
        path: "manifest-a".into(),
        access: FileAccess::CreateNew,
    };
    assert_eq!(b.refused(again), Errno::EXIST);
    assert_eq!(b.ok(read_link("version")), "manifest-a");
    let followed = FileOrder::Open {
        file: "followed".into(),
        path: "version".into(),
        access: FileAccess::Read,
    };
    assert!(b.0.file(followed).is_err(), "a link was followed");
    b.open("manifest-a", FileAccess::Read);
    assert_eq!(b.read("manifest-a"), "from a");

    // A link may lead nowhere, and its name is taken all the same.
    a.create("manifest-c", "from a");
    b.ok(unlink("manifest-c"));
    a.ok(symlink("manifest-c", "late"));
    assert_eq!(b.refused(symlink("manifest-d", "late")), Errno::EXIST);
    assert_eq!(b.ok(read_link("late")), "manifest-c");

    // A page that is overwritten in place is seen by the next coherent read through a descriptor that stays open.
    a.create("marked", "0");
    a.open("marked", FileAccess::CoherentUpdate);
    b.open("marked", FileAccess::CoherentRead);
    for number in 1..=OVERWRITES {
        a.write("marked", &number.to_string());
        assert_eq!(b.read("marked"), number.to_string());
    }

    // A folder that is listed anew shows every name that existed before, also one that was looked up too early.
    a.ok(FileOrder::MakeDir {
        folder: "folder".into(),
    });
    b.ok(FileOrder::List {
        folder: "folder".into(),
    });
    for number in 0..20 {
        let path = format!("folder/{number:02}");
        let early = FileOrder::Open {
            file: "early".into(),
            path: path.clone(),
            access: FileAccess::Read,
        };
        assert_eq!(b.refused(early), Errno::NOENT);
        a.create(&path, "there");
        a.close(&path);
        let listed = b.ok(FileOrder::List {
            folder: "folder".into(),
        });
        assert_eq!(listed.lines().count(), number + 1, "{path} is not listed");
    }

    // A lock keeps another machine out, and lets it in afterwards.
    assert_eq!(a.ok(lock("lock")), "held");
    assert_eq!(b.ok(lock("lock")), "taken");
    a.ok(FileOrder::Unlock {
        path: "lock".into(),
    });
    assert_eq!(b.ok(lock("lock")), "held");
    b.ok(FileOrder::Unlock {
        path: "lock".into(),
    });

    // What was removed elsewhere can be read while it is open; when the server has restarted, it says so.
    a.close("manifest-a");
    a.ok(unlink("version"));
    a.ok(unlink("manifest-a"));
    assert_eq!(b.read("manifest-a"), "from a");
    lab.server().kill();
    lab.server().restart();
    b.open("marked", FileAccess::CoherentRead);
    let file = FileOrder::Read {
        file: "manifest-a".into(),
    };
    // What this machine remembers of it may still be given out; what must be fetched may not.
    b.0.run(&["sh", "-c", "echo 3 > /proc/sys/vm/drop_caches"]);
    let gone = b.refused(file);
    assert!(
        [Errno::STALE, Errno::BADF, Errno::IO].contains(&gone),
        "{gone:?}"
    );
}

pub(crate) fn a_lock_is_lost_without_a_word(setting: Setting) {
    let lab = Lab::boot(Plan::new(setting, 2));
    lab.client('A').mount(Mounted::ReadWrite);
    lab.client('B').mount(Mounted::ReadWrite);
    let (a, b) = (Hand(lab.client('A')), Hand(lab.client('B')));
    assert_eq!(a.ok(lock("lock")), "held");
    a.create("manifest", "from a");
    a.create("marked", "before");
    a.open("marked", FileAccess::CoherentUpdate);
    lab.client('A').freeze();
    thread::sleep(lab.beyond_lease());
    assert_eq!(b.ok(lock("lock")), "held");
    lab.client('A').thaw();
    // It is told of nothing, and everything that it does succeeds.
    a.ok(symlink("manifest", "version"));
    a.write("marked", "after");
    assert_eq!(b.ok(read_link("version")), "manifest");
    b.open("marked", FileAccess::CoherentRead);
    assert_eq!(b.read("marked"), "after");
}
