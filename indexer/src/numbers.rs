//! The numbers of an index's history, each with a type of its own.
//!
//! A version, an epoch and the generation of a lock are all counted up from small numbers, and appear together in every
//! manifest. The compiler rejects one where another is wanted:
//!
//! ```
//! use aquifer_indexer::numbers::{Epoch, Version};
//! fn of_the_next_writer(epoch: Epoch) -> Epoch {
//!     epoch.next()
//! }
//! of_the_next_writer(Epoch::new(3));
//! ```
//!
//! ```compile_fail,E0308
//! use aquifer_indexer::numbers::{Epoch, Version};
//! fn of_the_next_writer(epoch: Epoch) -> Epoch {
//!     epoch.next()
//! }
//! of_the_next_writer(Version::new(3));
//! ```

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// A number with a type. Its bytes and its JSON are those of the bare number.
macro_rules! number {
    ($(#[$meaning:meta])* $name:ident($bare:ty)) => {
        $(#[$meaning])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name($bare);

        impl $name {
            /// The number, given a type.
            pub const fn new(number: $bare) -> Self {
                Self(number)
            }

            /// The bare number, for bytes and for arithmetic that does not lead back to this type.
            pub const fn get(self) -> $bare {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// The place of a state of the index in its history. Each change makes the next version.
    Version(u64)
}

number! {
    /// The term of a writer. It grows by one when another writer publishes than the one before.
    Epoch(u64)
}

number! {
    /// Which lock file is the current one. A holder that shows no sign of life is left behind with its file.
    LockGeneration(u32)
}

number! {
    /// A number of documents, or of the records of the ledger, which tantivy stores as documents.
    DocCount(u64)
}

impl Version {
    /// No version: every version is later.
    pub const NONE: Self = Self(0);
    /// The version that creating an index makes.
    pub const FIRST: Self = Self(1);

    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The version before this one, unless this is the first.
    pub const fn before(self) -> Option<Self> {
        if self.0 <= Self::FIRST.0 {
            None
        } else {
            Some(Self(self.0 - 1))
        }
    }

    /// How many versions later than `earlier` this one is; 0 when it is not later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The versions later than this one, up to and including `last`.
    pub fn later_up_to(self, last: Self) -> impl Iterator<Item = Self> {
        (self.0..last.0).map(|before| Self(before).next())
    }
}

impl Epoch {
    /// The epoch of the process that creates an index. The first that writes into it begins the next one.
    pub const FIRST: Self = Self(0);

    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl LockGeneration {
    /// The lock file that an index begins with.
    pub const FIRST: Self = Self(0);

    /// The generation after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl DocCount {
    /// No documents.
    pub const ZERO: Self = Self(0);
    /// One document.
    pub const ONE: Self = Self(1);

    /// The number of documents in a list of this length.
    pub const fn of_len(len: usize) -> Self {
        Self(len as u64)
    }

    /// What remains of so many documents without `others`; nothing when those are more.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0.saturating_sub(others.0))
    }
}

/// tantivy counts the documents of one segment in 32 bits.
impl From<u32> for DocCount {
    fn from(in_segment: u32) -> Self {
        Self(in_segment.into())
    }
}

impl Add for DocCount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for DocCount {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for DocCount {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_lead_from_one_to_the_next() {
        let version = Version::new(7);
        assert_eq!(version.next(), Version::new(8));
        assert_eq!(version.next().before(), Some(version));
        assert_eq!(Version::FIRST.before(), None);
        assert_eq!(Version::NONE.before(), None);
        assert_eq!(
            (
                version.since(Version::new(4)),
                version.since(version.next())
            ),
            (3, 0)
        );
        let after: Vec<u64> = Version::new(4)
            .later_up_to(version)
            .map(Version::get)
            .collect();
        assert_eq!(after, [5, 6, 7]);
        assert_eq!(version.later_up_to(version).count(), 0);
    }

    #[test]
    fn numbers_are_written_like_bare_numbers() {
        assert_eq!(format!("{:020}", Version::new(42)), format!("{:020}", 42));
        let written = (
            Version::new(1),
            Epoch::new(2),
            LockGeneration::new(3),
            DocCount::new(4),
        );
        let json = serde_json::to_string(&written).unwrap();
        assert_eq!(json, "[1,2,3,4]");
        let read: (Version, Epoch, LockGeneration, DocCount) = serde_json::from_str(&json).unwrap();
        assert_eq!(read, written);
    }
}
