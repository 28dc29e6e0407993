//! [`FaultyMount`]: fails on command, as a dying process or a failing file system would.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::MountOperation as Call;
use super::{Access, LockGuard, Metadata, Mount, MountFailure, MountFile, MountResult};

/// How the operation that is hit goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process dies before the operation: it and all that follow do nothing.
    CrashBefore,
    /// The process dies after the operation: it took effect, nobody learnt of it, and all that follow
    /// do nothing.
    CrashAfter,
    /// The process dies in the middle: half of a write arrives; other operations do nothing.
    CrashDuring,
    /// Only this operation fails, with this error code, and does nothing.
    Fail(i32),
    /// Only this operation fails, with this error code, **after** it took effect (a lost reply).
    FailAfter(i32),
    /// This operation waits until [`FaultyMount::stalling`]'s `meanwhile` has ended, and then does its work.
    Stall,
}

/// What others do while an operation stalls.
#[derive(Clone)]
struct Meanwhile(Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meanwhile")
    }
}

#[derive(Debug)]
struct Plan {
    /// Operations so far.
    count: AtomicU64,
    /// The operation to hit, counted from 0; `u64::MAX` for none.
    target: AtomicU64,
    fault: Fault,
    meanwhile: Option<Meanwhile>,
    dead: AtomicBool,
}

/// A [`Mount`] that fails at one chosen operation, counted over everything that changes the
/// server and, where asked, over reads as well.
#[derive(Clone, Debug)]
pub struct FaultyMount {
    inner: Arc<dyn Mount>,
    plan: Arc<Plan>,
    reads_too: bool,
}

impl FaultyMount {
    /// Fails at the `target`-th changing operation.
    pub fn new(inner: Arc<dyn Mount>, target: u64, fault: Fault) -> Self {
        let plan = Plan {
            count: AtomicU64::new(0),
            target: AtomicU64::new(target),
            fault,
            meanwhile: None,
            dead: AtomicBool::new(false),
        };
        Self {
            inner,
            plan: Arc::new(plan),
            reads_too: false,
        }
    }

    /// Stalls in the `target`-th changing operation, as a process does that is frozen there, until `meanwhile` has
    /// ended.
    pub fn stalling(
        inner: Arc<dyn Mount>,
        target: u64,
        meanwhile: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let plan = Plan {
            count: AtomicU64::new(0),
            target: AtomicU64::new(target),
            fault: Fault::Stall,
            meanwhile: Some(Meanwhile(Arc::new(meanwhile))),
            dead: AtomicBool::new(false),
        };
        Self {
            inner,
            plan: Arc::new(plan),
            reads_too: false,
        }
    }

    /// Another folder of the same process: its operations are counted together with those of this one.
    #[must_use]
    pub fn over(&self, inner: Arc<dyn Mount>) -> Self {
        Self {
            inner,
            plan: Arc::clone(&self.plan),
            reads_too: self.reads_too,
        }
    }

    /// Fails at the `target`-th operation of any kind.
    pub fn with_reads(inner: Arc<dyn Mount>, target: u64, fault: Fault) -> Self {
        Self {
            reads_too: true,
            ..Self::new(inner, target, fault)
        }
    }

    /// The same, with reads counted among the operations.
    #[must_use]
    pub fn and_reads(mut self) -> Self {
        self.reads_too = true;
        self
    }

    /// Operations counted so far.
    pub fn operations(&self) -> u64 {
        self.plan.count.load(Ordering::SeqCst)
    }

    /// Whether the chosen operation has been reached.
    pub fn hit(&self) -> bool {
        self.operations() > self.plan.target.load(Ordering::SeqCst)
    }

    /// Hits the `next`-th operation from now.
    pub fn arm(&self, next: u64) {
        let target = self.operations().saturating_add(next);
        self.plan.target.store(target, Ordering::SeqCst);
    }
}

/// What the dead see.
fn dead() -> io::Error {
    io::Error::other("this process has crashed")
}

/// The call that is made, and on which path.
#[derive(Clone, Copy)]
struct Made<'a>(Call, &'a str);

impl Made<'_> {
    fn fails<T>(self, error: io::Error) -> MountResult<T> {
        Err(MountFailure::new(self.0, self.1, error))
    }
}

impl Plan {
    /// Makes one call; `half` is what a crash in the middle leaves behind.
    fn run<T>(
        &self,
        made: Made<'_>,
        call: impl FnOnce() -> MountResult<T>,
        half: impl FnOnce(),
    ) -> MountResult<T> {
        if self.dead.load(Ordering::SeqCst) {
            return made.fails(dead());
        }
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        if number != self.target.load(Ordering::SeqCst) {
            return call();
        }
        match self.fault {
            Fault::Fail(code) => return made.fails(io::Error::from_raw_os_error(code)),
            Fault::Stall => {
                if let Some(Meanwhile(meanwhile)) = &self.meanwhile {
                    meanwhile();
                }
                return call();
            }
            Fault::FailAfter(code) => {
                call()?;
                return made.fails(io::Error::from_raw_os_error(code));
            }
            Fault::CrashBefore => {}
            Fault::CrashAfter => drop(call()),
            Fault::CrashDuring => half(),
        }
        self.dead.store(true, Ordering::SeqCst);
        made.fails(dead())
    }

    /// Makes one call that leaves nothing half done.
    fn change<T>(&self, made: Made<'_>, call: impl FnOnce() -> MountResult<T>) -> MountResult<T> {
        self.run(made, call, || ())
    }

    fn read<T>(
        &self,
        counted: bool,
        made: Made<'_>,
        call: impl FnOnce() -> MountResult<T>,
    ) -> MountResult<T> {
        if counted {
            return self.change(made, call);
        }
        if self.dead.load(Ordering::SeqCst) {
            made.fails(dead())
        } else {
            call()
        }
    }
}

impl Mount for FaultyMount {
    fn open(&self, path: &str, access: Access) -> MountResult<Arc<dyn MountFile>> {
        let made = Made(Call::Open, path);
        let open = || self.inner.open(path, access);
        let inner = match access {
            Access::CreateNew | Access::New | Access::CoherentNew | Access::Update => {
                self.plan.change(made, open)?
            }
            _ => self.plan.read(self.reads_too, made, open)?,
        };
        let plan = Arc::clone(&self.plan);
        Ok(Arc::new(FaultyFile {
            inner,
            path: path.to_owned(),
            plan,
            reads_too: self.reads_too,
        }))
    }

    fn anticipate(&self, folder: &'static str) {
        self.inner.anticipate(folder);
    }

    fn list(&self, folder: &str) -> MountResult<Vec<String>> {
        let list = || self.inner.list(folder);
        self.plan
            .read(self.reads_too, Made(Call::List, folder), list)
    }

    fn metadata(&self, path: &str) -> MountResult<Metadata> {
        let look = || self.inner.metadata(path);
        self.plan
            .read(self.reads_too, Made(Call::Metadata, path), look)
    }

    fn unlink(&self, path: &str) -> MountResult<()> {
        self.plan
            .change(Made(Call::Remove, path), || self.inner.unlink(path))
    }

    fn symlink(&self, text: &str, path: &str) -> MountResult<()> {
        self.plan
            .change(Made(Call::Symlink, path), || self.inner.symlink(text, path))
    }

    fn read_link(&self, path: &str) -> MountResult<String> {
        let read = || self.inner.read_link(path);
        self.plan
            .read(self.reads_too, Made(Call::ReadLink, path), read)
    }

    fn make_dir(&self, folder: &str) -> MountResult<()> {
        self.plan
            .change(Made(Call::MakeDir, folder), || self.inner.make_dir(folder))
    }

    fn sync_dir(&self, folder: &str) -> MountResult<()> {
        self.plan
            .change(Made(Call::Sync, folder), || self.inner.sync_dir(folder))
    }

    fn enter(&self, folder: &str) -> MountResult<Arc<dyn Mount>> {
        let enter = || self.inner.enter(folder);
        let inner = self
            .plan
            .read(self.reads_too, Made(Call::Enter, folder), enter)?;
        Ok(Arc::new(self.over(inner)))
    }

    fn rename(&self, from: &str, to: &str) -> MountResult<()> {
        self.plan
            .change(Made(Call::Rename, from), || self.inner.rename(from, to))
    }

    fn remove_dir(&self, folder: &str) -> MountResult<()> {
        self.plan
            .change(Made(Call::Remove, folder), || self.inner.remove_dir(folder))
    }

    fn move_to(&self, name: &str, folder: &dyn Mount) -> MountResult<()> {
        self.plan.change(Made(Call::Rename, name), || {
            self.inner.move_to(name, folder)
        })
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.inner.descriptor()
    }

    fn try_lock(&self, path: &str) -> MountResult<Option<Box<dyn LockGuard>>> {
        self.plan
            .change(Made(Call::Lock, path), || self.inner.try_lock(path))
    }
}

#[derive(Debug)]
struct FaultyFile {
    inner: Arc<dyn MountFile>,
    path: String,
    plan: Arc<Plan>,
    reads_too: bool,
}

impl FaultyFile {
    fn write_half(&self, bytes: &[u8], offset: u64) {
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        drop(self.inner.write_at(half, offset));
    }
}

impl MountFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> MountResult<usize> {
        let made = Made(Call::Read, &self.path);
        self.plan
            .read(self.reads_too, made, || self.inner.read_at(buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> MountResult<()> {
        let half = || self.write_half(bytes, offset);
        let made = Made(Call::Write, &self.path);
        self.plan
            .run(made, || self.inner.write_at(bytes, offset), half)
    }

    fn write_durably_at(&self, bytes: &[u8], offset: u64) -> MountResult<()> {
        let half = || self.write_half(bytes, offset);
        let write = || self.inner.write_durably_at(bytes, offset);
        self.plan.run(Made(Call::Write, &self.path), write, half)
    }

    fn sync(&self) -> MountResult<()> {
        self.plan
            .change(Made(Call::Sync, &self.path), || self.inner.sync())
    }

    fn len(&self) -> MountResult<u64> {
        let made = Made(Call::Metadata, &self.path);
        self.plan.read(self.reads_too, made, || self.inner.len())
    }
}
