//! When a batch is tried again.

use std::time::Duration;

use aquifer_indexer::ids::Ids;
use ureq::http::{Response, header};

/// How often a batch is tried before the load is given up: over two minutes of waiting.
pub(super) const ATTEMPTS: u32 = 9;

/// The first wait between two attempts; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest wait between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a service asks to wait.
pub(super) fn retry_after(response: &Response<ureq::Body>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    let asked = Duration::from_secs(seconds.trim().parse().ok()?);
    Some(asked.min(LONGEST_PAUSE))
}

/// The wait after an attempt, a part of it at random, so that lanes do not come back together.
pub(super) fn pause(attempt: u32, ids: &dyn Ids) -> Duration {
    let whole = FIRST_PAUSE
        .saturating_mul(1 << attempt.min(10))
        .min(LONGEST_PAUSE);
    let (_, random) = ids.next().as_u64_pair();
    let thousandths = u32::try_from(random % 500).unwrap_or_default();
    whole / 1000 * (500 + thousandths)
}

/// Whether an attempt failed for a reason that may be gone at the next one.
pub(super) fn is_passing(error: &ureq::Error) -> bool {
    matches!(
        error,
        ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Protocol(_)
    )
}

#[cfg(test)]
mod tests {
    use aquifer_indexer::ids::SeededIds;

    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let ids = SeededIds::new(1);
        for attempt in 0..40 {
            let pause = pause(attempt, &ids);
            assert!(
                pause <= LONGEST_PAUSE && pause >= FIRST_PAUSE / 2,
                "{attempt}: {pause:?}"
            );
        }
        assert!(pause(8, &ids) >= LONGEST_PAUSE / 2);
    }
    #[test]
    fn lanes_do_not_come_back_together_and_a_seed_repeats_their_pauses() {
        let of = |seed| {
            let ids = SeededIds::new(seed);
            [0, 0, 0, 0].map(|attempt| pause(attempt, &ids))
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
