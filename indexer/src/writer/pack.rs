//! Finished segments become a container: pages inside the manifest when they are small, a bundle
//! otherwise.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use uuid::Uuid;

use super::scratch::{HOT_RANGE_MAX, RawSegment};
use crate::error::{Error, Result};
use crate::format::bundle::{self, Entry, Table};
use crate::format::hot::{self, HotRange};
use crate::format::manifest::{Container, ContainerId, Span};
use crate::format::pages::PageWriter;
use crate::ids::Ids;
use crate::layout::{self, ManifestName};
use crate::mount::{Access, Mount, MountFile};
use crate::numbers::{DocCount, Version};

/// Segments of up to so many bytes together travel inside the manifest: one file instead of two,
/// and a warm reader has them with the same read. Larger ones would make that read long for readers that need little of it.
pub(super) const EMBED_MAX: u64 = 128 * 1024;
/// Hot sections of up to so many bytes are copied into the manifest that adds their segment, so that a warm reader has
/// them with it.
pub(super) const HOT_IN_MANIFEST_MAX: usize = 16 * 1024;
/// Bytes of the end of a store that are hot however long its index is: they hold its own footer and tantivy's.
const HOT_END: usize = 4096;
/// Bytes handed to the file system at once: what one NFS WRITE carries at most on EFS.
const WRITE_SIZE: usize = 1024 * 1024;

/// A segment in its container.
#[derive(Clone, Debug)]
pub(super) struct PackedSegment {
    pub(super) id: Uuid,
    pub(super) max_doc: u32,
    pub(super) ledger: bool,
    pub(super) files: BTreeMap<String, Span>,
    pub(super) hot: PackedHot,
}

/// Where a packed segment's hot section goes.
#[derive(Clone, Debug)]
pub(super) enum PackedHot {
    /// Into the manifest, along with the pages.
    Embedded(Vec<u8>),
    /// It is in the bundle; a short one is given for a copy in the manifest.
    Bundled {
        span: Span,
        section: Option<Vec<u8>>,
    },
}

/// Packed segments and their container.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) container: Container,
    pub(super) segments: Vec<PackedSegment>,
    /// The pages, when they travel inside the manifest.
    pub(super) pages: Vec<u8>,
}

impl Packed {
    /// Documents in all its segments.
    pub(super) fn docs(&self) -> DocCount {
        let segments = self.segments.iter();
        segments
            .map(|segment| DocCount::from(segment.max_doc))
            .sum()
    }
}

/// Packs `segments` for the manifest `name`. A bundle is durable when this returns.
pub(super) fn pack(
    segments: &[RawSegment],
    mount: &dyn Mount,
    ids: &dyn Ids,
    name: ManifestName,
) -> Result<Packed> {
    let bytes: u64 = segments.iter().map(RawSegment::bytes).sum();
    if bytes <= EMBED_MAX {
        embed(segments, ids.next(), name)
    } else {
        bundle(segments, mount, ids, name.version)
    }
}

fn embed(segments: &[RawSegment], uuid: Uuid, name: ManifestName) -> Result<Packed> {
    let mut pages = PageWriter::new(Vec::new(), uuid);
    let mut packed = Vec::new();
    for segment in segments {
        let (files, hot) = copy_files(segment, &mut pages)?;
        let hot = PackedHot::Embedded(hot::encode(&hot)?);
        packed.push(PackedSegment {
            id: segment.id,
            max_doc: segment.max_doc,
            ledger: segment.ledger,
            files,
            hot,
        });
    }
    let len = pages.position();
    let pages = pages.finish().map_err(|error| Error::io("memory", error))?;
    // The base is settled when the manifest is encoded.
    let container = Container {
        id: ContainerId::Manifest(name),
        uuid,
        base: 0,
        len,
    };
    Ok(Packed {
        container,
        segments: packed,
        pages,
    })
}

/// Writes a bundle for version `version`, or a later one: pages, hot sections, file table, trailer.
pub(super) fn bundle(
    segments: &[RawSegment],
    mount: &dyn Mount,
    ids: &dyn Ids,
    version: Version,
) -> Result<Packed> {
    let uuid = ids.next();
    let name = layout::bundle_name(version, uuid);
    let path = layout::bundle(&name);
    let file = mount.open(&path, Access::New)?;
    match write_bundle(segments, &file, uuid, name) {
        Ok(packed) => {
            mount.sync_dir(layout::BUNDLES)?;
            Ok(packed)
        }
        Err(error) => {
            // Space may be what is lacking; if this fails too, the orphan is swept later.
            let removed = mount.unlink(&path);
            tracing::debug!(?removed, %path, "a bundle that could not be written");
            Err(error.at(&path))
        }
    }
}

fn write_bundle(
    segments: &[RawSegment],
    file: &Arc<dyn MountFile>,
    uuid: Uuid,
    name: String,
) -> Result<Packed> {
    let io = |error| Error::io(layout::bundle(&name), error);
    let mut pages = PageWriter::new(FileWriter::new(Arc::clone(file)), uuid);
    let mut packed = Vec::new();
    for segment in segments {
        let (files, hot) = copy_files(segment, &mut pages)?;
        packed.push((segment, files, hot::encode(&hot)?));
    }
    let len = pages.position();
    let mut out = pages.finish().map_err(io)?;
    let mut segments = Vec::new();
    let mut entries = Vec::new();
    for (segment, files, section) in packed {
        let span = Span {
            offset: out.position,
            len: section.len() as u64,
        };
        out.write_all(&section).map_err(io)?;
        let section = (section.len() <= HOT_IN_MANIFEST_MAX).then_some(section);
        let hot = PackedHot::Bundled { span, section };
        let (id, max_doc) = (segment.id, segment.max_doc);
        entries.push(Entry {
            id,
            max_doc,
            files: files.clone(),
            hot: span,
        });
        segments.push(PackedSegment {
            id,
            max_doc,
            ledger: segment.ledger,
            files,
            hot,
        });
    }
    let container = Container {
        id: ContainerId::Bundle(name.clone()),
        uuid,
        base: 0,
        len,
    };
    let table = Table {
        container: container.clone(),
        segments: entries,
    };
    let tail = bundle::encode(&table, out.position)?;
    out.write_all(&tail).map_err(io)?;
    out.finish().map_err(io)?;
    file.sync()?;
    Ok(Packed {
        container,
        segments,
        pages: Vec::new(),
    })
}

/// Copies the files of a segment into pages. Gives where they are, and its hot ranges.
fn copy_files<W: Write>(
    segment: &RawSegment,
    pages: &mut PageWriter<W>,
) -> Result<(BTreeMap<String, Span>, Vec<HotRange>)> {
    let mut files = BTreeMap::new();
    let mut hot = segment.hot.clone();
    for extension in segment.extensions() {
        let offset = pages.position();
        let (len, tail) = segment.copy(extension, pages)?;
        files.insert(extension.to_owned(), Span { offset, len });
        if let Some(mut tail) = tail {
            // Of a long index of blocks, only what says where it is.
            if tail.bytes.len() > HOT_RANGE_MAX {
                let cut = tail.bytes.len() - HOT_END;
                tail.bytes.drain(..cut);
                tail.start += cut as u64;
            }
            hot.push(HotRange {
                extension: extension.to_owned(),
                offset: tail.start,
                bytes: tail.bytes,
            });
        }
    }
    Ok((files, hot))
}

/// Writes one file from its beginning, in large pieces.
struct FileWriter {
    file: Arc<dyn MountFile>,
    buffer: Vec<u8>,
    written: u64,
    position: u64,
}

impl FileWriter {
    fn new(file: Arc<dyn MountFile>) -> Self {
        Self {
            file,
            buffer: Vec::with_capacity(WRITE_SIZE),
            written: 0,
            position: 0,
        }
    }

    fn finish(mut self) -> io::Result<()> {
        self.flush()
    }
}

impl Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        self.position += bytes.len() as u64;
        if self.buffer.len() >= WRITE_SIZE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
