//! What tantivy writes a segment into.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, DirectoryLock, FileHandle, Lock, OwnedBytes, TerminatingWrite, WatchCallback,
    WatchHandle, WritePtr,
};

use super::files::{DiskFile, SharedFile};
use crate::budget::ScratchDisk;
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::layout;
use crate::mount::Mount;

/// Bytes handed to the local disk at once.
const DISK_WRITE: usize = 128 * 1024;
/// Bytes handed to the shared file system at once: what one NFS WRITE carries at most on EFS.
const SHARED_WRITE: usize = 1024 * 1024;
/// Bytes gathered before they go to memory.
const MEMORY_WRITE: usize = 4 * 1024;

/// Where scratch files are.
#[derive(Clone, Debug)]
pub(in crate::writer) enum Place {
    Memory,
    Disk(Arc<ScratchDisk>),
    /// In the index's folder.
    Shared(Arc<dyn Mount>, Arc<dyn Ids>),
}

impl Place {
    fn create(&self, path: &Path) -> Result<Sink> {
        Ok(match self {
            Self::Memory => Sink::Memory(Vec::new()),
            Self::Disk(disk) => Sink::Disk(DiskFile::create(disk)?),
            Self::Shared(mount, ids) => {
                let name = path.to_string_lossy();
                let path = layout::scratch(ids.next(), &name);
                Sink::Shared(SharedFile::create(mount, path)?)
            }
        })
    }

    fn write_size(&self) -> usize {
        match self {
            Self::Memory => MEMORY_WRITE,
            Self::Disk(_) => DISK_WRITE,
            Self::Shared(..) => SHARED_WRITE,
        }
    }
}

/// Files that are written once and then read.
#[derive(Clone, Debug)]
pub(in crate::writer) struct ScratchDirectory {
    place: Place,
    files: Files,
    /// tantivy's own lists of files.
    lists: Arc<RwLock<BTreeMap<PathBuf, Vec<u8>>>>,
}

type Files = Arc<RwLock<BTreeMap<PathBuf, Arc<dyn FileHandle>>>>;

impl ScratchDirectory {
    /// An empty one.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unavailable`] when its folder cannot be made.
    pub(super) fn new(place: Place) -> Result<Self> {
        if let Place::Shared(mount, _) = &place {
            let made = mount.make_dir(layout::SCRATCH);
            made?;
        }
        Ok(Self {
            place,
            files: Arc::default(),
            lists: Arc::default(),
        })
    }

    fn file(&self, path: &Path) -> Option<Arc<dyn FileHandle>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.get(path).map(Arc::clone)
    }
}

/// A file while it is written.
enum Sink {
    Memory(Vec<u8>),
    Disk(DiskFile),
    Shared(SharedFile),
    Closed,
}

struct Writing {
    sink: Sink,
    path: PathBuf,
    files: Files,
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.sink {
            Sink::Memory(all) => {
                all.extend_from_slice(bytes);
                Ok(())
            }
            Sink::Disk(file) => file.append(bytes),
            Sink::Shared(file) => file.append(bytes),
            Sink::Closed => Err(Error::internal("a scratch file is closed")),
        };
        written.map_err(Error::into_io)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for Writing {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        let file: Arc<dyn FileHandle> = match std::mem::replace(&mut self.sink, Sink::Closed) {
            Sink::Memory(all) => Arc::new(OwnedBytes::new(all)),
            Sink::Disk(file) => Arc::new(file),
            Sink::Shared(file) => Arc::new(file),
            Sink::Closed => return Ok(()),
        };
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.insert(self.path.clone(), file);
        Ok(())
    }
}

impl Directory for ScratchDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let file = self.file(path);
        file.ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_path_buf()))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        match files.remove(path) {
            Some(_) => Ok(()),
            None => Err(DeleteError::FileDoesNotExist(path.to_path_buf())),
        }
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        let lists = self.lists.read().unwrap_or_else(PoisonError::into_inner);
        Ok(lists.contains_key(path) || self.file(path).is_some())
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let sink = self.place.create(path);
        let sink = sink
            .map_err(|error| OpenWriteError::wrap_io_error(error.into_io(), path.to_path_buf()))?;
        let writing = Writing {
            sink,
            path: path.to_path_buf(),
            files: Arc::clone(&self.files),
        };
        Ok(BufWriter::with_capacity(
            self.place.write_size(),
            Box::new(writing),
        ))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let lists = self.lists.read().unwrap_or_else(PoisonError::into_inner);
        let list = lists.get(path).cloned();
        list.ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_path_buf()))
    }

    fn atomic_write(&self, path: &Path, list: &[u8]) -> io::Result<()> {
        let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        lists.insert(path.to_path_buf(), list.to_vec());
        Ok(())
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
