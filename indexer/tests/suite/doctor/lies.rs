//! A mount that lies.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aquifer_indexer::mount::{
    Access, COHERENT_PAGE, LockGuard, Metadata, Mount, MountFailure, MountFile, MountOperation,
    MountResult, RootFolder, Wrap,
};

/// How a mount lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// A file that should be new may exist.
    CreatesTwice,
    /// A link replaces what has its name.
    LinksOver,
    /// There are no links, as on Amazon S3 Files.
    HasNoLinks,
    /// A link is acknowledged and not made.
    ForgetsLinks,
    /// A link is followed when it is opened.
    FollowsLinks,
    /// A folder replaces one that holds something.
    RenamesOver,
    /// A folder is still there after it was removed.
    KeepsRemovedFolders,
    /// A durable write is acknowledged and not made.
    LosesWrites,
    /// Nothing can be synced.
    FailsToSync,
    /// A new file is seen in part.
    ShowsHalfFiles,
    /// An open file shows what it held first.
    RemembersPages,
    /// The pages of a removed file are given to another one.
    ReusesRemovedFiles,
    /// A folder shows what it held first.
    RemembersListings,
    /// A name that was missing once is missing for ever.
    RemembersMissingNames,
    /// Each machine stamps its files by its own clock.
    StampsByEachMachine,
    /// The server's clock is off.
    StampsTooLate,
    /// Locks exclude only on one machine.
    LocksOnOneMachine,
    /// A lock is never released.
    NeverUnlocks,
}

/// The side of an examination that a mount belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Examiner,
    Partner,
}

/// What both sides know.
#[derive(Debug, Default)]
struct Common {
    made_by_the_partner: BTreeSet<String>,
    unlinked: BTreeSet<String>,
    listings: BTreeMap<String, Vec<String>>,
    missing: BTreeSet<String>,
}

/// A mount that tells one lie.
#[derive(Clone, Debug)]
pub(super) struct LyingMount {
    inner: Arc<dyn Mount>,
    lie: Lie,
    side: Side,
    common: Arc<Mutex<Common>>,
}

/// How far the clocks of the two machines are apart.
const OFF: Duration = Duration::from_secs(3600);

/// The root folders of both sides.
pub(super) fn roots(root: &RootFolder, lie: Lie) -> [RootFolder; 2] {
    let common = Arc::<Mutex<Common>>::default();
    [Side::Examiner, Side::Partner].map(|side| {
        let common = Arc::clone(&common);
        let wrap = move |inner| -> Arc<dyn Mount> {
            Arc::new(LyingMount {
                inner,
                lie,
                side,
                common: Arc::clone(&common),
            })
        };
        root.clone().wrapped(Wrap::new(wrap))
    })
}

/// A call that fails with a code of the operating system.
fn failure(operation: MountOperation, path: &str, errno: i32) -> MountFailure {
    MountFailure::new(operation, path, io::Error::from_raw_os_error(errno))
}

impl LyingMount {
    fn tells(&self, lie: Lie) -> bool {
        self.lie == lie
    }

    fn common(&self) -> std::sync::MutexGuard<'_, Common> {
        self.common.lock().unwrap()
    }
}

impl Mount for LyingMount {
    fn open(&self, path: &str, access: Access) -> MountResult<Arc<dyn MountFile>> {
        let is_new = matches!(access, Access::CreateNew | Access::CoherentNew);
        let access = match access {
            Access::CreateNew if self.tells(Lie::CreatesTwice) => Access::Update,
            access => access,
        };
        let inner = match self.inner.open(path, access) {
            Err(error) => match self.inner.read_link(path) {
                Ok(target) if self.tells(Lie::FollowsLinks) => self.inner.open(&target, access)?,
                _ => return Err(error),
            },
            Ok(opened) => opened,
        };
        if is_new && self.side == Side::Partner {
            self.common().made_by_the_partner.insert(path.to_owned());
        }
        Ok(Arc::new(LyingFile {
            inner,
            mount: self.clone(),
            path: path.to_owned(),
            access,
            first: Mutex::default(),
        }))
    }

    fn list(&self, folder: &str) -> MountResult<Vec<String>> {
        let listed = self.inner.list(folder)?;
        if folder != "." && self.tells(Lie::RemembersListings) {
            let mut common = self.common();
            return Ok(common
                .listings
                .entry(folder.to_owned())
                .or_insert(listed)
                .clone());
        }
        Ok(listed)
    }

    fn metadata(&self, path: &str) -> MountResult<Metadata> {
        if self.tells(Lie::RemembersMissingNames) && self.common().missing.contains(path) {
            return Err(failure(MountOperation::Metadata, path, 2));
        }
        let found = self.inner.metadata(path);
        if found.is_err() {
            self.common().missing.insert(path.to_owned());
        }
        let mut metadata = found?;
        let theirs = self.common().made_by_the_partner.contains(path);
        if self.tells(Lie::StampsTooLate) || (self.tells(Lie::StampsByEachMachine) && theirs) {
            metadata.modified += OFF;
        }
        Ok(metadata)
    }

    fn unlink(&self, path: &str) -> MountResult<()> {
        self.common().unlinked.insert(path.to_owned());
        self.inner.unlink(path)
    }

    fn symlink(&self, text: &str, path: &str) -> MountResult<()> {
        match self.lie {
            Lie::HasNoLinks => return Err(failure(MountOperation::Symlink, path, 95)),
            Lie::ForgetsLinks => return Ok(()),
            // Nothing may have that name.
            Lie::LinksOver => drop(self.inner.unlink(path)),
            _ => {}
        }
        self.inner.symlink(text, path)
    }

    fn read_link(&self, path: &str) -> MountResult<String> {
        self.inner.read_link(path)
    }

    fn make_dir(&self, folder: &str) -> MountResult<()> {
        self.inner.make_dir(folder)
    }

    fn sync_dir(&self, folder: &str) -> MountResult<()> {
        self.inner.sync_dir(folder)
    }

    fn enter(&self, folder: &str) -> MountResult<Arc<dyn Mount>> {
        let inner = self.inner.enter(folder)?;
        Ok(Arc::new(Self {
            inner,
            ..self.clone()
        }))
    }

    fn rename(&self, from: &str, to: &str) -> MountResult<()> {
        match self.inner.rename(from, to) {
            Err(_) if self.tells(Lie::RenamesOver) => {
                // Another one may do the same at this moment.
                let _gone = self.inner.unlink(&format!("{to}/by"));
                self.inner.rename(from, to)
            }
            renamed => renamed,
        }
    }

    fn remove_dir(&self, folder: &str) -> MountResult<()> {
        if self.side == Side::Partner && self.tells(Lie::KeepsRemovedFolders) {
            return Ok(());
        }
        self.inner.remove_dir(folder)
    }

    fn move_to(&self, name: &str, folder: &dyn Mount) -> MountResult<()> {
        self.inner.move_to(name, folder)
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.inner.descriptor()
    }

    fn try_lock(&self, path: &str) -> MountResult<Option<Box<dyn LockGuard>>> {
        let path = match self.lie {
            Lie::LocksOnOneMachine => format!("{path}-{:?}", self.side).to_lowercase(),
            _ => path.to_owned(),
        };
        let guard = self.inner.try_lock(&path)?;
        Ok(guard.map(|guard| -> Box<dyn LockGuard> {
            match self.lie {
                Lie::NeverUnlocks => Box::new(Unreleased(Some(guard))),
                _ => guard,
            }
        }))
    }
}

/// A lock that is held until the process ends.
#[derive(Debug)]
struct Unreleased(Option<Box<dyn LockGuard>>);

impl LockGuard for Unreleased {}

impl Drop for Unreleased {
    fn drop(&mut self) {
        std::mem::forget(self.0.take());
    }
}

#[derive(Debug)]
struct LyingFile {
    inner: Arc<dyn MountFile>,
    mount: LyingMount,
    path: String,
    access: Access,
    first: Mutex<Option<Vec<u8>>>,
}

impl MountFile for LyingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> MountResult<usize> {
        let read = self.inner.read_at(buffer, offset)?;
        match self.mount.lie {
            Lie::RemembersPages => {
                let mut first = self.first.lock().unwrap();
                let first = first.get_or_insert_with(|| buffer.to_vec());
                buffer.copy_from_slice(first);
            }
            Lie::ReusesRemovedFiles if self.mount.common().unlinked.contains(&self.path) => {
                buffer.fill(0);
            }
            Lie::ShowsHalfFiles
                if self.access == Access::Read && self.path.starts_with("closed-") =>
            {
                return Ok(read.min(COHERENT_PAGE / 2));
            }
            _ => {}
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> MountResult<()> {
        self.inner.write_at(bytes, offset)
    }

    fn write_durably_at(&self, bytes: &[u8], offset: u64) -> MountResult<()> {
        if self.mount.tells(Lie::LosesWrites) && self.path == "synced" {
            return Ok(());
        }
        self.inner.write_durably_at(bytes, offset)
    }

    fn sync(&self) -> MountResult<()> {
        match self.mount.lie {
            Lie::FailsToSync => Err(failure(MountOperation::Sync, &self.path, 5)),
            _ => self.inner.sync(),
        }
    }

    fn len(&self) -> MountResult<u64> {
        self.inner.len()
    }
}
