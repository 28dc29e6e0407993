//! The open files of containers: a bounded number over all indexes of a process, least recently used out first.
//!
//! A file in use is never closed. A read that needs another file while all of them are in use waits until one is
//! returned. No read holds one file while it waits for another, so every read gets its file as soon as the others end.
//! A file that was closed is opened again by its name, which exists for as long as retention protects it. After
//! that it is missing, which means the same as one that was collected: the request starts over.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::clock::{Clock as _, SystemClock};
use crate::descriptors::{self, Shares, Spare};
use crate::error::{Error, ErrorKind, Result};
use crate::mount::{MountFile, MountResult};

/// How long a read waits for one of the files in use: longer than a request may take, so that its own deadline ends it
/// first. Only a server that does not answer any more makes reads wait that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The files of this process.
static OPEN: LazyLock<Arc<OpenFiles>> = LazyLock::new(|| {
    let open = Arc::new(OpenFiles::new(Shares::of_this_process().files, PATIENCE));
    let weak: Weak<OpenFiles> = Arc::downgrade(&open);
    descriptors::register(weak);
    open
});

/// The open files, and which of them are idle.
#[derive(Debug)]
struct OpenFiles {
    capacity: usize,
    patience: Duration,
    state: Mutex<State>,
    /// Told when a file is given back or closed.
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// By the number of their [`PooledFile`].
    files: HashMap<u64, Open>,
    /// The idle ones, by their last use.
    idle: BTreeMap<u64, u64>,
    /// How many are being opened.
    opening: usize,
    /// Uses so far.
    uses: u64,
    /// Numbers given so far.
    numbers: u64,
}

#[derive(Debug)]
struct Open {
    file: Arc<dyn MountFile>,
    users: usize,
    used: u64,
}

impl OpenFiles {
    fn new(capacity: usize, patience: Duration) -> Self {
        Self {
            capacity: capacity.max(1),
            patience,
            state: Mutex::default(),
            room: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file with this number, if it is open.
    fn take(&self, number: u64) -> Option<Arc<dyn MountFile>> {
        let mut state = self.lock();
        let open = state.files.get_mut(&number)?;
        open.users += 1;
        let (file, used, first) = (Arc::clone(&open.file), open.used, open.users == 1);
        if first {
            state.idle.remove(&used);
        }
        Some(file)
    }

    /// Waits until one more file may be opened; closes the one whose last use is the longest ago.
    fn make_room(&self) -> Result<Place<'_>> {
        let deadline = SystemClock.now() + self.patience;
        let mut state = self.lock();
        loop {
            let closed = if state.files.len() + state.opening < self.capacity {
                None
            } else if let Some((_, number)) = state.idle.pop_first() {
                state.files.remove(&number)
            } else {
                let left = deadline.saturating_duration_since(SystemClock.now());
                if left.is_zero() {
                    return Err(self.all_in_use());
                }
                let waited = self.room.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            };
            state.opening += 1;
            drop(state);
            // Closing may wait for the server.
            drop(closed);
            return Ok(Place { open: self });
        }
    }

    fn all_in_use(&self) -> Error {
        let message = format!(
            "all {} files that may be open are in use: see whether the file system answers, or allow more open files \
             (ulimit -n)",
            self.capacity
        );
        Error::new(ErrorKind::Unavailable, message)
    }

    fn give_back(&self, number: u64) {
        let mut state = self.lock();
        state.uses += 1;
        let uses = state.uses;
        if let Some(open) = state.files.get_mut(&number) {
            open.users = open.users.saturating_sub(1);
            open.used = uses;
            if open.users == 0 {
                state.idle.insert(uses, number);
                self.room.notify_one();
            }
        }
    }

    /// Closes a file whose container is closed.
    fn close(&self, number: u64) {
        let mut state = self.lock();
        let closed = state.files.remove(&number);
        if let Some(open) = &closed {
            state.idle.remove(&open.used);
            self.room.notify_one();
        }
        drop(state);
        drop(closed);
    }
}

impl Spare for OpenFiles {
    fn let_go(&self) {
        let mut state = self.lock();
        let idle = std::mem::take(&mut state.idle);
        let closed: Vec<_> = idle
            .into_values()
            .filter_map(|number| state.files.remove(&number))
            .collect();
        drop(state);
        drop(closed);
        self.room.notify_all();
    }
}

/// The right to open one more file, given back when it is open, or could not be opened.
struct Place<'a> {
    open: &'a OpenFiles,
}

impl Place<'_> {
    /// Takes the place for good, with a file that is used once.
    fn fill(self, number: u64, file: &Arc<dyn MountFile>) {
        let file = Arc::clone(file);
        let (users, used) = (1, 0);
        let mut state = self.open.lock();
        state.files.insert(number, Open { file, users, used });
        state.opening -= 1;
        drop(state);
        std::mem::forget(self);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.open.lock().opening -= 1;
        self.open.room.notify_one();
    }
}

/// A file that is open while it is used, and longer where there is room.
#[derive(Debug)]
pub(super) struct PooledFile {
    open: Arc<OpenFiles>,
    number: u64,
    opening: Mutex<()>,
}

impl PooledFile {
    /// One of the files of this process; not open yet.
    pub(super) fn new() -> Self {
        Self::among(&OPEN)
    }

    fn among(open: &Arc<OpenFiles>) -> Self {
        let mut state = open.lock();
        state.numbers += 1;
        Self {
            open: Arc::clone(open),
            number: state.numbers,
            opening: Mutex::default(),
        }
    }

    /// Lends the file `path`, which `open` opens if it is not open. It stays open for as long as it is lent.
    pub(super) fn lend(
        &self,
        path: &str,
        open: impl FnOnce() -> MountResult<Arc<dyn MountFile>>,
    ) -> Result<Lent<'_>> {
        let lent = |file| Lent { of: self, file };
        if let Some(file) = self.open.take(self.number) {
            return Ok(lent(file));
        }
        // One thread opens it and the others wait: on a network file system each open would cost a round trip.
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = self.open.take(self.number) {
            return Ok(lent(file));
        }
        let place = self.open.make_room().map_err(|error| error.at(path))?;
        let file = open()?;
        place.fill(self.number, &file);
        Ok(lent(file))
    }
}

impl Drop for PooledFile {
    fn drop(&mut self) {
        self.open.close(self.number);
    }
}

/// A file that is lent.
#[derive(Debug)]
pub(super) struct Lent<'a> {
    of: &'a PooledFile,
    file: Arc<dyn MountFile>,
}

impl Deref for Lent<'_> {
    type Target = dyn MountFile;

    fn deref(&self) -> &Self::Target {
        &*self.file
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.of.open.give_back(self.of.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;
    use crate::mount::{Access, Mount as _, PosixMount};

    /// A folder with files in it, and how often one was opened.
    struct Rig {
        _folder: tempfile::TempDir,
        mount: PosixMount,
        open: Arc<OpenFiles>,
        opened: AtomicUsize,
    }

    impl Rig {
        fn new(capacity: usize) -> Self {
            Self::patient(capacity, PATIENCE)
        }

        fn patient(capacity: usize, patience: Duration) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for name in 0..10 {
                std::fs::write(folder.path().join(name.to_string()), name.to_string()).unwrap();
            }
            Self {
                mount: PosixMount::open(folder.path()).unwrap(),
                _folder: folder,
                open: Arc::new(OpenFiles::new(capacity, patience)),
                opened: AtomicUsize::new(0),
            }
        }

        fn lend<'a>(&self, file: &'a PooledFile, name: usize) -> Result<Lent<'a>> {
            let path = name.to_string();
            file.lend(&path, || {
                self.opened.fetch_add(1, Ordering::SeqCst);
                self.mount.open(&path, Access::Read)
            })
        }

        fn read(&self, file: &PooledFile, name: usize) {
            let mut bytes = [0; 1];
            let read = self.lend(file, name).unwrap().read_at(&mut bytes, 0);
            assert_eq!(read.unwrap(), 1);
            assert_eq!(bytes, name.to_string().as_bytes());
        }

        fn opened(&self) -> usize {
            self.opened.swap(0, Ordering::SeqCst)
        }
    }

    #[test]
    fn what_was_used_last_stays_open() {
        let rig = Rig::new(2);
        let files: Vec<_> = (0..3).map(|_| PooledFile::among(&rig.open)).collect();
        for name in [0, 1, 0, 1] {
            rig.read(&files[name], name);
        }
        assert_eq!(rig.opened(), 2);
        rig.read(&files[2], 2);
        rig.read(&files[1], 1);
        assert_eq!(rig.opened(), 1, "0 was closed, which was used before 1");
        rig.read(&files[0], 0);
        assert_eq!(rig.opened(), 1);
        drop(files);
        assert!(rig.open.lock().files.is_empty() && rig.open.lock().idle.is_empty());
    }

    #[test]
    fn a_file_that_is_used_is_not_closed_and_the_next_waits_for_it() {
        let rig = Rig::new(1);
        let (one, other) = (PooledFile::among(&rig.open), PooledFile::among(&rig.open));
        let lent = rig.lend(&one, 1).unwrap();
        rig.open.let_go();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| rig.read(&other, 2));
            let mut bytes = [0; 1];
            lent.read_at(&mut bytes, 0).unwrap();
            assert_eq!(&bytes, b"1");
            assert_eq!(rig.open.lock().files.len(), 1);
            drop(lent);
            waiting.join().unwrap();
        });
        assert_eq!(rig.opened(), 2);
    }

    #[test]
    fn a_read_does_not_wait_for_ever() {
        let rig = Rig::patient(1, Duration::ZERO);
        let (one, other) = (PooledFile::among(&rig.open), PooledFile::among(&rig.open));
        let lent = rig.lend(&one, 1).unwrap();
        let error = rig.lend(&other, 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("all 1 files"), "{error}");
        drop(lent);
        rig.read(&other, 2);
    }

    #[test]
    fn an_open_that_fails_takes_no_place() {
        let rig = Rig::new(1);
        let file = PooledFile::among(&rig.open);
        for _ in 0..3 {
            assert!(rig.lend(&file, 77).is_err());
        }
        rig.read(&file, 3);
    }

    #[test]
    fn many_threads_never_open_more_than_there_is_room_for() {
        let rig = Rig::new(3);
        let files: Vec<_> = (0..10).map(|_| PooledFile::among(&rig.open)).collect();
        thread::scope(|scope| {
            for thread in 0..8 {
                let (rig, files) = (&rig, &files);
                scope.spawn(move || {
                    for turn in 0..200 {
                        let name = (thread * 7 + turn * 3) % 10;
                        rig.read(&files[name], name);
                        let state = rig.open.lock();
                        assert!(state.files.len() + state.opening <= 3, "{state:?}");
                    }
                });
            }
        });
    }
}
