//! Garbage collection: files that no reader can need any more.
//!
//! Removing an orphan is the dangerous part: a writer that sleeps may have made it and wake up to
//! publish it. So before anything is removed, a version is published: whoever made a file before the list was
//! taken is fenced from then on, and whoever comes after makes new files with new names. Ages only protect
//! readers, not correctness, and they are taken from the file server's clock alone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use uuid::Uuid;

use super::Writer;
use super::draft::Draft;
use super::rebuild::shadow::read_checkpoint;
use crate::error::{Error, Result};
use crate::format::batch::Stored;
use crate::format::job::JobState;
use crate::format::manifest::{Cause, ContainerId};
use crate::inbox::TORN_AFTER;
use crate::layout::{self, ATTEMPTS, BUNDLES, DRAFTS, JOBS, MANIFESTS, SCRATCH};
use crate::mount::{Access, Mount};
use crate::snapshot::Snapshot;

/// How long collecting waits for the lock.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// A scratch file is left by a merge that was killed when nobody has written it for so long; no merge takes longer.
const SCRATCH_AFTER: Duration = Duration::from_secs(6 * 3600);

/// How long a process that was killed makes later merges smaller.
const ATTEMPT_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A job that nobody has carried on for so long is given up: a weekend and some days longer than a schedule rests.
const JOB_ABANDONED_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// What collecting did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GcReport {
    /// The newest version afterwards.
    pub version: u64,
    /// Files removed.
    pub files_removed: usize,
    /// Their bytes.
    pub bytes_removed: u64,
}

/// What may go.
#[derive(Debug, Default)]
struct Garbage {
    /// Retired containers whose time is over.
    retired: Vec<ContainerId>,
    /// Bundles nobody knows.
    orphans: Vec<String>,
    /// Files that need no fence, oldest first.
    others: Vec<String>,
}

impl Writer {
    /// Removes what has been unreferenced for longer than retention: old manifests, bundles that were merged
    /// away, leavings of crashes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Busy`] when the lock could not be had; [`crate::ErrorKind::Unavailable`].
    pub fn collect(&self) -> Result<GcReport> {
        let deadline: Instant = self.clock.now() + LOCK_WAIT;
        self.give_up_abandoned(deadline)?;
        let mut garbage = Garbage::default();
        let mut report = GcReport::default();
        let fenced = self.publish_maintenance(deadline, |tip| {
            garbage = self.find_garbage(&tip)?;
            // First, since a full disk may have room for the fence only after it.
            for path in std::mem::take(&mut garbage.others) {
                self.remove_file(&path, &mut report);
            }
            if garbage.retired.is_empty() && garbage.orphans.is_empty() {
                return Ok(None);
            }
            let mut draft = Draft::new(tip, Cause::Collect);
            garbage
                .retired
                .iter()
                .for_each(|container| draft.collect(container.clone()));
            Ok(Some(draft))
        })?;
        tracing::debug!(fenced, ?garbage, "collecting");
        report.version = self.follower.newest()?.version();
        let retired = garbage
            .retired
            .iter()
            .filter_map(|container| match container {
                ContainerId::Bundle(name) => Some(layout::bundle(name)),
                // It goes with the other manifests.
                ContainerId::Manifest(_) => None,
            });
        for path in garbage.orphans.iter().cloned().chain(retired) {
            self.remove_file(&path, &mut report);
        }
        Ok(report)
    }

    /// Ends a job that nobody carries on: it would keep its files, and every manifest since its last checkpoint, for ever.
    fn give_up_abandoned(&self, deadline: Instant) -> Result<()> {
        let tip = self.follower.newest()?;
        let Some(job) = tip.manifest().body.job.as_deref() else {
            return Ok(());
        };
        let id = job.status.id;
        let path = match &job.checkpoint {
            Some(checkpoint) => checkpoint.path(id),
            // Its mark was set by the version after it; until there is one, the job has just begun.
            None => layout::manifest(job.status.started_version),
        };
        let mount = &self.follower.source().mount;
        let ages = Ages {
            mount: Arc::clone(mount),
            now: server_time(&**mount)?,
            retention: JOB_ABANDONED_AFTER,
        };
        if ages.over(&path) {
            let reason = format!(
                "nobody carried it on for {} days",
                JOB_ABANDONED_AFTER.as_secs() / (24 * 3600)
            );
            self.end_job(id, JobState::Failed, Some(reason), deadline)?;
        }
        Ok(())
    }

    fn remove_file(&self, path: &str, report: &mut GcReport) {
        let mount = &self.follower.source().mount;
        let bytes = mount.metadata(path).map_or(0, |metadata| metadata.len);
        match mount.unlink(path) {
            Ok(()) => {
                report.files_removed += 1;
                report.bytes_removed += bytes;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, path, "a file could not be removed"),
        }
    }

    fn find_garbage(&self, tip: &Snapshot) -> Result<Garbage> {
        let mount = &self.follower.source().mount;
        let now = server_time(&**mount)?;
        let ages = Ages {
            mount: Arc::clone(mount),
            now,
            retention: self.config.retention,
        };
        let mut garbage = Garbage::default();
        let mut needed: BTreeSet<u64> = BTreeSet::from([tip.version()]);
        let mut known: BTreeSet<&str> = BTreeSet::new();
        let body = &tip.manifest().body;
        let mut need = |container| match container {
            &ContainerId::Manifest(version) => drop(needed.insert(version)),
            ContainerId::Bundle(name) => drop(known.insert(name)),
        };
        body.containers
            .iter()
            .for_each(|container| need(&container.id));
        let mut times = Vec::new();
        for retired in &body.retired {
            // The version that retired it was published when its predecessor's mark was set, which
            // is when that was last touched.
            let predecessor = retired.version.saturating_sub(1);
            if ages.over(&layout::manifest(predecessor)) {
                garbage.retired.push(retired.container.clone());
            } else {
                need(&retired.container);
                times.push(predecessor);
            }
        }
        for container in &garbage.retired {
            // Known to be garbage, so no orphan.
            match container {
                ContainerId::Bundle(name) => drop(known.insert(name)),
                // It goes after the fence, as a container.
                ContainerId::Manifest(version) => drop(needed.insert(*version)),
            }
        }
        needed.extend(times);
        let of_job = self.needed_by_job(tip)?;
        known.extend(of_job.iter().map(String::as_str));
        garbage.orphans = list(&**mount, BUNDLES)?
            .into_iter()
            .filter(|name| layout::parse_bundle(name).is_none_or(|name| !known.contains(name)))
            .map(|name| format!("{BUNDLES}/{name}"))
            .filter(|path| ages.over(path))
            .collect();
        garbage.orphans.extend(old_checkpoints(&ages, tip)?);
        garbage
            .others
            .extend(old_in(&ages, SCRATCH, SCRATCH_AFTER)?);
        garbage
            .others
            .extend(old_in(&ages, ATTEMPTS, ATTEMPT_AFTER)?);
        garbage.others = old_manifests(&ages, tip, &needed)?;
        garbage.others.extend(self.torn_batches(&ages)?);
        garbage
            .others
            .extend(old_locks(&ages, body.lock_generation)?);
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
        let mount = &self.follower.source().mount;
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
        let ages = Ages {
            retention: ages.retention.max(TORN_AFTER),
            mount: Arc::clone(&ages.mount),
            ..*ages
        };
        for id in self.inbox.list()? {
            let path = layout::batch(id);
            if ages.over(&path) && matches!(self.inbox.read(id), Ok(Some(Stored::Torn))) {
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
    let names = match ages.mount.list(JOBS) {
        // No job was ever started.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names.map_err(|error| Error::io(JOBS, error))?,
    };
    let paths = names.iter().map(|name| format!("{JOBS}/{name}"));
    Ok(paths
        .filter(|path| current.as_ref() != Some(path) && ages.over(path))
        .collect())
}

/// The files in a folder that may not be there which nobody has touched for so long, and for as long as retention.
fn old_in(ages: &Ages, folder: &str, after: Duration) -> Result<Vec<String>> {
    let ages = Ages {
        retention: ages.retention.max(after),
        mount: Arc::clone(&ages.mount),
        ..*ages
    };
    let names = match ages.mount.list(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names.map_err(|error| Error::io(folder, error))?,
    };
    let paths = names.iter().map(|name| format!("{folder}/{name}"));
    Ok(paths.filter(|path| ages.over(path)).collect())
}

fn list(mount: &dyn Mount, folder: &str) -> Result<Vec<String>> {
    mount.list(folder).map_err(|error| Error::io(folder, error))
}

/// Manifests before the tip that nothing needs, with the names they had as drafts, oldest first, and drafts that
/// came to nothing.
fn old_manifests(ages: &Ages, tip: &Snapshot, needed: &BTreeSet<u64>) -> Result<Vec<String>> {
    let mut versions: Vec<u64> = list(&*ages.mount, MANIFESTS)?
        .iter()
        .filter_map(|name| layout::parse_manifest(name))
        .filter(|&version| version < tip.version())
        .collect();
    versions.sort_unstable();
    // A manifest is last touched when its successor mark is set, so the older, the longer ago.
    let old = versions.partition_point(|&version| ages.over(&layout::manifest(version)));
    let first_young = versions.get(old).copied().unwrap_or(tip.version());
    versions.truncate(old);
    // A job has yet to carry over what later versions touched, and that one tells how old a job is without a checkpoint.
    let job = tip.manifest().body.job.as_deref();
    let replayed_to = job.map_or(u64::MAX, |job| job.replayed_to);
    versions.retain(|version| !needed.contains(version) && *version < replayed_to);
    let mut paths: Vec<(u64, String)> = versions
        .into_iter()
        .map(|version| (version, layout::manifest(version)))
        .collect();
    for name in list(&*ages.mount, DRAFTS)? {
        let path = format!("{DRAFTS}/{name}");
        match layout::parse_draft(&name) {
            // Whoever has not linked it by now finds the version taken, or the draft gone.
            Some((version, _)) if version < first_young => paths.push((version, path)),
            Some((version, _)) if version < tip.version() => {}
            Some((_, nonce)) if nonce == tip.manifest().nonce => {}
            _ if ages.over(&path) => paths.push((tip.version(), path)),
            _ => {}
        }
    }
    paths.sort_unstable();
    Ok(paths.into_iter().map(|(_, path)| path).collect())
}

fn old_locks(ages: &Ages, generation: u32) -> Result<Vec<String>> {
    let names = list(&*ages.mount, ".")?;
    let old = |name: &String| layout::parse_lock(name).is_some_and(|known| known < generation);
    Ok(names
        .into_iter()
        .filter(|name| old(name) && ages.over(name))
        .collect())
}

/// The time by the file server's clock: what it stamps on a file made now.
pub(super) fn server_time(mount: &dyn Mount) -> Result<SystemTime> {
    let path = layout::clock_file(Uuid::new_v4());
    let io = |error| Error::io(&path, error);
    // Nothing is written, so that it works on a full disk too.
    mount.open(&path, Access::CreateNew).map_err(io)?;
    let stamped = mount.metadata(&path);
    let removed = mount.unlink(&path);
    tracing::debug!(?removed, "the file that tells the time");
    Ok(stamped.map_err(io)?.modified)
}

struct Ages {
    mount: Arc<dyn Mount>,
    now: SystemTime,
    retention: Duration,
}

impl Ages {
    /// Whether a file was last touched longer ago than retention. A file that is gone was.
    fn over(&self, path: &str) -> bool {
        match self.mount.metadata(path) {
            Ok(metadata) => self
                .now
                .duration_since(metadata.modified)
                .is_ok_and(|age| age >= self.retention),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }
}
