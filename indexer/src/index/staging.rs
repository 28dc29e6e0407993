//! Creating an index: under a name that nobody uses, and then, with one rename, under its own.
//!
//! A rename replaces an empty folder but never one that holds anything, so of several creators one succeeds, and
//! nobody ever sees half an index.

use std::sync::Arc;

use super::Aquifer;
use crate::config::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::layout;
use crate::mapping::Definition;
use crate::mount::{FailureClass, Mount, MountFailure};

/// A new index that has no name yet.
struct Staged {
    root: Arc<dyn Mount>,
    mount: Arc<dyn Mount>,
    folder: String,
}

impl Aquifer {
    /// Creates an index. `false` when something else has its name.
    pub(super) fn install(&self, name: &str, definition: &Definition) -> Result<bool> {
        let staged = self.stage(name)?;
        let written = crate::writer::create(&*staged.mount, definition, &self.config.world);
        if let Err(error) = written {
            self.discard(&staged.root, &staged.folder);
            return Err(error);
        }
        self.config.observer.reached(Step::BeforeName);
        match staged.root.rename(&staged.folder, name) {
            Ok(()) => {}
            Err(failure) => {
                if !self.is_installed(&staged, name, failure)? {
                    return Ok(false);
                }
            }
        }
        let synced = staged.root.sync_dir(".");
        synced.map_err(|error| self.io(name, error))?;
        Ok(true)
    }

    fn stage(&self, name: &str) -> Result<Staged> {
        let folder = layout::new_folder(name, self.config.world.ids.next());
        let io = |error| self.io(&folder, error);
        let root = self.root.here()?;
        root.make_dir(&folder).map_err(io)?;
        let mount = root.enter(&folder).map_err(io)?;
        Ok(Staged {
            root,
            mount,
            folder,
        })
    }

    /// Whether a new index has its name, after the rename has failed: its reply may have been lost. `false` when
    /// another folder has the name.
    fn is_installed(&self, staged: &Staged, name: &str, failure: MountFailure) -> Result<bool> {
        if self.has_name(staged, name)? {
            return Ok(true);
        }
        // Unless this succeeds, the rename was made, or may still be made.
        let trash = layout::trash_folder(name, self.config.world.ids.next());
        match staged.root.rename(&staged.folder, &trash) {
            Ok(()) => self.empty_trash(&staged.root, &trash),
            // It has been renamed while this looked.
            Err(_) if self.has_name(staged, name)? => return Ok(true),
            Err(unclaimed) => {
                tracing::debug!(%unclaimed, "a new index is not where it was written");
                let unknown = "it is not known whether the index was created: look for it, or send the request again";
                return Err(Error::outcome_unknown(unknown, failure.into()).at(name));
            }
        }
        if failure.is_not_empty() {
            return Ok(false);
        }
        if failure.class() == FailureClass::OtherType {
            let message =
                "a file has the name of this index: choose another name, or move the file away";
            return Err(Error::new(ErrorKind::Conflict, message).at(self.root.path().join(name)));
        }
        Err(self.io(name, failure))
    }

    /// Whether the folder that has the name is the one that was staged. It is held open, so that no other folder can
    /// have its identity.
    fn has_name(&self, staged: &Staged, name: &str) -> Result<bool> {
        let own = staged.mount.metadata(".");
        let own = own.map_err(|error| self.io(&staged.folder, error))?;
        let root = self.root.here()?;
        let named = match root.enter(name) {
            Ok(named) => named.metadata("."),
            Err(error) => Err(error),
        };
        match named {
            Ok(named) => Ok(named.id == own.id),
            Err(failure) if failure.is_gone() => Ok(false),
            Err(failure) if failure.class() == FailureClass::OtherType => Ok(false),
            Err(failure) => Err(self.io(name, failure)),
        }
    }

    /// Removes a new index that never had its name, and never will: its folder is renamed first, which only succeeds
    /// where its creator has not done so.
    pub(super) fn discard(&self, root: &Arc<dyn Mount>, folder: &str) -> bool {
        let trash = layout::trash_folder("new", self.config.world.ids.next());
        match root.rename(folder, &trash) {
            Ok(()) => {
                self.empty_trash(root, &trash);
                true
            }
            Err(error) => {
                tracing::debug!(%error, folder, "an unfinished index was not removed");
                false
            }
        }
    }
}
