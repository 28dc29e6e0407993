//! How long an invocation may take.

use std::time::{Duration, Instant, UNIX_EPOCH};

use aquifer_indexer::clock::{Clock as _, SystemClock};
use lambda_runtime::Context;

use crate::http::limits::DEADLINE_OVERRUN;

/// What is kept of an invocation's time for the answer to travel, beside what a library call may overrun.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// Kept at most of an invocation that maintains: its steps end where a checkpoint is, which may be later than planned, and
/// the report has to travel.
const STEP_MARGIN: Duration = Duration::from_secs(20);

/// When a request must have its answer: early enough that the function is not killed over it. Of an invocation
/// that is short of time one half remains.
pub fn request_deadline(context: &Context) -> Instant {
    let left = left(context);
    Instant::now() + left - (DEADLINE_OVERRUN + ANSWER_MARGIN).min(left / 2)
}

/// The time that maintenance has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Until when it may work.
    pub until: Instant,
    /// When the invocation is over.
    pub end: Instant,
}

impl Bounds {
    /// What an invocation leaves.
    pub fn of(context: &Context) -> Self {
        let left = left(context);
        let end = Instant::now() + left;
        let until = end - STEP_MARGIN.min(left / 4);
        Self { until, end }
    }
}

/// What is left of an invocation. Its deadline is a time of day, the only one that a function is given.
fn left(context: &Context) -> Duration {
    let now = UNIX_EPOCH + Duration::from_millis(SystemClock.wall_ms());
    let left = context.deadline().duration_since(now);
    left.unwrap_or_default()
}

/// Whole milliseconds since `start`.
pub(crate) fn millis_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn context(left: Duration) -> Context {
        let mut context = Context::default();
        let deadline = SystemTime::now() + left;
        let since = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        context.deadline = u64::try_from(since.as_millis()).unwrap();
        context
    }

    #[track_caller]
    fn check(moment: Instant, latest: Duration) {
        let left = moment.saturating_duration_since(Instant::now());
        assert!(left <= latest, "{left:?} is after {latest:?}");
        assert!(left + Duration::from_secs(2) > latest, "{left:?}");
    }

    #[test]
    fn a_margin_is_kept_for_the_answer() {
        let long = context(Duration::from_secs(60));
        check(request_deadline(&long), Duration::from_millis(57_500));
        check(Bounds::of(&long).until, Duration::from_secs(45));
        let short = context(Duration::from_secs(3));
        check(request_deadline(&short), Duration::from_millis(1500));
        check(
            request_deadline(&Context::default()),
            Duration::from_millis(0),
        );
    }
}
