//! Creating and deleting an index.

use std::time::Instant;

use super::Writer;
use super::draft::Draft;
use crate::error::{Error, Result};
use crate::format::manifest::{Body, Cause, Manifest};
use crate::layout::{self, FOLDERS, MANIFESTS};
use crate::mapping::Definition;
use crate::mount::{Access, FailureClass, Mount};
use crate::world::World;

/// The first version.
const FIRST: u64 = 1;

/// Creates an empty index in the folder `mount`. `false` when there is one already.
///
/// HEAD is left to the first commit: a creator that slept for hours must not set it back.
///
/// # Errors
/// [`crate::ErrorKind::Unavailable`].
pub fn create(mount: &dyn Mount, definition: &Definition, world: &World) -> Result<bool> {
    for folder in FOLDERS {
        mount
            .make_dir(folder)
            .map_err(|error| Error::io(folder, error))?;
    }
    let names = mount
        .list(MANIFESTS)
        .map_err(|error| Error::io(MANIFESTS, error))?;
    if names
        .iter()
        .any(|name| layout::parse_version_link(name).is_some())
    {
        return Ok(false);
    }
    let body = Body::empty(Cause::Create, world.clock.wall_ms(), definition.clone());
    let mut manifest = Manifest::empty(FIRST, world.ids.next(), body);
    manifest.nonce = world.ids.next();
    let bytes = manifest.encode_file(&[])?;
    let path = manifest.path();
    let io = |error| Error::io(&path, error);
    let file = mount.open(&path, Access::CoherentNew).map_err(io)?;
    file.write_durably_at(&bytes, 0).map_err(io)?;
    mount.sync_dir(MANIFESTS).map_err(io)?;
    let link = layout::version_link(FIRST);
    match mount.symlink(&manifest.name().to_string(), &link) {
        Ok(()) => {
            let synced = mount.sync_dir(MANIFESTS).and_then(|()| mount.sync_dir("."));
            synced.map_err(|error| Error::io(MANIFESTS, error))?;
            Ok(true)
        }
        Err(error) if error.class() == FailureClass::Exists => Ok(false),
        Err(error) => Err(Error::io(link, error)),
    }
}

impl Writer {
    /// Publishes the last version of this index: readers and writers that follow it find that it
    /// is no more. The files are removed by the caller.
    pub fn delete(&self, deadline: Instant) -> Result<()> {
        self.publish_maintenance(deadline, |base| {
            let mut draft = Draft::new(base, Cause::Delete, &*self.ids);
            draft.clear();
            Ok(Some(draft))
        })?;
        Ok(())
    }
}
