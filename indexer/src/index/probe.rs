//! Whether the root folder can be used: that it is there, and, for a process that writes, that it takes a file.

use super::Aquifer;
use crate::error::Result;
use crate::layout;
use crate::mount::{Access, Mount, MountFailure, MountResult, tree};

/// What a probe writes: a full file system has no room for a page.
const PROBE: [u8; 4096] = [0; 4096];

impl Aquifer {
    /// Lists the root folder. A process that may write also writes a small file there, durably, and removes it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unavailable`]: the folder is missing, cannot be read, is read-only, or is full.
    pub fn probe(&self) -> Result<()> {
        let path = self.root.path();
        let here = |failure: MountFailure| failure.at(path);
        let root = self.root.here()?;
        root.list(".").map_err(here)?;
        if self.config.read_only {
            return Ok(());
        }
        let folder = layout::trash_folder("probe", self.config.world.ids.next());
        let written = write(&*root, &folder);
        let removed = tree::remove(&*root, &folder);
        Ok(written.and(removed).map_err(here)?)
    }
}

fn write(root: &dyn Mount, folder: &str) -> MountResult<()> {
    root.make_dir(folder)?;
    let file = root.enter(folder)?.open("probe", Access::CreateNew)?;
    file.write_durably_at(&PROBE, 0)
}
