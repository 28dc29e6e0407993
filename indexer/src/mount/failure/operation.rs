//! The calls of a mount, by name.

use std::fmt;

/// A call of [`Mount`](crate::mount::Mount) or [`MountFile`](crate::mount::MountFile).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MountOperation {
    /// Opening a file, perhaps a new one.
    Open,
    /// Opening a folder as a mount of its own.
    Enter,
    /// Reading bytes.
    Read,
    /// Writing bytes, durably or not.
    Write,
    /// Making a file, or the names in a folder, durable.
    Sync,
    /// Listing a folder.
    List,
    /// Asking for length, time or identity.
    Metadata,
    /// Making a folder.
    MakeDir,
    /// Removing a name, or an empty folder.
    Remove,
    /// Creating a symbolic link.
    Symlink,
    /// Reading a symbolic link.
    ReadLink,
    /// Giving another name, or moving to another folder.
    Rename,
    /// Locking a file.
    Lock,
}

impl fmt::Display for MountOperation {
    /// As in "the file system failed to open it".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open it",
            Self::Enter => "open this folder",
            Self::Read => "read it",
            Self::Write => "write it",
            Self::Sync => "sync it",
            Self::List => "list it",
            Self::Metadata => "look at it",
            Self::MakeDir => "make this folder",
            Self::Remove => "remove it",
            Self::Symlink => "create this link",
            Self::ReadLink => "read this link",
            Self::Rename => "rename it",
            Self::Lock => "lock it",
        })
    }
}
