//! Opening what is in a folder, from descriptor to descriptor.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

use crate::sources::objects::{Failed, unavailable};

pub(super) const NO_RIGHT: &str = "this process has no right to read it";

pub(super) fn open_folder(above: impl AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(above, name, flags, Mode::empty())
}

/// Opens a regular file, and says which version it is.
pub(super) fn open_file(folder: &OwnedFd, name: &str) -> rustix::io::Result<(File, String)> {
    let (path, own) = name.rsplit_once('/').unwrap_or(("", name));
    let mut above = None;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        above = Some(open_folder(above.as_ref().unwrap_or(folder), part)?);
    }
    // A pipe that took the file's place must not be waited for.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = openat(above.as_ref().unwrap_or(folder), own, flags, Mode::empty())?;
    let stat = fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::NOENT);
    }
    let version = format!(
        "{}-{}.{:09}",
        stat.st_size, stat.st_mtime, stat.st_mtime_nsec
    );
    Ok((File::from(file), version))
}

/// None for what is gone, or is something else by now.
pub(super) fn existing<T>(result: rustix::io::Result<T>) -> rustix::io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn is_denied(error: Errno) -> bool {
    matches!(error, Errno::ACCESS | Errno::PERM)
}

/// The content of a file that this process has no right to: refused like what cannot be unpacked.
pub(super) struct Denied;

impl Read for Denied {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, NO_RIGHT))
    }
}

/// What a file holds.
pub(super) struct Bytes {
    pub(super) file: File,
    pub(super) what: String,
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).map_err(|error| {
            let failed = match error.raw_os_error() {
                Some(errno) if errno == Errno::STALE.raw_os_error() => Failed::Gone,
                _ => Failed::Source(unavailable(&self.what, error)),
            };
            failed.into_io()
        })
    }
}
