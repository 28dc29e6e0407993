//! Publishing: a version comes into existence for everybody at once, or not at all.

use std::sync::Arc;

use super::head::HeadWriter;
use crate::config::{Observer, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::Manifest;
use crate::format::mark::ManifestId;
use crate::invariants;
use crate::layout::{self, ManifestName};
use crate::mount::{Access, FailureClass, Mount, MountFailure, MountFile};
use crate::numbers::Version;
use crate::snapshot::Snapshot;
use crate::snapshot::follow::Follower;

/// Publishes versions of one index.
#[derive(Debug)]
pub(super) struct Publisher {
    follower: Arc<Follower>,
    observer: Observer,
    head: HeadWriter,
}

/// A version that exists, until its HEAD is written.
#[derive(Debug)]
pub(super) struct NewVersion {
    pub(super) manifest: Manifest,
    /// Its header and body, for HEAD.
    pub(super) copy: Vec<u8>,
    /// What it was written through: its mark can be read and set through it without opening it again.
    pub(super) file: Arc<dyn MountFile>,
}

/// Why there is no new version.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another writer was first; nothing was published.
    Fenced(Error),
    /// Something failed before anything was published.
    Nothing(Error),
    /// Something failed later, or the outcome is not known.
    Unknown(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Nothing(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fenced(error) | Failure::Nothing(error) | Failure::Unknown(error) => error,
        }
    }
}

impl Publisher {
    pub(super) fn new(follower: Arc<Follower>, observer: Observer) -> Self {
        Self {
            head: HeadWriter::new(Arc::clone(&follower)),
            follower,
            observer,
        }
    }

    fn mount(&self) -> &Arc<dyn Mount> {
        &self.follower.source().mount
    }

    /// Makes `manifest` the version after `base`. When this returns, every reader's next refresh
    /// finds it, and it survives the loss of every process.
    pub(super) fn publish(
        &self,
        base: &Snapshot,
        mut manifest: Manifest,
        pages: &[u8],
    ) -> Result<NewVersion, Failure> {
        let bytes = manifest.encode_file(pages)?;
        invariants::check_draft(base, &manifest)?;
        let path = manifest.path();
        let copy = Manifest::copy_of(&bytes, &path)?;
        let id = manifest.id();
        let file = match write(&**self.mount(), &path, &bytes) {
            Ok(file) => file,
            Err(error) => {
                self.remove(&path);
                return Err(Failure::Nothing(error));
            }
        };
        self.observer.reached(Step::BeforeLink);
        let published = self.link(base, id).and_then(|()| {
            self.observer.reached(Step::BeforeMark);
            self.mark(base, id)
        });
        if let Err(failure) = published {
            // First, since NFS renames a file that is removed while it is open.
            drop(file);
            // A link may name it, or may come to exist, where the outcome is unknown.
            if !matches!(failure, Failure::Unknown(_)) {
                self.remove(&path);
            }
            return Err(failure);
        }
        if let Err(error) = self
            .follower
            .keep_pages(&manifest, &bytes, &manifest.path())
        {
            tracing::debug!(%error, "the pages just written are read back when they are needed");
        }
        self.observer.reached(Step::BeforeHead);
        Ok(NewVersion {
            manifest,
            copy,
            file,
        })
    }

    /// Creates the version exclusively, by a symbolic link to its manifest. Its reply may be lost, so after anything but a
    /// clean success the text that is there decides.
    fn link(&self, base: &Snapshot, id: ManifestId) -> Result<(), Failure> {
        let mount = self.mount();
        let path = layout::version_link(id.version);
        if let Err(refused) = mount.symlink(&id.name().to_string(), &path) {
            self.settle(base, id, refused)?;
        }
        let synced = mount.sync_dir(layout::MANIFESTS);
        synced.map_err(|error| Failure::Unknown(error.into()))
    }

    /// Finds out whether the version `id` exists, whose link was `refused`.
    fn settle(
        &self,
        base: &Snapshot,
        id: ManifestId,
        refused: MountFailure,
    ) -> Result<(), Failure> {
        let linked = match self.existing(id.version, &refused) {
            Ok(linked) => linked,
            Err(unread) => return Err(Failure::Unknown(Error::from(refused).because(unread))),
        };
        if linked == Some(id.name()) {
            return Ok(());
        }
        // A link is only removed after the mark before it was set.
        let next = match self.follower.successor(base) {
            // Perhaps only the descriptor: a file server forgets those of a client that was silent for too long.
            Err(error) if error.is_stale() => {
                let read = self.follower.read_manifest(base.manifest().id());
                read.map(|(_, page, _)| page.successor)
            }
            next => next,
        };
        match next {
            Ok(Some(next)) if next == id => Ok(()),
            Ok(Some(_)) => Err(preceded()),
            Ok(None) => match linked {
                Some(other) => Err(self.announce(base, other)),
                None if is_definite(&refused) => Err(Failure::Nothing(refused.into())),
                None => Err(Failure::Unknown(refused.into())),
            },
            Err(_) if linked.is_some_and(|other| self.is_published(other)) => Err(preceded()),
            Err(unread) => Err(Failure::Unknown(Error::from(refused).because(unread))),
        }
    }

    /// Whether a manifest is certainly that of a version in the history.
    fn is_published(&self, name: ManifestName) -> bool {
        let read = self.follower.read_unmeasured(name);
        read.and_then(|(manifest, ..)| self.is_real(manifest.id()))
            .unwrap_or(false)
    }

    /// Sets the mark of `base` for the version after it, which another writer has linked. That one may have died before it
    /// set the mark, and nothing may be acknowledged before that is made good.
    fn announce(&self, base: &Snapshot, other: ManifestName) -> Failure {
        let announced = self
            .follower
            .read_unmeasured(other)
            .and_then(|(manifest, ..)| self.follower.set_successor(base, manifest.id()));
        match announced {
            Err(error) if error.kind() != ErrorKind::Fenced => Failure::Nothing(error),
            _ => preceded(),
        }
    }

    /// The manifest that the link of a version names, after creating that link was refused. A name that may not exist is
    /// not looked up but looked for in a fresh listing.
    fn existing(&self, version: Version, refused: &MountFailure) -> Result<Option<ManifestName>> {
        let there = refused.class() == FailureClass::Exists || {
            let mount = self.mount();
            let names = mount.list(layout::MANIFESTS);
            let names = names?;
            names
                .iter()
                .any(|name| layout::parse_version_link(name) == Some(version))
        };
        if !there {
            return Ok(None);
        }
        match self.follower.linked(version) {
            Ok(name) => Ok(Some(name)),
            // Removed since.
            Err(error) if error.is_stale() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tells the readers of `base`.
    fn mark(&self, base: &Snapshot, id: ManifestId) -> Result<(), Failure> {
        let Err(error) = self.follower.set_successor(base, id) else {
            return Ok(());
        };
        if error.kind() == ErrorKind::Fenced {
            // The real version existed and was collected: what was just linked is a ghost.
            self.remove(&layout::version_link(id.version));
            let fenced = "this writer slept while others went on: nothing was changed";
            return Err(Failure::Fenced(Error::new(ErrorKind::Fenced, fenced)));
        }
        if !error.is_stale() {
            return Err(Failure::Unknown(error));
        }
        // The base is gone, so others went on. From this version, if it is real; past it, if not.
        match self.is_real(id) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.remove(&layout::version_link(id.version));
                Err(Failure::Fenced(error))
            }
            Err(unread) => Err(Failure::Unknown(unread)),
        }
    }

    /// Whether a version that was linked while its base was collected is part of the history: somebody
    /// has gone on from it, or it is the newest.
    fn is_real(&self, id: ManifestId) -> Result<bool> {
        self.follower.restart_from_listing();
        if self.follower.newest()?.manifest().id() == id {
            return self.is_in_place();
        }
        let (_, page, _) = self.follower.read_manifest(id)?;
        Ok(page.successor.is_some())
    }

    /// Whether the manifests are still part of the index. When it is deleted they are moved away before any of them
    /// is removed; until then none is missing.
    fn is_in_place(&self) -> Result<bool> {
        let names = self.mount().list(".");
        let names = names?;
        Ok(names.iter().any(|name| name == layout::MANIFESTS))
    }

    /// What may come after the answer: HEAD.
    pub(super) fn finish(&self, version: &NewVersion, snapshot: &Snapshot) {
        self.head.write(&version.manifest, &version.copy, snapshot);
    }

    pub(super) fn remove(&self, path: &str) {
        if let Err(error) = self.mount().unlink(path) {
            tracing::debug!(%error, path, "a file could not be removed; it is swept later");
        }
    }
}

/// Writes a manifest under its own name, which nothing refers to yet. File and name are durable when this returns.
pub(super) fn write(mount: &dyn Mount, path: &str, bytes: &[u8]) -> Result<Arc<dyn MountFile>> {
    let file = mount.open(path, Access::CoherentNew)?;
    file.write_durably_at(bytes, 0)?;
    mount.sync_dir(layout::MANIFESTS)?;
    Ok(file)
}

/// The failure of a writer that came second.
pub(super) fn preceded() -> Failure {
    let message = "another writer published this version first: nothing was changed";
    Failure::Fenced(Error::new(ErrorKind::Fenced, message))
}

/// Whether the file system has refused a call for good. After another error the call may still be on its way to the server.
fn is_definite(refused: &MountFailure) -> bool {
    use FailureClass::{Denied, Exists, Full, ReadOnly};
    matches!(refused.class(), Exists | Denied | Full | ReadOnly)
}
