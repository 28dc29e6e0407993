//! Time, as the library sees it.
//!
//! Nothing else reads a clock or sleeps, so that a test can skew or hold the time.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
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

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the library asks the operating system for the time"
)]
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

/// The clocks of the operating system, with a wall clock that is set wrong: for tests of machines that disagree about
/// the time.
#[derive(Debug, Default)]
pub struct SkewedClock {
    skew_ms: AtomicI64,
}

impl SkewedClock {
    /// A wall clock that is so many milliseconds ahead, or behind if negative.
    pub fn new(skew_ms: i64) -> Self {
        Self {
            skew_ms: AtomicI64::new(skew_ms),
        }
    }

    /// Sets the wall clock while it is in use. Monotonic time is not affected.
    pub fn set(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::SeqCst);
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall_ms(&self) -> u64 {
        let skew = self.skew_ms.load(Ordering::SeqCst);
        SystemClock.wall_ms().saturating_add_signed(skew)
    }

    fn sleep(&self, pause: Duration) {
        SystemClock.sleep(pause);
    }
}
