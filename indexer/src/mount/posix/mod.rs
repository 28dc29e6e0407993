//! [`PosixMount`]: a folder on a local disk or a network file system.

mod file;
mod folders;
mod kind;
mod listing;
mod lock;
mod regular;

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime};

use rustix::fs::{Advice, AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use self::file::{DirectFile, PlainFile, ReopenedFile};
use self::folders::Folders;
use self::kind::Kind;
use super::{Access, FileId, LockGuard, Metadata, Mount, MountFile};
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
    pub fn open(folder: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = retry(|| rustix::fs::open(folder, flags, Mode::empty()))?;
        let kind = Kind::of(&folder)?;
        Ok(Self::of(folder, kind))
    }

    fn of(folder: OwnedFd, kind: Kind) -> Self {
        let shared = Arc::new(Shared {
            folders: Folders::new(folder),
            kind,
            umask_hides: umask_hides(),
            unlocked: Mutex::default(),
        });
        let weak: Weak<Shared> = Arc::downgrade(&shared);
        descriptors::register(weak);
        Self { shared }
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
        regular::only(path, opened, || {
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
    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn MountFile>> {
        let shared = &self.shared;
        let plain = |fd| -> Arc<dyn MountFile> { Arc::new(PlainFile::new(fd)) };
        let open: fn(&Shared, &str, OFlags) -> io::Result<OwnedFd> = match access {
            Access::CoherentRead | Access::CoherentUpdate | Access::Read => Shared::open_fd,
            Access::New | Access::CoherentNew | Access::Update | Access::CreateNew => {
                Shared::open_created
            }
        };
        let flags = match access {
            Access::Read => {
                let fd = open(shared, path, OFlags::RDONLY)?;
                if shared.kind != Kind::Local {
                    // A read says all that it wants. Reading ahead would ask the server for it in pieces, one
                    // after the other, and for more than that.
                    rustix::fs::fadvise(&fd, 0, None, Advice::Random)?;
                }
                return Ok(plain(fd));
            }
            Access::Update | Access::New => {
                return Ok(plain(open(shared, path, OFlags::RDWR)?));
            }
            Access::CreateNew => {
                return Ok(plain(open(shared, path, OFlags::RDWR | OFlags::EXCL)?));
            }
            Access::CoherentRead => OFlags::RDONLY,
            Access::CoherentUpdate | Access::CoherentNew => OFlags::RDWR,
        };
        if shared.kind == Kind::Local {
            return Ok(plain(open(shared, path, flags)?));
        }
        match open(shared, path, flags | OFlags::DIRECT) {
            Ok(fd) => Ok(Arc::new(DirectFile::new(fd))),
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                open(shared, path, flags)?;
                Ok(Arc::new(ReopenedFile::new(shared, path, flags)))
            }
            Err(error) => Err(error),
        }
    }

    fn anticipate(&self, folder: &'static str) {
        if self.shared.kind == Kind::Local {
            return;
        }
        let shared = Arc::clone(&self.shared);
        // It only saves time: whoever opens a file looks for the folder all the same.
        drop(concurrent::spawn(move || shared.folders.anticipate(folder)));
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        listing::names(Dir::new(self.shared.open_folder(folder)?)?)
    }

    fn metadata(&self, path: &str) -> io::Result<Metadata> {
        let stat = self.shared.folders.at(path, |folder, name| {
            rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        })?;
        let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
        let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        let modified = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        Ok(Metadata {
            id: FileId {
                device: stat.st_dev,
                inode: stat.st_ino,
            },
            len: u64::try_from(stat.st_size).unwrap_or(0),
            modified,
        })
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        self.shared.folders.at(path, |folder, name| {
            rustix::fs::unlinkat(folder, name, AtFlags::empty())
        })
    }

    fn symlink(&self, text: &str, path: &str) -> io::Result<()> {
        self.shared.folders.at(path, |folder, name| {
            rustix::fs::symlinkat(text, folder, name)
        })
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        let text = self.shared.found(path, || {
            self.shared.folders.at(path, |folder, name| {
                rustix::fs::readlinkat(folder, name, Vec::new())
            })
        })?;
        text.into_string()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    fn make_dir(&self, folder: &str) -> io::Result<()> {
        let made = self.shared.folders.at(folder, |parent, name| {
            rustix::fs::mkdirat(parent, name, FOLDER_MODE)
        });
        match made {
            Ok(()) if self.shared.umask_hides => {
                let fd = self.shared.open_folder(folder)?;
                Ok(rustix::fs::fchmod(fd, FOLDER_MODE)?)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    fn sync_dir(&self, folder: &str) -> io::Result<()> {
        if self.shared.kind == Kind::Nfs {
            // The server made the names durable before it answered.
            return Ok(());
        }
        Ok(rustix::fs::fsync(self.shared.open_folder(folder)?)?)
    }

    fn enter(&self, folder: &str) -> io::Result<Arc<dyn Mount>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let opened = self.shared.folders.at(folder, |parent, name| {
            rustix::fs::openat(parent, name, flags, Mode::empty())
        })?;
        let kind = Kind::of(&opened)?;
        Ok(Arc::new(Self::of(opened, kind)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let folder = self.descriptor();
        Ok(rustix::fs::renameat(folder, from, folder, to)?)
    }

    fn remove_dir(&self, folder: &str) -> io::Result<()> {
        self.shared.folders.at(folder, |parent, name| {
            rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
        })
    }

    fn move_to(&self, name: &str, folder: &dyn Mount) -> io::Result<()> {
        Ok(rustix::fs::renameat(
            self.descriptor(),
            name,
            folder.descriptor(),
            name,
        )?)
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.shared.folders.root()
    }

    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn LockGuard>>> {
        lock::attempt(&self.shared, path)
    }
}
