//! The root folder: where the folders of the indexes are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::PosixMount;

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
        for entry in fs::read_dir(&self.path)? {
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

    /// Renames an index folder away and removes it. What a crash leaves of it goes with the next removal.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let away = format!("{DELETED}{name}-{}", uuid::Uuid::new_v4().simple());
        fs::rename(self.path.join(name), self.path.join(away))?;
        for left in self
            .list()?
            .into_iter()
            .filter(|name| name.starts_with(DELETED))
        {
            match fs::remove_dir_all(self.path.join(left)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
