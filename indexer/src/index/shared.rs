//! What the indexes of a process share: memory that is filled as it is used, and bounded over all of them.

use std::sync::Arc;

use crate::config::Config;
use crate::search::{KnownTerms, Room};
use crate::snapshot::cache::RangeCache;

/// The memory of a process that reads indexes.
#[derive(Debug)]
pub struct Shared {
    pub(super) cache: Arc<RangeCache>,
    pub(super) known: KnownTerms,
    pub(super) room: Arc<Room>,
}

impl Shared {
    /// As large as `config` says.
    pub fn new(config: &Config) -> Self {
        let cache = Arc::new(RangeCache::new(config.cache_bytes));
        Self {
            room: Arc::new(Room::new(config.search_bytes(), Arc::clone(&cache))),
            known: KnownTerms::beside(config.cache_bytes),
            cache,
        }
    }
}
