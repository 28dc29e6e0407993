//! Loading manifests: with their mark, and with the pages that travel in them.

use std::sync::Arc;

use tantivy::directory::OwnedBytes;

use super::follow::Follower;
use super::mark::open_marked;
use crate::error::{Error, Result};
use crate::format::damaged;
use crate::format::manifest::{ContainerId, Manifest};
use crate::format::mark::{ManifestId, MarkPage};
use crate::format::prefix::HEADER;
use crate::layout::{self, ManifestName};
use crate::mount::{Access, COHERENT_PAGE, FailureClass, MountFile};
use crate::numbers::Version;

/// A manifest, its mark, and the file they were read from.
pub(crate) type Loaded = (Manifest, MarkPage, Arc<dyn MountFile>);

impl Follower {
    /// Reads a manifest and what follows it, given its identity.
    pub(crate) fn read_manifest(&self, id: ManifestId) -> Result<Loaded> {
        let loaded = self.read_named(id.name(), id.len)?;
        if loaded.0.id() != id {
            let path = id.name().path();
            return Err(damaged(&path, "the identity of the manifest"));
        }
        Ok(loaded)
    }

    /// Reads the manifest of a version, which its link names.
    pub(crate) fn read_version(&self, version: Version) -> Result<Loaded> {
        let name = self.linked(version)?;
        self.read_unmeasured(name)
    }

    /// Reads a manifest whose length is not known.
    pub(crate) fn read_unmeasured(&self, name: ManifestName) -> Result<Loaded> {
        let path = name.path();
        let metadata = self.source.mount.metadata(&path);
        let len = metadata?.len;
        self.read_named(name, len)
    }

    /// The manifest that the link of a version names. The link is read, and never followed.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] when it is no link to a manifest of this version.
    pub(crate) fn linked(&self, version: Version) -> Result<ManifestName> {
        let path = layout::version_link(version);
        let name = match self.source.mount.read_link(&path) {
            Ok(text) => text.parse::<ManifestName>().ok(),
            Err(error) if error.class() == FailureClass::OtherType => {
                Some(self.followed_link(&path)?)
            }
            Err(error) => return Err(error.into()),
        };
        name.filter(|name| name.version == version).ok_or_else(|| {
            let message = "this link names no manifest of its version: restore it from a backup";
            Error::corrupt(&path, message)
        })
    }

    /// The manifest that a link named before a tool copied the index and followed the link: its bytes are there instead.
    fn followed_link(&self, path: &str) -> Result<ManifestName> {
        let file = self.source.mount.open(path, Access::Read)?;
        let start = file.read_range(0, HEADER)?;
        Manifest::name_in(&start, path)
    }

    fn read_named(&self, name: ManifestName, len: u64) -> Result<Loaded> {
        let path = name.path();
        let file = open_marked(&self.source, self.access, &path)?;
        let len =
            usize::try_from(len).map_err(|error| damaged(&path, "the length").because(error))?;
        let mut bytes = vec![0; len];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        let manifest = Manifest::decode(&bytes, &path)?;
        let page = len
            .checked_sub(COHERENT_PAGE)
            .and_then(|start| bytes.get(start..));
        let page = MarkPage::decode(page.unwrap_or_default(), &path)?;
        if manifest.name() != name || page.owner != manifest.id() {
            return Err(damaged(&path, "the identity of the manifest"));
        }
        self.keep_pages(&manifest, &bytes, &path)?;
        Ok((manifest, page, file))
    }

    /// The segments that travel inside a manifest came with it: no second read for them.
    pub(crate) fn keep_pages(&self, manifest: &Manifest, file: &[u8], path: &str) -> Result<()> {
        let id = ContainerId::Manifest(manifest.name());
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
