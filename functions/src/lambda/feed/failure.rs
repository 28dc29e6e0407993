//! Why an item of an event failed.

use aquifer_indexer::{Error, ErrorKind};

use crate::advice::advised;

/// Why an item failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ItemFailure {
    pub(super) kind: ErrorKind,
    pub(super) why: String,
}

impl From<&Error> for ItemFailure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            why: advised(error),
        }
    }
}

impl ItemFailure {
    pub(super) fn of(kind: ErrorKind, why: &str) -> Self {
        Self {
            kind,
            why: why.to_owned(),
        }
    }

    /// The same for somebody else.
    pub(super) fn error(&self) -> Error {
        Error::new(self.kind, self.why.clone())
    }

    /// Whether the item is at fault. Otherwise the next delivery of the same item may succeed.
    pub(super) fn is_rejection(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::TooLarge
        )
    }
}
