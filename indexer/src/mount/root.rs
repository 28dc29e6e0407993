//! The root folder: where the folders of the indexes are.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::io::Errno;

use super::{
    FailureClass, FileId, Mount, MountFailure, MountOperation as Call, MountResult, PosixMount,
};
use crate::descriptors;

/// Puts something between a process and the folders that it opens, for tests of what can go wrong there.
#[derive(Clone)]
pub struct Wrap(Arc<WrapMount>);

type WrapMount = dyn Fn(Arc<dyn Mount>) -> Arc<dyn Mount> + Send + Sync;

impl Wrap {
    /// Opens what `wrap` makes of each folder.
    pub fn new(wrap: impl Fn(Arc<dyn Mount>) -> Arc<dyn Mount> + Send + Sync + 'static) -> Self {
        Self(Arc::new(wrap))
    }
}

impl fmt::Debug for Wrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wrap")
    }
}

/// A folder of index folders.
#[derive(Clone, Debug)]
pub struct RootFolder {
    path: PathBuf,
    wrap: Option<Wrap>,
}

impl RootFolder {
    /// Names a root folder; `create` makes it when missing, durably.
    pub fn open(path: &Path, create: bool) -> MountResult<Self> {
        if create {
            make_durably(path).map_err(MountFailure::of(Call::MakeDir, path))?;
        }
        let found = fs::metadata(path).map_err(MountFailure::of(Call::Metadata, path))?;
        if !found.is_dir() {
            let errno = Errno::NOTDIR.into();
            return Err(MountFailure::new(Call::Metadata, path, errno));
        }
        Ok(Self {
            path: path.to_path_buf(),
            wrap: None,
        })
    }

    /// The same, opened through `wrap`.
    #[must_use]
    pub fn wrapped(mut self, wrap: Wrap) -> Self {
        self.wrap = Some(wrap);
        self
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the folders in it, in order.
    pub fn list(&self) -> MountResult<Vec<String>> {
        self.folders()
            .map_err(MountFailure::of(Call::List, &self.path))
    }

    fn folders(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in retry(|| fs::read_dir(&self.path))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let is_folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
            if is_folder && let Ok(name) = entry.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// When something in an index folder was last modified; `None` when it is not there.
    pub fn modified(&self, name: &str, inside: &str) -> MountResult<Option<SystemTime>> {
        let path = self.path.join(name).join(inside);
        let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
        unless_missing(modified.map_err(MountFailure::of(Call::Metadata, path)))
    }

    /// Which file or folder has a path in an index folder; `None` when it is not there.
    pub fn identity(&self, name: &str, inside: &str) -> MountResult<Option<FileId>> {
        let path = self.path.join(name).join(inside);
        let identity = fs::metadata(&path).map(|metadata| FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
        });
        unless_missing(identity.map_err(MountFailure::of(Call::Metadata, path)))
    }

    /// Whether there is anything in a folder of an index folder.
    pub fn has_entries(&self, name: &str, inside: &str) -> MountResult<bool> {
        let path = self.path.join(name).join(inside);
        let first = retry(|| fs::read_dir(&path)).and_then(|mut names| names.next().transpose());
        let first = unless_missing(first.map_err(MountFailure::of(Call::List, path)))?;
        Ok(first.flatten().is_some())
    }

    /// Opens an index folder.
    pub fn mount(&self, name: &str) -> MountResult<Arc<dyn Mount>> {
        match PosixMount::open(&self.path.join(name)) {
            // This machine may have looked for the name before the folder existed, and remember that there was none.
            // It asks again about a folder that is opened.
            Err(failure) if failure.class() == FailureClass::Missing => self.here()?.enter(name),
            mount => Ok(self.through(Arc::new(mount?))),
        }
    }

    /// Opens the root folder itself. What is found in it is what the server has now.
    pub fn here(&self) -> MountResult<Arc<dyn Mount>> {
        Ok(self.through(Arc::new(PosixMount::open(&self.path)?)))
    }

    fn through(&self, mount: Arc<dyn Mount>) -> Arc<dyn Mount> {
        match &self.wrap {
            Some(Wrap(wrap)) => wrap(mount),
            None => mount,
        }
    }
}

/// Makes a folder and those that lead to it. Each new name is durable afterwards.
fn make_durably(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_durably(parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match fs::File::open(parent).and_then(|parent| parent.sync_all()) {
        // A folder may be closed to listing, and some file systems cannot sync one.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput
            ) =>
        {
            tracing::debug!(%error, folder = %parent.display(), "a folder could not be synced");
            Ok(())
        }
        synced => synced,
    }
}

/// Takes it for an answer that there is nothing of that name, or no folder where one should be.
fn unless_missing<T>(found: MountResult<T>) -> MountResult<Option<T>> {
    match found {
        Err(failure)
            if matches!(
                failure.class(),
                FailureClass::Missing | FailureClass::OtherType
            ) =>
        {
            Ok(None)
        }
        found => found.map(Some),
    }
}

/// Opens a folder, when a descriptor is free.
fn retry<T>(open: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let errno = |error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    Ok(descriptors::retry(|| open().map_err(errno))?)
}
