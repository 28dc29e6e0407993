//! Garbage collection: files that no reader can need any more.
//!
//! Removing an orphan is the dangerous part: a writer that sleeps may have made it and wake up to
//! publish it. So before anything is removed, a version is published: whoever made a file before the list was
//! taken is fenced from then on, and whoever comes after makes new files with new names. Ages only protect
//! readers, not correctness, and they are taken from the file server's clock alone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::age::Ages;
use super::history::{History, Maintained, Proposal};
use super::manifests::{Manifests, NeededManifests};
use super::rebuild::control::end_job;
use super::rebuild::shadow::read_checkpoint;
use crate::error::Result;
use crate::format::batch::Stored;
use crate::format::job::JobState;
use crate::format::manifest::{Cause, ContainerId};
use crate::format::retired::Retired;
use crate::inbox::{Inbox, TORN_AFTER};
use crate::layout::{self, ATTEMPTS, BUNDLES, JOBS, SCRATCH};
use crate::mount::FailureClass;
use crate::numbers::{LockGeneration, Version};
use crate::snapshot::Snapshot;

/// How long collecting waits for the lock.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// A scratch file that was not written for so long belongs to a merge that was killed; no merge takes longer.
const SCRATCH_AFTER: Duration = Duration::from_secs(6 * 3600);

/// How long a process that was killed makes later merges smaller.
const ATTEMPT_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A job that nobody has carried on for so long is given up: a weekend and some days longer than a schedule rests.
const JOB_ABANDONED_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// What collecting did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GcReport {
    /// The newest version afterwards.
    pub version: Version,
    /// Files removed, without the links of versions.
    pub files_removed: usize,
    /// Their bytes.
    pub bytes_removed: u64,
}

/// What may go.
#[derive(Debug, Default)]
struct Garbage {
    /// Ranges of retired files whose time is over.
    expired: Vec<Retired>,
    /// Files that a sleeping writer could still publish, or that are retired: they are removed after the fence.
    fenced: Vec<String>,
    /// Files that need no fence, oldest first.
    others: Vec<String>,
}

/// The result of a collection that found nothing to remove. Until `until`, there will be nothing either, unless a process
/// writes or dies.
#[derive(Clone, Copy, Debug)]
struct Rest {
    version: Version,
    until: Instant,
}

/// Removes the files of one index that no reader can need any more.
#[derive(Debug)]
pub(crate) struct Collector {
    history: Arc<History>,
    inbox: Arc<Inbox>,
    /// When the next collection has to look.
    rest: Mutex<Option<Rest>>,
}

impl Collector {
    pub(super) fn new(history: Arc<History>, inbox: Arc<Inbox>) -> Self {
        let rest = Mutex::default();
        Self {
            history,
            inbox,
            rest,
        }
    }

    /// Removes what has been unreferenced for longer than retention: old manifests, bundles that were merged
    /// away, leavings of crashes.
    ///
    /// An index in which nothing has changed since the last call, and nothing has become old enough, costs one read. What
    /// others leave without publishing a version is found when retention has passed since the last look.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Busy`] when the lock could not be had; [`crate::ErrorKind::Unavailable`].
    pub(crate) fn collect(&self) -> Result<GcReport> {
        let began: Instant = self.history.clock.now();
        let version = self.history.follower.newest()?.version();
        let mut report = GcReport {
            version,
            ..GcReport::default()
        };
        if self.rests(version, began) {
            return Ok(report);
        }
        let deadline = began + LOCK_WAIT;
        let history = &self.history;
        let ages = Ages::new(history.mount(), &history.ids, history.config.retention);
        self.give_up_abandoned(&ages, deadline)?;
        let fence = history.maintain(Cause::Collect, deadline, |mut draft| {
            let garbage = self.find_garbage(draft.base(), &ages)?;
            // First, since a full disk may have room for the fence only after it.
            for path in &garbage.others {
                self.remove_file(path, &mut report);
            }
            tracing::debug!(?garbage, "collecting");
            if garbage.expired.is_empty() && garbage.fenced.is_empty() {
                return Ok(Proposal::Nothing(draft.base().version()));
            }
            for range in &garbage.expired {
                draft.expire(*range);
            }
            Ok(Proposal::Version(draft, garbage.fenced))
        })?;
        let rest = match fence {
            Maintained::Published(fenced) => {
                for path in &fenced {
                    self.remove_file(path, &mut report);
                }
                None
            }
            Maintained::Nothing(version) => Some(Rest {
                version,
                until: began + ages.next(),
            }),
        };
        report.version = history.follower.newest()?.version();
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = rest;
        Ok(report)
    }

    fn rests(&self, version: Version, now: Instant) -> bool {
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        rest.is_some_and(|rest| rest.version == version && now < rest.until)
    }

    /// Ends a job that nobody carries on: it would keep its files, and every manifest since its last checkpoint, for ever.
    fn give_up_abandoned(&self, ages: &Ages, deadline: Instant) -> Result<()> {
        let tip = self.history.follower.newest()?;
        let Some(job) = tip.manifest().body.job.as_deref() else {
            return Ok(());
        };
        let id = job.status.id;
        let path = match &job.checkpoint {
            Some(checkpoint) => checkpoint.path(id),
            // The link is as old as the job, and stays until there is a checkpoint.
            None => layout::version_link(job.status.started_version),
        };
        if ages.over_after(&path, JOB_ABANDONED_AFTER)? {
            let reason = format!(
                "nobody carried it on for {} days",
                JOB_ABANDONED_AFTER.as_secs() / (24 * 3600)
            );
            end_job(&self.history, id, JobState::Failed, Some(reason), deadline)?;
        }
        Ok(())
    }

    fn remove_file(&self, path: &str, report: &mut GcReport) {
        let mount = self.history.mount();
        let metadata = mount.metadata(path);
        match mount.unlink(path) {
            Ok(()) if is_link(path) => {}
            Ok(()) => {
                report.files_removed += 1;
                report.bytes_removed += metadata.map_or(0, |metadata| metadata.len);
            }
            Err(error) if error.class() == FailureClass::Missing => {}
            Err(error) => tracing::warn!(%error, path, "a file could not be removed"),
        }
    }

    fn find_garbage(&self, tip: &Snapshot, ages: &Ages) -> Result<Garbage> {
        let mut garbage = Garbage::default();
        let body = &tip.manifest().body;
        let manifests = Manifests::list(ages.mount())?;
        let mut needed = NeededManifests::new(tip);
        let mut known: BTreeSet<String> = self.needed_by_job(tip)?.into_iter().collect();
        for file in tip.manifest().files() {
            match file {
                ContainerId::Manifest(name) => drop(needed.names.insert(name)),
                ContainerId::Bundle(name) => drop(known.insert(name)),
            }
        }
        let mut kept = Vec::new();
        for range in &body.retired {
            // The version that retired it was published when its predecessor's mark was set, which
            // is when that was last touched.
            match range.until.before() {
                Some(predecessor) if !manifests.are_over(predecessor, ages)? => {
                    kept.push(*range);
                    needed.versions.insert(predecessor);
                }
                _ => garbage.expired.push(*range),
            }
        }
        // A file whose name is not that of a bundle is an orphan.
        let is_kept = |name: &str| {
            known.contains(name)
                || layout::bundle_number(name)
                    .is_some_and(|number| kept.iter().any(|range| range.contains(number)))
        };
        for name in ages.mount().list(BUNDLES)? {
            let path = format!("{BUNDLES}/{name}");
            if !layout::parse_bundle(&name).is_some_and(is_kept) && ages.over(&path)? {
                garbage.fenced.push(path);
            }
        }
        garbage.fenced.extend(old_checkpoints(ages, tip)?);
        let old = manifests.old(ages, tip, &needed)?;
        garbage.others = old.others;
        garbage.fenced.extend(old.fenced);
        garbage.others.extend(self.torn_batches(ages)?);
        for (folder, after) in [(SCRATCH, SCRATCH_AFTER), (ATTEMPTS, ATTEMPT_AFTER)] {
            let old = old_in(ages, folder, after, self.history.config.retention)?;
            garbage.others.extend(old);
        }
        garbage
            .others
            .extend(old_locks(ages, body.lock_generation)?);
        Ok(garbage)
    }

    /// The bundles that a job has built.
    fn needed_by_job(&self, tip: &Snapshot) -> Result<Vec<String>> {
        let Some(job) = tip.manifest().body.job.as_deref() else {
            return Ok(Vec::new());
        };
        let Some(id) = &job.checkpoint else {
            return Ok(Vec::new());
        };
        let mount = self.history.mount();
        let built = read_checkpoint(&**mount, job.status.id, id)?;
        let containers = built.body.containers.into_iter();
        Ok(containers
            .filter_map(|container| match container.id {
                ContainerId::Bundle(name) => Some(name),
                ContainerId::Manifest(_) => None,
            })
            .collect())
    }

    /// Batches whose writer died before they were whole: nobody was told that they are durable.
    fn torn_batches(&self, ages: &Ages) -> Result<Vec<String>> {
        let mut torn = Vec::new();
        let after = self.history.config.retention.max(TORN_AFTER);
        for id in self.inbox.list()? {
            let path = layout::batch(id);
            if ages.over_after(&path, after)?
                && matches!(self.inbox.read(id), Ok(Some(Stored::Torn)))
            {
                torn.push(path);
            }
        }
        Ok(torn)
    }
}

/// What jobs had built by earlier checkpoints, and what came to nothing.
fn old_checkpoints(ages: &Ages, tip: &Snapshot) -> Result<Vec<String>> {
    let job = tip.manifest().body.job.as_deref();
    let current = job.and_then(|job| Some(job.checkpoint?.path(job.status.id)));
    let names = match ages.mount().list(JOBS) {
        // No job was ever started.
        Err(error) if error.class() == FailureClass::Missing => return Ok(Vec::new()),
        names => names?,
    };
    let paths = names.iter().map(|name| format!("{JOBS}/{name}"));
    ages.those_over(paths.filter(|path| current.as_ref() != Some(path)))
}

/// The files of an optional folder that are older than `after` and than retention.
fn old_in(ages: &Ages, folder: &str, after: Duration, retention: Duration) -> Result<Vec<String>> {
    let names = match ages.mount().list(folder) {
        Err(error) if error.class() == FailureClass::Missing => return Ok(Vec::new()),
        names => names?,
    };
    let mut old = Vec::new();
    for name in names {
        let path = format!("{folder}/{name}");
        if ages.over_after(&path, after.max(retention))? {
            old.push(path);
        }
    }
    Ok(old)
}

fn is_link(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    layout::parse_version_link(name).is_some()
}

fn old_locks(ages: &Ages, generation: LockGeneration) -> Result<Vec<String>> {
    let names = ages.mount().list(".")?;
    let old = |name: &String| layout::parse_lock(name).is_some_and(|known| known < generation);
    ages.those_over(names.into_iter().filter(old))
}
