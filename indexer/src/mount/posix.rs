//! [`PosixMount`]: a folder on a local disk or a network file system.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fs2::FileExt as _;
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use super::{Access, COHERENT_PAGE, LockGuard, Metadata, Mount, MountFile};

/// Mode of every file: any reader may run under another user.
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
/// Mode of every folder.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);

/// Names that a listing may give more than once before it is taken for one without an end.
const LISTED_AGAIN_MAX: usize = 10_000;

/// `f_type` of file systems that live in this kernel alone (`statfs(2)`): a plain read is coherent,
/// and a direct one would only go to the disk for nothing.
const LOCAL_FILE_SYSTEMS: [u32; 9] = [
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683E, // btrfs
    0x0102_1994, // tmpfs
    0x794C_7630, // overlayfs
    0x2FC1_2FC1, // zfs
    0xF2F5_2010, // f2fs
    0x8584_58F6, // ramfs
    0xE0F5_E1E2, // erofs
];

/// A folder of the operating system.
#[derive(Debug)]
pub struct PosixMount {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: OwnedFd,
    local: bool,
    umask_hides: bool,
}

impl PosixMount {
    /// Opens an existing folder.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(folder, flags, Mode::empty())?;
        let kind = rustix::fs::fstatfs(&folder)?.f_type;
        let local = LOCAL_FILE_SYSTEMS
            .iter()
            .any(|&known| i128::from(known) == i128::from(kind));
        Ok(Self {
            shared: Arc::new(Shared {
                folder,
                local,
                umask_hides: umask_hides(),
            }),
        })
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
    fn open_fd(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        Ok(rustix::fs::openat(
            &self.folder,
            path,
            flags | OFlags::CLOEXEC,
            FILE_MODE,
        )?)
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
}

impl Mount for PosixMount {
    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn MountFile>> {
        let shared = &self.shared;
        let plain = |fd| -> Arc<dyn MountFile> { Arc::new(PlainFile { fd }) };
        let flags = match access {
            Access::Read => return Ok(plain(shared.open_fd(path, OFlags::RDONLY)?)),
            Access::Update => return Ok(plain(shared.open_created(path, OFlags::RDWR)?)),
            Access::CreateNew => {
                return Ok(plain(
                    shared.open_created(path, OFlags::RDWR | OFlags::EXCL)?,
                ));
            }
            Access::CoherentRead => OFlags::RDONLY,
            Access::CoherentUpdate => OFlags::RDWR,
        };
        if shared.local {
            return Ok(plain(shared.open_fd(path, flags)?));
        }
        match shared.open_fd(path, flags | OFlags::DIRECT) {
            Ok(fd) => Ok(Arc::new(DirectFile { fd })),
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                shared.open_fd(path, flags)?;
                Ok(Arc::new(ReopenedFile {
                    shared: Arc::clone(shared),
                    path: path.into(),
                    flags,
                }))
            }
            Err(error) => Err(error),
        }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = self.shared.open_fd(folder, flags)?;
        let names = Dir::new(fd)?.map(|entry| {
            let entry = entry?;
            Ok(entry.file_name().to_str().map(str::to_owned).ok())
        });
        each_once(names)
    }

    fn metadata(&self, path: &str) -> io::Result<Metadata> {
        let stat = rustix::fs::statat(&self.shared.folder, path, AtFlags::empty())?;
        let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
        let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        let modified = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        Ok(Metadata {
            len: u64::try_from(stat.st_size).unwrap_or(0),
            modified,
        })
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        let folder = &self.shared.folder;
        Ok(rustix::fs::linkat(
            folder,
            from,
            folder,
            to,
            AtFlags::empty(),
        )?)
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(
            &self.shared.folder,
            path,
            AtFlags::empty(),
        )?)
    }

    fn make_dir(&self, folder: &str) -> io::Result<()> {
        match rustix::fs::mkdirat(&self.shared.folder, folder, FOLDER_MODE) {
            Ok(()) if self.shared.umask_hides => {
                let fd = self
                    .shared
                    .open_fd(folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
                Ok(rustix::fs::fchmod(fd, FOLDER_MODE)?)
            }
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn sync_dir(&self, folder: &str) -> io::Result<()> {
        let fd = self
            .shared
            .open_fd(folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(rustix::fs::fsync(fd)?)
    }

    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn LockGuard>>> {
        let file = File::from(self.shared.open_created(path, OFlags::RDWR)?);
        match file.try_lock_exclusive() {
            Ok(()) => Ok(Some(Box::new(FileLock { file }))),
            Err(error) if error.kind() == fs2::lock_contended_error().kind() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The names of a folder, each once. A file server may give one again that was removed and made anew meanwhile; one
/// that loses count begins again and again, and would fill the memory.
fn each_once(names: impl Iterator<Item = io::Result<Option<String>>>) -> io::Result<Vec<String>> {
    let mut once = HashSet::new();
    let mut again = 0;
    for name in names {
        let Some(name) = name?.filter(|name| name != "." && name != "..") else {
            continue;
        };
        if !once.insert(name) {
            again += 1;
        }
        if again > LISTED_AGAIN_MAX {
            return Err(Errno::LOOP.into());
        }
    }
    Ok(once.into_iter().collect())
}

/// The `flock` of a file; closing the file would release it too, but says so less clearly.
#[derive(Debug)]
struct FileLock {
    file: File,
}

impl LockGuard for FileLock {}

impl Drop for FileLock {
    fn drop(&mut self) {
        if let Err(error) = fs2::FileExt::unlock(&self.file) {
            tracing::debug!(%error, "unlocking failed; closing the file releases the lock");
        }
    }
}

fn read_full(fd: &OwnedFd, mut buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut total = 0;
    while !buffer.is_empty() {
        let read = match rustix::io::pread(fd, &mut *buffer, offset) {
            Ok(0) => break,
            Ok(read) => read,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        total += read;
        offset += read as u64;
        buffer = buffer.get_mut(read..).unwrap_or_default();
    }
    Ok(total)
}

fn write_full(fd: &OwnedFd, mut bytes: &[u8], mut offset: u64, durably: bool) -> io::Result<()> {
    let mut flags = if durably {
        ReadWriteFlags::DSYNC
    } else {
        ReadWriteFlags::empty()
    };
    let mut sync_after = false;
    while !bytes.is_empty() {
        let written = match rustix::io::pwritev2(fd, &[IoSlice::new(bytes)], offset, flags) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(Errno::INTR) => continue,
            Err(Errno::OPNOTSUPP | Errno::NOSYS) if durably && !sync_after => {
                flags = ReadWriteFlags::empty();
                sync_after = true;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        offset += written as u64;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    if sync_after {
        rustix::fs::fdatasync(fd)?;
    }
    Ok(())
}

fn file_len(fd: &OwnedFd) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(fd)?.st_size).unwrap_or(0))
}

#[derive(Debug)]
struct PlainFile {
    fd: OwnedFd,
}

impl MountFile for PlainFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        read_full(&self.fd, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        write_full(&self.fd, bytes, offset, false)
    }

    fn write_durably_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        write_full(&self.fd, bytes, offset, true)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    fn len(&self) -> io::Result<u64> {
        file_len(&self.fd)
    }
}

/// A file whose reads and writes bypass this machine's page cache, from aligned buffers.
#[derive(Debug)]
struct DirectFile {
    fd: OwnedFd,
}

/// A buffer of `len` bytes at an address that is a multiple of [`COHERENT_PAGE`], as a larger
/// vector and the offset in it.
fn aligned(len: usize) -> (Vec<u8>, usize) {
    let buffer = vec![0_u8; len + COHERENT_PAGE];
    let offset = buffer.as_ptr().align_offset(COHERENT_PAGE);
    (buffer, offset)
}

impl MountFile for DirectFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let whole = buffer.len().next_multiple_of(COHERENT_PAGE);
        let (mut space, start) = aligned(whole);
        let target = space.get_mut(start..start + whole).unwrap_or_default();
        let read = read_full(&self.fd, target, offset)?.min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..read), target.get(..read)) {
            to.copy_from_slice(from);
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_durably_at(bytes, offset)
    }

    fn write_durably_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut space, start) = aligned(bytes.len());
        let source = space
            .get_mut(start..start + bytes.len())
            .unwrap_or_default();
        source.copy_from_slice(bytes);
        write_full(&self.fd, source, offset, true)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    fn len(&self) -> io::Result<u64> {
        file_len(&self.fd)
    }
}

/// For network file systems without `O_DIRECT`: every access opens the file anew, which
/// close-to-open consistency makes coherent.
#[derive(Debug)]
struct ReopenedFile {
    shared: Arc<Shared>,
    path: String,
    flags: OFlags,
}

impl ReopenedFile {
    fn reopen(&self) -> io::Result<OwnedFd> {
        self.shared.open_fd(&self.path, self.flags)
    }
}

impl MountFile for ReopenedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        read_full(&self.reopen()?, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_durably_at(bytes, offset)
    }

    fn write_durably_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        write_full(&self.reopen()?, bytes, offset, true)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.reopen()?)?)
    }

    fn len(&self) -> io::Result<u64> {
        file_len(&self.reopen()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_gives_each_name_once_and_ends() {
        let names = ["..", "5", "4", "."].map(|name| Some(name.to_owned()));
        let mut listed = each_once(
            names
                .iter()
                .cloned()
                .chain([None, Some("4".into())])
                .map(Ok),
        );
        listed.as_mut().unwrap().sort_unstable();
        assert_eq!(listed.unwrap(), ["4", "5"]);
        let endless = each_once(names.into_iter().cycle().map(Ok)).unwrap_err();
        assert_eq!(endless.raw_os_error(), Some(Errno::LOOP.raw_os_error()));
    }
}
