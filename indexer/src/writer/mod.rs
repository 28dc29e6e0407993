//! The writer: batches become versions.
//!
//! Requests hand their batches to [`Writer::submit`]. One thread at a time leads: it takes the
//! lock, applies what is queued in this process and what lies in the inbox as **one** commit,
//! and gives everybody their result; the others wait. While another process holds the lock, batches are laid
//! into the inbox, where the holder finds them.

mod age;
mod ahead;
mod alone;
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
mod ledger;
mod lock;
mod maintain;
mod manifests;
mod merge;
mod pack;
mod policy;
mod publish;
mod queue;
pub(crate) mod rebuild;
pub(crate) mod resolve;
mod scratch;
mod skips;
mod stored;
mod stores;

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};

use uuid::Uuid;

use self::collect::Rest;
use self::group::Leader;
use self::lock::Lock;
use self::publish::Publisher;
use self::queue::Queue;
use crate::clock::Clock;
use crate::config::Config;
use crate::ids::Ids;
use crate::inbox::Inbox;
use crate::layout::BatchId;
use crate::snapshot::follow::Follower;
use crate::world::World;

pub use self::bulk::{Bulk, BulkReport};
pub use self::collect::GcReport;
pub use self::create::create;
pub(crate) use self::group::Drained;
pub(crate) use self::ledger::schema as ledger_schema;
pub use self::maintain::MergeReport;
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

/// Writes one index. Shared by all threads of a process.
#[derive(Debug)]
pub struct Writer {
    id: Uuid,
    follower: Arc<Follower>,
    inbox: Arc<Inbox>,
    lock: Lock,
    publisher: Publisher,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    config: Config,
    queue: Mutex<Queue>,
    changed: Condvar,
    leader: Mutex<Leader>,
    /// Applied batches whose files this process knows to be gone.
    confirmed: Mutex<BTreeSet<BatchId>>,
    /// When the next collection has to look.
    rest: Mutex<Option<Rest>>,
}

impl Writer {
    /// A writer of the index that `follower`, which must be writable, follows.
    pub fn new(follower: Arc<Follower>, config: Config) -> Self {
        let World { clock, ids } = config.world.clone();
        let id = ids.next();
        let mount = Arc::clone(&follower.source().mount);
        let lock = Lock::new(
            Arc::clone(&mount),
            Arc::clone(&clock),
            id,
            config.overtake_after,
        );
        let inbox = Inbox::new(mount, config.world.clone()).counted_in(follower.counters());
        Self {
            id,
            inbox: Arc::new(inbox),
            lock,
            publisher: Publisher::new(Arc::clone(&follower), config.observer.clone()),
            follower,
            clock,
            ids,
            config,
            queue: Mutex::default(),
            changed: Condvar::new(),
            leader: Mutex::default(),
            confirmed: Mutex::default(),
            rest: Mutex::default(),
        }
    }

    /// The inbox it draws from.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }
}
