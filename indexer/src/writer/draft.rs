//! A draft: the next version while it is put together.

use std::collections::BTreeMap;
use std::sync::Arc;

use roaring::RoaringBitmap;
use uuid::Uuid;

use super::assembly::Assembly;
use super::ledger;
use super::pack::Packed;
use crate::error::{Error, Result};
use crate::format::job::{ENDED_JOBS_MAX, Job, JobStatus};
use crate::format::manifest::{Applied, Body, Cause, ContainerId, Manifest, Segment};
use crate::format::retired::{Retired, retire};
use crate::ids::Ids;
use crate::layout::ManifestName;
use crate::mapping::IndexSchema;
use crate::numbers::{DocCount, Epoch, LockGeneration, Version};
use crate::snapshot::Snapshot;

/// What a segment holds. Segments of different kinds are never merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Documents.
    Documents,
    /// Records of the ledger of events.
    Ledger,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Documents, Self::Ledger];
}

/// The next version, based on a snapshot.
#[derive(Debug)]
pub(super) struct Draft {
    name: ManifestName,
    base: Arc<Snapshot>,
    /// What holds the documents: the base, or what a job has built.
    content: Arc<Snapshot>,
    cause: Cause,
    /// The content's segments that stay, with their deletes where these change.
    kept: BTreeMap<usize, Option<RoaringBitmap>>,
    packed: Vec<(Packed, Vec<RoaringBitmap>)>,
    /// Files that were made for this draft alone: they go with it.
    made: Vec<String>,
    /// The highest clock of the batches that this version applies.
    pub(super) batch_clock: u64,
    /// Batches this version applies, and earlier ones whose files may still lie in the inbox.
    pub(super) applied: Vec<Applied>,
    /// Ranges of retired files that are collected with this version.
    expired: Vec<Retired>,
    /// Whether it may refer to no other file for its deletes.
    stands_alone: bool,
    /// The job as it is in this version.
    pub(super) job: Option<Box<Job>>,
    /// A job that ends with this version.
    pub(super) ended_job: Option<JobStatus>,
    /// Keys that a job has to carry over.
    pub(super) touched: Vec<String>,
}

/// What a version is stamped with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) writer: Uuid,
    pub(super) written_ms: u64,
    pub(super) lock_generation: LockGeneration,
}

impl Draft {
    /// The version after `base` with everything that is in it.
    pub(super) fn new(base: Arc<Snapshot>, cause: Cause, ids: &dyn Ids) -> Self {
        let job = base.manifest().body.job.clone();
        let name = ManifestName {
            version: base.version().next(),
            nonce: ids.next(),
        };
        Self {
            name,
            content: Arc::clone(&base),
            kept: all_segments(&base),
            base,
            cause,
            packed: Vec::new(),
            made: Vec::new(),
            batch_clock: 0,
            applied: Vec::new(),
            expired: Vec::new(),
            stands_alone: false,
            job,
            ended_job: None,
            touched: Vec::new(),
        }
    }

    /// The same version with the documents of `content` instead.
    pub(super) fn with_content(self, content: Arc<Snapshot>) -> Self {
        Self {
            kept: all_segments(&content),
            content,
            ..self
        }
    }

    pub(super) fn base(&self) -> &Arc<Snapshot> {
        &self.base
    }

    /// The snapshot whose segments it keeps.
    pub(super) fn content(&self) -> &Arc<Snapshot> {
        &self.content
    }

    /// The name that its manifest will have.
    pub(super) fn name(&self) -> ManifestName {
        self.name
    }

    pub(super) fn version(&self) -> Version {
        self.name.version
    }

    /// The term it is written in: a new one when another writer wrote the base.
    pub(super) fn epoch(&self, writer: Uuid) -> Epoch {
        let base = self.base.manifest();
        if base.body.writer == writer {
            base.epoch
        } else {
            base.epoch.next()
        }
    }

    fn segment(&self, index: usize) -> Result<&Segment> {
        let segments = &self.content.manifest().body.segments;
        segments
            .get(index)
            .ok_or_else(|| Error::internal("a draft names no segment"))
    }

    /// Makes it a version that is read without those before it: a checkpoint of a job, whose predecessor goes.
    pub(super) fn stand_alone(&mut self) {
        self.stands_alone = true;
    }

    /// Whether it is read without the versions before it.
    pub(super) fn stands_alone(&self) -> bool {
        self.stands_alone
    }

    /// How many documents of a kept segment are deleted so far.
    pub(super) fn deleted(&self, index: usize) -> Result<DocCount> {
        Ok(match self.kept.get(&index) {
            Some(Some(deletes)) => DocCount::new(deletes.len()),
            _ => {
                let deletes = self.segment(index)?.deletes.as_ref();
                deletes.map_or(DocCount::ZERO, |deletes| deletes.count.into())
            }
        })
    }

    /// All deletes of a kept segment so far.
    pub(super) fn deletes(&self, index: usize) -> Result<RoaringBitmap> {
        match self.kept.get(&index) {
            Some(Some(deletes)) => Ok(deletes.clone()),
            _ => self.content.deletes(self.segment(index)?),
        }
    }

    /// All deletes of some kept segments so far.
    pub(super) fn deletes_of(&self, positions: &[usize]) -> Result<Vec<RoaringBitmap>> {
        positions
            .iter()
            .map(|&position| self.deletes(position))
            .collect()
    }

    /// Deletes more documents of a kept segment; one without any left is dropped.
    pub(super) fn delete(&mut self, index: usize, docs: &RoaringBitmap) -> Result<()> {
        let deletes = self.deletes(index)? | docs;
        if deletes.len() >= u64::from(self.segment(index)?.max_doc) {
            self.kept.remove(&index);
        } else {
            self.kept.insert(index, Some(deletes));
        }
        Ok(())
    }

    /// The positions of the segments of one kind that stay.
    pub(super) fn kept(&self, kind: Kind) -> impl Iterator<Item = usize> {
        let segments = &self.content.manifest().body.segments;
        let of_kind = move |&position: &usize| {
            let segment = segments.get(position);
            segment.is_some_and(|segment| segment.ledger == (kind == Kind::Ledger))
        };
        self.kept.keys().copied().filter(of_kind)
    }

    /// The schema of the segments of one kind.
    pub(super) fn schema(&self, kind: Kind) -> &Arc<IndexSchema> {
        match kind {
            Kind::Documents => self.content.schema(),
            Kind::Ledger => ledger::schema(),
        }
    }

    /// Takes all segments out.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    /// Takes a segment out: it was merged into another.
    pub(super) fn remove(&mut self, index: usize) {
        self.kept.remove(&index);
    }

    /// Adds packed segments, with the documents already deleted in each.
    pub(super) fn add(&mut self, packed: Packed, deletes: Vec<RoaringBitmap>) {
        self.packed.push((packed, deletes));
    }

    /// Adds segments that were packed for this draft alone.
    pub(super) fn add_own(&mut self, packed: Packed) {
        if let id @ ContainerId::Bundle(_) = &packed.container.id {
            self.made.push(id.path());
        }
        self.add(packed, Vec::new());
    }

    /// The files that were made for this draft alone.
    pub(super) fn made(&self) -> &[String] {
        &self.made
    }

    /// Drops a range of retired files: they are about to be removed.
    pub(super) fn expire(&mut self, range: Retired) {
        self.expired.push(range);
    }

    /// The manifest and the bytes of its embedded pages.
    pub(super) fn finish(self, stamp: Stamp) -> Result<(Manifest, Vec<u8>)> {
        let ManifestName { version, nonce } = self.name;
        let epoch = self.epoch(stamp.writer);
        let (base, content) = (self.base.manifest(), self.content.manifest());
        let same_history = !self.stands_alone && Arc::ptr_eq(&self.base, &self.content);
        let mut assembly = Assembly::new(self.name, &self.content, same_history);
        for (&index, deletes) in &self.kept {
            assembly.keep(index, deletes.as_ref())?;
        }
        let mut pages = Vec::new();
        for (packed, deletes) in self.packed {
            pages.extend_from_slice(&packed.pages);
            assembly.add(packed, &deletes)?;
        }
        if !same_history && !self.stands_alone {
            // What is known of events outlives the documents that a job has built anew.
            assembly.keep_ledger_of(&self.base)?;
            assembly.copy_hot_sections(&self.base)?;
        }
        let (containers, segments, blob) = assembly.finish()?;
        let mut retired = base.body.retired.clone();
        retired.retain(|range| !self.expired.contains(range));
        let mut ended_jobs: Vec<_> = self.ended_job.into_iter().collect();
        ended_jobs.extend(base.body.ended_jobs.iter().cloned());
        ended_jobs.truncate(ENDED_JOBS_MAX);
        let body = Body {
            cause: self.cause,
            written_ms: stamp.written_ms,
            writer: stamp.writer,
            previous: base.nonce,
            lock_generation: stamp.lock_generation,
            batch_clock: self.batch_clock.max(base.body.batch_clock),
            collected: if self.cause == Cause::Collect {
                version
            } else {
                base.body.collected
            },
            definition: content.body.definition.clone(),
            containers,
            segments,
            applied: self.applied,
            retired,
            job: self.job,
            ended_jobs,
            touched: self.touched,
        };
        let mut manifest = Manifest {
            version,
            epoch,
            nonce,
            lineage: content.lineage,
            body,
            blob,
            pages_base: 0,
            pages_len: 0,
        };
        let files = manifest.files();
        let unused: Vec<Version> = base
            .files()
            .difference(&files)
            .map(|file| {
                let message = "a bundle's name has no number";
                file.number().ok_or_else(|| Error::internal(message))
            })
            .collect::<Result<_>>()?;
        retire(&mut manifest.body.retired, unused, version);
        Ok((manifest, pages))
    }
}

/// The positions of all segments, with no deletes that change.
fn all_segments(content: &Snapshot) -> BTreeMap<usize, Option<RoaringBitmap>> {
    let segments = 0..content.manifest().body.segments.len();
    segments.map(|position| (position, None)).collect()
}
