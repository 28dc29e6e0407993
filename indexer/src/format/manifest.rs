//! The manifest: one immutable file that says what one version of an index consists of.
//!
//! ```text
//! header | body (JSON) | blob (hot sections, deletes) | 0.. | pages of small segments | 0.. | mark page
//! ```
//!
//! Header, body and blob together are the **prefix**: what a reader needs to open the version.
//! Pages and mark page begin at multiples of 4096.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::job::{Job, JobStatus};
use super::mark::{ManifestId, MarkPage};
use super::pages::{Pages, paged_len};
use super::{Fields, crc};
use crate::error::{Error, Result};
use crate::layout::{self, BatchId};
use crate::mapping::Definition;
use crate::mount::COHERENT_PAGE;

const MAGIC: [u8; 4] = *b"AQMF";
/// Bytes of the header.
pub const HEADER: usize = 4 + 2 + 2 + 8 + 8 + 16 + 16 + 8 + 8 + 8 + 8 + 4 + 4;

/// Where the pages of some segments lie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerId {
    /// In a bundle of this name.
    Bundle(String),
    /// In the manifest of this version, since they are small.
    Manifest(u64),
}

impl ContainerId {
    /// The file's name.
    pub fn path(&self) -> String {
        match self {
            Self::Bundle(name) => layout::bundle(name),
            Self::Manifest(version) => layout::manifest(*version),
        }
    }
}

/// A file that holds the pages of some segments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Which file.
    pub id: ContainerId,
    /// Identity that the page checksums are bound to.
    pub uuid: Uuid,
    /// Offset of the first page in the file.
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

/// Where a segment's hot section is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HotPlace {
    /// In the blob of this manifest.
    Blob(Span),
    /// At this place of the container's file, outside its pages.
    File(Span),
}

/// The deleted documents of a segment: a Roaring bitmap in the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletes {
    /// How many.
    pub count: u32,
    /// The version that changed them last.
    pub version: u64,
    /// The bitmap, in the portable serialisation of Roaring.
    pub blob: Span,
}

/// One segment of the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// tantivy's identity of it.
    pub id: Uuid,
    /// Documents in it, deleted ones included.
    pub max_doc: u32,
    /// Index of its container in [`Body::containers`].
    pub container: usize,
    /// Its files by extension: where they lie in the container's payload.
    pub files: BTreeMap<String, Span>,
    /// Its hot section.
    pub hot: HotPlace,
    /// Its deleted documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletes: Option<Deletes>,
}

impl Segment {
    /// Documents that are not deleted.
    pub fn live_docs(&self) -> u32 {
        self.max_doc
            .saturating_sub(self.deletes.map_or(0, |deletes| deletes.count))
    }

    /// Bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|span| span.len).sum()
    }
}

/// What a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Documents whose key was new.
    pub created: u32,
    /// Documents that replaced another.
    pub updated: u32,
    /// Documents that were deleted.
    pub deleted: u32,
    /// Keys to delete that no document had.
    pub missing: u32,
}

/// A batch that has been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Which.
    pub batch: BatchId,
    /// The version it became visible in.
    pub version: u64,
    /// What it did.
    pub counts: Counts,
    /// Whether its file may still lie in the inbox.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_inbox: bool,
}

/// A container that no segment uses any more since `version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// Which.
    pub container: ContainerId,
    /// The first version without it.
    pub version: u64,
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
    pub lock_generation: u32,
    /// The greatest batch clock applied so far.
    pub batch_clock: u64,
    /// The last version that collected garbage, 0 for none. A file written before it without being
    /// named by it may be gone.
    pub collected: u64,
    /// Mapping and settings.
    pub definition: Definition,
    /// The files that hold the segments.
    pub containers: Vec<Container>,
    /// The segments.
    pub segments: Vec<Segment>,
    /// The batches applied by this version, and earlier ones whose files may still exist.
    pub applied: Vec<Applied>,
    /// Containers that readers of earlier versions may still use.
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
    /// A body without documents.
    pub fn empty(cause: Cause, written_ms: u64, definition: Definition) -> Self {
        Self {
            cause,
            written_ms,
            writer: Uuid::nil(),
            previous: Uuid::nil(),
            lock_generation: 0,
            batch_clock: 0,
            collected: 0,
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
    pub version: u64,
    /// The term of the writer that published it.
    pub epoch: u64,
    /// What tells two attempts at this version apart.
    pub nonce: Uuid,
    /// The generation of the index: a new one when it is created again or rebuilt.
    pub lineage: Uuid,
    /// The JSON part.
    pub body: Body,
    /// Hot sections and deletes.
    pub blob: Vec<u8>,
    /// Offset of the embedded pages.
    pub pages_base: u64,
    /// Bytes of the embedded pages.
    pub pages_len: u64,
}

impl Manifest {
    /// A manifest without segments.
    pub fn empty(version: u64, lineage: Uuid, body: Body) -> Self {
        Self {
            version,
            epoch: 0,
            nonce: Uuid::new_v4(),
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

    /// Bytes of a range of the blob.
    pub fn blob_at(&self, span: Span) -> Result<&[u8]> {
        let range = usize::try_from(span.offset)
            .ok()
            .zip(usize::try_from(span.len).ok());
        range
            .and_then(|(offset, len)| self.blob.get(offset..offset.checked_add(len)?))
            .ok_or_else(|| super::damaged(&self.path(), "a reference into the blob"))
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
        layout::manifest(self.version)
    }

    /// Header, body and blob as bytes. Sets where the embedded pages (of `pages_len` bytes) begin.
    ///
    /// The containers in the body that are this very manifest get their base from it.
    pub fn encode_prefix(&mut self) -> Result<Vec<u8>> {
        // The base of the embedded pages is part of the body, and the body's length decides it: a
        // number of fixed width would do, JSON's is not, so leave room and settle.
        let mut base = 0_u64;
        loop {
            for container in &mut self.body.containers {
                if container.id == ContainerId::Manifest(self.version) {
                    container.base = base;
                }
            }
            let body = serde_json::to_vec(&self.body)
                .map_err(|error| Error::internal("a manifest cannot be written").because(error))?;
            let prefix = (HEADER + body.len() + self.blob.len()) as u64;
            let needed = prefix.next_multiple_of(COHERENT_PAGE as u64);
            if needed <= base {
                self.pages_base = base;
                return Ok(self.assemble(&body));
            }
            base = needed;
        }
    }

    fn assemble(&self, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + body.len() + self.blob.len());
        bytes.extend(MAGIC);
        bytes.extend(super::FORMAT_VERSION.to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.epoch.to_le_bytes());
        bytes.extend(self.nonce.as_bytes());
        bytes.extend(self.lineage.as_bytes());
        bytes.extend((body.len() as u64).to_le_bytes());
        bytes.extend((self.blob.len() as u64).to_le_bytes());
        bytes.extend(self.pages_base.to_le_bytes());
        bytes.extend(self.pages_len.to_le_bytes());
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(body);
        hasher.update(&self.blob);
        bytes.extend(hasher.finalize().to_le_bytes());
        bytes.extend(crc(&bytes).to_le_bytes());
        bytes.extend(body);
        bytes.extend(&self.blob);
        bytes
    }

    /// The whole file: prefix, embedded pages, mark page without a successor.
    pub fn encode_file(&mut self, pages: &[u8]) -> Result<Vec<u8>> {
        self.pages_len = pages.len() as u64;
        let mut bytes = self.encode_prefix()?;
        let too_long = |error| Error::internal("a manifest exceeds memory").because(error);
        bytes.resize(usize::try_from(self.pages_base).map_err(too_long)?, 0);
        bytes.extend(pages);
        bytes.resize(bytes.len().next_multiple_of(COHERENT_PAGE), 0);
        bytes.extend(
            MarkPage {
                owner: self.id(),
                successor: None,
            }
            .encode(),
        );
        Ok(bytes)
    }

    /// Reads the prefix at the beginning of `bytes`; gives its length too.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] naming `path`.
    pub fn decode(bytes: &[u8], path: &str) -> Result<(Self, usize)> {
        let mut fields = Fields::new(bytes, path);
        let header = fields.take(HEADER)?;
        let mut fields = Fields::new(header, path);
        fields.expect_format(MAGIC)?;
        fields.take(2)?;
        let (version, epoch) = (fields.u64()?, fields.u64()?);
        let (nonce, lineage) = (fields.uuid()?, fields.uuid()?);
        let (body_len, blob_len) = (fields.u64()?, fields.u64()?);
        let (pages_base, pages_len) = (fields.u64()?, fields.u64()?);
        let content_crc = fields.u32()?;
        if fields.u32()? != crc(header.get(..HEADER - 4).unwrap_or_default()) {
            return Err(fields.damaged("the checksum of the header"));
        }
        let content_len = body_len
            .checked_add(blob_len)
            .and_then(|len| usize::try_from(len).ok());
        let content_len = content_len.ok_or_else(|| fields.damaged("the length of the body"))?;
        let content =
            Fields::new(bytes.get(HEADER..).unwrap_or_default(), path).take(content_len)?;
        if crc(content) != content_crc {
            return Err(fields.damaged("the checksum of the body"));
        }
        let (body, blob) = content.split_at(content_len - usize::try_from(blob_len).unwrap_or(0));
        let body = serde_json::from_slice(body)
            .map_err(|error| super::damaged(path, "the JSON of the body").because(error))?;
        let blob = blob.to_vec();
        let manifest = Self {
            version,
            epoch,
            nonce,
            lineage,
            body,
            blob,
            pages_base,
            pages_len,
        };
        Ok((manifest, HEADER + content_len))
    }
}
