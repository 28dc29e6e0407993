//! Blocking library calls, off the threads that serve connections and only so many at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use super::error::{Problem, Sort};
use super::limits::DEADLINE_OVERRUN;

/// Lets a bounded number of blocking calls run and a bounded number wait for their turn.
pub(crate) struct Turnstile {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
}

impl Turnstile {
    /// `running` calls at once, `queue` more that wait.
    pub(crate) fn new(running: usize, queue: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(running.clamp(1, Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            queue,
        }
    }

    /// Runs `call` on a thread that may block, and gives its result.
    ///
    /// `call` itself is to keep to `deadline`; where it does not, the client is answered
    /// shortly afterwards, and the turn stays taken until the call ends.
    pub(crate) async fn run<T, F>(&self, deadline: Instant, call: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Problem> + Send + 'static,
    {
        self.turn(deadline).await?.run(deadline, call).await
    }

    /// Waits for a turn.
    pub(crate) async fn turn(&self, deadline: Instant) -> Result<Turn, Problem> {
        if let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() {
            return Ok(Turn(turn));
        }
        let Some(_place) = Place::take(&self.waiting, self.queue) else {
            return Err(Problem::new(
                Sort::Busy,
                format!(
                    "{} requests already wait for their turn: try again later",
                    self.queue
                ),
            ));
        };
        match timeout_at(deadline.into(), Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(Turn(turn)),
            Ok(Err(_closed)) => Err(Problem::new(Sort::Internal, "the turnstile is closed")),
            Err(_elapsed) => Err(Problem::new(
                Sort::Deadline,
                "the request waited for its turn for as long as it may; nothing was done: try \
                 again later",
            )),
        }
    }
}

/// A turn, for one call.
#[derive(Debug)]
pub(crate) struct Turn(OwnedSemaphorePermit);

impl Turn {
    /// As [`Turnstile::run`].
    pub(crate) async fn run<T, F>(self, deadline: Instant, call: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Problem> + Send + 'static,
    {
        let span = tracing::Span::current();
        let task = tokio::task::spawn_blocking(move || {
            let _turn = self.0;
            span.in_scope(call)
        });
        match timeout_at((deadline + DEADLINE_OVERRUN).into(), task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panicked)) => Err(Problem::new(
                Sort::Internal,
                "the request met a defect in this program; its log says more",
            )),
            Err(_elapsed) => Err(Problem::new(
                Sort::Deadline,
                "the request took longer than it may, and may still take effect: send it again, \
                 which is safe, or send less at once",
            )),
        }
    }
}

/// A place in the queue, given back when the wait ends in whatever way.
pub(crate) struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    /// A place, unless `queue` are taken.
    pub(crate) fn take(waiting: &'a AtomicUsize, queue: usize) -> Option<Self> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(waiting);
        (before < queue).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[tokio::test]
    async fn a_full_queue_turns_away_and_an_ended_call_lets_the_next_one_in() {
        let turnstile = Arc::new(Turnstile::new(1, 0));
        let (release, released) = mpsc::channel::<()>();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let first = tokio::spawn({
            let turnstile = Arc::clone(&turnstile);
            async move {
                turnstile
                    .run(soon(), move || {
                        started.send(()).unwrap();
                        released.recv().unwrap();
                        Ok(1)
                    })
                    .await
            }
        });
        has_started.await.unwrap();
        let refused = turnstile.run(soon(), || Ok(2)).await.unwrap_err();
        assert!(format!("{refused:?}").contains("Busy"), "{refused:?}");
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(turnstile.run(soon(), || Ok(3)).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn who_waits_past_the_deadline_is_told_so() {
        let turnstile = Turnstile::new(1, 1);
        let _held = turnstile.turn(soon()).await.unwrap();
        let late = turnstile.run(Instant::now(), || Ok(())).await.unwrap_err();
        assert!(format!("{late:?}").contains("Deadline"), "{late:?}");
        assert_eq!(turnstile.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_panic_in_a_call_is_a_failure_of_that_call_only() {
        let turnstile = Turnstile::new(1, 1);
        let call = || -> Result<(), Problem> { panic!("on purpose") };
        let failed = turnstile.run(soon(), call).await.unwrap_err();
        assert!(format!("{failed:?}").contains("Internal"), "{failed:?}");
        assert_eq!(turnstile.run(soon(), || Ok(4)).await.unwrap(), 4);
    }
}
