//! The writer: documents become versions.
//!
//! `history` is the handle over an index's history and has the one loop that publishes. Each job is a type of its own that
//! holds this handle:
//!
//! | Type | File | Publishes with the cause |
//! |---|---|---|
//! | `Committer` | `group`, `commit` | `Commit`: batches that were posted |
//! | `Bulk` | `bulk` | `Commit`: many documents at once |
//! | `Merger` | `maintain` | `Merge`: segments become one |
//! | `Collector` | `collect` | `Collect`: the fence before files are removed |
//! | `Rebuilder` | `rebuild` | `Job` and `Swap`: the index is rebuilt |
//! | `create`, `Writer::delete` | `create` | `Create`, `Delete` |

mod age;
mod ahead;
mod alone;
mod apply;
mod assembly;
mod attempts;
mod build;
mod bulk;
mod changes;
mod collect;
mod commit;
mod create;
mod draft;
mod fit;
mod group;
mod head;
mod history;
mod ledger;
mod leftovers;
mod lock;
mod maintain;
mod manifests;
mod merge;
mod pack;
mod permit;
mod policy;
mod publish;
mod queue;
pub(crate) mod rebuild;
pub(crate) mod resolve;
mod scratch;
mod skips;
mod stored;
mod stores;

use std::sync::Arc;
use std::time::Instant;

use self::collect::Collector;
use self::group::Committer;
use self::history::History;
use self::rebuild::Rebuilder;
use crate::config::Config;
use crate::error::Result;
use crate::inbox::Inbox;
use crate::snapshot::follow::Follower;

pub use self::bulk::{Bulk, BulkReport};
pub use self::collect::GcReport;
pub use self::create::create;
pub(crate) use self::group::Drained;
pub(crate) use self::ledger::schema as ledger_schema;
pub use self::maintain::MergeReport;
pub(crate) use self::maintain::Merger;
pub use self::queue::{Outcome, Wait};

/// How hard documents are compressed. Higher levels of zstd take half a percent off a block of 16 KiB and twice the time.
const STORE_LEVEL: i32 = 1;

/// How documents are stored: in which blocks, compressed by what. In the thread that asks, unless said otherwise. Of English
/// documents zstd leaves 70 % of what LZ4 does, in blocks of the same size, so that fetching one reads less.
fn store_settings() -> tantivy::IndexSettings {
    tantivy::IndexSettings {
        docstore_compression: tantivy::store::Compressor::Zstd(tantivy::store::ZstdCompressor {
            compression_level: Some(STORE_LEVEL),
        }),
        docstore_compress_dedicated_thread: false,
        ..tantivy::IndexSettings::default()
    }
}

/// Writes one index: a part for each kind of work, over one history. Shared by all threads of a process.
#[derive(Debug)]
pub struct Writer {
    history: Arc<History>,
    pub(crate) commits: Arc<Committer>,
    pub(crate) merges: Merger,
    pub(crate) collections: Collector,
    pub(crate) jobs: Rebuilder,
}

impl Writer {
    /// A writer of the index that `follower`, which must be writable, follows.
    pub fn new(follower: Arc<Follower>, config: Config) -> Self {
        let mount = Arc::clone(&follower.source().mount);
        let inbox = Inbox::new(mount, config.world.clone()).counted_in(follower.counters());
        let inbox = Arc::new(inbox);
        let history = Arc::new(History::new(follower, Arc::clone(&inbox), config));
        let commits = Arc::new(Committer::new(Arc::clone(&history), Arc::clone(&inbox)));
        Self {
            merges: Merger::new(Arc::clone(&history)),
            collections: Collector::new(Arc::clone(&history), inbox),
            jobs: Rebuilder::new(Arc::clone(&history), Arc::clone(&commits)),
            commits,
            history,
        }
    }

    /// Begins to load many documents.
    pub(crate) fn bulk(&self) -> Result<Bulk> {
        Bulk::new(Arc::clone(&self.history), Arc::clone(&self.commits))
    }

    /// Publishes the last version of the index.
    pub(crate) fn delete(&self, deadline: Instant) -> Result<()> {
        create::delete(&self.history, deadline)
    }
}
