//! What folders and buckets have in common: objects with names.

use std::fmt;
use std::io::{self, Read};

use aquifer_indexer::{Error, ErrorKind, Result};

/// An object that a listing has named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name in the source, with `/` between its parts; a folder's ends in `/`.
    pub name: String,
    /// Bytes, as it lies there.
    pub size: u64,
    /// Why nothing in it can be read.
    pub problem: Option<String>,
}

/// A file that is passed over since it holds no documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its name in the source.
    pub name: String,
    /// How that is known.
    pub why: &'static str,
}

/// A part of a listing.
#[derive(Debug, Default)]
pub struct Page {
    /// In the order of their names' bytes.
    pub found: Vec<Found>,
    /// What a folder holds besides.
    pub skipped: Vec<Skipped>,
    /// The listing goes on after this name; none at its end.
    pub after: Option<String>,
}

/// An object that is being read.
pub(super) struct Opened {
    /// Changes when the object does.
    pub(super) version: String,
    /// What it holds. An error of its own is a [`Failed`].
    pub(super) bytes: Box<dyn Read + Send>,
}

/// The objects of a source.
pub(super) trait Objects: Send {
    /// The objects after a name, a page of them.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where there is no such source, or it may not be read;
    /// [`ErrorKind::Unavailable`].
    fn list(&self, after: Option<&str>) -> Result<Page>;

    /// Opens an object; none where it is gone.
    ///
    /// # Errors
    /// As [`Self::list`].
    fn open(&self, name: &str) -> Result<Option<Opened>>;

    /// Opens several small objects that a listing has just named.
    ///
    /// # Errors
    /// As [`Self::list`].
    fn open_all(&self, found: &[Found]) -> Result<Vec<Option<Opened>>> {
        found.iter().map(|found| self.open(&found.name)).collect()
    }
}

/// Why reading on in an object failed, on its way through what unpacks and cuts it.
#[derive(Debug)]
pub(super) enum Failed {
    /// It is another one by now.
    Changed,
    /// It is gone.
    Gone,
    /// Reading failed.
    Source(Error),
}

impl Failed {
    pub(super) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// What `error` carries; itself, where it is about what the object holds.
    pub(super) fn of(error: io::Error) -> std::result::Result<Self, io::Error> {
        error.downcast::<Self>()
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("it was changed while it was read"),
            Self::Gone => f.write_str("it was deleted while it was read"),
            Self::Source(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Failed {}

/// A source that does not answer as it should: asking again may help.
pub(super) fn unavailable(what: &str, error: impl fmt::Display) -> Error {
    let text = format!("{what} cannot be read: {error}");
    Error::new(ErrorKind::Unavailable, text)
}

/// A source that is not there, or may not be read.
pub(super) fn unreadable(what: &str, why: &str) -> Error {
    Error::invalid(format!("{what} cannot be read: {why}"))
}
