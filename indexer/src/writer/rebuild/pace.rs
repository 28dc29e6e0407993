//! How much a job does in one step.

use std::time::{Duration, Instant};

/// Bytes of documents in a step at the least, however long it takes.
const BYTES_MIN: usize = 256 * 1024;
/// A step that took less is followed by a larger one.
const SHORT: Duration = Duration::from_secs(2);
/// A step that took more is followed by a smaller one.
const LONG: Duration = Duration::from_secs(8);

/// Follows how long steps take, so that the last one ends in time.
#[derive(Debug)]
pub(super) struct Pace {
    bytes: usize,
    /// No step has more: it is held in memory, and done again after a crash.
    most: usize,
    last: Duration,
}

impl Pace {
    /// Begins with so many bytes, and goes no further than `most`.
    pub(super) fn new(bytes: usize, most: usize) -> Self {
        Self {
            bytes: bytes.min(most).max(1),
            most: most.max(1),
            last: Duration::ZERO,
        }
    }

    /// Bytes of documents for the next step.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a step that begins now will be over by `until`, as far as the last one tells.
    pub(super) fn allows(&self, now: Instant, until: Instant) -> bool {
        until.saturating_duration_since(now) > self.last * 3 / 2
    }

    pub(super) fn took(&mut self, time: Duration) {
        self.last = time;
        if time < SHORT {
            self.bytes = (self.bytes * 2).min(self.most);
        } else if time > LONG {
            self.bytes = (self.bytes / 2).max(BYTES_MIN).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_grow_while_they_are_short_and_none_begins_too_late() {
        let (mut pace, now) = (Pace::new(4 * BYTES_MIN, 8 * BYTES_MIN), Instant::now());
        assert!(pace.allows(now, now + Duration::from_millis(1)));
        assert!(!pace.allows(now, now));
        pace.took(Duration::from_secs(1));
        assert_eq!(pace.bytes(), 8 * BYTES_MIN);
        assert!(!pace.allows(now, now + Duration::from_millis(1500)));
        assert!(pace.allows(now, now + Duration::from_millis(1501)));
        pace.took(Duration::from_secs(1));
        assert_eq!(pace.bytes(), 8 * BYTES_MIN, "as many as it may have");
        pace.took(Duration::from_secs(1));
        for _ in 0..9 {
            pace.took(LONG + SHORT);
        }
        assert_eq!(pace.bytes(), BYTES_MIN);
        assert_eq!(
            Pace::new(4 * BYTES_MIN, 10).bytes(),
            10,
            "half of what was killed"
        );
    }
}
