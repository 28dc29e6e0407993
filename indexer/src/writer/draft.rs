//! A draft: the next version while it is put together.

use std::collections::BTreeMap;
use std::sync::Arc;

use roaring::RoaringBitmap;
use uuid::Uuid;

use super::pack::{Packed, PackedHot};
use crate::error::{Error, Result};
use crate::format::job::{ENDED_JOBS_MAX, Job, JobStatus};
use crate::format::manifest::{
    Applied, Body, Cause, Container, ContainerId, Deletes, HotPlace, Manifest, Retired, Segment,
    Span,
};
use crate::snapshot::Snapshot;

/// The next version, based on a snapshot.
#[derive(Debug)]
pub(super) struct Draft {
    base: Arc<Snapshot>,
    /// What holds the documents: the base, or what a job has built.
    content: Arc<Snapshot>,
    cause: Cause,
    /// The content's segments that stay, with their deletes where these change.
    kept: BTreeMap<usize, Option<RoaringBitmap>>,
    packed: Vec<(Packed, Vec<RoaringBitmap>)>,
    /// Batches this version applies, and earlier ones whose files may still lie in the inbox.
    pub(super) applied: Vec<Applied>,
    /// Retired containers whose files are collected with this version.
    collected: Vec<ContainerId>,
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
    pub(super) lock_generation: u32,
}

impl Draft {
    /// The version after `base` with everything that is in it.
    pub(super) fn new(base: Arc<Snapshot>, cause: Cause) -> Self {
        Self::with_content(Arc::clone(&base), base, cause)
    }

    /// The version after `base` with the documents of `content` instead.
    pub(super) fn with_content(base: Arc<Snapshot>, content: Arc<Snapshot>, cause: Cause) -> Self {
        let kept = (0..content.manifest().body.segments.len())
            .map(|index| (index, None))
            .collect();
        let job = base.manifest().body.job.clone();
        Self {
            base,
            content,
            cause,
            kept,
            packed: Vec::new(),
            applied: Vec::new(),
            collected: Vec::new(),
            job,
            ended_job: None,
            touched: Vec::new(),
        }
    }

    pub(super) fn base(&self) -> &Arc<Snapshot> {
        &self.base
    }

    /// The snapshot whose segments it keeps.
    pub(super) fn content(&self) -> &Arc<Snapshot> {
        &self.content
    }

    pub(super) fn cause(&self) -> Cause {
        self.cause
    }

    pub(super) fn version(&self) -> u64 {
        self.base.version() + 1
    }

    /// The term it is written in: a new one when another writer wrote the base.
    pub(super) fn epoch(&self, writer: Uuid) -> u64 {
        let base = self.base.manifest();
        if base.body.writer == writer {
            base.epoch
        } else {
            base.epoch + 1
        }
    }

    fn segment(&self, index: usize) -> Result<&Segment> {
        let segments = &self.content.manifest().body.segments;
        segments
            .get(index)
            .ok_or_else(|| Error::internal("a draft names no segment"))
    }

    /// All deletes of a kept segment so far.
    pub(super) fn deletes(&self, index: usize) -> Result<RoaringBitmap> {
        match self.kept.get(&index) {
            Some(Some(deletes)) => Ok(deletes.clone()),
            _ => self.content.deletes(self.segment(index)?),
        }
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

    /// The positions of the segments that stay.
    pub(super) fn kept(&self) -> impl Iterator<Item = usize> {
        self.kept.keys().copied()
    }

    /// Takes a segment out: it was merged into another.
    pub(super) fn remove(&mut self, index: usize) {
        self.kept.remove(&index);
    }

    /// Adds packed segments, with the documents already deleted in each.
    pub(super) fn add(&mut self, packed: Packed, deletes: Vec<RoaringBitmap>) {
        self.packed.push((packed, deletes));
    }

    /// Drops a container from the list of retired ones: its file is about to be removed.
    pub(super) fn collect(&mut self, container: ContainerId) {
        self.collected.push(container);
    }

    /// The manifest and the bytes of its embedded pages.
    pub(super) fn finish(self, stamp: Stamp, batch_clock: u64) -> Result<(Manifest, Vec<u8>)> {
        let version = self.version();
        let epoch = self.epoch(stamp.writer);
        let (base, content) = (self.base.manifest(), self.content.manifest());
        let mut assembly = Assembly::default();
        for (&index, deletes) in &self.kept {
            assembly.keep(content, self.segment(index)?, deletes.as_ref(), version)?;
        }
        let mut pages = Vec::new();
        for (packed, deletes) in self.packed {
            pages.extend_from_slice(&packed.pages);
            assembly.add(packed, &deletes, version)?;
        }
        let live = |id: &ContainerId| assembly.containers.iter().any(|known| &known.id == id);
        let mut retired = base.body.retired.clone();
        retired.retain(|entry| !self.collected.contains(&entry.container));
        for container in &base.body.containers {
            if !live(&container.id) {
                retired.push(Retired {
                    container: container.id.clone(),
                    version,
                });
            }
        }
        let mut ended_jobs: Vec<_> = self.ended_job.into_iter().collect();
        ended_jobs.extend(base.body.ended_jobs.iter().cloned());
        ended_jobs.truncate(ENDED_JOBS_MAX);
        let body = Body {
            cause: self.cause,
            written_ms: stamp.written_ms,
            writer: stamp.writer,
            previous: base.nonce,
            lock_generation: stamp.lock_generation,
            batch_clock: batch_clock.max(base.body.batch_clock),
            collected: if self.cause == Cause::Collect {
                version
            } else {
                base.body.collected
            },
            definition: content.body.definition.clone(),
            containers: assembly.containers,
            segments: assembly.segments,
            applied: self.applied,
            retired,
            job: self.job,
            ended_jobs,
            touched: self.touched,
        };
        let manifest = Manifest {
            version,
            epoch,
            nonce: Uuid::new_v4(),
            lineage: content.lineage,
            body,
            blob: assembly.blob,
            pages_base: 0,
            pages_len: 0,
        };
        Ok((manifest, pages))
    }
}

#[derive(Debug, Default)]
struct Assembly {
    containers: Vec<Container>,
    segments: Vec<Segment>,
    blob: Vec<u8>,
}

impl Assembly {
    fn put(&mut self, bytes: &[u8]) -> Span {
        let span = Span {
            offset: self.blob.len() as u64,
            len: bytes.len() as u64,
        };
        self.blob.extend_from_slice(bytes);
        span
    }

    fn container(&mut self, container: &Container) -> usize {
        let known = self
            .containers
            .iter()
            .position(|known| known.id == container.id);
        known.unwrap_or_else(|| {
            self.containers.push(container.clone());
            self.containers.len() - 1
        })
    }

    fn put_deletes(&mut self, deletes: &RoaringBitmap, version: u64) -> Result<Option<Deletes>> {
        if deletes.is_empty() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let written = deletes.serialize_into(&mut bytes);
        written.map_err(|error| Error::internal("a bitmap cannot be written").because(error))?;
        let count = u32::try_from(deletes.len())
            .map_err(|error| Error::internal("too many deletes").because(error))?;
        Ok(Some(Deletes {
            count,
            version,
            blob: self.put(&bytes),
        }))
    }

    fn keep(
        &mut self,
        base: &Manifest,
        segment: &Segment,
        changed: Option<&RoaringBitmap>,
        version: u64,
    ) -> Result<()> {
        let container = self.container(base.container(segment)?);
        let hot = match segment.hot {
            HotPlace::Blob(span) => HotPlace::Blob(self.put(base.blob_at(span)?)),
            HotPlace::File(span) => HotPlace::File(span),
        };
        let deletes = match (changed, segment.deletes) {
            (Some(changed), _) => self.put_deletes(changed, version)?,
            (None, Some(old)) => Some(Deletes {
                blob: self.put(base.blob_at(old.blob)?),
                ..old
            }),
            (None, None) => None,
        };
        self.segments.push(Segment {
            container,
            hot,
            deletes,
            ..segment.clone()
        });
        Ok(())
    }

    fn add(&mut self, packed: Packed, deletes: &[RoaringBitmap], version: u64) -> Result<()> {
        let container = self.container(&packed.container);
        for (index, segment) in packed.segments.into_iter().enumerate() {
            let hot = match segment.hot {
                PackedHot::Blob(section) => HotPlace::Blob(self.put(&section)),
                PackedHot::File(span) => HotPlace::File(span),
            };
            let deletes = match deletes.get(index) {
                Some(deletes) => self.put_deletes(deletes, version)?,
                None => None,
            };
            let (id, max_doc, files) = (segment.id, segment.max_doc, segment.files);
            self.segments.push(Segment {
                id,
                max_doc,
                container,
                files,
                hot,
                deletes,
            });
        }
        Ok(())
    }
}
