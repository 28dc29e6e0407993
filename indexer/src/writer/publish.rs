//! Publishing: a version comes into existence for everybody at once, or not at all.

use std::io;
use std::sync::Arc;

use super::commit::Failure;
use super::head::HeadWriter;
use crate::config::{Observer, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::Manifest;
use crate::format::mark::ManifestId;
use crate::layout;
use crate::mount::{Access, MountFile};
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
pub(super) struct Published {
    pub(super) id: ManifestId,
    pub(super) manifest: Manifest,
    /// Its header and body, for HEAD.
    pub(super) copy: Vec<u8>,
    /// What it was written through: its mark can be read and set through it without opening it again.
    pub(super) file: Arc<dyn MountFile>,
}

impl Publisher {
    pub(super) fn new(follower: Arc<Follower>, observer: Observer) -> Self {
        Self {
            head: HeadWriter::new(Arc::clone(&follower)),
            follower,
            observer,
        }
    }

    /// Makes `manifest` the version after `base`. When this returns, every reader's next refresh
    /// finds it, and it survives the loss of every process.
    pub(super) fn publish(
        &self,
        base: &Snapshot,
        mut manifest: Manifest,
        pages: &[u8],
    ) -> Result<Published, Failure> {
        let bytes = manifest.encode_file(pages)?;
        let copy = Manifest::copy_of(&bytes, &manifest.path())?;
        let id = manifest.id();
        let draft = layout::draft(id.version, id.nonce);
        let file = match self.write_draft(&draft, &bytes) {
            Ok(file) => file,
            Err(error) => {
                self.remove(&draft);
                return Err(Failure::Nothing(error));
            }
        };
        self.observer.reached(Step::BeforeLink);
        let published = self.link(base, &*file, id).and_then(|()| {
            self.observer.reached(Step::BeforeMark);
            self.mark(base, id)
        });
        if let Err(failure) = published {
            // First, since NFS renames a file that is removed while it is open.
            drop(file);
            self.remove(&draft);
            return Err(failure);
        }
        if let Err(error) = self
            .follower
            .keep_pages(&manifest, &bytes, &manifest.path())
        {
            tracing::debug!(%error, "the pages just written are read back when they are needed");
        }
        self.observer.reached(Step::BeforeHead);
        Ok(Published {
            id,
            manifest,
            copy,
            file,
        })
    }

    fn write_draft(&self, draft: &str, bytes: &[u8]) -> Result<Arc<dyn MountFile>> {
        let io = |error| Error::io(draft, error);
        let mount = &self.follower.source().mount;
        let file = mount.open(draft, Access::CoherentNew).map_err(io)?;
        file.write_durably_at(bytes, 0).map_err(io)?;
        Ok(file)
    }

    /// Creates the version exclusively. Its reply may be lost, so after anything but a clean success the
    /// nonce that is there decides.
    fn link(&self, base: &Snapshot, draft: &dyn MountFile, id: ManifestId) -> Result<(), Failure> {
        let mount = &self.follower.source().mount;
        let path = layout::manifest(id.version);
        if let Err(error) = draft.link_to(&path) {
            let existing = self.existing(id.version, &error).map_err(|unread| {
                Failure::Unknown(Error::io(&path, error).at(&path).because(unread))
            })?;
            match existing {
                Existing::None(refused) if refused.kind() == io::ErrorKind::NotFound => {
                    let collected = "this writer slept until its files were collected: nothing was \
                                     changed";
                    return Err(Failure::Fenced(Error::new(ErrorKind::Fenced, collected)));
                }
                Existing::None(refused) => {
                    return Err(Failure::Nothing(Error::io(&path, refused)));
                }
                Existing::Manifest(existing) if existing.nonce != id.nonce => {
                    // Its writer may have died before it set the mark: nothing may be
                    // acknowledged before that is made good.
                    return Err(match self.follower.set_successor(base, existing.id()) {
                        Err(error) if error.kind() != ErrorKind::Fenced => Failure::Nothing(error),
                        _ => Failure::Fenced(Error::new(
                            ErrorKind::Fenced,
                            "another writer published this version first: nothing was changed",
                        )),
                    });
                }
                Existing::Manifest(_) => {}
            }
        }
        let synced = mount.sync_dir(layout::MANIFESTS);
        synced.map_err(|error| Failure::Unknown(Error::io(&path, error)))
    }

    /// What has the name of a version that could not be linked. A name that may not exist is
    /// not looked up but looked for in a fresh listing.
    fn existing(&self, version: u64, error: &io::Error) -> Result<Existing> {
        let there = error.kind() == io::ErrorKind::AlreadyExists || {
            let mount = &self.follower.source().mount;
            let names = mount.list(layout::MANIFESTS);
            let names = names.map_err(|error| Error::io(layout::MANIFESTS, error))?;
            names
                .iter()
                .any(|name| layout::parse_manifest(name) == Some(version))
        };
        if there {
            let (manifest, ..) = self.follower.read_version(version)?;
            return Ok(Existing::Manifest(Box::new(manifest)));
        }
        let copy = error.raw_os_error().map(io::Error::from_raw_os_error);
        Ok(Existing::None(copy.unwrap_or_else(|| error.kind().into())))
    }

    /// Tells the readers of `base`.
    fn mark(&self, base: &Snapshot, id: ManifestId) -> Result<(), Failure> {
        let Err(error) = self.follower.set_successor(base, id) else {
            return Ok(());
        };
        if error.kind() == ErrorKind::Fenced {
            // The real version existed and was collected: what was just linked is a ghost.
            self.remove(&layout::manifest(id.version));
            let fenced = "this writer slept while others went on: nothing was changed";
            return Err(Failure::Fenced(Error::new(ErrorKind::Fenced, fenced)));
        }
        if !crate::snapshot::follow::is_stale(&error) {
            return Err(Failure::Unknown(error));
        }
        // The base is gone, so others went on. From this version, if it is real; past it, if not.
        match self.is_real(id) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.remove(&layout::manifest(id.version));
                Err(Failure::Fenced(error))
            }
            Err(unread) => Err(Failure::Unknown(unread)),
        }
    }

    /// Whether a version that was linked while its base was collected is part of the history: somebody
    /// has gone on from it, or it is the newest.
    fn is_real(&self, id: ManifestId) -> Result<bool> {
        self.follower.distrust_head();
        if self.follower.newest()?.manifest().id() == id {
            return self.is_in_place();
        }
        let (manifest, page, _) = self.follower.read_version(id.version)?;
        Ok(manifest.id() == id && page.successor.is_some())
    }

    /// Whether the manifests are still part of the index. When it is deleted they are moved away before any of them
    /// is removed; until then none is missing.
    fn is_in_place(&self) -> Result<bool> {
        let names = self.follower.source().mount.list(".");
        let names = names.map_err(|error| Error::io(layout::MANIFESTS, error))?;
        Ok(names.iter().any(|name| name == layout::MANIFESTS))
    }

    /// What may come after the answer: HEAD.
    pub(super) fn finish(&self, published: &Published, snapshot: &Snapshot) {
        self.head
            .write(&published.manifest, &published.copy, snapshot);
    }

    pub(super) fn remove(&self, path: &str) {
        if let Err(error) = self.follower.source().mount.unlink(path) {
            tracing::debug!(%error, path, "a file could not be removed; it is swept later");
        }
    }
}

/// What was found under the name of a version.
enum Existing {
    /// Nothing; the link was refused for this reason.
    None(io::Error),
    /// A manifest.
    Manifest(Box<Manifest>),
}
