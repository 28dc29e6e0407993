//! Why a call on a mount failed: which call, on which file, and how.

mod class;
mod operation;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use self::class::FailureClass;
pub use self::operation::MountOperation;
use crate::quote::shortened;

/// The result of a call on a mount.
pub type MountResult<T> = Result<T, MountFailure>;

/// A call on a mount that failed.
#[derive(Clone, Debug)]
pub struct MountFailure {
    operation: MountOperation,
    class: FailureClass,
    path: Arc<Path>,
    source: Arc<io::Error>,
}

impl MountFailure {
    /// The failure of `operation` on `path`.
    pub fn new(operation: MountOperation, path: impl AsRef<Path>, source: io::Error) -> Self {
        Self {
            operation,
            class: FailureClass::of_call(operation, &source),
            path: path.as_ref().into(),
            source: Arc::new(source),
        }
    }

    /// Makes failures of `operation` on `path`, for `map_err`.
    pub(super) fn of<E: Into<io::Error>>(
        operation: MountOperation,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(E) -> Self {
        move |error| Self::new(operation, path, error.into())
    }

    /// The same failure, with the path that the file has for the caller.
    #[must_use]
    pub fn at(self, path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().into(),
            ..self
        }
    }

    /// The call.
    pub fn operation(&self) -> MountOperation {
        self.operation
    }

    /// The file or folder, relative to the mount.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What kind of failure it is.
    pub fn class(&self) -> FailureClass {
        self.class
    }

    /// The error of the operating system.
    pub fn os_error(&self) -> &io::Error {
        &self.source
    }

    /// The code of the operating system, where it gave one.
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// Whether the file does not exist any more: it was removed, or its folder was.
    pub fn is_gone(&self) -> bool {
        matches!(self.class, FailureClass::Missing | FailureClass::Stale)
    }

    /// Whether a file that was open, or that a version names, can no longer be read, so that starting over from HEAD may help.
    pub fn is_stale(&self) -> bool {
        self.is_gone() || self.class == FailureClass::Lost
    }

    /// Whether a folder was neither removed nor replaced because it holds something.
    pub fn is_not_empty(&self) -> bool {
        matches!(self.class, FailureClass::NotEmpty | FailureClass::Exists)
    }

    /// What is wrong, and how to fix it, without the path.
    pub fn message(&self) -> String {
        match (self.class, self.class.advice()) {
            (_, Some(advice)) => advice,
            (FailureClass::Damaged, None) => self.source.to_string(),
            (_, None) => format!(
                "the file system failed to {}: {}",
                self.operation,
                shortened(self.source.to_string())
            ),
        }
    }
}

impl fmt::Display for MountFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.message())
    }
}

impl StdError for MountFailure {}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn failure(errno: Errno) -> MountFailure {
        MountFailure::new(MountOperation::Read, "bundles/x", errno.into())
    }

    #[test]
    fn a_failure_says_what_could_not_be_done_and_where() {
        assert_eq!(
            failure(Errno::STALE).to_string(),
            "bundles/x: the file system failed to read it: Stale file handle (os error 116)"
        );
        let full = failure(Errno::NOSPC).to_string();
        assert!(
            full.starts_with("bundles/x: the file system is full"),
            "{full}"
        );
        let nameless = io::Error::new(io::ErrorKind::InvalidData, "this is a FIFO");
        let damaged = MountFailure::new(MountOperation::Open, "HEAD", nameless);
        assert_eq!(damaged.class(), FailureClass::Damaged);
        assert_eq!(damaged.to_string(), "HEAD: this is a FIFO");
    }

    #[test]
    fn a_lost_lease_is_stale_but_the_file_is_not_known_to_be_gone() {
        let gone = |errno| (failure(errno).is_gone(), failure(errno).is_stale());
        assert_eq!(gone(Errno::NOENT), (true, true));
        assert_eq!(gone(Errno::STALE), (true, true));
        assert_eq!(gone(Errno::IO), (false, true));
        assert_eq!(gone(Errno::BADF), (false, true));
        assert_eq!(gone(Errno::ACCESS), (false, false));
    }

    #[test]
    fn a_copy_shares_its_source() {
        let failure = failure(Errno::IO);
        let copy = failure.clone().at("manifests/1");
        assert!(std::ptr::eq(failure.os_error(), copy.os_error()));
        assert_eq!(copy.path(), Path::new("manifests/1"));
        assert_eq!(copy.operation(), MountOperation::Read);
    }
}
