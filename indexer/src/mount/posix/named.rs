//! [`NamedFile`]: an open file that knows its name, so that a failure can say it.

use std::io;

use super::file::OpenFile;
use crate::mount::{EachRead, MountFailure, MountFile, MountOperation, MountResult};

/// An open file and its path in the mount.
#[derive(Debug)]
pub(super) struct NamedFile<F> {
    path: Box<str>,
    file: F,
}

impl<F: OpenFile> NamedFile<F> {
    pub(super) fn new(path: &str, file: F) -> Self {
        Self {
            path: path.into(),
            file,
        }
    }

    fn named<T>(&self, operation: MountOperation, done: io::Result<T>) -> MountResult<T> {
        done.map_err(MountFailure::of(operation, &*self.path))
    }
}

impl<F: OpenFile> MountFile for NamedFile<F> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> MountResult<usize> {
        self.named(MountOperation::Read, self.file.read_at(buffer, offset))
    }

    fn read_each(&self, ranges: &[(u64, usize)], done: &mut EachRead<'_>) {
        self.file.will_read(ranges);
        for (offset, len) in ranges {
            done(self.read_range(*offset, *len));
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> MountResult<()> {
        self.named(MountOperation::Write, self.file.write_at(bytes, offset))
    }

    fn write_durably_at(&self, bytes: &[u8], offset: u64) -> MountResult<()> {
        let written = self.file.write_durably_at(bytes, offset);
        self.named(MountOperation::Write, written)
    }

    fn sync(&self) -> MountResult<()> {
        self.named(MountOperation::Sync, self.file.sync())
    }

    fn len(&self) -> MountResult<u64> {
        self.named(MountOperation::Metadata, self.file.len())
    }
}
