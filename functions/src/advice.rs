//! What to do about an error of the library, in terms of this service: its routes, parameters, options and variables.

use std::borrow::Cow;

use aquifer_indexer::Error;
use aquifer_indexer::error::Reason;
use aquifer_indexer::mount::FailureClass;

use crate::variables::{MEMORY, SCRATCH};

/// What an error says, with advice.
pub fn advised(error: &Error) -> String {
    followed(error.to_string(), error)
}

/// `text`, which says what is wrong, followed by what to do about `error`.
pub fn followed(mut text: String, error: &Error) -> String {
    if let Some(advice) = advice(error.reason()) {
        text.push_str(&advice);
    }
    text
}

/// What follows the text of an error, punctuation included.
fn advice(reason: &Reason) -> Option<Cow<'static, str>> {
    Some(match reason {
        Reason::IndexGone { name } => {
            let name = name.as_deref().unwrap_or("NAME");
            format!(": create it with PUT /indexes/{name} or `aquifer create-index`").into()
        }
        Reason::ReadOnly => ": send writes to one that was started without --read-only".into(),
        Reason::Mount(failure) if failure.class() == FailureClass::ReadOnly => {
            ", or serve with --read-only".into()
        }
        Reason::BatchUnknown => ": use the `batch` of a 202 answer".into(),
        Reason::JobUnknown => {
            ": `/jobs` lists the one that runs and the last that ended".into()
        }
        Reason::ScratchFull => format!(
            " (name a larger disk with TMPDIR, raise --scratch or {SCRATCH}, or give the function a larger /tmp)"
        )
        .into(),
        Reason::MemoryShort => {
            format!(" ({MEMORY} or --memory; a function: its memory size)").into()
        }
        Reason::Stale(_)
        | Reason::Mount(_)
        | Reason::Local(_)
        | Reason::Fenced
        | Reason::OutcomeUnknown(_)
        | Reason::Other(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use aquifer_indexer::index::no_index;
    use aquifer_indexer::mount::{MountFailure, MountOperation};

    use super::*;

    fn check(error: &Error, expected: &str) {
        assert_eq!(advised(error), expected);
    }

    #[test]
    fn what_this_service_can_do_follows_what_is_wrong() {
        check(
            &no_index("books"),
            "there is no index `books`: create it with PUT /indexes/books or `aquifer create-index`",
        );
        check(
            &Error::new(Reason::JobUnknown, "no job 1 is known"),
            "no job 1 is known: `/jobs` lists the one that runs and the last that ended",
        );
        let read_only = io::Error::from_raw_os_error(30);
        let failure = MountFailure::new(MountOperation::Open, "lock.1", read_only);
        check(
            &failure.into(),
            "lock.1: the file system is mounted read-only: mount it read-write, or serve with --read-only",
        );
    }

    #[test]
    fn what_the_library_says_in_full_is_left_as_it_is() {
        check(
            &Error::corrupt("HEAD", "it is damaged"),
            "HEAD: it is damaged",
        );
    }
}
