//! Time, as the library sees it.
//!
//! Nothing else reads a clock or sleeps, so that a test can skew or hold the time.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The source of time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Monotonic time, for deadlines and pauses.
    fn now(&self) -> Instant;
    /// Wall time in milliseconds since 1970, for identifiers and reports, never for safety.
    fn wall_ms(&self) -> u64;
    /// Blocks this thread.
    fn sleep(&self, pause: Duration);
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall_ms(&self) -> u64 {
        let elapsed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}
