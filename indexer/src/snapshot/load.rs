//! Loading manifests: with their mark, and with the pages that travel in them.

use std::sync::Arc;

use tantivy::directory::OwnedBytes;

use super::follow::Follower;
use super::mark::open_marked;
use crate::error::{Error, Result};
use crate::format::manifest::{ContainerId, Manifest};
use crate::format::mark::{ManifestId, MarkPage};
use crate::layout;
use crate::mount::{COHERENT_PAGE, MountFile};

impl Follower {
    /// Reads a manifest and what follows it, given its identity.
    pub(crate) fn read_manifest(
        &self,
        id: ManifestId,
    ) -> Result<(Manifest, MarkPage, Arc<dyn MountFile>)> {
        let (manifest, page, file) = self.read_manifest_at(id.version, id.len)?;
        if manifest.id() != id {
            // Collected, and a writer that slept has used its name: the same as gone.
            let stale = std::io::Error::from_raw_os_error(rustix::io::Errno::STALE.raw_os_error());
            return Err(Error::io(manifest.path(), stale));
        }
        Ok((manifest, page, file))
    }

    /// Reads whatever manifest has this version.
    pub(crate) fn read_version(
        &self,
        version: u64,
    ) -> Result<(Manifest, MarkPage, Arc<dyn MountFile>)> {
        let path = layout::manifest(version);
        let len = self
            .source
            .mount
            .metadata(&path)
            .map_err(|error| Error::io(&path, error))?
            .len;
        self.read_manifest_at(version, len)
    }

    fn read_manifest_at(
        &self,
        version: u64,
        len: u64,
    ) -> Result<(Manifest, MarkPage, Arc<dyn MountFile>)> {
        let path = layout::manifest(version);
        let io = |error| Error::io(&path, error);
        let file = open_marked(&self.source, self.access, &path)?;
        let len = usize::try_from(len)
            .map_err(|error| crate::format::damaged(&path, "the length").because(error))?;
        let mut bytes = vec![0; len];
        let read = file.read_at(&mut bytes, 0).map_err(io)?;
        bytes.truncate(read);
        let manifest = Manifest::decode(&bytes, &path)?;
        let page = len
            .checked_sub(COHERENT_PAGE)
            .and_then(|start| bytes.get(start..));
        let page = MarkPage::decode(page.unwrap_or_default(), &path)?;
        if manifest.version != version || page.owner != manifest.id() {
            return Err(crate::format::damaged(
                &path,
                "the identity of the manifest",
            ));
        }
        self.keep_pages(&manifest, &bytes, &path)?;
        Ok((manifest, page, file))
    }

    /// The segments that travel inside a manifest came with it: no second read for them.
    pub(crate) fn keep_pages(&self, manifest: &Manifest, file: &[u8], path: &str) -> Result<()> {
        let id = ContainerId::Manifest(manifest.version);
        let own = manifest
            .body
            .containers
            .iter()
            .find(|container| container.id == id);
        if let Some(container) = own {
            let payload = container.pages().decode(file, path)?;
            self.source
                .cache
                .insert(container.uuid, 0, OwnedBytes::new(payload));
        }
        Ok(())
    }
}
