//! What the caller can do about an error.

/// What the caller can do about an [`Error`](super::Error).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong: fix it.
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
    /// The file system refused (full, read-only, permission, stale, input/output): try again or fix it.
    Unavailable,
    /// A checksum or a structure is wrong: the file that is named is damaged.
    Corrupt,
    /// A newer writer has taken over: nothing was published, try again.
    Fenced,
    /// A defect in this program.
    Internal,
}
