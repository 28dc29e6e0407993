//! The raw file operations an index needs, and nothing more.
//!
//! A [`Mount`] is one folder on some file system. Every path is relative to it and resolved from
//! a descriptor that is held open, so that a folder that is renamed away stays the folder it was.
//! [`PosixMount`] does the work; [`CountingMount`] counts it and [`FaultyMount`] breaks it, for
//! tests and for `scripts/bench`.

mod counting;
mod faulty;
mod posix;
mod root;
pub(crate) mod tree;

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::SystemTime;

pub use counting::{CountingMount, OperationCounts};
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
    /// For a new file; fails with [`io::ErrorKind::AlreadyExists`] if the name is taken.
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
    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn MountFile>>;
    /// Says that files in this folder will be opened soon, so that the way there can be looked up meanwhile. It
    /// may be there or not; nothing is told.
    fn anticipate(&self, _folder: &'static str) {}
    /// The names in a folder, from a fresh `opendir`, in no order.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Length and modification time. Of a symbolic link its own, since none is followed.
    fn metadata(&self, path: &str) -> io::Result<Metadata>;
    /// Removes a name.
    fn unlink(&self, path: &str) -> io::Result<()>;
    /// Creates a symbolic link with this text; fails with [`io::ErrorKind::AlreadyExists`] if the name is taken. After
    /// anything but a clean success the link may have been made all the same.
    fn symlink(&self, text: &str, path: &str) -> io::Result<()>;
    /// The text of a symbolic link. Fails with [`io::ErrorKind::InvalidInput`] for anything else.
    fn read_link(&self, path: &str) -> io::Result<String>;
    /// Makes a folder; one that exists already is success.
    fn make_dir(&self, folder: &str) -> io::Result<()>;
    /// Makes the names in a folder durable (a network file system has done so already).
    fn sync_dir(&self, folder: &str) -> io::Result<()>;
    /// Opens a folder in this one as a mount of its own. It remains that folder, whatever happens to its name. A
    /// symbolic link is not followed.
    fn enter(&self, folder: &str) -> io::Result<Arc<dyn Mount>>;
    /// Gives a folder or file another name. A folder replaces an empty folder of that name, but none that holds
    /// anything ([`is_not_empty`]).
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes an empty folder; fails ([`is_not_empty`]) if it holds anything.
    fn remove_dir(&self, folder: &str) -> io::Result<()>;
    /// Moves a file or folder of this folder into another one, under the same name.
    fn move_to(&self, name: &str, folder: &dyn Mount) -> io::Result<()>;
    /// The descriptor of the folder itself.
    fn descriptor(&self) -> BorrowedFd<'_>;
    /// Tries to take the advisory lock on a file, created when missing. `None`: somebody holds it.
    /// An error means that locking itself failed, which is another thing.
    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn LockGuard>>>;
}

/// Takes what one of several reads gave.
pub type EachRead<'a> = dyn FnMut(io::Result<Vec<u8>>) + 'a;

/// An open file. Reads and writes carry their position.
#[expect(
    clippy::len_without_is_empty,
    reason = "an empty file has no meaning here"
)]
pub trait MountFile: Send + Sync + fmt::Debug {
    /// Fills `buffer` from `offset`, up to the end of the file; gives the bytes read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// At most `len` bytes from `offset`: fewer at the end of the file.
    fn read_range(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
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
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes`; they survive a power loss when this returns.
    fn write_durably_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Everything written survives a power loss when this returns.
    fn sync(&self) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
}

/// A file system's error codes for "what you held is gone": the answer is to start over from
/// HEAD. `ESTALE` after the server forgot the file, `EBADF` and `EIO` after a lost lease, `ENOENT`
/// after it was collected.
pub fn is_stale(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let stale = [Errno::STALE, Errno::BADF, Errno::IO, Errno::NOENT];
    error
        .raw_os_error()
        .is_some_and(|code| stale.iter().any(|e| e.raw_os_error() == code))
}

/// Whether a folder was left alone because it holds something: `ENOTEMPTY`, or `EEXIST` from some file servers.
pub fn is_not_empty(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
    )
}
