//! Folders in the root that processes left which were killed while they created or removed an index.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Aquifer;
use super::remains::Content;
use crate::error::{ErrorKind, Result};
use crate::layout::{self, Hidden};
use crate::mount::Mount;
use serde::Serialize;

/// An index that is not complete after so long has been given up by its creator, even where retention is shorter:
/// creating one takes some 20 calls.
const UNFINISHED_AFTER: Duration = Duration::from_secs(600);

/// What sweeping did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Folders that were removed.
    pub removed: usize,
    /// Indexes that an earlier release had moved away although they were not deleted, and that have their name again.
    pub restored: Vec<String>,
    /// Folders that need a person.
    pub kept: Vec<Kept>,
}

/// A folder that was moved away and can neither be removed nor put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its name in the root.
    pub folder: String,
    /// Why.
    pub reason: String,
}

impl SweepReport {
    /// Logs it.
    pub fn log(&self) {
        if self.removed > 0 {
            tracing::info!(removed = self.removed, "swept the root folder");
        }
        for name in &self.restored {
            tracing::warn!(
                index = name,
                "an index that was moved away has its name again"
            );
        }
        for Kept { folder, reason } in &self.kept {
            tracing::warn!(folder, reason, "a folder in the root needs a person");
        }
    }
}

/// What becomes of a folder.
enum Fate {
    Young,
    Removed,
    Restored(String),
    Kept(String),
}

impl Aquifer {
    /// Removes what is left in the root of indexes that were never completed, or that were deleted, once nobody can
    /// still be working on it. Of indexes that an earlier release moved away while they were alive, those whose name
    /// is free get it back.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`]; [`ErrorKind::Conflict`] where this process may not write.
    pub fn sweep(&self) -> Result<SweepReport> {
        self.check_writable()?;
        let mut report = SweepReport::default();
        let root = self.root.here()?;
        let names = root.list(".").map_err(|error| self.io(".", error))?;
        let mut now = None;
        for folder in &names {
            let Some(hidden) = layout::parse_hidden(folder) else {
                continue;
            };
            let now = match now {
                Some(now) => now,
                None => *now.insert(self.server_time(&root)?),
            };
            match self.decide(&root, folder, hidden, now) {
                Ok(Fate::Young) => {}
                Ok(Fate::Removed) => report.removed += 1,
                Ok(Fate::Restored(name)) => report.restored.push(name),
                Ok(Fate::Kept(reason)) => report.kept.push(kept(folder, reason)),
                Err(error) => report.kept.push(kept(folder, error.to_string())),
            }
        }
        Ok(report)
    }

    /// Finishes the deletion of an index, if it was deleted and its files are still there.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`]; [`ErrorKind::Conflict`] where this process may not write; [`ErrorKind::Corrupt`] when
    /// there are documents in the folder that no version names.
    pub fn finish_deletion(&self, name: &str) -> Result<()> {
        super::check_name(name)?;
        self.check_writable()?;
        let root = self.root.here()?;
        match root.enter(name) {
            Ok(folder) => match self.content(name, &folder) {
                Ok(Content::Deleted(_) | Content::Remains(_)) => self.free(name),
                Ok(Content::Live) => Ok(()),
                // It is no index, and never was one.
                Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
                Err(error) => Err(error),
            },
            Err(failure) if failure.is_gone() => Ok(()),
            Err(error) => Err(self.io(name, error)),
        }
    }

    fn decide(
        &self,
        root: &Arc<dyn Mount>,
        folder: &str,
        hidden: Hidden<'_>,
        now: SystemTime,
    ) -> Result<Fate> {
        let retention = self.config.retention;
        match hidden {
            Hidden::New(_)
                if self.is_over(root, folder, now, retention.max(UNFINISHED_AFTER))? =>
            {
                Ok(match self.discard(root, folder) {
                    true => Fate::Removed,
                    false => Fate::Young,
                })
            }
            Hidden::Trash if self.is_over(root, folder, now, retention)? => {
                self.empty_trash(root, folder);
                Ok(Fate::Removed)
            }
            Hidden::New(_) | Hidden::Trash => Ok(Fate::Young),
            Hidden::Deleted(name) => self.decide_on_deleted(root, folder, name),
        }
    }

    fn decide_on_deleted(&self, root: &Arc<dyn Mount>, folder: &str, name: &str) -> Result<Fate> {
        let entered = root.enter(folder).map_err(|error| self.io(folder, error))?;
        match self.content(folder, &entered)? {
            Content::Deleted(_) | Content::Remains(_) => Ok(match self.discard(root, folder) {
                true => Fate::Removed,
                false => Fate::Young,
            }),
            Content::Live => match root.rename(folder, name) {
                Ok(()) => {
                    root.sync_dir(".").map_err(|error| self.io(name, error))?;
                    Ok(Fate::Restored(name.to_owned()))
                }
                Err(failure) if failure.is_not_empty() => Ok(Fate::Kept(format!(
                    "it holds an index that was never deleted, and another index is named `{name}` by now: rename \
                     the folder to serve it under another name, or remove it"
                ))),
                Err(error) => Err(self.io(folder, error)),
            },
        }
    }

    fn is_over(
        &self,
        root: &Arc<dyn Mount>,
        folder: &str,
        now: SystemTime,
        after: Duration,
    ) -> Result<bool> {
        let metadata = root.metadata(folder);
        let modified = metadata.map_err(|error| self.io(folder, error))?.modified;
        Ok(now.duration_since(modified).is_ok_and(|age| age >= after))
    }

    /// The time by the file server's clock: what it stamps on a folder that is made now.
    fn server_time(&self, root: &Arc<dyn Mount>) -> Result<SystemTime> {
        let folder = layout::trash_folder("clock", self.config.world.ids.next());
        let io = |error| self.io(&folder, error);
        root.make_dir(&folder).map_err(io)?;
        let stamped = root.metadata(&folder);
        let removed = root.remove_dir(&folder);
        tracing::debug!(?removed, "the folder that tells the time");
        Ok(stamped.map_err(io)?.modified)
    }
}

fn kept(folder: &str, reason: String) -> Kept {
    Kept {
        folder: folder.to_owned(),
        reason,
    }
}
