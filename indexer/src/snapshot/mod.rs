//! A snapshot: one version of an index, opened for reading and pinned for as long as it is held.

mod applied;
pub mod cache;
mod cold;
pub mod container;
mod deleted;
pub(crate) mod directory;
mod files;
pub mod follow;
mod load;
mod mark;
mod missing;
pub(crate) mod sources;
mod tip;
mod together;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use roaring::RoaringBitmap;
use tantivy::directory::{FileHandle, OwnedBytes};
use tantivy::{DocAddress, DocId, IndexReader, ReloadPolicy, Searcher, SegmentReader};
use tokio::task::JoinHandle;
use uuid::Uuid;

use self::cache::RangeCache;
use self::container::OpenContainer;
pub(crate) use self::deleted::fetch as fetch_bitmap;
use self::deleted::{Deleted, PendingDeletes};
use self::directory::{SegmentFile, SnapshotDirectory};
use crate::concurrent;
use crate::error::{Error, Result};
use crate::format::hot::{self, HotRange};
use crate::format::manifest::{Body, ContainerId, Manifest, Segment};
use crate::format::section::{SectionId, Sections};
use crate::mapping::{Definition, IndexSchema};
use crate::mount::{Mount, MountFile};
use crate::numbers::Version;

/// Decompressed blocks of stored documents that the searcher of a snapshot keeps, over all its segments. A block is 16 KiB, or one
/// document that is larger. What they are decompressed from is in the cache, so that with more segments than
/// blocks, each of which would pay for its own, none is kept.
const STORE_BLOCKS: usize = 16;

/// Where snapshots are read from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The folder of the index.
    pub mount: Arc<dyn Mount>,
    /// The cache that all snapshots share.
    pub cache: Arc<RangeCache>,
}

/// One version of an index.
#[derive(Debug)]
pub struct Snapshot {
    manifest: Manifest,
    schema: Arc<IndexSchema>,
    /// The schema by which documents are accepted, where that is another.
    intake: OnceLock<Arc<IndexSchema>>,
    segments: Vec<Arc<OpenSegment>>,
    /// The deleted documents of the segments that have any.
    deleted: HashMap<Uuid, Arc<Deleted>>,
    documents: Part,
    /// What it knows of events; opened by the first writer that needs it.
    ledger: OnceLock<Part>,
    mark: OnceLock<Arc<dyn MountFile>>,
}

/// The segments of one kind, as tantivy sees them.
#[derive(Debug)]
struct Part {
    index: tantivy::Index,
    segments: usize,
    opened: OnceLock<Opened>,
}

impl Part {
    fn new(directory: SnapshotDirectory, segments: usize, schema: &IndexSchema) -> Result<Self> {
        let mut index = tantivy::Index::open(directory)?;
        index.set_tokenizers(schema.tokenizers());
        let opened = OnceLock::new();
        Ok(Self {
            index,
            segments,
            opened,
        })
    }

    fn searcher(&self) -> Result<&Searcher> {
        if let Some(opened) = self.opened.get() {
            return Ok(&opened.searcher);
        }
        let reader = self
            .index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(STORE_BLOCKS / self.segments.max(1))
            .try_into()?;
        let opened = Opened {
            searcher: reader.searcher(),
            _reader: reader,
        };
        Ok(&self.opened.get_or_init(|| opened).searcher)
    }
}

struct Opened {
    searcher: Searcher,
    /// The searcher borrows from it by counting; nothing else keeps it alive.
    _reader: IndexReader,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Searcher")
    }
}

/// A segment whose hot section is in memory. It does not change, and later snapshots share it.
#[derive(Debug)]
pub struct OpenSegment {
    id: Uuid,
    container: Arc<OpenContainer>,
    files: BTreeMap<String, Arc<SegmentFile>>,
}

impl Snapshot {
    /// Opens the version that `manifest` describes, sharing what `previous` has open. Sections that
    /// are neither in the manifest nor in `sections` are fetched, all at once.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] or [`crate::ErrorKind::Unavailable`].
    pub fn open(
        mut manifest: Manifest,
        source: &Source,
        previous: Option<&Self>,
        sections: &Sections,
    ) -> Result<Self> {
        let shared: HashMap<Uuid, &Arc<OpenSegment>> = previous
            .map(|previous| {
                previous
                    .segments
                    .iter()
                    .map(|open| (open.id, open))
                    .collect()
            })
            .unwrap_or_default();
        let mut containers: HashMap<ContainerId, Arc<OpenContainer>> = shared
            .values()
            .map(|open| (open.container.id().clone(), Arc::clone(&open.container)))
            .collect();
        let carried: HashMap<SectionId, &[u8]> = manifest.carried()?.into_iter().collect();
        let at_hand = |id: &SectionId| carried.get(id).copied().or_else(|| sections.get(id));
        let mut pending = Vec::new();
        let mut deletes = Vec::new();
        for segment in &manifest.body.segments {
            if segment.deletes.is_some() {
                let known = previous.and_then(|previous| previous.deleted.get(&segment.id));
                let started = PendingDeletes::start(segment, known, &at_hand, &source.mount)?;
                deletes.extend(started.map(|started| (segment, started)));
            }
            if let Some(open) = shared.get(&segment.id) {
                pending.push(Pending::Open(Arc::clone(open)));
                continue;
            }
            let described = manifest.container(segment)?;
            let container = containers.entry(described.id.clone()).or_insert_with(|| {
                let (mount, cache) = (Arc::clone(&source.mount), Arc::clone(&source.cache));
                Arc::new(OpenContainer::new(described, mount, cache))
            });
            let hot = manifest.hot_section(segment)?;
            let at_hand = at_hand(&hot.id);
            pending.push(Pending::start(segment, Arc::clone(container), at_hand)?);
        }
        let segments: Vec<_> = pending
            .into_iter()
            .zip(&manifest.body.segments)
            .map(|(pending, segment)| pending.finish(segment))
            .collect::<Result<_>>()?;
        let deleted = deletes
            .into_iter()
            .map(|(segment, pending)| Ok((segment.id, pending.finish(&manifest, segment)?)))
            .collect::<Result<_>>()?;
        drop(carried);
        // Whoever needs a section from here on has it open, or finds it in its file.
        manifest.blob = Vec::new();
        let schema = match previous {
            Some(previous) if previous.manifest.body.definition == manifest.body.definition => {
                Arc::clone(&previous.schema)
            }
            _ => Arc::new(IndexSchema::compile(&manifest.body.definition)?),
        };
        let count = manifest.body.document_segments().count();
        let directory = tantivy_directory(&manifest, &segments, &deleted, &schema, false)?;
        let documents = Part::new(directory, count, &schema)?;
        let (ledger, mark) = (OnceLock::new(), OnceLock::new());
        let intake = match previous {
            Some(previous) if previous.accepts_like(&manifest) => previous.intake.clone(),
            _ => OnceLock::new(),
        };
        Ok(Self {
            manifest,
            schema,
            intake,
            segments,
            deleted,
            documents,
            ledger,
            mark,
        })
    }

    /// What this version consists of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.manifest.version
    }

    /// Its schema.
    pub fn schema(&self) -> &Arc<IndexSchema> {
        &self.schema
    }

    /// The schema by which documents are accepted: they have to fit into what a job is building as well.
    pub(crate) fn intake(&self) -> Result<Arc<IndexSchema>> {
        let own = self.schema.definition();
        let job = self.manifest.body.job.as_deref();
        let Some(next) = job.map(|job| &job.definition).filter(|next| *next != own) else {
            return Ok(Arc::clone(&self.schema));
        };
        if let Some(intake) = self.intake.get() {
            return Ok(Arc::clone(intake));
        }
        let both = Arc::new(IndexSchema::compile_with_next(own, next)?);
        Ok(Arc::clone(self.intake.get_or_init(|| both)))
    }

    /// Whether `manifest` accepts documents by the same schema as this version.
    fn accepts_like(&self, manifest: &Manifest) -> bool {
        fn next(body: &Body) -> Option<&Definition> {
            body.job.as_ref().map(|job| &job.definition)
        }
        let (own, other) = (&self.manifest.body, &manifest.body);
        own.definition == other.definition && next(own) == next(other)
    }

    /// Searches the documents of this version; opened at the first call.
    pub fn searcher(&self) -> Result<&Searcher> {
        self.documents.searcher()
    }

    /// Searches what this version knows of events; opened at the first call. None when it knows nothing.
    pub(crate) fn ledger(&self, schema: &IndexSchema) -> Result<Option<&Searcher>> {
        let count = self
            .manifest
            .body
            .segments
            .iter()
            .filter(|s| s.ledger)
            .count();
        if count == 0 {
            return Ok(None);
        }
        if self.ledger.get().is_none() {
            let (manifest, segments) = (&self.manifest, &self.segments);
            let directory = tantivy_directory(manifest, segments, &self.deleted, schema, true)?;
            let part = Part::new(directory, count, schema)?;
            // Another thread may have been first: its part is as good.
            drop(self.ledger.set(part));
        }
        self.ledger.get().map(Part::searcher).transpose()
    }

    /// Where a document is for the searcher of documents, by the position of its segment in the manifest.
    pub(crate) fn address(&self, position: usize, doc: DocId) -> Result<DocAddress> {
        self.address_in(self.searcher()?, position, doc)
    }

    /// Where a document is for `searcher`.
    pub(crate) fn address_in(
        &self,
        searcher: &Searcher,
        position: usize,
        doc: DocId,
    ) -> Result<DocAddress> {
        let segment = self.manifest.body.segments.get(position);
        let id = segment.map(|segment| segment.id.simple().to_string());
        let mut readers = searcher.segment_readers().iter();
        let ordinal = readers.position(|reader| Some(reader.segment_id().uuid_string()) == id);
        let ordinal = ordinal.and_then(|ordinal| u32::try_from(ordinal).ok());
        let ordinal = ordinal.ok_or_else(|| Error::internal("a segment is not open"))?;
        Ok(DocAddress::new(ordinal, doc))
    }

    /// The positions in the manifest of the segments of a searcher of this version, in the searcher's order.
    pub(crate) fn positions(&self, searcher: &Searcher) -> Result<Vec<usize>> {
        let readers = searcher.segment_readers().iter();
        let position = |reader: &SegmentReader| {
            let id = Uuid::try_parse(&reader.segment_id().uuid_string()).ok();
            let position = id.and_then(|id| self.manifest.body.position(id));
            position.ok_or_else(|| Error::internal("a segment has no entry"))
        };
        readers.map(position).collect()
    }

    /// The deleted documents of a segment of this version.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Internal`] when the segment is not one of this version.
    pub fn deletes(&self, segment: &Segment) -> Result<RoaringBitmap> {
        Ok(self
            .deleted(segment)?
            .map(|deleted| deleted.all.as_ref().clone())
            .unwrap_or_default())
    }

    pub(crate) fn deleted(&self, segment: &Segment) -> Result<Option<&Arc<Deleted>>> {
        let deleted = self.deleted.get(&segment.id);
        if deleted.is_none() && segment.deletes.is_some() {
            return Err(Error::internal("a segment's deletes are not open"));
        }
        Ok(deleted)
    }

    /// The open container of each segment, in the order of the manifest.
    pub fn segment_containers(&self) -> impl Iterator<Item = &Arc<OpenContainer>> {
        self.segments.iter().map(|open| &open.container)
    }

    /// The files of the segment at a position in the manifest, by extension.
    pub(crate) fn segment_files(
        &self,
        position: usize,
    ) -> Option<&BTreeMap<String, Arc<SegmentFile>>> {
        self.segments.get(position).map(|open| &open.files)
    }

    /// The open containers, each once.
    pub fn containers(&self) -> Vec<Arc<OpenContainer>> {
        let mut containers: Vec<Arc<OpenContainer>> = Vec::new();
        for open in &self.segments {
            if !containers
                .iter()
                .any(|known| Arc::ptr_eq(known, &open.container))
            {
                containers.push(Arc::clone(&open.container));
            }
        }
        containers
    }
}

/// A segment on its way to being open.
enum Pending {
    Open(Arc<OpenSegment>),
    Here {
        container: Arc<OpenContainer>,
        hot: Vec<HotRange>,
    },
    Fetching {
        container: Arc<OpenContainer>,
        hot: JoinHandle<Result<Vec<HotRange>>>,
    },
}

impl Pending {
    fn start(
        segment: &Segment,
        container: Arc<OpenContainer>,
        at_hand: Option<&[u8]>,
    ) -> Result<Self> {
        if let Some(section) = at_hand {
            let hot = hot::decode(section, container.path())?;
            return Ok(Self::Here { container, hot });
        }
        let (from, span) = (Arc::clone(&container), segment.hot);
        let hot = concurrent::spawn(move || hot::decode(&from.read_raw(span)?, from.path()))?;
        Ok(Self::Fetching { container, hot })
    }

    fn finish(self, segment: &Segment) -> Result<Arc<OpenSegment>> {
        let (container, hot) = match self {
            Self::Open(open) => return Ok(open),
            Self::Here { container, hot } => (container, hot),
            Self::Fetching { container, hot } => (container, concurrent::wait(hot)?),
        };
        let mut by_file: HashMap<String, Vec<(u64, OwnedBytes)>> = HashMap::new();
        for range in hot {
            let entry = (range.offset, OwnedBytes::new(range.bytes));
            by_file.entry(range.extension).or_default().push(entry);
        }
        let files = segment
            .files
            .iter()
            .map(|(extension, span)| {
                let hot = by_file.remove(extension).unwrap_or_default();
                let file = SegmentFile::new(Arc::clone(&container), *span, hot);
                (extension.clone(), Arc::new(file))
            })
            .collect();
        Ok(Arc::new(OpenSegment {
            id: segment.id,
            container,
            files,
        }))
    }
}

/// The segments of documents, or those of the ledger.
fn tantivy_directory(
    manifest: &Manifest,
    segments: &[Arc<OpenSegment>],
    deleted: &HashMap<Uuid, Arc<Deleted>>,
    schema: &IndexSchema,
    ledger: bool,
) -> Result<SnapshotDirectory> {
    let mut files: HashMap<PathBuf, Arc<dyn FileHandle>> = HashMap::new();
    let mut metas = Vec::new();
    let all = manifest.body.segments.iter().zip(segments);
    for (segment, open) in all.filter(|(segment, _)| segment.ledger == ledger) {
        let name = segment.id.simple();
        for (extension, file) in &open.files {
            files.insert(format!("{name}.{extension}").into(), Arc::clone(file) as _);
        }
        let mut deletes = None;
        if let (Some(described), Some(deleted)) = (&segment.deletes, deleted.get(&segment.id)) {
            let path = format!("{name}.{}.del", described.version);
            files.insert(path.into(), Arc::new(deleted.alive.clone()));
            deletes = Some(serde_json::json!({
                "num_deleted_docs": described.count, "opstamp": described.version,
            }));
        }
        metas.push(serde_json::json!({
            "segment_id": segment.id, "max_doc": segment.max_doc, "deletes": deletes,
        }));
    }
    let meta = serde_json::json!({
        "index_settings": tantivy::IndexSettings::default(),
        "segments": metas,
        "schema": schema.tantivy(),
        "opstamp": manifest.version,
    });
    let meta = serde_json::to_vec(&meta)
        .map_err(|error| Error::internal("tantivy's meta.json cannot be written").because(error))?;
    Ok(SnapshotDirectory::new(meta, files))
}
