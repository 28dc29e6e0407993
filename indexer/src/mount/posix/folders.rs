//! Descriptors of the folders of an index, held for as long as its mount.
//!
//! A network file system asks the server about each folder on a path that it walks, again and
//! again. From a descriptor of the folder itself there is nothing to walk.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::descriptors::retry;

#[derive(Debug)]
pub(super) struct Folders {
    root: OwnedFd,
    held: Mutex<BTreeMap<String, Arc<OwnedFd>>>,
}

impl Folders {
    pub(super) fn new(root: OwnedFd) -> Self {
        Self {
            root,
            held: Mutex::default(),
        }
    }

    /// The folder itself.
    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Runs `call` with the folder in which `path` lies, and its name there.
    pub(super) fn at<T>(
        &self,
        path: &str,
        call: impl Fn(BorrowedFd<'_>, &str) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        match path.rsplit_once('/') {
            Some((folder, name)) => self.inside(folder, |folder| call(folder, name)),
            None => Ok(retry(|| call(self.root.as_fd(), path))?),
        }
    }

    /// Runs `call` with a folder.
    pub(super) fn inside<T>(
        &self,
        folder: &str,
        call: impl Fn(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        if folder == "." {
            return Ok(retry(|| call(self.root.as_fd()))?);
        }
        let held = self.hold(folder)?;
        match retry(|| call(held.as_fd())) {
            // Nothing was done; what has the folder's name now decides.
            Err(Errno::STALE) => {
                self.lock().remove(folder);
                let held = self.hold(folder)?;
                Ok(retry(|| call(held.as_fd()))?)
            }
            done => Ok(done?),
        }
    }

    /// Holds a folder, if it is there.
    pub(super) fn anticipate(&self, folder: &str) {
        if let Err(error) = self.hold(folder) {
            tracing::debug!(%error, folder, "not there yet");
        }
    }

    /// Closes the folders in it that nobody uses at this moment; they are opened again from the folder itself.
    pub(super) fn let_go(&self) {
        let held = std::mem::take(&mut *self.lock());
        drop(held);
    }

    fn hold(&self, folder: &str) -> io::Result<Arc<OwnedFd>> {
        if let Some(held) = self.lock().get(folder) {
            return Ok(Arc::clone(held));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(&self.root, folder, flags, Mode::empty());
        let opened = retry(open)?;
        let opened = Arc::new(opened);
        self.lock().insert(folder.to_owned(), Arc::clone(&opened));
        Ok(opened)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<OwnedFd>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
