//! Removing the files of a deleted index, and freeing its name.
//!
//! Everything is done relative to the descriptor of the folder in which the deletion was found. By its name the folder
//! is only removed when it is empty, which the folder of a live index never is. So whoever wakes up here after hours
//! cannot touch an index that was created under the same name meanwhile.
//!
//! The inbox is removed first, in place: as long as it exists, a process that does not know of the deletion may lay an
//! acknowledged batch into it, and when it is gone that fails. The other parts are moved into a folder that nobody
//! looks at, which takes a call for each of them however many files they hold, and are removed there. The manifests,
//! which say that the index is deleted, go last.

use std::sync::Arc;

use super::Aquifer;
use super::remains::{Content, Part};
use crate::config::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{self, MANIFESTS};
use crate::mount::{FailureClass, Mount, MountResult, tree};

/// Looks at a folder that will not become empty. A process that does not know of the deletion makes its lock file
/// again, once; more than some of them at the same moment are unlikely.
const TRIES_MAX: usize = 16;

impl Aquifer {
    /// Frees the name of an index that has been deleted, whoever has deleted it. A live index is left alone.
    pub(super) fn free(&self, name: &str) -> Result<()> {
        let mut left = None;
        for _ in 0..TRIES_MAX {
            let root = self.root.here()?;
            let folder = match root.enter(name) {
                Err(failure) if failure.is_gone() => return Ok(()),
                folder => folder.map_err(|error| self.io(name, error))?,
            };
            let parts = match self.content(name, &folder)? {
                Content::Live => return Ok(()),
                Content::Deleted(parts) | Content::Remains(parts) => parts,
            };
            let trash = self.take_out(&root, &folder, name, &parts)?;
            self.config.observer.reached(Step::BeforeFree);
            let removed = root.remove_dir(name);
            if let Some(trash) = trash {
                self.empty_trash(&root, &trash);
            }
            match tree::gone_or(removed) {
                Ok(()) => return root.sync_dir(".").map_err(|error| self.io(name, error)),
                Err(failure) if failure.is_not_empty() => left = Some(failure),
                Err(error) => return Err(self.io(name, error)),
            }
        }
        let message = "the folder of a deleted index does not become empty, because another process writes into it: \
                       try again later";
        let error = Error::new(ErrorKind::Busy, message).at(self.root.path().join(name));
        Err(match left {
            Some(left) => error.because(left),
            None => error,
        })
    }

    /// Takes the parts of a deleted index out of its folder. Gives the folder they were moved to, if there is one.
    fn take_out(
        &self,
        root: &Arc<dyn Mount>,
        folder: &Arc<dyn Mount>,
        name: &str,
        parts: &[Part],
    ) -> Result<Option<String>> {
        let mut trash: Option<(String, Arc<dyn Mount>)> = None;
        for part in parts {
            self.config.observer.reached(Step::BeforeRemove);
            let removed = match part {
                Part::InPlace(part) => tree::remove(&**folder, part),
                Part::Empty(part) => tree::gone_or(folder.remove_dir(part)),
                Part::Moved(part) => {
                    let (_, into) = match &trash {
                        Some(trash) => trash,
                        None => trash.insert(self.make_trash(root, name)?),
                    };
                    move_out(folder, part, &**into)
                }
            };
            match removed {
                // Somebody has put something into it; whoever looks next decides what that means.
                Err(failure) if failure.is_not_empty() => break,
                removed => {
                    removed.map_err(|error| self.io(&format!("{name}/{}", part.name()), error))?;
                }
            }
        }
        Ok(trash.map(|(folder, _)| folder))
    }

    fn make_trash(&self, root: &Arc<dyn Mount>, name: &str) -> Result<(String, Arc<dyn Mount>)> {
        let trash = layout::trash_folder(name, self.config.world.ids.next());
        let made = root.make_dir(&trash).and_then(|()| root.enter(&trash));
        let made = made.map_err(|error| self.io(&trash, error))?;
        Ok((trash, made))
    }

    /// Removes what was moved away. What cannot be removed now is left to the sweep, since it blocks no name.
    pub(super) fn empty_trash(&self, root: &Arc<dyn Mount>, trash: &str) {
        if let Err(error) = tree::remove(&**root, trash) {
            tracing::info!(%error, trash, "the files of a deleted index are removed later");
        }
    }
}

/// Moves a part away; removes it where it is if the file system cannot move it (`EXDEV`, from overlays).
fn move_out(folder: &Arc<dyn Mount>, part: &str, into: &dyn Mount) -> MountResult<()> {
    if part == MANIFESTS {
        // After a power loss they must not be missing while something else is still there.
        tree::gone_or(folder.sync_dir("."))?;
    }
    match tree::gone_or(folder.move_to(part, into)) {
        Err(failure) if failure.class() == FailureClass::OtherFileSystem => {
            match tree::gone_or(folder.unlink(part)) {
                Err(_) => tree::remove(&**folder, part),
                removed => removed,
            }
        }
        moved => moved,
    }
}
