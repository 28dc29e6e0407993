//! What kind of failure an error of the operating system is.

use std::io;

use rustix::io::Errno;

use super::MountOperation;
use crate::descriptors;

/// The kinds of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// Nothing has this name (`ENOENT`).
    Missing,
    /// Something has this name already (`EEXIST`).
    Exists,
    /// The folder holds something (`ENOTEMPTY`; some file servers say [`Self::Exists`]).
    NotEmpty,
    /// The name belongs to something of another type: a folder where a file is wanted, a file where a folder or a symbolic
    /// link is wanted (`ENOTDIR`, `EISDIR`, `EINVAL` of `readlink`).
    OtherType,
    /// The server does not know the file or folder any more (`ESTALE`).
    Stale,
    /// The open file cannot be used any more: `EBADF` and `EIO` after a lease was lost. A broken disk also says `EIO`, and
    /// says it again at the next attempt.
    Lost,
    /// No space, or no quota, is left (`ENOSPC`, `EDQUOT`).
    Full,
    /// This user may not do that (`EACCES`, `EPERM`).
    Denied,
    /// The file system is mounted read-only (`EROFS`).
    ReadOnly,
    /// Something else is using it (`EAGAIN`, `EBUSY`, `ETXTBSY`).
    Busy,
    /// No file descriptor is left (`EMFILE`, `ENFILE`).
    OutOfDescriptors,
    /// The new name is on another file system (`EXDEV`).
    OtherFileSystem,
    /// What has the name cannot be a file of an index.
    Damaged,
    /// Anything else.
    Other,
}

impl FailureClass {
    /// The class of an error of a file of this machine.
    pub(crate) fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(errno) => Self::of_errno(errno),
            None => Self::of_kind(error.kind()),
        }
    }

    /// The class of an error that `operation` gave.
    pub(super) fn of_call(operation: MountOperation, error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::INVAL) if operation == MountOperation::ReadLink => Self::OtherType,
            _ => Self::of(error),
        }
    }

    fn of_errno(errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::Missing,
            Errno::EXIST => Self::Exists,
            Errno::NOTEMPTY => Self::NotEmpty,
            Errno::NOTDIR | Errno::ISDIR => Self::OtherType,
            Errno::STALE => Self::Stale,
            Errno::BADF | Errno::IO => Self::Lost,
            Errno::NOSPC | Errno::DQUOT => Self::Full,
            Errno::ACCESS | Errno::PERM => Self::Denied,
            Errno::ROFS => Self::ReadOnly,
            Errno::AGAIN | Errno::BUSY | Errno::TXTBSY => Self::Busy,
            Errno::MFILE | Errno::NFILE => Self::OutOfDescriptors,
            Errno::XDEV => Self::OtherFileSystem,
            _ => Self::Other,
        }
    }

    /// The class of an error that this program made itself.
    fn of_kind(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::InvalidInput => Self::OtherType,
            io::ErrorKind::InvalidData => Self::Damaged,
            _ => Self::Other,
        }
    }

    /// What it means and how to fix it; `None` where the error of the operating system says enough.
    pub(crate) fn advice(self) -> Option<String> {
        let advice = match self {
            Self::OutOfDescriptors => {
                return Some(format!(
                    "too many files are open, of which this process may have {}: send fewer requests at \
                     once, or raise the limit (`ulimit -n`, LimitNOFILE=)",
                    descriptors::limit()
                ));
            }
            Self::Full => "the file system is full: free some space, then send the request again",
            Self::ReadOnly => "the file system is mounted read-only: mount it read-write",
            Self::Denied => {
                "permission denied: the folder must be readable (and, to write, writable) by this user"
            }
            Self::Missing => "it does not exist (any more)",
            _ => return None,
        };
        Some(advice.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: FailureClass, errnos: &[Errno]) {
        for errno in errnos {
            let error = io::Error::from(*errno);
            let class = FailureClass::of_call(MountOperation::Open, &error);
            assert_eq!(class, expected, "{errno:?}");
        }
    }

    #[test]
    fn each_error_code_has_its_class() {
        check(FailureClass::Missing, &[Errno::NOENT]);
        check(FailureClass::Exists, &[Errno::EXIST]);
        check(FailureClass::NotEmpty, &[Errno::NOTEMPTY]);
        check(FailureClass::OtherType, &[Errno::NOTDIR, Errno::ISDIR]);
        check(FailureClass::Stale, &[Errno::STALE]);
        check(FailureClass::Lost, &[Errno::BADF, Errno::IO]);
        check(FailureClass::Full, &[Errno::NOSPC, Errno::DQUOT]);
        check(FailureClass::Denied, &[Errno::ACCESS, Errno::PERM]);
        check(FailureClass::ReadOnly, &[Errno::ROFS]);
        let busy = [Errno::AGAIN, Errno::WOULDBLOCK, Errno::BUSY, Errno::TXTBSY];
        check(FailureClass::Busy, &busy);
        check(
            FailureClass::OutOfDescriptors,
            &[Errno::MFILE, Errno::NFILE],
        );
        check(FailureClass::OtherFileSystem, &[Errno::XDEV]);
        check(FailureClass::Other, &[Errno::INVAL, Errno::TIMEDOUT]);
    }

    #[test]
    fn what_is_no_link_is_of_another_type() {
        let invalid = io::Error::from(Errno::INVAL);
        let class = FailureClass::of_call(MountOperation::ReadLink, &invalid);
        assert_eq!(class, FailureClass::OtherType);
    }
}
