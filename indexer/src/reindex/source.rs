//! Where a reindex gets documents from that is not the index itself.

use crate::error::{Error, Result};
use crate::format::job::Refusal;
use crate::quote::quoted;

/// Opens external sources by their URL. Implemented outside of this library, which knows no network.
pub trait Sources: Send + Sync {
    /// Checks that `url` names a source that may be read; touches nothing.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] with what may be named instead.
    fn check(&self, url: &str) -> Result<()>;

    /// Opens a source.
    ///
    /// # Errors
    /// Like [`Self::check`]; [`crate::ErrorKind::Unavailable`] when it cannot be reached, which ends the job if it does
    /// not pass; [`crate::ErrorKind::Conflict`] when another process may read it, to which the job is left.
    fn open(&self, url: &str) -> Result<Box<dyn DocumentSource>>;
}

/// The documents of a source, in an order of its own that stays the same as long as the source does.
pub trait DocumentSource: Send {
    /// The documents after `position`, which an earlier chunk gave, perhaps in another process; from the
    /// beginning on without one. About `bytes` of them, one at least unless the source has ended. Where
    /// the source has changed since `position` was given, documents may come again; none is left out.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unavailable`] when reading fails: asking again may help.
    fn next(&mut self, position: Option<&str>, bytes: usize) -> Result<Chunk>;
}

/// A document of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced {
    /// Where it begins, for people: the object, and the line or element in it.
    pub place: String,
    /// Its JSON.
    pub text: String,
}

/// Some documents of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Each document, or why what was found is none.
    pub documents: Vec<Result<Sourced, Refusal>>,
    /// Where to go on; none at the end of the source.
    pub position: Option<String>,
    /// Bytes of the source read by now, packed as they lie there, and in all, where that is known; for people.
    pub read_bytes: u64,
    /// Bytes of the source in all.
    pub total_bytes: Option<u64>,
}

/// No external sources: every URL is refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSources;

impl Sources for NoSources {
    fn check(&self, url: &str) -> Result<()> {
        Err(Error::invalid(format!(
            "the source {} may not be read here: no external sources are configured",
            quoted(url)
        )))
    }

    fn open(&self, url: &str) -> Result<Box<dyn DocumentSource>> {
        self.check(url).and(Err(Error::internal("no sources")))
    }
}
