//! The segments of the next version, and the sections that its manifest adds.

use roaring::RoaringBitmap;

use super::pack::{HOT_IN_MANIFEST_MAX, Packed, PackedHot};
use crate::error::{Error, Result};
use crate::format::crc;
use crate::format::deletes::{self, Base, Deletes, LISTED_MAX};
use crate::format::manifest::{Container, Segment, Span};
use crate::format::prefix::HEADER;
use crate::layout::ManifestName;
use crate::numbers::Version;
use crate::snapshot::Snapshot;

/// The segments of a version while it is put together.
#[derive(Debug)]
pub(super) struct Assembly<'a> {
    name: ManifestName,
    content: &'a Snapshot,
    /// Whether the bitmaps of deletes that `content` refers to may be referred to again.
    same_history: bool,
    containers: Vec<Container>,
    segments: Vec<Segment>,
    /// All deletes of the segment at the same position, where they are known already.
    deletes: Vec<Option<RoaringBitmap>>,
    blob: Vec<u8>,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(name: ManifestName, content: &'a Snapshot, same_history: bool) -> Self {
        Self {
            name,
            content,
            same_history,
            containers: Vec::new(),
            segments: Vec::new(),
            deletes: Vec::new(),
            blob: Vec::new(),
        }
    }

    /// Adds a section; gives where it will lie in the file.
    fn put(&mut self, bytes: &[u8]) -> Span {
        let offset = (HEADER + self.blob.len()) as u64;
        self.blob.extend_from_slice(bytes);
        let len = bytes.len() as u64;
        Span { offset, len }
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

    fn push(&mut self, segment: Segment, deletes: Option<RoaringBitmap>) {
        self.segments.push(segment);
        self.deletes.push(deletes);
    }

    /// Keeps a segment of the content; `changed` are all its deletes, if they change.
    pub(super) fn keep(&mut self, index: usize, changed: Option<&RoaringBitmap>) -> Result<()> {
        let manifest = self.content.manifest();
        let segment = manifest.body.segments.get(index).ok_or_else(no_segment)?;
        let container = self.container(manifest.container(segment)?);
        let mut kept = Segment {
            container,
            hot_copy: None,
            ..segment.clone()
        };
        let known = self.content.deleted(segment)?;
        let mut all = None;
        if let Some(changed) = changed {
            let base = known.and_then(|known| known.base.as_ref());
            let base = base.filter(|_| self.same_history);
            let since = match base {
                Some((_, bitmap)) => changed - bitmap.as_ref(),
                None => changed.clone(),
            };
            kept.deletes = described(
                changed,
                self.name.version,
                base.map(|(base, _)| *base),
                &since,
            )?;
            all = Some(changed.clone());
        } else if let Some(known) = known.filter(|_| !self.same_history) {
            kept.deletes = described(&known.all, self.name.version, None, &known.all)?;
        }
        self.push(kept, all);
        Ok(())
    }

    /// Keeps the ledger of another snapshot than the content.
    pub(super) fn keep_ledger_of(&mut self, base: &Snapshot) -> Result<()> {
        let manifest = base.manifest();
        for segment in manifest.body.segments.iter().filter(|s| s.ledger) {
            let container = self.container(manifest.container(segment)?);
            let deletes = match base.deleted(segment)? {
                Some(known) => described(&known.all, self.name.version, None, &known.all)?,
                None => None,
            };
            let kept = Segment {
                container,
                hot_copy: None,
                deletes,
                ..segment.clone()
            };
            self.push(kept, Some(base.deletes(segment)?));
        }
        Ok(())
    }

    /// Adds new segments, with the documents already deleted in each.
    pub(super) fn add(&mut self, packed: Packed, deletes: &[RoaringBitmap]) -> Result<()> {
        let container = self.container(&packed.container);
        for (index, segment) in packed.segments.into_iter().enumerate() {
            let (hot, hot_copy) = match segment.hot {
                PackedHot::Embedded(section) => (self.put(&section), None),
                PackedHot::Bundled { span, section } => {
                    (span, section.map(|section| self.put(&section)))
                }
            };
            let all = deletes.get(index).filter(|deletes| !deletes.is_empty());
            let described = match all {
                Some(all) => described(all, self.name.version, None, all)?,
                None => None,
            };
            let segment = Segment {
                id: segment.id,
                max_doc: segment.max_doc,
                ledger: segment.ledger,
                container,
                files: segment.files,
                hot,
                hot_copy,
                deletes: described,
            };
            self.push(segment, all.cloned());
        }
        Ok(())
    }

    /// Copies the short hot sections of segments that no reader knows yet. They are open in the content or in `base`.
    pub(super) fn copy_hot_sections(&mut self, base: &Snapshot) -> Result<()> {
        let content = self.content.segment_containers();
        let open: Vec<_> = content.chain(base.segment_containers()).collect();
        for position in 0..self.segments.len() {
            let Some(segment) = self.segments.get(position) else {
                break;
            };
            let (span, id) = (segment.hot, self.containers.get(segment.container));
            let id = id.map(|container| &container.id);
            let container = open.iter().find(|open| Some(open.id()) == id);
            let short = span.len <= HOT_IN_MANIFEST_MAX as u64;
            if let Some(container) = container.filter(|_| short && segment.hot_copy.is_none()) {
                let section = container.read_raw(span)?;
                let copy = self.put(&section);
                if let Some(segment) = self.segments.get_mut(position) {
                    segment.hot_copy = Some(copy);
                }
            }
        }
        Ok(())
    }

    /// The containers, the segments and the blob. Where many deletes would be listed, bitmaps are written of the longest
    /// lists, until half as many are left: the next ones are some time off then.
    pub(super) fn finish(mut self) -> Result<(Vec<Container>, Vec<Segment>, Vec<u8>)> {
        let listed = |segment: &Segment| segment.deletes.as_ref().map_or(0, |d| d.since.len());
        let mut total: usize = self.segments.iter().map(listed).sum();
        if total > LISTED_MAX {
            let mut longest: Vec<(usize, usize)> =
                self.segments.iter().map(listed).zip(0..).collect();
            longest.sort_unstable_by(|a, b| b.cmp(a));
            for (len, position) in longest {
                if total <= LISTED_MAX / 2 {
                    break;
                }
                self.write_bitmap(position)?;
                total -= len;
            }
        }
        Ok((self.containers, self.segments, self.blob))
    }

    fn write_bitmap(&mut self, position: usize) -> Result<()> {
        let known = self.deletes.get_mut(position).and_then(Option::take);
        let segment = self.segments.get(position).ok_or_else(no_segment)?;
        let all = match known {
            Some(all) => all,
            None => self.content.deletes(segment)?,
        };
        let bytes = deletes::encode(&all)?;
        let span = self.put(&bytes);
        let segment = self.segments.get_mut(position);
        if let Some(deletes) = segment.and_then(|segment| segment.deletes.as_mut()) {
            let (manifest, crc) = (self.name, crc(&bytes));
            deletes.base = Some(Base {
                manifest,
                span,
                crc,
            });
            deletes.since = Vec::new();
        }
        Ok(())
    }
}

fn described(
    all: &RoaringBitmap,
    version: Version,
    base: Option<Base>,
    since: &RoaringBitmap,
) -> Result<Option<Deletes>> {
    if all.is_empty() {
        return Ok(None);
    }
    let count = u32::try_from(all.len())
        .map_err(|error| Error::internal("too many deletes").because(error))?;
    Ok(Some(Deletes {
        count,
        version,
        base,
        since: deletes::distances(since),
    }))
}

fn no_segment() -> Error {
    Error::internal("a draft names no segment")
}
