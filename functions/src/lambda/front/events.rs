//! Events of other services than HTTP, which the writer indexes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use aquifer_indexer::numbers::Version;
use aquifer_indexer::{Error, ErrorKind, Result};
use lambda_runtime::Context;
use serde_json::value::RawValue;
use tokio::time::timeout_at;

use super::{Front, Role};
use crate::http::limits::{DEADLINE_OVERRUN, MAX_PARSED_BYTES};
use crate::lambda::environment::Environment;
use crate::lambda::feed::payload::{EventKind, Payload};
use crate::lambda::feed::{Fed, Feeder};
use crate::lambda::handoff::Handed;
use crate::lambda::metrics::{Metrics, Unit};
use crate::lambda::time;

impl Front {
    /// The kind of event that a payload is, if this function indexes events.
    pub(super) fn fed(&self, payload: &RawValue) -> Option<EventKind> {
        if self.role != Role::Writer {
            return None;
        }
        match Payload::of(payload.get()) {
            Payload::Event(kind) => Some(kind),
            _ => None,
        }
    }

    /// Indexes an event.
    ///
    /// # Errors
    /// What the source is to take for a failed invocation.
    pub(super) async fn feed(
        &self,
        kind: EventKind,
        payload: Box<RawValue>,
        context: &Context,
    ) -> Result<Box<RawValue>> {
        let started = Instant::now();
        let before = self.counted();
        let cold = !self.warm.swap(true, Ordering::Relaxed);
        let deadline = time::request_deadline(context);
        let fed = self.index_event(kind, payload, deadline).await;
        let (mut handed, mut items, mut failed) = (Handed::default(), None, 1);
        if let Ok(fed) = &fed {
            (items, failed) = (Some(fed.items as u64), fed.failed as u64);
            handed = self.hand_over_changed(fed, deadline).await;
            log_line(kind, fed, time::millis_since(started));
        }
        let Environment {
            metrics, function, ..
        } = &self.environment;
        let mut metrics = Metrics::of_events(*metrics, function, kind, &context.request_id);
        metrics.add("Events", Unit::Count, 1);
        metrics.add("Items", Unit::Count, items);
        metrics.add("FailedItems", Unit::Count, failed);
        metrics.add(
            "Outdated",
            Unit::Count,
            fed.as_ref().ok().map(|fed| fed.outdated.get()),
        );
        let answer = fed.and_then(|fed| fed.answer);
        metrics.add("Failures", Unit::Count, u64::from(answer.is_err()));
        metrics.add("ColdStart", Unit::Count, cold.then_some(1));
        super::measure_handed(&mut metrics, handed);
        metrics.add_counted(self.counted().since(before));
        self.measure_inbox(&mut metrics);
        metrics.add("Time", Unit::Milliseconds, time::millis_since(started));
        metrics.emit();
        answer
    }

    async fn index_event(
        &self,
        kind: EventKind,
        payload: Box<RawValue>,
        deadline: Instant,
    ) -> Result<Fed> {
        let budget = self.environment.config(false).budget;
        let feeder = Feeder {
            aquifer: Arc::clone(self.root.get().await?),
            rules: self.environment.rules(),
            objects: Arc::clone(&self.objects),
            // As for the documents of a request.
            batch_bytes: MAX_PARSED_BYTES.min(budget.request_bytes() / 2),
            deadline,
        };
        let span = tracing::Span::current();
        let work = move || span.in_scope(|| feeder.feed(kind, &payload));
        let work = tokio::task::spawn_blocking(work);
        match timeout_at((deadline + DEADLINE_OVERRUN).into(), work).await {
            Ok(Ok(fed)) => fed,
            Ok(Err(_panicked)) => Err(Error::internal(
                "the event met a defect in this program; its log says more",
            )),
            Err(_elapsed) => Err(Error::new(
                ErrorKind::Deadline,
                "the event took longer than the function may: give the function more time, or send less at once",
            )),
        }
    }

    /// Hands over what the changes left undone in each index.
    async fn hand_over_changed(&self, fed: &Fed, deadline: Instant) -> Handed {
        let mut all = Handed::default();
        let (Some(hand_over), Some(aquifer)) = (&self.hand_over, self.root.opened()) else {
            return all;
        };
        for changed in &fed.changed {
            let handed = hand_over.after(aquifer, &changed.index, changed.durable, deadline);
            let handed = handed.await;
            all.accepted += handed.accepted;
            all.failed += handed.failed;
        }
        all
    }
}

fn log_line(kind: EventKind, fed: &Fed, took_ms: u64) {
    let indexed = fed.items - fed.failed;
    // An event concerns one index nearly always.
    let version = fed
        .changed
        .iter()
        .filter_map(|changed| changed.version)
        .max();
    tracing::info!(
        source = kind.name(),
        items = fed.items,
        indexed,
        outdated = fed.outdated.get(),
        failed = fed.failed,
        version = version.map(Version::get),
        took_ms,
        "indexed an event"
    );
}
