//! Removing folders with everything in them.
//!
//! Each step is relative to the descriptor of a folder, so no name is followed that may lead elsewhere by then. Several
//! processes may remove the same folder at once: what another one has removed already is not an error.

use super::{FailureClass, Mount, MountFailure, MountResult};

/// Folders in folders that are removed. An index has one level; a person may have put more into its folder.
const DEPTH_MAX: usize = 16;

/// Removes a folder in `parent`, with everything in it.
pub(crate) fn remove(parent: &dyn Mount, name: &str) -> MountResult<()> {
    remove_to(parent, name, DEPTH_MAX)
}

fn remove_to(parent: &dyn Mount, name: &str, depth: usize) -> MountResult<()> {
    match parent.enter(name) {
        Err(error) if error.is_gone() => return Ok(()),
        folder => clear(&*folder?, depth)?,
    }
    gone_or(parent.remove_dir(name))
}

/// Removes everything in a folder, in the order of the names: of the versions of an index the newest goes last.
fn clear(folder: &dyn Mount, depth: usize) -> MountResult<()> {
    let mut names = match folder.list(".") {
        Err(error) if error.is_gone() => return Ok(()),
        names => names?,
    };
    names.sort_unstable();
    for name in names {
        match gone_or(folder.unlink(&name)) {
            Err(error) if is_folder(&error) && depth > 0 => remove_to(folder, &name, depth - 1)?,
            removed => removed?,
        }
    }
    Ok(())
}

/// Takes "it is gone already" for success.
pub(crate) fn gone_or(removed: MountResult<()>) -> MountResult<()> {
    match removed {
        Err(error) if error.is_gone() => Ok(()),
        removed => removed,
    }
}

/// Whether `unlink` was refused because the name is that of a folder: Linux says `EISDIR`, POSIX `EPERM`.
fn is_folder(failure: &MountFailure) -> bool {
    matches!(
        failure.class(),
        FailureClass::OtherType | FailureClass::Denied
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::mount::PosixMount;

    #[test]
    fn a_folder_goes_with_everything_in_it_and_no_link_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let kept = root.path().join("kept");
        fs::create_dir_all(root.path().join("a/b/c")).unwrap();
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        fs::write(root.path().join("a/b/file"), "x").unwrap();
        std::os::unix::fs::symlink(&kept, root.path().join("a/link")).unwrap();
        let mount = PosixMount::open(root.path()).unwrap();
        remove(&mount, "a").unwrap();
        assert!(!root.path().join("a").exists() && kept.join("file").exists());
        remove(&mount, "a").unwrap();
        std::os::unix::fs::symlink(&kept, root.path().join("a")).unwrap();
        remove(&mount, "a").unwrap_err();
        assert!(kept.join("file").exists());
    }
}
