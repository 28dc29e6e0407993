//! The three kinds of scratch files: in memory, on the local disk, in the index's folder.
//!
//! A file on the local disk has no name, so that the kernel removes it with the process, however that ends.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tantivy::directory::{FileHandle, MmapDirectory, OwnedBytes};
use tantivy::{Directory as _, HasLen};

use crate::budget::ScratchDisk;
use crate::error::{Error, Result};
use crate::mount::{Access, Mount, MountFile};

/// Where the open files of this process have names; those without any other too.
const OPEN_FILES: &str = "/proc/self/fd";
/// Bytes that are copied at once.
pub(in crate::writer) const PIECE: usize = 1024 * 1024;

/// Room taken on the scratch disk; given back when dropped.
#[derive(Debug)]
pub(in crate::writer) struct Room {
    disk: Arc<ScratchDisk>,
    bytes: u64,
}

impl Room {
    fn grow(&mut self, bytes: u64) -> Result<()> {
        self.disk.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.disk.give_back(self.bytes);
    }
}

/// A file without a name on the scratch disk.
#[derive(Debug)]
pub(in crate::writer) struct DiskFile {
    file: File,
    room: Room,
}

impl DiskFile {
    pub(in crate::writer) fn create(disk: &Arc<ScratchDisk>) -> Result<Self> {
        let file = tempfile::tempfile_in(disk.folder());
        let file = file.map_err(|error| disk.failed(error))?;
        let room = Room {
            disk: Arc::clone(disk),
            bytes: 0,
        };
        Ok(Self { file, room })
    }

    /// Writes at the end.
    pub(in crate::writer) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.room.grow(bytes.len() as u64)?;
        let written = self.file.write_all(bytes);
        written.map_err(|error| self.room.disk.failed(error))
    }

    /// Maps it into memory, where the kernel may take it back at any time: it is on the disk. The room that it takes
    /// there is given back when both are dropped.
    pub(in crate::writer) fn map(self) -> Result<(OwnedBytes, Room)> {
        let failed = |error: tantivy::TantivyError| Error::from(error);
        let folder = MmapDirectory::open(OPEN_FILES).map_err(|error| failed(error.into()))?;
        let name = self.file.as_raw_fd().to_string();
        let handle = folder.get_file_handle(Path::new(&name));
        let handle = handle.map_err(|error| failed(error.into()))?;
        let mapped = handle.read_bytes(0..handle.len());
        let mapped = mapped.map_err(|error| Error::io(self.room.disk.folder(), error))?;
        Ok((mapped, self.room))
    }
}

impl HasLen for DiskFile {
    fn len(&self) -> usize {
        usize::try_from(self.room.bytes).unwrap_or(usize::MAX)
    }
}

#[async_trait]
impl FileHandle for DiskFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        let mut bytes = vec![0; range.len()];
        self.file.read_exact_at(&mut bytes, range.start as u64)?;
        Ok(OwnedBytes::new(bytes))
    }
}

/// A file in the index's folder. Its name is removed when it is dropped.
#[derive(Debug)]
pub(super) struct SharedFile {
    mount: Arc<dyn Mount>,
    path: String,
    file: Arc<dyn MountFile>,
    len: u64,
}

impl SharedFile {
    pub(super) fn create(mount: &Arc<dyn Mount>, path: String) -> Result<Self> {
        let file = mount.open(&path, Access::CreateNew);
        let file = file?;
        Ok(Self {
            mount: Arc::clone(mount),
            path,
            file,
            len: 0,
        })
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_at(bytes, self.len);
        written?;
        self.len += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        // What is left is swept.
        let removed = self.mount.unlink(&self.path);
        tracing::trace!(?removed, path = self.path, "a scratch file");
    }
}

impl HasLen for SharedFile {
    fn len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }
}

#[async_trait]
impl FileHandle for SharedFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        let bytes = self.file.read_range(range.start as u64, range.len())?;
        if bytes.len() < range.len() {
            let short = crate::format::damaged(&self.path, "the length");
            return Err(short.into_io());
        }
        Ok(OwnedBytes::new(bytes))
    }
}
