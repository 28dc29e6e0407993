//! Waiting for another process, and never for ever.

use std::thread;
use std::time::{Duration, Instant};

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(20);

/// Looks until `look` gives something; `None` when `patience` has run out.
pub fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(POLL);
    }
}

/// Looks until `look` gives something.
///
/// # Panics
/// When `patience` has run out; `what` says what did not come.
#[track_caller]
pub fn eventually<T>(what: &str, patience: Duration, look: impl FnMut() -> Option<T>) -> T {
    within(patience, look).unwrap_or_else(|| panic!("{what}: not within {patience:?}"))
}
