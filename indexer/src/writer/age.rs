//! How old files are, by the file server's clock.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::history::History;
use crate::error::Result;
use crate::ids::Ids;
use crate::layout;
use crate::mount::{Access, FailureClass, Mount};
use crate::snapshot::Snapshot;

/// The time by the file server's clock: what it stamps on a file made now.
fn server_time(mount: &dyn Mount, ids: &dyn Ids) -> Result<SystemTime> {
    let path = layout::clock_file(ids.next());
    // Nothing is written, so that it works on a full disk too.
    mount.open(&path, Access::CreateNew)?;
    let stamped = mount.metadata(&path);
    let removed = mount.unlink(&path);
    tracing::debug!(?removed, "the file that tells the time");
    Ok(stamped?.modified)
}

/// Whether a collection that was published since `base` was the newest version may have taken a file for an orphan that
/// was written after that. A file younger than retention, by the server's clock, is left alone.
pub(super) fn may_be_collected(
    history: &History,
    base: &Snapshot,
    tip: &Snapshot,
    path: &str,
) -> Result<bool> {
    if tip.manifest().body.collected == base.manifest().body.collected {
        return Ok(false);
    }
    let mount = &**history.mount();
    let written = match mount.metadata(path) {
        Err(error) if error.class() == FailureClass::Missing => return Ok(true),
        metadata => metadata?.modified,
    };
    let age = server_time(mount, &*history.ids)?
        .duration_since(written)
        .unwrap_or_default();
    Ok(age >= history.config.retention / 2)
}

/// Tells which files were last touched longer ago than retention. The server is asked for its time when the first file is
/// looked at.
#[derive(Debug)]
pub(super) struct Ages {
    mount: Arc<dyn Mount>,
    ids: Arc<dyn Ids>,
    retention: Duration,
    now: OnceCell<SystemTime>,
    /// When the first of the files that are too young will not be any more.
    next: Cell<Duration>,
}

impl Ages {
    pub(super) fn new(mount: &Arc<dyn Mount>, ids: &Arc<dyn Ids>, retention: Duration) -> Self {
        Self {
            mount: Arc::clone(mount),
            ids: Arc::clone(ids),
            retention,
            now: OnceCell::new(),
            next: Cell::new(retention),
        }
    }

    pub(super) fn mount(&self) -> &dyn Mount {
        &*self.mount
    }

    /// How long it takes until another answer is possible; retention, if nothing is young.
    pub(super) fn next(&self) -> Duration {
        self.next.get()
    }

    /// Whether a file was last touched longer ago than retention. A file that is gone was.
    pub(super) fn over(&self, path: &str) -> Result<bool> {
        self.over_after(path, self.retention)
    }

    /// Whether a file was last touched longer ago than `after`.
    pub(super) fn over_after(&self, path: &str, after: Duration) -> Result<bool> {
        let now = match self.now.get() {
            Some(now) => *now,
            None => {
                let now = server_time(&*self.mount, &*self.ids)?;
                *self.now.get_or_init(|| now)
            }
        };
        let modified = match self.mount.metadata(path) {
            Ok(metadata) => metadata.modified,
            Err(error) => return Ok(error.class() == FailureClass::Missing),
        };
        // Touched after the clock was read: no age at all.
        let age = now.duration_since(modified).ok();
        let over = age.is_some_and(|age| age >= after);
        if !over {
            let left = after.saturating_sub(age.unwrap_or_default());
            self.next.set(self.next.get().min(left));
        }
        Ok(over)
    }

    /// Those of some files that were last touched longer ago than retention.
    pub(super) fn those_over(&self, paths: impl Iterator<Item = String>) -> Result<Vec<String>> {
        let mut over = Vec::new();
        for path in paths {
            if self.over(&path)? {
                over.push(path);
            }
        }
        Ok(over)
    }

    /// The position of the first that is young, of files in the order in which they were last touched.
    pub(super) fn first_young<T>(
        files: &[T],
        is_over: impl Fn(&T) -> Result<bool>,
    ) -> Result<usize> {
        let mut failure = None;
        let position = files.partition_point(|file| match is_over(file) {
            Ok(over) => over,
            Err(error) => {
                failure = Some(error);
                false
            }
        });
        failure.map_or(Ok(position), Err)
    }
}
