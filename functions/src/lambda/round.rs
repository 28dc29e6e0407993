//! One round of maintenance over one index, every step of it bounded.

use std::time::Instant;

use aquifer_indexer::index::{Aquifer, CheckReport, GcReport, Index, MergeReport, no_index};
use aquifer_indexer::reindex::{JobStatus, ReindexRequest, Sources};
use aquifer_indexer::{Error, ErrorKind, Result};
use serde::Serialize;

use super::order::Task;
use crate::advice::advised;

/// What a round came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct IndexReport {
    /// The index.
    pub index: String,
    /// Batches of the inbox that were applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drained: Option<usize>,
    /// Milliseconds that the oldest batch had waited in the inbox when the round began to drain it; 0 if it was empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbox_age_ms: Option<u64>,
    /// The job that was started or carried on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobStatus>,
    /// What was merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged: Option<MergeReport>,
    /// What was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collected: Option<GcReport>,
    /// What was verified, and what of it is damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<CheckReport>,
    /// What there was no time for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Task>,
    /// What somebody else is doing, or did meanwhile: nobody has to come back for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Task>,
    /// What failed, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failure>,
    /// Whether a job is still to be started.
    #[serde(skip)]
    unstarted: bool,
}

/// A task that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Which.
    pub task: Task,
    /// Why.
    pub error: String,
    /// What can be done about it.
    #[serde(skip)]
    pub kind: ErrorKind,
}

/// What a round works with.
#[derive(Clone, Copy)]
pub struct Round<'a> {
    /// Where external sources are opened.
    pub sources: &'a dyn Sources,
    /// What to do.
    pub tasks: &'a [Task],
    /// A job to start first.
    pub reindex: Option<&'a ReindexRequest>,
    /// Until when.
    pub until: Instant,
}

impl Round<'_> {
    /// Does it in the index `name`. What fails is logged here, and does not keep the next task from being done.
    pub fn over(&self, aquifer: &Aquifer, name: &str) -> IndexReport {
        let index = match aquifer.visit(name) {
            Ok(index) => index,
            Err(error) => return self.failed(name, error),
        };
        let mut report = self.report(name);
        for &task in self.tasks {
            let outcome = match Instant::now() < self.until {
                true => self.run(task, &index, &mut report),
                false => report.leave(task),
            };
            report.note(task, outcome);
        }
        report
    }

    /// What is reported of an index that this function does not serve: the same as of one that does not exist.
    pub fn without(&self, name: &str) -> IndexReport {
        self.failed(name, no_index(name))
    }

    fn failed(&self, name: &str, error: Error) -> IndexReport {
        let mut report = self.report(name);
        let task = self.tasks.first().copied().unwrap_or(Task::Drain);
        report.note(task, Err(error));
        report
    }

    fn report(&self, name: &str) -> IndexReport {
        IndexReport {
            index: name.to_owned(),
            unstarted: self.reindex.is_some(),
            ..IndexReport::default()
        }
    }

    fn run(&self, task: Task, index: &Index, report: &mut IndexReport) -> Result<()> {
        match task {
            // It concerns the root folder, and is none of an order's tasks in an index.
            Task::Doctor => Ok(()),
            Task::Drain => self.drain(index, report),
            Task::Reindex => self.carry_on(index, report),
            Task::Merge => {
                let merged = index.merge(Some(self.until))?;
                self.merged(merged, task, report);
                Ok(())
            }
            Task::Compact => {
                let merged = index.compact(Some(self.until))?;
                self.merged(merged, task, report);
                Ok(())
            }
            Task::Collect => {
                report.collected = Some(index.gc()?);
                Ok(())
            }
            Task::Verify => verify(index, report),
        }
    }

    fn drain(&self, index: &Index, report: &mut IndexReport) -> Result<()> {
        let found = index.stats()?;
        report.inbox_age_ms = Some(found.inbox_age_ms);
        let before = found.inbox;
        if before == 0 {
            report.drained = Some(0);
            return Ok(());
        }
        index.drain(self.until)?;
        let after = index.stats()?.inbox;
        let drained = before.saturating_sub(after);
        report.drained = Some(drained);
        if after > 0 && Instant::now() >= self.until {
            report.left.push(Task::Drain);
        }
        Ok(())
    }

    fn carry_on(&self, index: &Index, report: &mut IndexReport) -> Result<()> {
        if let Some(request) = self.reindex {
            if let Some(url) = &request.source {
                self.sources.check(url)?;
            }
            report.job = Some(index.start_reindex(request, self.until)?);
            report.unstarted = false;
        }
        let mut watch = |job: &JobStatus| {
            let (id, done, total) = (job.id, job.done, job.total);
            tracing::info!(job = %id, done, total, documents = job.documents.get(), "checkpoint");
        };
        if let Some(job) = index.carry_on(self.sources, self.until, &mut watch)? {
            if job.state.is_running() {
                report.left.push(Task::Reindex);
            } else {
                tracing::info!(job = %job.id, state = ?job.state, documents = job.documents.get(), "job ended");
            }
            report.job = Some(job);
        }
        Ok(())
    }

    fn merged(&self, merged: MergeReport, task: Task, report: &mut IndexReport) {
        let postponed = merged.postponed;
        report.merged = Some(merged);
        if postponed || Instant::now() >= self.until {
            report.left.push(task);
        }
    }
}

fn verify(index: &Index, report: &mut IndexReport) -> Result<()> {
    let checked = index.check()?;
    for problem in &checked.problems {
        tracing::error!(file = problem.file, detail = problem.detail, "damage");
    }
    report.verified = Some(checked);
    Ok(())
}

impl IndexReport {
    /// Whether somebody has to come back.
    pub fn is_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// Leaves `task` to the next schedule or order.
    fn leave(&mut self, task: Task) -> Result<()> {
        if self.starts_a_job(task) {
            return Err(not_started());
        }
        self.left.push(task);
        Ok(())
    }

    /// Whether only this invocation knows of the job: neither a schedule nor another process would start it.
    fn starts_a_job(&self, task: Task) -> bool {
        self.unstarted && task == Task::Reindex
    }

    fn note(&mut self, task: Task, outcome: Result<()>) {
        let Err(error) = outcome else { return };
        match error.kind() {
            // Another process does the same work, or has deleted the index.
            ErrorKind::Busy | ErrorKind::Fenced if !self.starts_a_job(task) => {
                tracing::info!(?task, %error, "left to whoever else is at it");
                self.elsewhere.push(task);
            }
            _ => {
                tracing::error!(?task, %error, "maintenance failed");
                let (kind, error) = (error.kind(), advised(&error));
                self.failed.push(Failure { task, error, kind });
            }
        }
    }
}

/// The error of an order whose job may not have been started.
pub(super) fn not_started() -> Error {
    Error::new(
        ErrorKind::Deadline,
        "the time was over before the job was known to have started: `GET /jobs` lists it if it runs; otherwise send the \
         order again, to a function with a longer timeout",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_was_not_started_is_left_to_nobody() {
        let busy = || Err(Error::new(ErrorKind::Busy, "another process writes"));
        let mut asked = IndexReport {
            unstarted: true,
            ..IndexReport::default()
        };
        asked.note(Task::Merge, busy());
        asked.note(Task::Reindex, busy());
        let late = asked.leave(Task::Reindex);
        asked.note(Task::Reindex, late);
        assert_eq!(asked.elsewhere, [Task::Merge]);
        assert_eq!(asked.left, []);
        let kinds: Vec<ErrorKind> = asked.failed.iter().map(|failure| failure.kind).collect();
        assert_eq!(kinds, [ErrorKind::Busy, ErrorKind::Deadline]);

        let mut routine = IndexReport::default();
        routine.note(Task::Reindex, busy());
        routine.leave(Task::Reindex).unwrap();
        assert_eq!(routine.elsewhere, [Task::Reindex]);
        assert_eq!(routine.left, [Task::Reindex]);
        assert_eq!(routine.failed, []);
    }
}
