//! The function that tends the indexes: on a schedule, and when the writer hands something over. What an invocation
//! has no time for is resumed by the next schedule, or by the same order again if it is no part of the routine.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use aquifer_indexer::doctor::DoctorReport;
use aquifer_indexer::ids::{Ids as _, RandomIds};
use aquifer_indexer::index::{Aquifer, Counted};
use aquifer_indexer::quote::{quoted, shortened};
use aquifer_indexer::reindex::Sources;
use aquifer_indexer::{Error, ErrorKind, Result};
use lambda_runtime::{Context, LambdaEvent};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tracing::Instrument as _;

use super::environment::Environment;
use super::metrics::{ALL, Metrics, Unit};
use super::order::Order;
use super::root::Root;
use super::round::{IndexReport, Round, not_started};
use super::time::{self, Bounds};
use super::{examine, log, ping};

/// The share of an invocation's last moments that a step may still take. The rest is for the report.
const LAST_SHARE: u32 = 2;

/// A function that tends indexes.
pub struct Tend {
    environment: Environment,
    root: Root,
    sources: Arc<dyn Sources>,
    second_process: Option<PathBuf>,
}

/// What an invocation is answered.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What the examination of the mount came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doctor: Option<DoctorReport>,
    /// What was done, by index.
    pub indexes: Vec<IndexReport>,
    /// The indexes there was no time for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<String>,
    /// Whether a job was to be started in an index there was no time for.
    #[serde(skip)]
    unstarted: bool,
    /// Milliseconds it took.
    pub took_ms: u64,
}

impl Report {
    /// How many indexes have work that is left.
    fn left(&self) -> usize {
        let left = self.indexes.iter().filter(|report| report.is_left());
        left.count() + self.unreached.len()
    }

    /// The failure of the invocation, if a task failed.
    fn failure(&self) -> Option<Error> {
        if let Some(error) = self.doctor.as_ref().and_then(examine::failure) {
            return Some(error);
        }
        if self.unstarted {
            return Some(not_started());
        }
        let tasks = |report: &IndexReport| report.failed.len();
        let failed: usize = self.indexes.iter().map(tasks).sum();
        let index = self.indexes.iter().find(|report| tasks(report) > 0)?;
        let first = index.failed.first()?;
        Some(Error::new(
            first.kind,
            format!(
                "tasks that failed: {failed}; the first: {} of the index {}: {}",
                first.task.name(),
                quoted(&index.index),
                first.error
            ),
        ))
    }
}

impl Tend {
    /// A function as `environment` says; nothing is opened yet. It reads external sources from `sources`.
    pub fn new(environment: Environment, sources: Arc<dyn Sources>) -> Self {
        Self {
            root: Root::new(&environment, false),
            environment,
            sources,
            second_process: None,
        }
    }

    /// The same, which examines the mount together with a second process of `program`, for which see
    /// [`crate::doctor::partner_if_asked`]. Without it, this process opens every file twice.
    #[must_use]
    pub fn with_second_process(mut self, program: PathBuf) -> Self {
        self.second_process = Some(program);
        self
    }

    /// Carries out an order, as far as the time goes.
    ///
    /// # Errors
    /// [`aquifer_indexer::ErrorKind::Invalid`] for what is no order;
    /// [`aquifer_indexer::ErrorKind::Unavailable`] when the indexes cannot be listed; and if a task failed in one of the
    /// indexes, so that the invocation is tried again or reported. The log has the whole report then.
    pub async fn answer(&self, event: LambdaEvent<Box<RawValue>>) -> Result<Box<RawValue>> {
        let (payload, context) = event.into_parts();
        let span = log::invocation(&context);
        let carried = async {
            if ping::is_ping(payload.get()) {
                return ping::answer(&self.root, &self.environment.index).await;
            }
            let order = Order::read(payload.get())?;
            let before = self.counted();
            let report = self.carry_out(order, Bounds::of(&context)).await?;
            self.emit(&report, &context, self.counted().since(before));
            let written = to_raw_value(&report)
                .map_err(|error| Error::internal("a report is no JSON").because(error))?;
            match report.failure() {
                Some(failure) => {
                    tracing::error!(report = %shortened(written.get()), "tasks failed");
                    Err(failure)
                }
                None => Ok(written),
            }
        };
        let logged = async {
            let carried = carried.await;
            carried.inspect_err(|error| tracing::error!(%error, "the order was not carried out"))
        };
        logged.instrument(span).await
    }

    /// Carries out `order` within `bounds`.
    ///
    /// # Errors
    /// Like [`Self::answer`].
    pub async fn carry_out(&self, order: Order, bounds: Bounds) -> Result<Report> {
        let started = Instant::now();
        let aquifer = Arc::clone(self.root.get().await?);
        let doctor = match order.examines() {
            true => Some(self.examine(bounds).await?),
            false => None,
        };
        // An order may ask for nothing but that.
        let names = match doctor.is_some() && order.tasks().is_empty() {
            true => Vec::new(),
            false => self.names(&aquifer, &order).await?,
        };
        let reports = Arc::new(Mutex::new(Vec::new()));
        let work = self.work(aquifer, &order, &names, bounds.until, &reports);
        // A step that does not end in time leaves its thread behind, which does no harm: what it publishes
        // then is as good, or is refused.
        let margin = bounds.end.saturating_duration_since(bounds.until);
        let latest = bounds.until + margin / LAST_SHARE;
        if tokio::time::timeout_at(latest.into(), work).await.is_err() {
            tracing::warn!("a step did not end in time: leaving it");
        }
        let reports = std::mem::take(&mut *reports.lock().unwrap_or_else(PoisonError::into_inner));
        let unreached = names.get(reports.len()..).unwrap_or_default().to_vec();
        let report = Report {
            doctor,
            indexes: reports,
            unstarted: order.reindex.is_some() && !unreached.is_empty(),
            unreached,
            took_ms: time::millis_since(started),
        };
        if report.left() > 0 {
            tracing::info!(
                indexes = report.left(),
                "the rest is left to the next schedule or order"
            );
        }
        Ok(report)
    }

    /// Examines the mount of the root folder.
    async fn examine(&self, bounds: Bounds) -> Result<DoctorReport> {
        let (root, program) = (self.environment.root.clone(), self.second_process.clone());
        let patience = bounds.until.saturating_duration_since(Instant::now());
        let examine = blocking(move || examine::examine(&root, program.as_deref(), patience));
        match tokio::time::timeout_at(bounds.until.into(), examine).await {
            Ok(report) => report?.inspect(examine::log),
            Err(_elapsed) => Err(Error::new(
                ErrorKind::Deadline,
                "the examination of the mount did not end in time: give the function a minute more",
            )),
        }
    }

    /// The indexes of an order; all that this function serves where it names none, each time from another one on: an
    /// invocation that has no time for all of them would otherwise never reach the last.
    async fn names(&self, aquifer: &Arc<Aquifer>, order: &Order) -> Result<Vec<String>> {
        if let Some(names) = &order.indexes {
            return Ok(names.clone());
        }
        let aquifer = Arc::clone(aquifer);
        let sweep_and_list = move || {
            match aquifer.sweep() {
                Ok(report) => report.log(),
                Err(error) => tracing::warn!(%error, "cannot sweep the root folder"),
            }
            aquifer.indexes()
        };
        let mut names = blocking(sweep_and_list).await??;
        names.retain(|name| self.environment.doors.served.includes(name));
        let first = RandomIds.next().as_u128() % names.len().max(1) as u128;
        names.rotate_left(usize::try_from(first).unwrap_or_default());
        Ok(names)
    }

    /// Goes round the indexes until the time is over, and lays the reports into `reports`.
    async fn work(
        &self,
        aquifer: Arc<Aquifer>,
        order: &Order,
        names: &[String],
        until: Instant,
        reports: &Arc<Mutex<Vec<IndexReport>>>,
    ) {
        let (tasks, reindex) = (order.tasks(), order.reindex.clone());
        let (sources, names) = (Arc::clone(&self.sources), names.to_vec());
        let served = self.environment.doors.served.clone();
        let reports = Arc::clone(reports);
        let span = tracing::Span::current();
        let call = move || {
            let _entered = span.entered();
            let round = Round {
                sources: &*sources,
                tasks: &tasks,
                reindex: reindex.as_ref(),
                until,
            };
            for name in names {
                if Instant::now() >= until {
                    break;
                }
                let span = tracing::info_span!("maintenance", index = name);
                let report = span.in_scope(|| {
                    if served.includes(&name) {
                        round.over(&aquifer, &name)
                    } else {
                        round.without(&name)
                    }
                });
                let mut reports = reports.lock().unwrap_or_else(PoisonError::into_inner);
                reports.push(report);
            }
        };
        if let Err(error) = blocking(call).await {
            tracing::error!(%error, "maintenance broke off");
        }
    }

    fn counted(&self) -> Counted {
        let opened = self.root.opened();
        opened.map(|aquifer| aquifer.counters()).unwrap_or_default()
    }

    fn emit(&self, report: &Report, context: &Context, counted: Counted) {
        let index = match report.indexes.as_slice() {
            [only] if report.unreached.is_empty() => only.index.as_str(),
            _ => ALL,
        };
        let Environment {
            metrics, function, ..
        } = &self.environment;
        let mut metrics = Metrics::new(*metrics, function, index, &context.request_id);
        let sum = |count: fn(&IndexReport) -> usize| -> u64 {
            report.indexes.iter().map(|index| count(index) as u64).sum()
        };
        metrics.add(
            "Drained",
            Unit::Count,
            sum(|index| index.drained.unwrap_or(0)),
        );
        let ages = report.indexes.iter().map(|index| index.inbox_age_ms);
        metrics.add("InboxAge", Unit::Milliseconds, ages.flatten().max());
        metrics.add(
            "Merges",
            Unit::Count,
            sum(|index| index.merged.map_or(0, |m| m.merges)),
        );
        let failed = sum(|index| index.failed.len());
        let unwell = u64::from(
            report
                .doctor
                .as_ref()
                .is_some_and(|doctor| !doctor.is_well()),
        );
        metrics.add("Failures", Unit::Count, failed + unwell);
        metrics.add(
            "Damaged",
            Unit::Count,
            sum(|index| index.verified.as_ref().map_or(0, |v| v.problems.len())),
        );
        metrics.add("Left", Unit::Count, report.left() as u64);
        metrics.add_counted(counted);
        metrics.add("Time", Unit::Milliseconds, report.took_ms);
        metrics.emit();
    }
}

async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let ended = tokio::task::spawn_blocking(call).await;
    ended.map_err(|error| Error::internal("the work broke off").because(error))
}
