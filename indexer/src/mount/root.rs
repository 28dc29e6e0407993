//! The root folder: where the folders of the indexes are.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::PosixMount;
use crate::descriptors;

/// Prefix of a folder that is being removed.
const DELETED: &str = ".deleted-";

/// A folder of index folders.
#[derive(Clone, Debug)]
pub struct RootFolder {
    path: PathBuf,
}

impl RootFolder {
    /// Names a root folder; `create` makes it when missing.
    pub fn open(path: &Path, create: bool) -> io::Result<Self> {
        if create {
            fs::create_dir_all(path)?;
        }
        if !fs::metadata(path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self {
            path: path.to_path_buf(),
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the folders in it, in order.
    pub fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in retry(|| fs::read_dir(&self.path))? {
            let entry = entry?;
            if entry.file_type()?.is_dir()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// When something in an index folder was last modified; `None` when it is not there.
    pub fn modified(&self, name: &str, inside: &str) -> io::Result<Option<SystemTime>> {
        match fs::metadata(self.path.join(name).join(inside)) {
            Ok(metadata) => metadata.modified().map(Some),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether there is anything in a folder of an index folder.
    pub fn has_entries(&self, name: &str, inside: &str) -> io::Result<bool> {
        match retry(|| fs::read_dir(self.path.join(name).join(inside))) {
            Ok(mut entries) => entries.next().transpose().map(|entry| entry.is_some()),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens an index folder.
    pub fn mount(&self, name: &str) -> io::Result<PosixMount> {
        PosixMount::open(&self.path.join(name))
    }

    /// Makes an index folder; one that exists already is success.
    pub fn make(&self, name: &str) -> io::Result<PosixMount> {
        let root: &dyn super::Mount = &PosixMount::open(&self.path)?;
        root.make_dir(name)?;
        root.sync_dir(".")?;
        self.mount(name)
    }

    /// Renames an index folder away; gives its new name.
    pub fn move_away(&self, name: &str) -> io::Result<String> {
        let away = format!("{DELETED}{name}-{}", uuid::Uuid::new_v4().simple());
        fs::rename(self.path.join(name), self.path.join(&away))?;
        self.sync()?;
        Ok(away)
    }

    /// Renames it back, unless the name is taken again.
    pub fn move_back(&self, away: &str, name: &str) -> io::Result<()> {
        let folder = self.folder()?;
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&folder, away, &folder, name, flags) {
            // NFS knows no such flag; an index is never an empty folder, which is all that this replaces.
            Err(Errno::INVAL | Errno::NOSYS) => {
                fs::rename(self.path.join(away), self.path.join(name))
            }
            renamed => Ok(renamed?),
        }
    }

    /// Removes a folder that was moved away.
    pub fn remove(&self, away: &str) -> io::Result<()> {
        fs::remove_dir_all(self.path.join(away))
    }

    /// The folders that were moved away, of which crashes may have left some.
    pub fn list_away(&self) -> io::Result<Vec<String>> {
        let names = self.list()?;
        Ok(names
            .into_iter()
            .filter(|name| name.starts_with(DELETED))
            .collect())
    }

    fn folder(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(&self.path, flags, Mode::empty())?)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.folder()?)?)
    }
}

/// Whether there is nothing of that name, or no folder where one should be.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Opens a folder, when a descriptor is free.
fn retry<T>(open: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let errno = |error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    Ok(descriptors::retry(|| open().map_err(errno))?)
}
