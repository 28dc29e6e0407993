//! Handing long work to the reindex function, without waiting for it to be done.
//!
//! What is handed over lies in the index in any case, and the next schedule finds it there. So a failure
//! is logged and counted, and no request fails over it.

mod invoke;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aquifer_indexer::index::{Aquifer, Pending};
use lambda_runtime::BoxFuture;
use uuid::Uuid;

pub use self::invoke::LambdaHandoff;
use super::order::{Order, Task};

/// Invokes the function that long work is handed to.
pub trait Handoff: Send + Sync {
    /// Asks for `order` to be carried out, and returns once that is accepted, or `within` this time.
    fn invoke<'a>(
        &'a self,
        order: &'a Order,
        within: Duration,
    ) -> BoxFuture<'a, Result<(), HandoffError>>;
}

/// Why work could not be handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandoffError {
    /// The order is no JSON: a defect.
    #[error("the order cannot be written")]
    Order(#[from] serde_json::Error),
    /// The function was not invoked, after all retries.
    #[error("the function {function} was not invoked: {reason}")]
    Refused {
        /// Which.
        function: String,
        /// What the service, or the way there, said.
        reason: String,
    },
    /// There was no answer in time. The function may run all the same.
    #[error("the invocation of {function} was not answered within {}ms", within.as_millis())]
    Slow {
        /// Which.
        function: String,
        /// For how long it was waited.
        within: Duration,
    },
}

/// How often an index is looked at for work that nobody mentions, such as a merge that is due: a look lists
/// the inbox, which is one round trip.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// For how long the same work is not handed over again: an invocation that was accepted starts within seconds
/// and does all there is.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// The share of a request's remaining time that handing over may take.
const SHARE: u32 = 4;

/// What handing over may take at most: it delays an answer.
const WITHIN_MAX: Duration = Duration::from_secs(2);

/// Why work is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reason {
    Inbox,
    Merge,
    Job(Uuid),
}

/// What the writer hands over, and when it did.
pub struct HandOver {
    handoff: Arc<dyn Handoff>,
    looked: Mutex<HashMap<String, Instant>>,
    handed: Mutex<HashMap<(String, Reason), Instant>>,
}

/// What became of a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handed {
    /// Invocations that were accepted.
    pub accepted: u64,
    /// Invocations that failed.
    pub failed: u64,
}

impl HandOver {
    /// Hands over through `handoff`.
    pub fn new(handoff: Arc<dyn Handoff>) -> Self {
        Self {
            handoff,
            looked: Mutex::default(),
            handed: Mutex::default(),
        }
    }

    /// Looks what is left of the index `name` after a request that changed it, and hands it over. `certain`:
    /// the answer said that something is left. Keeps to a part of the time until `deadline`.
    pub async fn after(
        &self,
        aquifer: &Arc<Aquifer>,
        name: &str,
        certain: bool,
        deadline: Instant,
    ) -> Handed {
        let nothing = Handed::default();
        if !certain && !self.may_look(name) {
            return nothing;
        }
        let (looker, index) = (Arc::clone(aquifer), name.to_owned());
        let look = move || looker.index(&index).and_then(|index| index.pending());
        let pending = match tokio::task::spawn_blocking(look).await {
            Ok(Ok(pending)) => pending,
            Ok(Err(error)) => {
                tracing::warn!(%error, "it is not known what is left to do");
                return nothing;
            }
            // A panic has been logged already.
            Err(_panicked) => return nothing,
        };
        let reasons = self.due(name, &pending);
        if reasons.is_empty() {
            return nothing;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let order = order(name, &reasons);
        match self
            .handoff
            .invoke(&order, (left / SHARE).min(WITHIN_MAX))
            .await
        {
            Ok(()) => {
                tracing::info!(?reasons, "handed over");
                self.remember(name, &reasons);
                Handed {
                    accepted: 1,
                    failed: 0,
                }
            }
            Err(error) => {
                tracing::warn!(%error, ?reasons, "not handed over: left to the next schedule");
                Handed {
                    accepted: 0,
                    failed: 1,
                }
            }
        }
    }

    fn may_look(&self, name: &str) -> bool {
        let now = Instant::now();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked
            .get(name)
            .is_none_or(|last| now.duration_since(*last) >= LOOK_EVERY);
        if due {
            looked.insert(name.to_owned(), now);
        }
        due
    }

    fn due(&self, name: &str, pending: &Pending) -> Vec<Reason> {
        let inbox = (pending.inbox > 0).then_some(Reason::Inbox);
        let merge = pending.merge.then_some(Reason::Merge);
        let job = pending.job.map(Reason::Job);
        let now = Instant::now();
        let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        handed.retain(|_, at| now.duration_since(*at) < AGAIN_AFTER);
        let reasons = [inbox, job, merge].into_iter().flatten();
        reasons
            .filter(|reason| !handed.contains_key(&(name.to_owned(), *reason)))
            .collect()
    }

    fn remember(&self, name: &str, reasons: &[Reason]) {
        let now = Instant::now();
        let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        handed.extend(
            reasons
                .iter()
                .map(|reason| ((name.to_owned(), *reason), now)),
        );
    }
}

fn order(name: &str, reasons: &[Reason]) -> Order {
    let task = |reason: &Reason| match reason {
        Reason::Inbox => Task::Drain,
        Reason::Merge => Task::Merge,
        Reason::Job(_) => Task::Reindex,
    };
    Order {
        indexes: Some(vec![name.to_owned()]),
        tasks: Some(reasons.iter().map(task).collect()),
        ..Order::default()
    }
}
