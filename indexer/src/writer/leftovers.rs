//! Applied batches whose files may still be in the inbox.
//!
//! A manifest names the batches that it applied. Those that came out of the inbox are named by every later manifest too,
//! until their files are certainly gone: a file that is left would be applied again.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::concurrent;
use crate::format::manifest::Applied;
use crate::inbox::{Inbox, TOGETHER};
use crate::layout::BatchId;
use crate::snapshot::Snapshot;

/// What this process knows of applied batches.
#[derive(Debug)]
pub(super) struct Leftovers {
    inbox: Arc<Inbox>,
    /// Those whose files are certainly gone.
    gone: Mutex<BTreeSet<BatchId>>,
}

impl Leftovers {
    pub(super) fn new(inbox: Arc<Inbox>) -> Self {
        let gone = Mutex::default();
        Self { inbox, gone }
    }

    /// The applied batches that the version after `base` must go on naming. Tries to remove their files first.
    pub(super) fn named_by(&self, base: &Snapshot) -> Vec<Applied> {
        let applied = &base.manifest().body.applied;
        let named = || applied.iter().filter(|entry| entry.in_inbox);
        self.remove(named().map(|entry| entry.batch));
        let still_named: HashSet<BatchId> = named().map(|entry| entry.batch).collect();
        let mut gone = self.gone();
        gone.retain(|id| still_named.contains(id));
        let left = named().filter(|entry| !gone.contains(&entry.batch));
        left.copied().collect()
    }

    /// Removes the files of applied batches. A file that cannot be removed now is tried again with the next version.
    pub(super) fn remove(&self, ids: impl Iterator<Item = BatchId>) {
        let ids: Vec<BatchId> = {
            let gone = self.gone();
            ids.filter(|id| !gone.contains(id)).collect()
        };
        for together in ids.chunks(TOGETHER) {
            let inbox = Arc::clone(&self.inbox);
            let removed = match concurrent::each(together, move |id| inbox.remove(id)) {
                Ok(removed) => removed,
                Err(error) => {
                    tracing::warn!(%error, "applied batches stay in the inbox");
                    return;
                }
            };
            let removed = together.iter().zip(removed).filter(|(_, gone)| *gone);
            self.gone().extend(removed.map(|(id, _)| *id));
        }
    }

    fn gone(&self) -> MutexGuard<'_, BTreeSet<BatchId>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
