//! The deleted documents of an open version.

use std::sync::Arc;

use roaring::RoaringBitmap;
use tantivy::directory::OwnedBytes;
use tokio::task::JoinHandle;

use super::directory::alive_file;
use crate::concurrent;
use crate::error::Result;
use crate::format::damaged;
use crate::format::deletes::{Base, Deletes};
use crate::format::manifest::{Manifest, Segment};
use crate::format::section::SectionId;
use crate::mount::{Access, Mount};
use crate::numbers::Version;

/// The deleted documents of a segment. Versions share them until they change.
#[derive(Debug)]
pub(crate) struct Deleted {
    /// The version that changed them last.
    version: Version,
    /// The bitmap that the manifests refer to.
    pub(crate) base: Option<(Base, Arc<RoaringBitmap>)>,
    /// All of them.
    pub(crate) all: Arc<RoaringBitmap>,
    /// What tantivy sees.
    pub(super) alive: OwnedBytes,
}

/// Deletes on their way to being open.
pub(super) struct PendingDeletes {
    described: Deletes,
    known: Option<Arc<Deleted>>,
    base: PendingBase,
}

enum PendingBase {
    None,
    Here(Base, Arc<RoaringBitmap>),
    Fetching(Base, JoinHandle<Result<RoaringBitmap>>),
}

impl PendingDeletes {
    /// None where the segment has no deletes. `known` are those that it had in an earlier version.
    pub(super) fn start<'a>(
        segment: &Segment,
        known: Option<&Arc<Deleted>>,
        at_hand: &impl Fn(&SectionId) -> Option<&'a [u8]>,
        mount: &Arc<dyn Mount>,
    ) -> Result<Option<Self>> {
        let Some(described) = segment.deletes.clone() else {
            return Ok(None);
        };
        let held = known.and_then(|known| known.base.clone());
        let base = match (described.base, held) {
            (None, _) => PendingBase::None,
            (Some(base), Some((held, bitmap))) if held == base => PendingBase::Here(base, bitmap),
            (Some(base), _) => match at_hand(&base.section().id) {
                Some(bytes) => PendingBase::Here(base, Arc::new(base.decode(bytes)?)),
                None => {
                    let mount = Arc::clone(mount);
                    let fetched = concurrent::spawn(move || fetch(&*mount, &base))?;
                    PendingBase::Fetching(base, fetched)
                }
            },
        };
        Ok(Some(Self {
            described,
            known: known.cloned(),
            base,
        }))
    }

    pub(super) fn finish(self, manifest: &Manifest, segment: &Segment) -> Result<Arc<Deleted>> {
        let base = match self.base {
            PendingBase::None => None,
            PendingBase::Here(base, bitmap) => Some((base, bitmap)),
            PendingBase::Fetching(base, fetched) => {
                Some((base, Arc::new(concurrent::wait(fetched)?)))
            }
        };
        let version = self.described.version;
        let same = self.known.filter(|known| known.version == version);
        if let Some(same) = same {
            let unchanged =
                same.base.as_ref().map(|(base, _)| base) == base.as_ref().map(|(base, _)| base);
            if unchanged {
                return Ok(same);
            }
            let (all, alive) = (Arc::clone(&same.all), same.alive.clone());
            return Ok(Arc::new(Deleted {
                version,
                base,
                all,
                alive,
            }));
        }
        let path = manifest.path();
        let listed = self.described.listed(&path)?;
        let all = match &base {
            Some((_, bitmap)) if listed.is_empty() => Arc::clone(bitmap),
            Some((_, bitmap)) => Arc::new(bitmap.as_ref() | listed),
            None => Arc::new(listed),
        };
        if all.len() != u64::from(self.described.count) {
            return Err(damaged(&path, "the number of deletes"));
        }
        let alive = alive_file(&all, segment.max_doc)?;
        Ok(Arc::new(Deleted {
            version,
            base,
            all,
            alive,
        }))
    }
}

/// Reads a bitmap from the manifest that wrote it.
pub(crate) fn fetch(mount: &dyn Mount, base: &Base) -> Result<RoaringBitmap> {
    let path = base.section().id.file.path();
    let file = mount.open(&path, Access::Read)?;
    let len = usize::try_from(base.span.len)
        .map_err(|error| damaged(&path, "the length of a bitmap").because(error))?;
    base.decode(&file.read_range(base.span.offset, len)?)
}
