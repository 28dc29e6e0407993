//! The calls of a [`PosixMount`] that take more than one of the operating system.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{Advice, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::file::{DirectFile, PlainFile, ReopenedFile};
use super::kind::Kind;
use super::named::NamedFile;
use super::{FOLDER_MODE, PosixMount, Shared};
use crate::mount::{Access, FileId, Metadata, MountFile};

impl Shared {
    pub(super) fn open_file(
        self: &Arc<Self>,
        path: &str,
        access: Access,
    ) -> io::Result<Arc<dyn MountFile>> {
        let plain =
            |fd| -> Arc<dyn MountFile> { Arc::new(NamedFile::new(path, PlainFile::new(fd))) };
        let open: fn(&Self, &str, OFlags) -> io::Result<OwnedFd> = match access {
            Access::CoherentRead | Access::CoherentUpdate | Access::Read => Self::open_fd,
            Access::New | Access::CoherentNew | Access::Update | Access::CreateNew => {
                Self::open_created
            }
        };
        let flags = match access {
            Access::Read => {
                let fd = open(self, path, OFlags::RDONLY)?;
                if self.kind != Kind::Local {
                    // A read says all that it wants. Reading ahead would ask the server for it in pieces, one
                    // after the other, and for more than that.
                    rustix::fs::fadvise(&fd, 0, None, Advice::Random)?;
                }
                return Ok(plain(fd));
            }
            Access::Update | Access::New => return Ok(plain(open(self, path, OFlags::RDWR)?)),
            Access::CreateNew => {
                return Ok(plain(open(self, path, OFlags::RDWR | OFlags::EXCL)?));
            }
            Access::CoherentRead => OFlags::RDONLY,
            Access::CoherentUpdate | Access::CoherentNew => OFlags::RDWR,
        };
        if self.kind == Kind::Local {
            return Ok(plain(open(self, path, flags)?));
        }
        match open(self, path, flags | OFlags::DIRECT) {
            Ok(fd) => Ok(Arc::new(NamedFile::new(path, DirectFile::new(fd)))),
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                open(self, path, flags)?;
                let file = ReopenedFile::new(self, path, flags);
                Ok(Arc::new(NamedFile::new(path, file)))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn metadata(&self, path: &str) -> io::Result<Metadata> {
        let stat = self.folders.at(path, |folder, name| {
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

    pub(super) fn read_link(&self, path: &str) -> io::Result<String> {
        let text = self.found(path, || {
            self.folders.at(path, |folder, name| {
                rustix::fs::readlinkat(folder, name, Vec::new())
            })
        })?;
        text.into_string()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    pub(super) fn make_dir(&self, folder: &str) -> io::Result<()> {
        let made = self.folders.at(folder, |parent, name| {
            rustix::fs::mkdirat(parent, name, FOLDER_MODE)
        });
        match made {
            Ok(()) if self.umask_hides => {
                let fd = self.open_folder(folder)?;
                Ok(rustix::fs::fchmod(fd, FOLDER_MODE)?)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    pub(super) fn sync_dir(&self, folder: &str) -> io::Result<()> {
        if self.kind == Kind::Nfs {
            // The server made the names durable before it answered.
            return Ok(());
        }
        Ok(rustix::fs::fsync(self.open_folder(folder)?)?)
    }

    pub(super) fn enter(&self, folder: &str) -> io::Result<PosixMount> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let opened = self.folders.at(folder, |parent, name| {
            rustix::fs::openat(parent, name, flags, Mode::empty())
        })?;
        PosixMount::of(opened)
    }
}
