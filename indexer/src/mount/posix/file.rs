//! The open files of a [`PosixMount`](super::PosixMount), as the operating system knows them: without a name.

use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Advice, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use super::Shared;
use crate::mount::COHERENT_PAGE;

/// Bytes that one advice is about, at most: the kernel does not take it for more than one READ carries.
const ADVICE_MAX: usize = 1024 * 1024;

/// What [`NamedFile`](super::named::NamedFile) makes a file of a mount of.
pub(super) trait OpenFile: Send + Sync + std::fmt::Debug {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Says which ranges are read next.
    fn will_read(&self, _ranges: &[(u64, usize)]) {}
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    fn write_durably_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
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
        // A read that is cut short within a page has met the end of the file: whatever else cuts it short does so
        // between pages. To ask again would cost a network file system a call.
        if read < buffer.len() && !offset.is_multiple_of(COHERENT_PAGE as u64) {
            break;
        }
        buffer = buffer.get_mut(read..).unwrap_or_default();
    }
    Ok(total)
}

/// Lets the kernel ask for all ranges at once; the reads that follow find them on their way. A thread for each
/// would do the same, at the price of a thread each.
fn will_need(fd: &OwnedFd, ranges: &[(u64, usize)]) {
    for (offset, len) in ranges {
        for start in (0..*len).step_by(ADVICE_MAX) {
            let part = NonZeroU64::new((len - start).min(ADVICE_MAX) as u64);
            let advised = rustix::fs::fadvise(fd, offset + start as u64, part, Advice::WillNeed);
            if let Err(error) = advised {
                tracing::debug!(%error, "ranges are read one after the other");
                return;
            }
        }
    }
}

fn write_full(fd: &OwnedFd, mut bytes: &[u8], mut offset: u64, durably: bool) -> io::Result<()> {
    let mut flags = if durably {
        ReadWriteFlags::DSYNC
    } else {
        ReadWriteFlags::empty()
    };
    let mut sync_after = false;
    while !bytes.is_empty() {
        let written = match pwrite(fd, bytes, offset, flags) {
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

/// Without flags it is the older call, which systems have that lack the newer one (user-mode QEMU does).
fn pwrite(fd: &OwnedFd, bytes: &[u8], offset: u64, flags: ReadWriteFlags) -> Result<usize, Errno> {
    if flags.is_empty() {
        return rustix::io::pwrite(fd, bytes, offset);
    }
    rustix::io::pwritev2(fd, &[IoSlice::new(bytes)], offset, flags)
}

fn file_len(fd: &OwnedFd) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(fd)?.st_size).unwrap_or(0))
}

/// A file that is read and written through this machine's page cache.
#[derive(Debug)]
pub(super) struct PlainFile {
    fd: OwnedFd,
}

impl PlainFile {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl OpenFile for PlainFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        read_full(&self.fd, buffer, offset)
    }

    fn will_read(&self, ranges: &[(u64, usize)]) {
        if !matches!(ranges, [(_, len)] if *len <= ADVICE_MAX) {
            will_need(&self.fd, ranges);
        }
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
pub(super) struct DirectFile {
    fd: OwnedFd,
}

impl DirectFile {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

/// A buffer of `len` bytes at an address that is a multiple of [`COHERENT_PAGE`], as a larger
/// vector and the offset in it.
fn aligned(len: usize) -> (Vec<u8>, usize) {
    let buffer = vec![0_u8; len + COHERENT_PAGE];
    let offset = buffer.as_ptr().align_offset(COHERENT_PAGE);
    (buffer, offset)
}

impl OpenFile for DirectFile {
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
pub(super) struct ReopenedFile {
    shared: Arc<Shared>,
    path: String,
    flags: OFlags,
}

impl ReopenedFile {
    pub(super) fn new(shared: &Arc<Shared>, path: &str, flags: OFlags) -> Self {
        Self {
            shared: Arc::clone(shared),
            path: path.to_owned(),
            flags,
        }
    }

    fn reopen(&self) -> io::Result<OwnedFd> {
        self.shared.open_fd(&self.path, self.flags)
    }
}

impl OpenFile for ReopenedFile {
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
