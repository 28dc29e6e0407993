//! Creating and deleting an index.

use std::convert::Infallible;
use std::time::Instant;

use super::history::{History, Maintained, Proposal};
use super::publish;
use crate::error::{Error, Result};
use crate::format::manifest::{Body, Cause, Manifest};
use crate::layout::{self, FOLDERS, MANIFESTS};
use crate::mapping::Definition;
use crate::mount::{FailureClass, Mount};
use crate::numbers::Version;
use crate::world::World;

/// Creates an empty index in the folder `mount`. `false` when there is one already.
///
/// HEAD is left to the first commit: a creator that slept for hours must not set it back.
///
/// # Errors
/// [`crate::ErrorKind::Unavailable`].
pub fn create(mount: &dyn Mount, definition: &Definition, world: &World) -> Result<bool> {
    for folder in FOLDERS {
        mount.make_dir(folder)?;
    }
    let names = mount.list(MANIFESTS)?;
    if names
        .iter()
        .any(|name| layout::parse_version_link(name).is_some())
    {
        return Ok(false);
    }
    let body = Body::empty(Cause::Create, world.clock.wall_ms(), definition.clone());
    let mut manifest = Manifest::empty(Version::FIRST, world.ids.next(), body);
    manifest.nonce = world.ids.next();
    let bytes = manifest.encode_file(&[])?;
    publish::write(mount, &manifest.path(), &bytes)?;
    let link = layout::version_link(Version::FIRST);
    match mount.symlink(&manifest.name().to_string(), &link) {
        Ok(()) => {
            let synced = mount.sync_dir(MANIFESTS).and_then(|()| mount.sync_dir("."));
            synced?;
            Ok(true)
        }
        Err(error) if error.class() == FailureClass::Exists => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Publishes the last version of an index: readers and writers that follow it find that it is no more. The files are removed
/// by the caller.
pub(super) fn delete(history: &History, deadline: Instant) -> Result<()> {
    let deleted = history.maintain(Cause::Delete, deadline, |mut draft| {
        draft.clear();
        Ok::<_, Error>(Proposal::<(), Infallible>::Version(draft, ()))
    })?;
    match deleted {
        Maintained::Published(()) => Ok(()),
        Maintained::Nothing(never) => match never {},
    }
}
