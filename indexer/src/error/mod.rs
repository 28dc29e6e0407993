//! What can go wrong, named by what the caller can do about it.
//!
//! Every public operation fails with an [`Error`]. Its [`ErrorKind`] says what the caller can do (fix the request, try
//! again, call somebody) and its [`Reason`] what exactly happened; its text says which file or which input is meant and
//! how to fix it; its source keeps the cause. An error can be cloned, so that everybody who waits for the same thing gets
//! the same error.

mod carried;
mod kind;
mod reason;
mod text;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use self::kind::ErrorKind;
pub use self::reason::Reason;
pub use self::text::joined;
use crate::mount::{FailureClass, MountFailure};
use crate::quote::shortened;

/// The result of an operation of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of every public operation.
#[derive(Clone)]
pub struct Error {
    reason: Reason,
    message: Arc<str>,
    path: Option<Arc<Path>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error for `reason`, or for an [`ErrorKind`], with a text that says what is wrong and how to fix it.
    pub fn new(reason: impl Into<Reason>, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: shortened(message.into()).into(),
            path: None,
            source: None,
        }
    }

    /// Shorthand for [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Shorthand for [`ErrorKind::Corrupt`], naming the damaged file.
    pub fn corrupt(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message).at(path)
    }

    /// Shorthand for [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// The error for a publication that `interrupted` ended and that may have taken effect all the same.
    pub fn outcome_unknown(message: impl Into<String>, interrupted: Self) -> Self {
        let reason = Reason::OutcomeUnknown(Box::new(interrupted.reason.clone()));
        Self::new(reason, message).because(interrupted)
    }

    /// A failure on the file `path`. An error of this library that an [`io::Error`] carries is given back as it was.
    pub fn io(path: impl AsRef<Path>, error: impl FileFailure) -> Self {
        error.on(path.as_ref())
    }

    /// A failure on a file of this machine.
    fn local(error: Arc<io::Error>) -> Self {
        let advice = FailureClass::of(&error).advice();
        let message = advice.unwrap_or_else(|| format!("the file system failed: {error}"));
        Self::new(Reason::Local(error), message)
    }

    /// Names the file this is about.
    #[must_use]
    pub fn at(mut self, path: impl AsRef<Path>) -> Self {
        self.path = Some(path.as_ref().into());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into().into());
        self
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.reason.kind()
    }

    /// Why the operation failed.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// Whether a file can no longer be read, so that starting over from HEAD may help.
    pub fn is_stale(&self) -> bool {
        self.reason.is_stale()
    }

    /// Whether there is no such index, or it has been deleted.
    pub fn is_index_gone(&self) -> bool {
        matches!(self.reason, Reason::IndexGone { .. })
    }

    /// What is wrong, in words, without the cause.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The file this is about, where there is one; relative to the folder of the index.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

/// The failure of a call on a file.
pub trait FileFailure {
    /// The error of this library, about the file `path` where the failure does not name one.
    fn on(self, path: &Path) -> Error;
}

impl FileFailure for io::Error {
    fn on(self, path: &Path) -> Error {
        match Error::carried_by(&self) {
            Some(own) => own.clone(),
            None => Error::local(Arc::new(self)).at(path),
        }
    }
}

impl FileFailure for MountFailure {
    fn on(self, _path: &Path) -> Error {
        self.into()
    }
}

impl From<MountFailure> for Error {
    fn from(failure: MountFailure) -> Self {
        let error = Self::new(failure.clone(), failure.message());
        error.at(failure.path())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.path {
            Some(path) => format!("{}: {}", path.display(), self.message),
            None => self.message.to_string(),
        };
        f.write_str(&joined(text, StdError::source(self)))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

#[cfg(test)]
mod tests;
