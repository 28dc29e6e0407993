//! What tantivy sees of a snapshot: a read-only [`Directory`] whose files are ranges of
//! containers, whose `meta.json` and `.del` files are made from the manifest, and whose locks are
//! none.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::footer::Footer;
use tantivy::directory::{
    DirectoryLock, FileHandle, Lock, OwnedBytes, WatchCallback, WatchHandle, WritePtr,
};
use tantivy::{Directory, HasLen};

use super::container::OpenContainer;
use crate::error::{Error, Result};
use crate::format::manifest::Span;

/// One file of a segment, in a container.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    container: Arc<OpenContainer>,
    span: Span,
    /// Hot ranges of this file by where they begin, in order.
    hot: Vec<(u64, OwnedBytes)>,
}

impl SegmentFile {
    pub(crate) fn new(
        container: Arc<OpenContainer>,
        span: Span,
        mut hot: Vec<(u64, OwnedBytes)>,
    ) -> Self {
        hot.sort_by_key(|(start, _)| *start);
        Self {
            container,
            span,
            hot,
        }
    }

    fn in_memory(&self, range: &Range<usize>) -> Option<OwnedBytes> {
        let start = range.start as u64;
        let after = self.hot.partition_point(|(begin, _)| *begin <= start);
        if let Some((begin, bytes)) = after.checked_sub(1).and_then(|index| self.hot.get(index)) {
            let from = usize::try_from(start - begin).ok()?;
            let to = from + range.len();
            if to <= bytes.len() {
                return Some(bytes.slice(from..to));
            }
        }
        self.container.cached(&self.in_container(range))
    }

    /// The bytes of `range` if they are in memory, or the file is so small that they are about to be.
    pub(crate) fn at_hand(&self, range: &Range<usize>) -> Result<Option<OwnedBytes>> {
        if let Some(bytes) = self.in_memory(range) {
            return Ok(Some(bytes));
        }
        if self.container.is_fetched_whole() {
            return self.container.read(&self.in_container(range)).map(Some);
        }
        Ok(None)
    }

    /// The bytes of `range`, verified, from the mount; the cache is left alone.
    pub(crate) fn past_cache(&self, range: Range<usize>) -> Result<Vec<u8>> {
        self.container.read_past_cache(&self.in_container(&range))
    }

    fn in_container(&self, range: &Range<usize>) -> Range<u64> {
        self.span.offset + range.start as u64..self.span.offset + range.end as u64
    }
}

impl HasLen for SegmentFile {
    fn len(&self) -> usize {
        usize::try_from(self.span.len).unwrap_or(usize::MAX)
    }
}

#[async_trait]
impl FileHandle for SegmentFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        match self.in_memory(&range) {
            Some(bytes) => Ok(bytes),
            None => self
                .container
                .read(&self.in_container(&range))
                .map_err(Error::into_io),
        }
    }

    async fn read_bytes_async(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if let Some(bytes) = self.in_memory(&range) {
            return Ok(bytes);
        }
        let reading = self.container.read_together(self.in_container(&range));
        reading.await.map_err(Error::into_io)
    }
}

/// The files of a snapshot.
#[derive(Clone)]
pub(crate) struct SnapshotDirectory {
    meta: Arc<Vec<u8>>,
    files: Arc<HashMap<PathBuf, Arc<dyn FileHandle>>>,
}

impl SnapshotDirectory {
    pub(crate) fn new(meta: Vec<u8>, files: HashMap<PathBuf, Arc<dyn FileHandle>>) -> Self {
        Self {
            meta: Arc::new(meta),
            files: Arc::new(files),
        }
    }
}

/// A `.del` file as tantivy writes it: which documents are alive, then its footer.
pub(crate) fn alive_file(deleted: &roaring::RoaringBitmap, max_doc: u32) -> Result<OwnedBytes> {
    let mut bytes = alive_bits(deleted, max_doc)?;
    bytes.extend(footer(crate::format::crc(&bytes))?);
    Ok(OwnedBytes::new(bytes))
}

/// Which of `max_doc` documents are alive, as tantivy writes it.
pub(crate) fn alive_bits(deleted: &roaring::RoaringBitmap, max_doc: u32) -> Result<Vec<u8>> {
    let mut alive = tantivy::BitSet::with_max_value_and_full(max_doc);
    for doc in deleted {
        if doc < max_doc {
            alive.remove(doc);
        }
    }
    let mut bytes = Vec::new();
    let written = tantivy::fastfield::write_alive_bitset(&alive, &mut bytes);
    written.map_err(|error| Error::internal("a bitset cannot be written").because(error))?;
    Ok(bytes)
}

/// What tantivy writes behind each file: its own version, and the checksum of the file.
pub(crate) fn footer(crc: u32) -> Result<Vec<u8>> {
    /// tantivy's `FOOTER_MAGIC_NUMBER` (directory/footer.rs).
    const FOOTER_MAGIC: u32 = 1337;
    let footer = Footer {
        version: tantivy::version().clone(),
        crc,
    };
    let mut bytes = serde_json::to_vec(&footer)
        .map_err(|error| Error::internal("a footer cannot be written").because(error))?;
    bytes.extend(crate::format::len_field(bytes.len())?);
    bytes.extend(FOOTER_MAGIC.to_le_bytes());
    Ok(bytes)
}

impl fmt::Debug for SnapshotDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SnapshotDirectory({} files)", self.files.len())
    }
}

fn is_meta(path: &Path) -> bool {
    path == Path::new("meta.json")
}

fn refused() -> io::Error {
    io::Error::new(
        io::ErrorKind::ReadOnlyFilesystem,
        "a snapshot is never written",
    )
}

impl Directory for SnapshotDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let file = self.files.get(path).map(Arc::clone);
        file.ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_path_buf()))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        let io_error = Arc::new(refused());
        Err(DeleteError::IoError {
            io_error,
            filepath: path.to_path_buf(),
        })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(is_meta(path) || self.files.contains_key(path))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(refused(), path.to_path_buf()))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        if is_meta(path) {
            return Ok(self.meta.to_vec());
        }
        Err(OpenReadError::FileDoesNotExist(path.to_path_buf()))
    }

    fn atomic_write(&self, _path: &Path, _data: &[u8]) -> io::Result<()> {
        Err(refused())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, zip};
    use tantivy::TantivyError;
    use uuid::Uuid;

    use super::*;
    use crate::error::Reason;
    use crate::format::manifest::{Container, ContainerId};
    use crate::mount::{FailureClass, Fault, FaultyMount, Mount, MountOperation, PosixMount};
    use crate::snapshot::cache::RangeCache;

    const ESTALE: i32 = 116;
    const BUNDLE: &str = "bundles/0-x.bundle";
    /// Long enough that a read of a part does not fetch all of it.
    const LEN: u64 = 4 * 1024 * 1024;

    /// A file of a segment in a bundle of zeros, whose `call`-th call on the mount fails as stale.
    fn file(folder: &Path, call: u64) -> SegmentFile {
        std::fs::create_dir(folder.join("bundles")).unwrap();
        let file = std::fs::File::create(folder.join(BUNDLE)).unwrap();
        file.set_len(2 * LEN).unwrap();
        let mount: Arc<dyn Mount> = Arc::new(PosixMount::open(folder).unwrap());
        let mount = Arc::new(FaultyMount::with_reads(mount, call, Fault::Fail(ESTALE)));
        let container = Container {
            id: ContainerId::Bundle("0-x".into()),
            uuid: Uuid::nil(),
            base: 0,
            len: LEN,
        };
        assert_eq!(container.id.path(), BUNDLE);
        let cache = Arc::new(RangeCache::new(1 << 20));
        let container = Arc::new(OpenContainer::new(&container, mount, cache));
        let span = Span {
            offset: 0,
            len: LEN,
        };
        SegmentFile::new(container, span, Vec::new())
    }

    fn through_tantivy(read: io::Result<OwnedBytes>) -> Error {
        TantivyError::from(read.unwrap_err()).into()
    }

    #[track_caller]
    fn assert_stale(error: &Error, operation: MountOperation) {
        assert!(
            matches!(error.reason(), Reason::Stale(failure)
                if failure.class() == FailureClass::Stale && failure.operation() == operation),
            "{error:?}"
        );
        assert_eq!(error.path(), Some(Path::new(BUNDLE)), "{error:?}");
    }

    #[test]
    fn a_stale_read_is_stale_above_tantivy() {
        for (call, operation) in [(0, MountOperation::Open), (1, MountOperation::Read)] {
            let folder = tempfile::tempdir().unwrap();
            let read = file(folder.path(), call).read_bytes(0..10);
            assert_stale(&through_tantivy(read), operation);
        }
    }

    #[test]
    fn everybody_who_waits_for_one_read_gets_its_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), 1);
        let reads = zip(file.read_bytes_async(0..10), file.read_bytes_async(20..30));
        let (one, other) = block_on(reads);
        let (one, other) = (through_tantivy(one), through_tantivy(other));
        for error in [&one, &other] {
            assert_stale(error, MountOperation::Read);
        }
        assert_eq!(one.to_string(), other.to_string());
        let (Reason::Stale(one), Reason::Stale(other)) = (one.reason(), other.reason()) else {
            panic!("{one:?} {other:?}");
        };
        assert!(std::ptr::eq(one.os_error(), other.os_error()), "one cause");
    }
}
