//! A directory that reads into the heap, keeps what it read, and notes every read that was not
//! answered from there: what a reader on a network mount sees.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, FileSlice, Lock, MmapDirectory, OwnedBytes,
    WatchCallback, WatchHandle, WritePtr,
};
use tantivy::{HasLen, TantivyError};

/// The reads that went to the disk since the last look, each in bytes.
type Reads = Arc<Mutex<Vec<usize>>>;

/// Reads files of `folder`; writes nothing.
#[derive(Clone, Debug)]
pub(crate) struct CountingDirectory {
    folder: PathBuf,
    /// Answers what is no read of a range: existence, and `meta.json` whole.
    inner: MmapDirectory,
    reads: Reads,
    files: Arc<Mutex<HashMap<PathBuf, Arc<CountingFile>>>>,
}

impl CountingDirectory {
    pub(crate) fn open(folder: &Path) -> tantivy::Result<CountingDirectory> {
        let inner = MmapDirectory::open(folder).map_err(TantivyError::from)?;
        let (reads, files) = (Reads::default(), Arc::default());
        Ok(CountingDirectory {
            folder: folder.to_owned(),
            inner,
            reads,
            files,
        })
    }

    /// The reads that were not answered from the heap since this was last asked, each in bytes.
    pub(crate) fn take_reads(&self) -> Vec<usize> {
        std::mem::take(&mut self.reads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The bytes held in the heap, by component.
    pub(crate) fn held_bytes(&self) -> BTreeMap<String, usize> {
        let mut held = BTreeMap::new();
        for file in self
            .files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
        {
            let ranges = file.ranges.read().unwrap_or_else(PoisonError::into_inner);
            let bytes: usize = ranges.values().map(|range| range.len()).sum();
            *held.entry(file.component.clone()).or_default() += bytes;
        }
        held
    }
}

impl Directory for CountingDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(path) {
            return Ok(Arc::clone(file) as Arc<dyn FileHandle>);
        }
        let inner = FileSlice::open(&self.folder.join(path)).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                return OpenReadError::FileDoesNotExist(path.to_owned());
            }
            OpenReadError::wrap_io_error(error, path.to_owned())
        })?;
        let component = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let reads = Arc::clone(&self.reads);
        let file = Arc::new(CountingFile {
            component,
            inner,
            ranges: RwLock::default(),
            reads,
        });
        files.insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.inner.atomic_read(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError {
            io_error: Arc::new(read_only()),
            filepath: path.to_owned(),
        })
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(read_only(), path.to_owned()))
    }

    fn atomic_write(&self, _path: &Path, _bytes: &[u8]) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Err(read_only())
    }

    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

fn read_only() -> io::Error {
    io::Error::new(
        io::ErrorKind::ReadOnlyFilesystem,
        "the counting directory only reads",
    )
}

#[derive(Debug)]
struct CountingFile {
    /// The file's extension: `term`, `idx`, `pos`, `fieldnorm`, `fast` or `store`.
    component: String,
    inner: FileSlice,
    /// What was read, by where it starts; the longest of those that start together.
    ranges: RwLock<BTreeMap<usize, OwnedBytes>>,
    reads: Reads,
}

impl CountingFile {
    fn held(&self, range: &Range<usize>) -> Option<OwnedBytes> {
        let ranges = self.ranges.read().unwrap_or_else(PoisonError::into_inner);
        let mut before = ranges.range(..=range.start).rev();
        let (start, bytes) = before.find(|(start, bytes)| *start + bytes.len() >= range.end)?;
        Some(bytes.slice(range.start - start..range.end - start))
    }
}

impl HasLen for CountingFile {
    fn len(&self) -> usize {
        self.inner.len()
    }
}

#[async_trait]
impl FileHandle for CountingFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if range.is_empty() {
            return Ok(OwnedBytes::empty());
        }
        if let Some(bytes) = self.held(&range) {
            return Ok(bytes);
        }
        let bytes = self.inner.read_bytes_slice(range.clone())?;
        self.reads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(bytes.len());
        let mut ranges = self.ranges.write().unwrap_or_else(PoisonError::into_inner);
        ranges.insert(range.start, bytes.clone());
        Ok(bytes)
    }

    async fn read_bytes_async(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        self.read_bytes(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_within_one_that_was_read_costs_nothing() {
        let reads = Reads::default();
        let file = CountingFile {
            component: "term".to_owned(),
            inner: FileSlice::from((0..100).collect::<Vec<u8>>()),
            ranges: RwLock::default(),
            reads: Arc::clone(&reads),
        };
        for range in [10..20, 12..20, 5..6, 10..20, 15..21, 30..30] {
            let expected: Vec<u8> = (0..100).skip(range.start).take(range.len()).collect();
            assert_eq!(file.read_bytes(range).unwrap().as_slice(), expected);
        }
        assert_eq!(*reads.lock().unwrap(), [10, 1, 6]);
    }
}
