//! Numbers about an index.

use serde::Serialize;

use crate::error::Result;
use crate::inbox::Inbox;
use crate::numbers::{DocCount, Epoch, Version};
use crate::snapshot::Snapshot;
use crate::snapshot::cache::RangeCache;

/// What an index consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// The newest version.
    pub version: Version,
    /// The term of the writer that published it.
    pub epoch: Epoch,
    /// Documents that a search can find.
    pub documents: DocCount,
    /// Documents that are deleted or replaced and not merged away yet.
    pub deleted_documents: DocCount,
    /// Segments.
    pub segments: usize,
    /// Files that hold them.
    pub containers: usize,
    /// Bytes of the segments.
    pub bytes: u64,
    /// Files that are kept for readers of earlier versions.
    pub retired_containers: u64,
    /// Batches that are accepted and not yet applied.
    pub inbox: usize,
    /// Milliseconds that the oldest of them has waited, by this process's clock; 0 if there are none.
    pub inbox_age_ms: u64,
    /// Bytes of index files in this process's memory, over all its indexes.
    pub cache_bytes: usize,
}

impl Stats {
    pub(super) fn of(snapshot: &Snapshot, inbox: &Inbox, cache: &RangeCache) -> Result<Self> {
        let body = &snapshot.manifest().body;
        let live = body.live_docs();
        let waiting = inbox.list()?;
        let docs = body.document_segments().map(|segment| segment.max_doc);
        let all: DocCount = docs.map(DocCount::from).sum();
        Ok(Self {
            version: snapshot.version(),
            epoch: snapshot.manifest().epoch,
            documents: live,
            deleted_documents: all.without(live),
            segments: body.segments.len(),
            containers: body.containers.len(),
            bytes: body
                .segments
                .iter()
                .map(crate::format::manifest::Segment::bytes)
                .sum(),
            retired_containers: body.retired.iter().map(|range| range.files).sum(),
            inbox: waiting.len(),
            inbox_age_ms: inbox.age_ms(&waiting),
            cache_bytes: cache.bytes(),
        })
    }
}
