//! [`PosixMount`]: a folder on a local disk or a network file system.

mod calls;
mod file;
mod folders;
mod kind;
mod listing;
mod lock;
mod named;
mod regular;

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use self::folders::Folders;
use self::kind::Kind;
use super::{
    Access, LockGuard, Metadata, Mount, MountFailure, MountFile, MountOperation as Call,
    MountResult,
};
use crate::concurrent;
use crate::descriptors::{self, Spare, retry};

/// Mode of every file: any reader may run under another user.
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
/// Mode of every folder.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);

/// A folder of the operating system.
#[derive(Debug)]
pub struct PosixMount {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folders: Folders,
    kind: Kind,
    umask_hides: bool,
    /// The lock file that was let go of last, and its path: it is locked again without being opened again.
    unlocked: Mutex<Option<(String, File)>>,
}

impl PosixMount {
    /// Opens an existing folder.
    pub fn open(folder: &Path) -> MountResult<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = retry(|| rustix::fs::open(folder, flags, Mode::empty()));
        let failed = MountFailure::of(Call::Enter, folder);
        opened
            .map_err(io::Error::from)
            .and_then(Self::of)
            .map_err(failed)
    }

    fn of(folder: OwnedFd) -> io::Result<Self> {
        let kind = Kind::of(&folder)?;
        let shared = Arc::new(Shared {
            folders: Folders::new(folder),
            kind,
            umask_hides: umask_hides(),
            unlocked: Mutex::default(),
        });
        let weak: Weak<Shared> = Arc::downgrade(&shared);
        descriptors::register(weak);
        Ok(Self { shared })
    }
}

/// Whether this process's umask would take read permission from other users' readers.
fn umask_hides() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))
        .and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok());
    mask.is_none_or(|mask| mask & 0o055 != 0)
}

impl Shared {
    /// Opens a file, and nothing else: a FIFO or a device of that name neither hangs the process nor is read.
    fn open_fd(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let opened = self.open_any(path, flags | OFlags::NONBLOCK);
        let opened = match opened {
            // Somebody has a lease on a regular file, which the system waits for only where it may.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.open_any(path, flags),
            opened => opened,
        };
        regular::only(opened, || {
            self.folders.at(path, |folder, name| {
                rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            })
        })
    }

    fn open_any(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        self.found(path, || {
            self.folders.at(path, |folder, name| {
                rustix::fs::openat(folder, name, flags, FILE_MODE)
            })
        })
    }

    /// Does `call` with a name, and again where the name is not found. This machine may have looked for the name before it
    /// existed, and remember that there was none. It asks the server again after the folder was opened.
    fn found<T>(&self, path: &str, call: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.kind != Kind::Local => {
                let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
                self.open_folder(folder)?;
                call()
            }
            done => done,
        }
    }

    fn open_created(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let fd = self.open_fd(path, flags | OFlags::CREATE)?;
        if self.umask_hides {
            // Another user's file keeps its mode; its owner set it already.
            match rustix::fs::fchmod(&fd, FILE_MODE) {
                Ok(()) | Err(Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(fd)
    }

    /// A folder, opened anew: what is listed from it is what is there now.
    fn open_folder(&self, folder: &str) -> io::Result<OwnedFd> {
        self.folders.inside(folder, |folder| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::openat(folder, ".", flags, Mode::empty())
        })
    }
}

impl Spare for Shared {
    fn let_go(&self) {
        self.folders.let_go();
        drop(lock::forget(self));
    }
}

impl Mount for PosixMount {
    fn open(&self, path: &str, access: Access) -> MountResult<Arc<dyn MountFile>> {
        let opened = self.shared.open_file(path, access);
        opened.map_err(MountFailure::of(Call::Open, path))
    }

    fn anticipate(&self, folder: &'static str) {
        if self.shared.kind == Kind::Local {
            return;
        }
        let shared = Arc::clone(&self.shared);
        // It only saves time: whoever opens a file looks for the folder all the same.
        drop(concurrent::spawn(move || shared.folders.anticipate(folder)));
    }

    fn list(&self, folder: &str) -> MountResult<Vec<String>> {
        let opened = self.shared.open_folder(folder);
        let listed = opened.and_then(|folder| listing::names(Dir::new(folder)?));
        listed.map_err(MountFailure::of(Call::List, folder))
    }

    fn metadata(&self, path: &str) -> MountResult<Metadata> {
        let looked = self.shared.metadata(path);
        looked.map_err(MountFailure::of(Call::Metadata, path))
    }

    fn unlink(&self, path: &str) -> MountResult<()> {
        let removed = self.shared.folders.at(path, |folder, name| {
            rustix::fs::unlinkat(folder, name, AtFlags::empty())
        });
        removed.map_err(MountFailure::of(Call::Remove, path))
    }

    fn symlink(&self, text: &str, path: &str) -> MountResult<()> {
        let linked = self.shared.folders.at(path, |folder, name| {
            rustix::fs::symlinkat(text, folder, name)
        });
        linked.map_err(MountFailure::of(Call::Symlink, path))
    }

    fn read_link(&self, path: &str) -> MountResult<String> {
        let read = self.shared.read_link(path);
        read.map_err(MountFailure::of(Call::ReadLink, path))
    }

    fn make_dir(&self, folder: &str) -> MountResult<()> {
        let made = self.shared.make_dir(folder);
        made.map_err(MountFailure::of(Call::MakeDir, folder))
    }

    fn sync_dir(&self, folder: &str) -> MountResult<()> {
        let synced = self.shared.sync_dir(folder);
        synced.map_err(MountFailure::of(Call::Sync, folder))
    }

    fn enter(&self, folder: &str) -> MountResult<Arc<dyn Mount>> {
        let entered = self.shared.enter(folder);
        let entered = entered.map_err(MountFailure::of(Call::Enter, folder))?;
        Ok(Arc::new(entered))
    }

    fn rename(&self, from: &str, to: &str) -> MountResult<()> {
        let folder = self.descriptor();
        let renamed = rustix::fs::renameat(folder, from, folder, to);
        renamed.map_err(MountFailure::of(Call::Rename, from))
    }

    fn remove_dir(&self, folder: &str) -> MountResult<()> {
        let removed = self.shared.folders.at(folder, |parent, name| {
            rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
        });
        removed.map_err(MountFailure::of(Call::Remove, folder))
    }

    fn move_to(&self, name: &str, folder: &dyn Mount) -> MountResult<()> {
        let moved = rustix::fs::renameat(self.descriptor(), name, folder.descriptor(), name);
        moved.map_err(MountFailure::of(Call::Rename, name))
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.shared.folders.root()
    }

    fn try_lock(&self, path: &str) -> MountResult<Option<Box<dyn LockGuard>>> {
        let tried = lock::attempt(&self.shared, path);
        tried.map_err(MountFailure::of(Call::Lock, path))
    }
}
