//! What the partner of an examination is asked to do, and what it answers.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use super::contest::Contest;
use crate::error::Result;
use crate::mount::{Access, MountFailure};

/// Somebody else who works in the scratch folder: another process, or a process on another machine.
pub trait Partner: Send + Sync + fmt::Debug {
    /// Who it is, for the report: `another process of this machine`.
    fn name(&self) -> String;
    /// Carries out an order. A call that fails there is an answer.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unavailable`] if the partner cannot be reached or does not understand.
    fn carry_out(&self, order: &Order) -> Result<Result<Yield, CallFailure>>;
}

/// A partner on this machine that can be killed.
pub trait Companion: Partner {
    /// Kills it, so that it can neither unlock nor close anything, and waits until it is gone.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Internal`] if that fails.
    fn kill(&self) -> Result<()>;
}

/// An errand, and the scratch folder in which it is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The scratch folder's name in the root.
    pub folder: String,
    /// What to do there.
    pub errand: Errand,
}

/// One thing to do. Names are relative to the scratch folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Errand {
    /// Enter the scratch folder, in which the file `name` holds `text`.
    Begin {
        /// A file that the examiner has written.
        name: String,
        /// What only that file holds.
        text: String,
    },
    /// Create a file that must be new, write a page durably, and close it.
    Create {
        /// The new file.
        name: String,
        /// What the page repeats.
        text: String,
    },
    /// Open a file and keep it open.
    Open {
        /// The file.
        name: String,
        /// For what.
        access: PageAccess,
    },
    /// Read the page of a file that is open.
    Read {
        /// The file.
        name: String,
    },
    /// Open a file, read its page and close it.
    ReadOnce {
        /// The file.
        name: String,
    },
    /// Read the text of a symbolic link.
    ReadLink {
        /// The link.
        name: String,
    },
    /// Overwrite the page of a file that is open.
    Overwrite {
        /// The file.
        name: String,
        /// What the page repeats.
        text: String,
    },
    /// Close a file that is open.
    Close {
        /// The file.
        name: String,
    },
    /// Remove a file.
    Unlink {
        /// The file.
        name: String,
    },
    /// Remove an empty folder.
    RemoveDir {
        /// The folder.
        name: String,
    },
    /// Try to take a lock.
    TryLock {
        /// The lock file.
        name: String,
    },
    /// Release a lock.
    Unlock {
        /// The lock file.
        name: String,
    },
    /// Try to win names that the examiner tries to win at the same time.
    Contend {
        /// By which call.
        contest: Contest,
        /// Under which name.
        competitor: String,
        /// How many names.
        rounds: u32,
    },
    /// Release everything and leave the folder.
    End,
}

impl Errand {
    /// The call that it is about, as a sentence names it.
    pub(super) fn call(&self) -> &'static str {
        match self {
            Self::Begin { .. } => "entering the folder",
            Self::Create { .. } => "creating a file",
            Self::Open { .. } => "opening a file",
            Self::Read { .. } | Self::ReadOnce { .. } => "reading a file",
            Self::ReadLink { .. } => "reading a link",
            Self::Overwrite { .. } => "overwriting a page",
            Self::Close { .. } => "closing a file",
            Self::Unlink { .. } => "removing a name",
            Self::RemoveDir { .. } => "removing a folder",
            Self::TryLock { .. } => "taking a lock",
            Self::Unlock { .. } => "releasing a lock",
            Self::Contend { contest, .. } => contest.call(),
            Self::End => "leaving the folder",
        }
    }
}

/// How a partner opens a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageAccess {
    /// [`Access::CoherentRead`].
    Read,
    /// [`Access::CoherentUpdate`].
    Update,
}

impl From<PageAccess> for Access {
    fn from(access: PageAccess) -> Self {
        match access {
            PageAccess::Read => Self::CoherentRead,
            PageAccess::Update => Self::CoherentUpdate,
        }
    }
}

/// What an errand gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Yield {
    /// It is done.
    Done,
    /// What a page holds.
    Page(String),
    /// The text of a symbolic link.
    Text(String),
    /// Whether a lock was taken.
    Taken(bool),
    /// For each name whether it was won.
    Won(Vec<bool>),
}

/// A call that failed at the partner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallFailure {
    /// The error code of the operating system, if it was one.
    pub errno: Option<i32>,
    /// The error in words.
    pub text: String,
}

impl From<MountFailure> for CallFailure {
    fn from(failure: MountFailure) -> Self {
        Self {
            errno: failure.errno(),
            text: failure.to_string(),
        }
    }
}

impl From<CallFailure> for io::Error {
    fn from(failure: CallFailure) -> Self {
        match failure.errno {
            Some(code) => Self::from_raw_os_error(code),
            None => Self::other(failure.text),
        }
    }
}
