//! What can go wrong, named by what the caller can do about it.
//!
//! Every public operation fails with an [`Error`]. Its [`ErrorKind`] decides what happens next (mend
//! the request, try again, call somebody); its text says which file or which input is meant and
//! how to mend it; its source keeps the cause.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::descriptors;
use crate::quote::shortened;

/// The result of an operation of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong: mend it.
    Invalid,
    /// What was named does not exist.
    NotFound,
    /// What was asked contradicts what exists.
    Conflict,
    /// The request exceeds a limit: send less.
    TooLarge,
    /// The answer exceeds a limit: ask for less.
    AnswerTooLarge,
    /// Somebody else is working and the deadline came first: try again.
    Busy,
    /// What was asked takes longer than it may: ask for less, or again later.
    Deadline,
    /// The file system refused (full, read-only, permission, stale, input/output): try again or mend it.
    Unavailable,
    /// A checksum or a structure is wrong: the file that is named is damaged.
    Corrupt,
    /// A newer writer has taken over: nothing was published, try again.
    Fenced,
    /// A defect in this program.
    Internal,
}

/// The error of every public operation.
pub struct Error {
    kind: ErrorKind,
    message: String,
    path: Option<PathBuf>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    /// Whether the message says what the source does, in words that are easier to understand.
    tells_source: bool,
}

impl Error {
    /// An error of `kind` with a text that says what is wrong and how to mend it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: shortened(message.into()).into_owned(),
            path: None,
            source: None,
            tells_source: false,
        }
    }

    /// Shorthand for [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Shorthand for [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Shorthand for [`ErrorKind::Corrupt`], naming the damaged file.
    pub fn corrupt(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message).at(path)
    }

    /// Shorthand for [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// An input/output failure on `path`.
    ///
    /// Damage that a lower layer found while reading (it travels inside an [`io::Error`]) is
    /// given back as it was.
    pub fn io(path: impl AsRef<Path>, error: io::Error) -> Self {
        match Self::unwrap_io(error) {
            Ok(inner) => inner,
            Err(error) => Self::of_io(&error).at(path).because(error),
        }
    }

    fn of_io(error: &io::Error) -> Self {
        let advice = io_advice(error);
        Self {
            tells_source: advice.is_some(),
            ..Self::new(
                ErrorKind::Unavailable,
                advice.unwrap_or_else(|| "the file system failed".to_owned()),
            )
        }
    }

    /// Names the file this is about.
    #[must_use]
    pub fn at(mut self, path: impl AsRef<Path>) -> Self {
        self.path = Some(path.as_ref().to_path_buf());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same for somebody else who waits; its cause becomes part of the text.
    pub(crate) fn copy(&self) -> Self {
        Self {
            kind: self.kind,
            message: joined(self.message.clone(), StdError::source(self)),
            path: self.path.clone(),
            source: None,
            tells_source: false,
        }
    }

    /// The same for somebody else whom the same failure meets, with the code behind it, which decides
    /// about retries.
    pub(crate) fn again(&self) -> Self {
        let copy = self.copy();
        match self.raw_os_error().map(io::Error::from_raw_os_error) {
            // Its text says already what the code means.
            Some(code) => Self {
                tells_source: true,
                ..copy.because(code)
            },
            None => copy,
        }
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What is wrong, in words, without the cause.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The file this is about, where there is one; relative to the folder of the index.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The raw operating-system error behind this, if there is one.
    pub fn raw_os_error(&self) -> Option<i32> {
        let mut cause = self.cause();
        while let Some(error) = cause {
            let io = error.downcast_ref::<io::Error>();
            if let Some(code) = io.and_then(io::Error::raw_os_error) {
                return Some(code);
            }
            let inside = io.and_then(io::Error::get_ref);
            let own = match inside {
                Some(inside) => inside.downcast_ref::<Self>(),
                None => error.downcast_ref::<Self>(),
            };
            cause = own.map_or_else(|| error.source(), Self::cause);
        }
        None
    }

    /// What it was made of, whether or not its message says that already.
    fn cause(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }

    /// Wraps this error so that it can travel through an interface that only knows [`io::Error`].
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    fn unwrap_io(error: io::Error) -> Result<Self, io::Error> {
        match error.downcast::<Self>() {
            Ok(inner) => Ok(inner),
            Err(error) => Err(error),
        }
    }
}

/// What an input/output error means and what a person can do about it, where its kind says that.
fn io_advice(error: &io::Error) -> Option<String> {
    if descriptors::is_exhausted(error) {
        return Some(format!(
            "too many files are open, of which this process may have {}: send fewer requests at \
             once, or raise the limit (`ulimit -n`, LimitNOFILE=)",
            descriptors::limit()
        ));
    }
    let advice = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the file system is full: free some space, then send the request again"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "the file system is mounted read-only: mount it read-write, or serve with --read-only"
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied: the folder must be readable (and, to write, writable) by this user"
        }
        io::ErrorKind::NotFound => "it does not exist (any more)",
        _ => return None,
    };
    Some(advice.to_owned())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.path {
            Some(path) => format!("{}: {}", path.display(), self.message),
            None => self.message.clone(),
        };
        f.write_str(&joined(text, StdError::source(self)))
    }
}

/// `text` followed by a cause and the causes of that, each that the text does not say yet: some errors repeat their
/// causes, and some do not.
pub fn joined(mut text: String, cause: Option<&(dyn StdError + 'static)>) -> String {
    let mut next = cause;
    while let Some(error) = next {
        // A parser repeats what it was given.
        let told = error.to_string();
        let told = shortened(told);
        if !text.ends_with(&*told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        next = error.source();
    }
    text
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause().filter(|_| !self.tells_source)
    }
}

impl From<tantivy::TantivyError> for Error {
    /// Finds the file-system error or the damage inside tantivy's error.
    fn from(error: tantivy::TantivyError) -> Self {
        if let Some(io) = io_error_in(&error) {
            if let Some(inner) = io.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
                return inner.again();
            }
            let failed = Self::of_io(io);
            return match io.raw_os_error() {
                Some(code) => failed.because(io::Error::from_raw_os_error(code)),
                None => failed.because(error),
            };
        }
        let kind = match &error {
            tantivy::TantivyError::DataCorruption(_)
            | tantivy::TantivyError::IncompatibleIndex(_) => ErrorKind::Corrupt,
            tantivy::TantivyError::OpenReadError(_) | tantivy::TantivyError::IoError(_) => {
                ErrorKind::Unavailable
            }
            _ => ErrorKind::Internal,
        };
        Self::new(kind, "the search library failed").because(error)
    }
}

/// The input/output error that tantivy wraps without naming it as its source.
fn io_error_in(error: &tantivy::TantivyError) -> Option<&io::Error> {
    use tantivy::TantivyError;
    use tantivy::directory::error::{OpenDirectoryError, OpenReadError, OpenWriteError};
    match error {
        TantivyError::IoError(io)
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error: io, .. })
        | TantivyError::OpenWriteError(OpenWriteError::IoError { io_error: io, .. })
        | TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error: io, .. }) => {
            Some(io)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_survives_the_way_through_io_and_tantivy() {
        let damage = Error::corrupt("bundles/x", "page 3 has a wrong checksum");
        let through_io = Error::io("elsewhere", damage.into_io());
        assert_eq!(through_io.kind(), ErrorKind::Corrupt);
        assert_eq!(through_io.path(), Some(Path::new("bundles/x")));
        let through_tantivy: Error = tantivy::TantivyError::from(through_io.into_io()).into();
        assert_eq!(through_tantivy.kind(), ErrorKind::Corrupt);
        assert_eq!(through_tantivy.path(), Some(Path::new("bundles/x")));
        let stale = Error::io("bundles/x", io::Error::from_raw_os_error(116));
        let through_tantivy: Error = tantivy::TantivyError::from(stale.into_io()).into();
        assert_eq!(through_tantivy.raw_os_error(), Some(116));
    }

    #[test]
    fn the_operating_system_code_is_found_behind_the_text() {
        let error = Error::io("lock", io::Error::from_raw_os_error(28));
        assert_eq!(error.raw_os_error(), Some(28));
        assert!(error.to_string().contains("full"), "{error}");
    }

    #[test]
    fn a_cause_is_told_once_however_deep_it_lies() {
        for (code, cause) in [(13, "permission denied"), (5, "os error 5"), (28, "full")] {
            let inner = Error::io("inner", io::Error::from_raw_os_error(code));
            let outer = Error::invalid("the source cannot be read").because(inner);
            let outermost = Error::io("outer", outer.into_io());
            let again = Error::invalid("again").because(outermost.again());
            for text in [outermost.to_string(), outermost.copy().to_string()] {
                assert_eq!(text.matches(cause).count(), 1, "{text}");
                assert_eq!(text.matches("inner").count(), 1, "{text}");
            }
            let io = Error::io("x", io::Error::from_raw_os_error(code)).to_string();
            assert_eq!(io.to_lowercase().matches(cause).count(), 1, "{io}");
            assert_eq!(outermost.raw_os_error(), Some(code));
            assert_eq!(again.raw_os_error(), Some(code));
        }
    }

    #[test]
    fn who_has_no_descriptor_left_is_told_the_limit() {
        let error = Error::io("bundles/x", io::Error::from_raw_os_error(24)).to_string();
        let limit = descriptors::limit().to_string();
        assert!(
            error.contains("ulimit -n") && error.contains(&limit),
            "{error}"
        );
    }
}
