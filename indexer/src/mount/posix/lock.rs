//! Advisory locks, on files that stay open between one holding and the next.

use std::fs::File;
use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};

use fs2::FileExt as _;
use rustix::fs::OFlags;

use super::Shared;
use crate::mount::LockGuard;

/// The `flock` of a file. It belongs to this one opening of the file, which nobody else has.
#[derive(Debug)]
struct FileLock {
    shared: Arc<Shared>,
    path: String,
    file: Option<File>,
}

/// Tries to lock a file, created when missing. `None`: somebody holds it.
pub(super) fn attempt(shared: &Arc<Shared>, path: &str) -> io::Result<Option<Box<dyn LockGuard>>> {
    if let Some(file) = take(shared, path) {
        match try_flock(shared, path, file) {
            Ok(guard) => return Ok(guard),
            // The server may have forgotten what was open: a file that is opened anew decides.
            Err(error) => tracing::debug!(%error, path, "a lock file that was kept open is no use"),
        }
    }
    let file = File::from(shared.open_created(path, OFlags::RDWR)?);
    try_flock(shared, path, file)
}

fn try_flock(
    shared: &Arc<Shared>,
    path: &str,
    file: File,
) -> io::Result<Option<Box<dyn LockGuard>>> {
    match file.try_lock_exclusive() {
        Ok(()) => Ok(Some(Box::new(FileLock {
            shared: Arc::clone(shared),
            path: path.to_owned(),
            file: Some(file),
        }))),
        Err(error) if error.kind() == fs2::lock_contended_error().kind() => {
            keep(shared, path, file);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn kept(shared: &Shared) -> MutexGuard<'_, Option<(String, File)>> {
    shared
        .unlocked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Takes the file that is kept, whichever it is.
pub(super) fn forget(shared: &Shared) -> Option<(String, File)> {
    kept(shared).take()
}

/// Takes the file that is kept, if it is this one. Whoever finds none opens the file.
fn take(shared: &Shared, path: &str) -> Option<File> {
    let mut kept = kept(shared);
    let (_, file) = kept.take_if(|(known, _)| known == path)?;
    Some(file)
}

/// Keeps a file that is not locked, in the place of the one kept before.
fn keep(shared: &Shared, path: &str, file: File) {
    let before = kept(shared).replace((path.to_owned(), file));
    drop(before);
}

impl LockGuard for FileLock {}

impl Drop for FileLock {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else {
            return;
        };
        match fs2::FileExt::unlock(&file) {
            Ok(()) => keep(&self.shared, &self.path, file),
            Err(error) => {
                tracing::debug!(%error, "unlocking failed; closing the file releases the lock");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::mount::{Mount as _, PosixMount};

    #[test]
    fn a_lock_file_stays_open_and_excludes_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (
            PosixMount::open(folder.path()).unwrap(),
            PosixMount::open(folder.path()).unwrap(),
        );
        for _ in 0..2 {
            let held = one.try_lock("lock").unwrap().unwrap();
            assert!(one.shared.unlocked.lock().unwrap().is_none());
            // Neither another thread of the process nor another process gets it.
            assert!(one.try_lock("lock").unwrap().is_none());
            assert!(other.try_lock("lock").unwrap().is_none());
            drop(held);
            assert!(one.shared.unlocked.lock().unwrap().is_some());
            drop(other.try_lock("lock").unwrap().unwrap());
        }
        drop(one.try_lock("lock.1").unwrap().unwrap());
        let kept = one.shared.unlocked.lock().unwrap();
        assert_eq!(kept.as_ref().unwrap().0, "lock.1");
    }
}
