//! The raw file operations an index needs, and nothing more.
//!
//! A [`Mount`] is one folder on some file system. Every path is relative to it and resolved from
//! a descriptor that is held open, so that a folder that is renamed away stays the folder it was.
//! [`PosixMount`] does the work; [`CountingMount`] counts it and [`FaultyMount`] breaks it, for
//! tests and for `scripts/bench`.

mod counting;
mod failure;
mod faulty;
mod posix;
mod root;
pub(crate) mod tree;

use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::SystemTime;

pub use counting::{CountingMount, OperationCounts};
pub use failure::{FailureClass, MountFailure, MountOperation, MountResult};
pub use faulty::{Fault, FaultyMount};
pub use posix::PosixMount;
pub use root::{RootFolder, Wrap};

/// The unit of coherent reads and in-place writes, in bytes: what `O_DIRECT` wants everywhere.
pub const COHERENT_PAGE: usize = 4096;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// For reading bytes that never change.
    Read,
    /// For reading whole [`COHERENT_PAGE`]s that other machines overwrite in place: each read sees what
    /// the server has, not what this machine remembers.
    CoherentRead,
    /// Like [`Access::CoherentRead`], and for overwriting such pages.
    CoherentUpdate,
    /// For overwriting in place; created when missing.
    Update,
    /// For a new file; fails with [`FailureClass::Exists`] if the name is taken.
    CreateNew,
    /// For a new file under a name that is used only once, because it is random. Asking for the file to be new would cost NFS
    /// another call.
    New,
    /// Like [`Access::New`], with pages that are read and overwritten as with [`Access::CoherentUpdate`].
    CoherentNew,
}

/// Tells files and folders of one machine apart while they exist. A file that is created later may get the identity
/// of one that was removed, unless somebody still holds that one open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The file system.
    pub device: u64,
    /// The inode in it.
    pub inode: u64,
}

/// What a file's inode says.
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    /// Which file it is.
    pub id: FileId,
    /// Length in bytes.
    pub len: u64,
    /// Last modification by the clock of the file server.
    pub modified: SystemTime,
}

/// A lock that is held until it is dropped.
pub trait LockGuard: Send + fmt::Debug {}

/// One folder on a file system.
pub trait Mount: Send + Sync + fmt::Debug {
    /// Opens a regular file. A symbolic link is not followed.
    fn open(&self, path: &str, access: Access) -> MountResult<Arc<dyn MountFile>>;
    /// Says that files in this folder will be opened soon, so that the way there can be looked up meanwhile. It
    /// may be there or not; nothing is told.
    fn anticipate(&self, _folder: &'static str) {}
    /// The names in a folder, from a fresh `opendir`, in no order.
    fn list(&self, folder: &str) -> MountResult<Vec<String>>;
    /// Length and modification time. Of a symbolic link its own, since none is followed.
    fn metadata(&self, path: &str) -> MountResult<Metadata>;
    /// Removes a name.
    fn unlink(&self, path: &str) -> MountResult<()>;
    /// Creates a symbolic link with this text; fails with [`FailureClass::Exists`] if the name is taken. After
    /// anything but a clean success the link may have been made all the same.
    fn symlink(&self, text: &str, path: &str) -> MountResult<()>;
    /// The text of a symbolic link. Fails with [`FailureClass::OtherType`] for anything else.
    fn read_link(&self, path: &str) -> MountResult<String>;
    /// Makes a folder; one that exists already is success.
    fn make_dir(&self, folder: &str) -> MountResult<()>;
    /// Makes the names in a folder durable (a network file system has done so already).
    fn sync_dir(&self, folder: &str) -> MountResult<()>;
    /// Opens a folder in this one as a mount of its own. It remains that folder, whatever happens to its name. A
    /// symbolic link is not followed.
    fn enter(&self, folder: &str) -> MountResult<Arc<dyn Mount>>;
    /// Gives a folder or file another name. A folder replaces an empty folder of that name, but none that holds
    /// anything ([`MountFailure::is_not_empty`]).
    fn rename(&self, from: &str, to: &str) -> MountResult<()>;
    /// Removes an empty folder; fails ([`MountFailure::is_not_empty`]) if it holds anything.
    fn remove_dir(&self, folder: &str) -> MountResult<()>;
    /// Moves a file or folder of this folder into another one, under the same name.
    fn move_to(&self, name: &str, folder: &dyn Mount) -> MountResult<()>;
    /// The descriptor of the folder itself.
    fn descriptor(&self) -> BorrowedFd<'_>;
    /// Tries to take the advisory lock on a file, created when missing. `None`: somebody holds it.
    /// An error means that locking itself failed, which is another thing.
    fn try_lock(&self, path: &str) -> MountResult<Option<Box<dyn LockGuard>>>;
}

/// Takes what one of several reads gave.
pub type EachRead<'a> = dyn FnMut(MountResult<Vec<u8>>) + 'a;

/// An open file. Reads and writes carry their position.
#[expect(
    clippy::len_without_is_empty,
    reason = "an empty file has no meaning here"
)]
pub trait MountFile: Send + Sync + fmt::Debug {
    /// Fills `buffer` from `offset`, up to the end of the file; gives the bytes read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> MountResult<usize>;
    /// At most `len` bytes from `offset`: fewer at the end of the file.
    fn read_range(&self, offset: u64, len: usize) -> MountResult<Vec<u8>> {
        let mut bytes = vec![0; len];
        let read = self.read_at(&mut bytes, offset)?;
        bytes.truncate(read);
        Ok(bytes)
    }
    /// Like [`Self::read_range`] for several offsets and lengths, beside each other where the system can; hands
    /// over what each gave, in their order.
    fn read_each(&self, ranges: &[(u64, usize)], done: &mut EachRead<'_>) {
        for (offset, len) in ranges {
            done(self.read_range(*offset, *len));
        }
    }
    /// Writes all of `bytes`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> MountResult<()>;
    /// Writes all of `bytes`; they survive a power loss when this returns.
    fn write_durably_at(&self, bytes: &[u8], offset: u64) -> MountResult<()>;
    /// Everything written survives a power loss when this returns.
    fn sync(&self) -> MountResult<()>;
    /// Length in bytes.
    fn len(&self) -> MountResult<u64>;
}
