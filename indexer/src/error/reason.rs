//! Why an operation failed.

use std::io;
use std::sync::Arc;

use super::ErrorKind;
use crate::mount::{FailureClass, MountFailure};

/// Why an operation failed. This library matches it to decide what to do next; a front end matches it to add advice in
/// terms of its own routes, parameters and options.
#[derive(Clone, Debug)]
pub enum Reason {
    /// A file that this process relied on can no longer be read: it was collected, the server has forgotten it, or a lease
    /// was lost. Starting over from HEAD may help.
    Stale(MountFailure),
    /// Another call on the mount failed.
    Mount(MountFailure),
    /// A file of this machine failed: of the scratch folder, or of a source. It says nothing about the index.
    Local(Arc<io::Error>),
    /// There is no such index, or it has been deleted.
    IndexGone {
        /// Its name, where it is known.
        name: Option<Arc<str>>,
    },
    /// A newer writer has taken over: nothing was published.
    Fenced,
    /// A publication was interrupted, and the version may or may not exist. Holds the reason of the interruption.
    OutcomeUnknown(Box<Reason>),
    /// This process only reads.
    ReadOnly,
    /// No batch of this identity was accepted.
    BatchUnknown,
    /// No job of this identity is known.
    JobUnknown,
    /// The scratch disk of this machine is full, or its budget is used up.
    ScratchFull,
    /// The request needs more memory than this process may give it.
    MemoryShort,
    /// Something else. Only its kind is matched.
    Other(ErrorKind),
}

impl Reason {
    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Mount(failure) if failure.class() == FailureClass::Damaged => ErrorKind::Corrupt,
            Self::Stale(_) | Self::Mount(_) | Self::Local(_) | Self::ScratchFull => {
                ErrorKind::Unavailable
            }
            Self::IndexGone { .. } | Self::BatchUnknown | Self::JobUnknown => ErrorKind::NotFound,
            Self::Fenced => ErrorKind::Fenced,
            Self::OutcomeUnknown(interrupted) => interrupted.kind(),
            Self::ReadOnly => ErrorKind::Conflict,
            Self::MemoryShort => ErrorKind::Invalid,
            Self::Other(kind) => *kind,
        }
    }

    /// Whether starting over from HEAD may help, or may show what became of an interrupted publication.
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Stale(_) => true,
            Self::OutcomeUnknown(interrupted) => interrupted.is_stale(),
            _ => false,
        }
    }

    /// The error of the operating system, where a file system refused.
    pub fn os_error(&self) -> Option<&io::Error> {
        match self {
            Self::Stale(failure) | Self::Mount(failure) => Some(failure.os_error()),
            Self::Local(error) => Some(error),
            Self::OutcomeUnknown(interrupted) => interrupted.os_error(),
            _ => None,
        }
    }
}

impl From<ErrorKind> for Reason {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Fenced => Self::Fenced,
            kind => Self::Other(kind),
        }
    }
}

impl From<MountFailure> for Reason {
    fn from(failure: MountFailure) -> Self {
        if failure.is_stale() {
            Self::Stale(failure)
        } else {
            Self::Mount(failure)
        }
    }
}
