//! What a job has built: a manifest that no reader follows, in a file of its own.

use std::sync::Arc;

use uuid::Uuid;

use super::super::apply::Merging;
use super::super::attempts::Told;
use super::super::draft::Draft;
use super::super::resolve::resolve;
use super::{Rebuilder, Shadow};
use crate::document::Document;
use crate::error::Result;
use crate::format::damaged;
use crate::format::job::{CheckpointId, Job};
use crate::format::manifest::{Body, Cause, Manifest};
use crate::format::section::Sections;
use crate::inbox::Batch;
use crate::layout::JOBS;
use crate::mount::{Access, Mount};
use crate::numbers::Version;
use crate::reindex::DocumentSource;
use crate::snapshot::{Snapshot, Source};

/// Merges of up to so many bytes happen while a job builds, where memory and time allow: some seconds. What is larger is
/// left to maintenance.
const MERGE_MAX: u64 = 256 * 1024 * 1024;

/// What a process that works on a job holds.
pub(super) struct Work {
    /// The job.
    pub(super) id: Uuid,
    /// The checkpoint that `shadow` is.
    pub(super) number: u64,
    pub(super) shadow: Shadow,
    /// Bytes of a merge that nobody died of.
    pub(super) merge_max: u64,
    /// The external source, once it is open.
    pub(super) source: Option<Box<dyn DocumentSource>>,
}

/// A checkpoint that is written and that no version names yet.
pub(super) struct Written {
    pub(super) id: CheckpointId,
    pub(super) shadow: Shadow,
    /// The files that it made: collection may take them for orphans until a version names them.
    pub(super) paths: Vec<String>,
}

impl Work {
    /// Opens what `job` has built so far.
    pub(super) fn open(job: &Job, source: &Source, told: &Told) -> Result<Self> {
        let manifest = match &job.checkpoint {
            Some(id) => read_checkpoint(&*source.mount, job.status.id, id)?,
            None => {
                let body = Body::empty(Cause::Job, 0, job.definition.clone());
                Manifest::empty(Version::NONE, job.lineage, body)
            }
        };
        let shadow = Snapshot::open(manifest, source, None, &Sections::default())?;
        Ok(Self {
            id: job.status.id,
            number: job.status.checkpoints,
            shadow: Arc::new(shadow),
            merge_max: told.merge.unwrap_or(MERGE_MAX).min(MERGE_MAX),
            source: None,
        })
    }

    /// Whether this is where `job` is.
    pub(super) fn is_at(&self, job: &Job) -> bool {
        self.id == job.status.id && self.number == job.status.checkpoints
    }
}

impl CheckpointId {
    /// The file's name.
    pub(in crate::writer) fn path(&self, job: Uuid) -> String {
        crate::layout::checkpoint(job, self.number, self.nonce)
    }
}

/// Reads what a job had built by a checkpoint.
pub(in crate::writer) fn read_checkpoint(
    mount: &dyn Mount,
    job: Uuid,
    id: &CheckpointId,
) -> Result<Manifest> {
    let path = id.path(job);
    let file = mount.open(&path, Access::Read)?;
    let len = usize::try_from(id.len)
        .map_err(|error| damaged(&path, "the length of a checkpoint").because(error))?;
    let mut bytes = vec![0; len];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    let manifest = Manifest::decode(&bytes, &path)?;
    if manifest.nonce != id.nonce || manifest.version.get() != id.number {
        return Err(damaged(&path, "the identity of a checkpoint"));
    }
    Ok(manifest)
}

impl Rebuilder {
    /// Builds the next checkpoint: `shadow` with `changes`, and with documents whose keys it certainly does not have. It is
    /// durable when this returns.
    pub(super) fn extend(
        &self,
        job: Uuid,
        shadow: &Shadow,
        changes: &Batch,
        fresh: &[Document],
        merge_max: u64,
    ) -> Result<Written> {
        let history = &*self.history;
        let resolution = resolve(shadow, &[changes], history.clock.wall_ms())?;
        let mut draft = Draft::new(Arc::clone(shadow), Cause::Job, &*history.ids);
        draft.stand_alone();
        history.apply(&mut draft, &resolution, fresh, Merging::UpTo(merge_max))?;
        let mut paths = draft.made().to_vec();
        let (mut manifest, _) = draft.finish(history.stamp())?;
        // No reader has ever needed them.
        manifest.body.retired.clear();
        let bytes = manifest.encode_file(&[])?;
        let id = CheckpointId {
            number: manifest.version.get(),
            nonce: manifest.nonce,
            len: bytes.len() as u64,
        };
        let path = id.path(job);
        paths.push(path.clone());
        let mount = history.mount();
        let written = mount.open(&path, Access::CreateNew).and_then(|file| {
            file.write_durably_at(&bytes, 0)?;
            mount.sync_dir(JOBS)
        });
        if let Err(error) = written {
            history.remove(&paths);
            return Err(error.into());
        }
        let source = history.follower.source();
        let sections = Sections::default();
        let shadow = Arc::new(Snapshot::open(manifest, source, Some(shadow), &sections)?);
        Ok(Written { id, shadow, paths })
    }
}
