//! The manifest: one immutable file that says what one version of an index consists of.
//!
//! ```text
//! header | blob (sections) | body (compressed JSON) | 0.. | pages of small segments | 0.. | mark page
//! ```
//!
//! The blob holds the sections that this version adds; those of earlier versions are referred to where they are.
//! Pages and mark page begin at multiples of 4096. `prefix.rs` reads and writes it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::deletes::{Base, Deletes};
use super::job::{Job, JobStatus};
use super::mark::ManifestId;
use super::pages::{Pages, paged_len};
use super::prefix::HEADER;
use super::retired::Retired;
use super::section::{SectionId, SectionRef};
use crate::error::Result;
use crate::layout::{self, BatchId, ManifestName};
use crate::mapping::Definition;
use crate::mount::COHERENT_PAGE;
use crate::numbers::{DocCount, Epoch, LockGeneration, Version};

/// Where the pages of some segments lie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerId {
    /// In a bundle of this name.
    Bundle(String),
    /// In a manifest, since they are small.
    Manifest(ManifestName),
}

impl ContainerId {
    /// The file's name.
    pub fn path(&self) -> String {
        match self {
            Self::Bundle(name) => layout::bundle(name),
            Self::Manifest(name) => name.path(),
        }
    }

    /// The number by which it is retired; none for a bundle with another name than bundles have.
    pub fn number(&self) -> Option<Version> {
        match self {
            Self::Bundle(name) => layout::bundle_number(name),
            Self::Manifest(name) => Some(name.version),
        }
    }
}

/// A file that holds the pages of some segments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Which file.
    pub id: ContainerId,
    /// Identity that the page checksums are bound to.
    #[serde(with = "uuid::serde::simple")]
    pub uuid: Uuid,
    /// Offset of the first page in the file; of the pages in the manifest itself, its header says it.
    pub base: u64,
    /// Payload bytes of all pages.
    pub len: u64,
}

impl Container {
    /// How to read its pages.
    pub fn pages(&self) -> Pages {
        Pages {
            container: self.uuid,
            base: self.base,
            len: self.len,
        }
    }

    /// Bytes that its pages take on the mount.
    pub fn bytes_on_mount(&self) -> u64 {
        paged_len(self.len)
    }
}

/// A range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Where it begins.
    pub offset: u64,
    /// Its length.
    pub len: u64,
}

/// One segment of the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// tantivy's identity of it.
    #[serde(with = "uuid::serde::simple")]
    pub id: Uuid,
    /// Documents in it, deleted ones included.
    pub max_doc: u32,
    /// Whether it belongs to the ledger of events instead of holding documents.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ledger: bool,
    /// Index of its container in [`Body::containers`].
    pub container: usize,
    /// Its files by extension: where they lie in the container's payload, one behind the other.
    #[serde(with = "consecutive")]
    pub files: BTreeMap<String, Span>,
    /// Its hot section: where it lies in the container's file, outside the pages.
    pub hot: Span,
    /// A copy of the hot section in this manifest's file, where it adds a segment in a bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hot_copy: Option<Span>,
    /// Its deleted documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletes: Option<Deletes>,
}

impl Segment {
    /// Documents that are not deleted.
    pub fn live_docs(&self) -> DocCount {
        let deleted = self.deletes.as_ref().map_or(0, |deletes| deletes.count);
        DocCount::from(self.max_doc).without(deleted.into())
    }

    /// Bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|span| span.len).sum()
    }

    /// The bitmap of its deleted documents.
    pub fn base(&self) -> Option<&Base> {
        self.deletes.as_ref()?.base.as_ref()
    }
}

/// What a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Documents whose key was new.
    pub created: DocCount,
    /// Documents that replaced another.
    pub updated: DocCount,
    /// Documents that were deleted.
    pub deleted: DocCount,
    /// Keys to delete that no document had.
    pub missing: DocCount,
    /// Changes that were left out, since the index knew the same or a newer one of their key.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub outdated: DocCount,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &DocCount) -> bool {
    *count == DocCount::ZERO
}

/// A batch that has been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Which.
    pub batch: BatchId,
    /// The version it became visible in.
    pub version: Version,
    /// What it did.
    pub counts: Counts,
    /// Whether its file may still lie in the inbox.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_inbox: bool,
}

/// Why a version was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The index was created.
    Create,
    /// Batches were applied.
    Commit,
    /// Segments were merged.
    Merge,
    /// Garbage is about to be collected; earlier writers are fenced.
    Collect,
    /// A job began, came to a checkpoint, or was given up.
    Job,
    /// What a job has built took the place of what was there.
    Swap,
    /// The index was deleted.
    Delete,
}

/// The JSON part of a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// Why this version exists.
    pub cause: Cause,
    /// When, by the writer's wall clock, in milliseconds since 1970; for people only.
    pub written_ms: u64,
    /// Who published it.
    pub writer: Uuid,
    /// The nonce of the version it was built on.
    pub previous: Uuid,
    /// Which lock file is the current one.
    pub lock_generation: LockGeneration,
    /// The greatest batch clock applied so far.
    pub batch_clock: u64,
    /// The last version that collected garbage, [`Version::NONE`] if there is none. A file written before it without being
    /// named by it may be gone.
    pub collected: Version,
    /// Mapping and settings.
    pub definition: Definition,
    /// The files that hold the segments.
    pub containers: Vec<Container>,
    /// The segments.
    pub segments: Vec<Segment>,
    /// The batches applied by this version, and earlier ones whose files may still exist.
    pub applied: Vec<Applied>,
    /// Files that readers of earlier versions may still use.
    pub retired: Vec<Retired>,
    /// The job that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Box<Job>>,
    /// The last jobs that ended, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended_jobs: Vec<JobStatus>,
    /// The keys of the documents that this version's batches created, replaced or deleted, while a job
    /// runs: it must carry them over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touched: Vec<String>,
}

impl Body {
    /// The segments that hold documents.
    pub fn document_segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| !segment.ledger)
    }

    /// The position of a segment.
    pub fn position(&self, id: Uuid) -> Option<usize> {
        self.segments.iter().position(|segment| segment.id == id)
    }

    /// Documents that are not deleted.
    pub fn live_docs(&self) -> DocCount {
        self.document_segments().map(Segment::live_docs).sum()
    }

    /// A body without documents.
    pub fn empty(cause: Cause, written_ms: u64, definition: Definition) -> Self {
        Self {
            cause,
            written_ms,
            writer: Uuid::nil(),
            previous: Uuid::nil(),
            lock_generation: LockGeneration::FIRST,
            batch_clock: 0,
            collected: Version::NONE,
            definition,
            containers: Vec::new(),
            segments: Vec::new(),
            applied: Vec::new(),
            retired: Vec::new(),
            job: None,
            ended_jobs: Vec::new(),
            touched: Vec::new(),
        }
    }
}

/// A manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its version.
    pub version: Version,
    /// The term of the writer that published it.
    pub epoch: Epoch,
    /// What tells two attempts at this version apart.
    pub nonce: Uuid,
    /// The generation of the index: a new one when it is created again or rebuilt.
    pub lineage: Uuid,
    /// The JSON part.
    pub body: Body,
    /// The sections that it adds. Empty in a copy, and in a version that is open.
    pub blob: Vec<u8>,
    /// Offset of the embedded pages.
    pub pages_base: u64,
    /// Bytes of the embedded pages.
    pub pages_len: u64,
}

impl Manifest {
    /// A manifest without segments. Whoever writes it into a file gives it a nonce.
    pub fn empty(version: Version, lineage: Uuid, body: Body) -> Self {
        Self {
            version,
            epoch: Epoch::FIRST,
            nonce: Uuid::nil(),
            lineage,
            body,
            blob: Vec::new(),
            pages_base: 0,
            pages_len: 0,
        }
    }

    /// Length of the whole file in bytes.
    pub fn file_len(&self) -> u64 {
        (self.pages_base + self.pages_len).next_multiple_of(COHERENT_PAGE as u64)
            + COHERENT_PAGE as u64
    }

    /// Identity, as marks and HEAD name it.
    pub fn id(&self) -> ManifestId {
        ManifestId {
            version: self.version,
            nonce: self.nonce,
            len: self.file_len(),
        }
    }

    /// Its file's name without the folder.
    pub fn name(&self) -> ManifestName {
        ManifestName {
            version: self.version,
            nonce: self.nonce,
        }
    }

    /// Bytes of the blob, by where they lie in the file.
    fn blob_at(&self, span: Span) -> Result<&[u8]> {
        let offset = span.offset.checked_sub(HEADER as u64);
        let range = offset
            .and_then(|offset| usize::try_from(offset).ok())
            .zip(usize::try_from(span.len).ok());
        range
            .and_then(|(offset, len)| self.blob.get(offset..offset.checked_add(len)?))
            .ok_or_else(|| super::damaged(&self.path(), "a reference into the blob"))
    }

    /// The sections that opening this version takes, in the order of the segments.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] when a reference leads nowhere.
    pub fn sections(&self) -> Result<Vec<SectionRef>> {
        let mut sections = Vec::new();
        for segment in &self.body.segments {
            sections.push(self.hot_section(segment)?);
            sections.extend(segment.base().map(Base::section));
        }
        Ok(sections)
    }

    /// The hot section of a segment.
    ///
    /// # Errors
    /// Like [`Self::sections`].
    pub fn hot_section(&self, segment: &Segment) -> Result<SectionRef> {
        let file = self.container(segment)?.id.clone();
        let Span { offset, len } = segment.hot;
        let id = SectionId { file, offset };
        Ok(SectionRef { id, len })
    }

    /// The sections that are in the blob.
    ///
    /// # Errors
    /// Like [`Self::sections`].
    pub fn carried(&self) -> Result<Vec<(SectionId, &[u8])>> {
        let mut carried = Vec::new();
        if self.blob.is_empty() {
            return Ok(carried);
        }
        let own = ContainerId::Manifest(self.name());
        for segment in &self.body.segments {
            let hot = self.hot_section(segment)?.id;
            let place = match segment.hot_copy {
                None => (hot.file == own).then_some(segment.hot),
                copy => copy,
            };
            if let Some(place) = place {
                carried.push((hot, self.blob_at(place)?));
            }
            if let Some(base) = segment.base().filter(|base| base.manifest == self.name()) {
                carried.push((base.section().id, self.blob_at(base.span)?));
            }
        }
        Ok(carried)
    }

    /// The files that this version uses: bundles and manifests, perhaps its own.
    pub fn files(&self) -> BTreeSet<ContainerId> {
        let containers = self.body.containers.iter();
        let mut files: BTreeSet<_> = containers.map(|container| container.id.clone()).collect();
        let bases = self.body.segments.iter().filter_map(Segment::base);
        files.extend(bases.map(|base| ContainerId::Manifest(base.manifest)));
        files
    }

    /// The container of a segment.
    pub fn container(&self, segment: &Segment) -> Result<&Container> {
        self.body
            .containers
            .get(segment.container)
            .ok_or_else(|| super::damaged(&self.path(), "a reference to a container"))
    }

    /// Its file's name.
    pub fn path(&self) -> String {
        self.name().path()
    }
}

/// Files that lie one behind the other: where the first begins, and the length of each.
mod consecutive {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    use super::Span;

    #[derive(Serialize, Deserialize)]
    struct Consecutive {
        from: u64,
        len: BTreeMap<String, u64>,
    }

    pub(super) fn serialize<S: Serializer>(
        files: &BTreeMap<String, Span>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let from = files.values().next().map_or(0, |span| span.offset);
        let mut end = from;
        let mut len = BTreeMap::new();
        for (extension, span) in files {
            if span.offset != end {
                return Err(ser::Error::custom("the files of a segment lie apart"));
            }
            end += span.len;
            len.insert(extension.clone(), span.len);
        }
        Consecutive { from, len }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Span>, D::Error> {
        let Consecutive { from, len } = Consecutive::deserialize(deserializer)?;
        let mut offset = from;
        let mut files = BTreeMap::new();
        for (extension, len) in len {
            let span = Span { offset, len };
            let end = offset.checked_add(len);
            offset = end.ok_or_else(|| de::Error::custom("a segment is too long"))?;
            files.insert(extension, span);
        }
        Ok(files)
    }
}
