//! [`CountingMount`]: counts the operations that pass through it.
//!
//! Operation counts do not depend on the machine, so tests assert them exactly. When it gathers,
//! it also counts **dependent rounds**: reads are held back until no further one has come for a
//! while, and then let go together as one round. What comes after depends on one of them.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Access, EachRead, LockGuard, Metadata, Mount, MountFile, MountResult};
use crate::clock::{Clock as _, SystemClock};

/// What passed through a [`CountingMount`].
#[derive(Clone, Debug, Default)]
pub struct OperationCounts {
    /// Calls by name: `open`, `read`, `read_link`, `list`, `metadata`; `create`, `write`, `sync`, `sync_dir`,
    /// `symlink`, `unlink`, `make_dir`, `rename`, `remove_dir`, `lock`, `unlock`.
    pub calls: BTreeMap<&'static str, u64>,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Dependent rounds of reads (an `open` and the read that follows it are one).
    pub rounds: u64,
    /// Each call in order, with its path and length, for a person who wonders.
    pub log: Vec<String>,
}

impl OperationCounts {
    const READ_CLASS: [&'static str; 5] = ["open", "read", "read_link", "list", "metadata"];

    /// Calls that change nothing on the server.
    pub fn read_class(&self) -> u64 {
        Self::READ_CLASS
            .iter()
            .filter_map(|name| self.calls.get(name))
            .sum()
    }

    /// Calls that change something on the server: locks count, closes do not.
    pub fn write_class(&self) -> u64 {
        self.calls.values().sum::<u64>() - self.read_class()
    }

    /// Calls of one name.
    pub fn of(&self, name: &str) -> u64 {
        self.calls.get(name).copied().unwrap_or(0)
    }
}

#[derive(Debug, Default)]
struct Counter {
    counts: Mutex<OperationCounts>,
    /// How long no further read must come before those that wait are let go.
    gather: Duration,
    gathered: Mutex<Gathered>,
    let_go: Condvar,
}

#[derive(Debug, Default)]
struct Gathered {
    /// When the last read came that waits; none: nobody waits.
    last: Option<Instant>,
    round: u64,
}

impl Counter {
    fn lock(&self) -> MutexGuard<'_, OperationCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, name: &'static str, what: &str) {
        let mut counts = self.lock();
        *counts.calls.entry(name).or_default() += 1;
        counts.log.push(format!("{name} {what}"));
    }

    /// Waits for the reads that belong to the same round, where rounds are counted.
    fn wait_for_others(&self) {
        if self.gather.is_zero() {
            return;
        }
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let round = gathered.round;
        gathered.last = Some(SystemClock.now());
        while gathered.round == round {
            let quiet = gathered.last.map_or(self.gather, |last| {
                SystemClock.now().saturating_duration_since(last)
            });
            if quiet >= self.gather {
                gathered.round += 1;
                gathered.last = None;
                self.lock().rounds += 1;
                self.let_go.notify_all();
                return;
            }
            let waited = self.let_go.wait_timeout(gathered, self.gather - quiet);
            gathered = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A [`Mount`] that counts what passes through it to another.
#[derive(Clone, Debug)]
pub struct CountingMount {
    inner: Arc<dyn Mount>,
    counter: Arc<Counter>,
}

impl CountingMount {
    /// Counts what goes to `inner`.
    pub fn new(inner: Arc<dyn Mount>) -> Self {
        Self {
            inner,
            counter: Arc::default(),
        }
    }

    /// Counts what goes to `inner`, and the rounds of reads: those that come within `gather` of each
    /// other, which must be longer than any pause of a busy machine.
    pub fn gathering(inner: Arc<dyn Mount>, gather: Duration) -> Self {
        let counter = Counter {
            gather,
            ..Counter::default()
        };
        Self {
            inner,
            counter: Arc::new(counter),
        }
    }

    /// What was counted since the last call; the count starts again at nothing.
    pub fn take(&self) -> OperationCounts {
        std::mem::take(&mut *self.counter.lock())
    }

    fn file(&self, path: &str, inner: Arc<dyn MountFile>) -> Arc<dyn MountFile> {
        Arc::new(CountingFile {
            inner,
            path: path.into(),
            counter: Arc::clone(&self.counter),
        })
    }
}

impl Mount for CountingMount {
    fn open(&self, path: &str, access: Access) -> MountResult<Arc<dyn MountFile>> {
        let name = match access {
            Access::CreateNew | Access::New | Access::CoherentNew => "create",
            _ => "open",
        };
        self.counter.count(name, path);
        Ok(self.file(path, self.inner.open(path, access)?))
    }

    fn anticipate(&self, folder: &'static str) {
        self.inner.anticipate(folder);
    }

    fn list(&self, folder: &str) -> MountResult<Vec<String>> {
        self.counter.count("list", folder);
        self.inner.list(folder)
    }

    fn metadata(&self, path: &str) -> MountResult<Metadata> {
        self.counter.count("metadata", path);
        self.inner.metadata(path)
    }

    fn unlink(&self, path: &str) -> MountResult<()> {
        self.counter.count("unlink", path);
        self.inner.unlink(path)
    }

    fn symlink(&self, text: &str, path: &str) -> MountResult<()> {
        self.counter.count("symlink", path);
        self.inner.symlink(text, path)
    }

    fn read_link(&self, path: &str) -> MountResult<String> {
        self.counter.count("read_link", path);
        self.inner.read_link(path)
    }

    fn make_dir(&self, folder: &str) -> MountResult<()> {
        self.counter.count("make_dir", folder);
        self.inner.make_dir(folder)
    }

    fn sync_dir(&self, folder: &str) -> MountResult<()> {
        self.counter.count("sync_dir", folder);
        self.inner.sync_dir(folder)
    }

    fn enter(&self, folder: &str) -> MountResult<Arc<dyn Mount>> {
        self.counter.count("open", folder);
        let inner = self.inner.enter(folder)?;
        let counter = Arc::clone(&self.counter);
        Ok(Arc::new(Self { inner, counter }))
    }

    fn rename(&self, from: &str, to: &str) -> MountResult<()> {
        self.counter.count("rename", to);
        self.inner.rename(from, to)
    }

    fn remove_dir(&self, folder: &str) -> MountResult<()> {
        self.counter.count("remove_dir", folder);
        self.inner.remove_dir(folder)
    }

    fn move_to(&self, name: &str, folder: &dyn Mount) -> MountResult<()> {
        self.counter.count("rename", name);
        self.inner.move_to(name, folder)
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.inner.descriptor()
    }

    fn try_lock(&self, path: &str) -> MountResult<Option<Box<dyn LockGuard>>> {
        self.counter.count("lock", path);
        let guard = self.inner.try_lock(path)?;
        let counter = Arc::clone(&self.counter);
        Ok(guard.map(|inner| {
            Box::new(CountingLock {
                inner: Some(inner),
                path: path.into(),
                counter,
            }) as Box<_>
        }))
    }
}

#[derive(Debug)]
struct CountingLock {
    inner: Option<Box<dyn LockGuard>>,
    path: String,
    counter: Arc<Counter>,
}

impl LockGuard for CountingLock {}

impl Drop for CountingLock {
    fn drop(&mut self) {
        self.counter.count("unlock", &self.path);
        drop(self.inner.take());
    }
}

#[derive(Debug)]
struct CountingFile {
    inner: Arc<dyn MountFile>,
    path: String,
    counter: Arc<Counter>,
}

impl CountingFile {
    fn count_write(&self, bytes: &[u8], offset: u64) {
        self.counter
            .count("write", &format!("{} {offset}+{}", self.path, bytes.len()));
        self.counter.lock().bytes_written += bytes.len() as u64;
    }
}

impl MountFile for CountingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> MountResult<usize> {
        self.counter
            .count("read", &format!("{} {offset}+{}", self.path, buffer.len()));
        self.counter.wait_for_others();
        let read = self.inner.read_at(buffer, offset);
        self.counter.lock().bytes_read += *read.as_ref().unwrap_or(&0) as u64;
        read
    }

    fn read_each(&self, ranges: &[(u64, usize)], done: &mut EachRead<'_>) {
        for (offset, len) in ranges {
            self.counter
                .count("read", &format!("{} {offset}+{len}", self.path));
        }
        self.counter.wait_for_others();
        self.inner.read_each(ranges, &mut |bytes| {
            self.counter.lock().bytes_read += bytes.as_ref().map_or(0, Vec::len) as u64;
            done(bytes);
        });
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> MountResult<()> {
        self.count_write(bytes, offset);
        self.inner.write_at(bytes, offset)
    }

    fn write_durably_at(&self, bytes: &[u8], offset: u64) -> MountResult<()> {
        self.count_write(bytes, offset);
        self.inner.write_durably_at(bytes, offset)
    }

    fn sync(&self) -> MountResult<()> {
        self.counter.count("sync", &self.path);
        self.inner.sync()
    }

    fn len(&self) -> MountResult<u64> {
        self.counter.count("metadata", &self.path);
        self.inner.len()
    }
}
