//! Publishing: a version comes into existence for everybody at once, or not at all.

use std::sync::{Arc, Mutex, PoisonError};

use crate::config::{Observer, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::format::head::{self, HotEntry, HotImage};
use crate::format::manifest::{HotPlace, Manifest};
use crate::format::mark::ManifestId;
use crate::layout::{self, HEAD};
use crate::mount::{Access, MountFile};
use crate::snapshot::Snapshot;
use crate::snapshot::follow::Follower;

/// Hot sections in HEAD take at most this, so that HEAD with a copy of the manifest stays within one read.
const HOT_IMAGE_MAX: usize = head::MAX * 3 / 4;

/// Publishes versions of one index.
#[derive(Debug)]
pub(super) struct Publisher {
    follower: Arc<Follower>,
    observer: Observer,
    head: Mutex<HeadState>,
}

/// What this process knows of the HEAD it writes.
#[derive(Debug, Default)]
struct HeadState {
    /// The term in which it was last written; in another one, another writer has written it since.
    epoch: u64,
    file: Option<Arc<dyn MountFile>>,
    image: HotImage,
    room: Option<usize>,
}

/// A version that exists, until its HEAD is written.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) id: ManifestId,
    pub(super) manifest: Manifest,
    temporary: String,
}

impl Publisher {
    pub(super) fn new(follower: Arc<Follower>, observer: Observer) -> Self {
        Self {
            follower,
            observer,
            head: Mutex::default(),
        }
    }

    /// Makes `manifest` the version after `base`. When this returns, every reader's next refresh
    /// finds it, and it survives the loss of every process.
    ///
    /// # Errors
    /// [`ErrorKind::Fenced`]: another writer was first; nothing was published.
    /// [`ErrorKind::Unavailable`]: it may have been published all the same; the next refresh tells.
    pub(super) fn publish(
        &self,
        base: &Snapshot,
        mut manifest: Manifest,
        pages: &[u8],
    ) -> Result<Published> {
        let bytes = manifest.encode_file(pages)?;
        let id = manifest.id();
        let temporary = layout::temporary_manifest(id.nonce);
        if let Err(error) = self.write_temporary(&temporary, &bytes) {
            self.remove(&temporary);
            return Err(error);
        }
        self.observer.reached(Step::BeforeLink);
        let linked = self.link(base, &temporary, id);
        if linked.is_err() {
            self.remove(&temporary);
        }
        linked?;
        self.observer.reached(Step::BeforeMark);
        if let Err(error) = self.mark(base, id) {
            self.remove(&temporary);
            return Err(error);
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
            temporary,
        })
    }

    fn write_temporary(&self, temporary: &str, bytes: &[u8]) -> Result<()> {
        let io = |error| Error::io(temporary, error);
        let mount = &self.follower.source().mount;
        let file = mount.open(temporary, Access::CreateNew).map_err(io)?;
        file.write_durably_at(bytes, 0).map_err(io)
    }

    /// Creates the version exclusively. Its reply may be lost, so after anything but a clean success the
    /// nonce that is there decides.
    fn link(&self, base: &Snapshot, temporary: &str, id: ManifestId) -> Result<()> {
        let mount = &self.follower.source().mount;
        let path = layout::manifest(id.version);
        if let Err(error) = mount.link(temporary, &path) {
            if error.kind() == std::io::ErrorKind::NotFound {
                let collected = "this writer slept until its files were collected: nothing was \
                                 changed";
                return Err(Error::new(ErrorKind::Fenced, collected).because(error));
            }
            let (existing, ..) = match self.follower.read_version(id.version) {
                Ok(existing) => existing,
                Err(unread) => {
                    tracing::warn!(%error, %unread, "a version could not be published");
                    return Err(Error::io(&path, error));
                }
            };
            if existing.nonce != id.nonce {
                // Its writer may have died before it set the mark: nothing may be acknowledged
                // before that is made good.
                self.follower.set_successor(base, existing.id())?;
                return Err(Error::new(
                    ErrorKind::Fenced,
                    "another writer published this version first: nothing was changed",
                ));
            }
        }
        mount
            .sync_dir(layout::MANIFESTS)
            .map_err(|error| Error::io(&path, error))
    }

    /// Tells the readers of `base`. A mark that names another manifest, or a manifest that is gone, means
    /// that the real version existed and was collected: what was just linked is a ghost.
    fn mark(&self, base: &Snapshot, id: ManifestId) -> Result<()> {
        match self.follower.set_successor(base, id) {
            Err(error) if ghostly(&error) => {
                self.remove(&layout::manifest(id.version));
                let fenced = "this writer slept while others went on: nothing was changed";
                Err(Error::new(ErrorKind::Fenced, fenced).because(error))
            }
            other => other,
        }
    }

    /// What may come after the answer: HEAD and the temporary name.
    pub(super) fn finish(&self, published: &Published, snapshot: &Snapshot) {
        if let Err(error) = self.write_head(&published.manifest, snapshot) {
            tracing::warn!(%error, "HEAD could not be written; readers find the version without it");
            *self.lock_head() = HeadState::default();
        }
        self.remove(&published.temporary);
    }

    fn remove(&self, path: &str) {
        if let Err(error) = self.follower.source().mount.unlink(path) {
            tracing::debug!(%error, path, "a file could not be removed; it is swept later");
        }
    }

    fn lock_head(&self) -> std::sync::MutexGuard<'_, HeadState> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Overwrites HEAD. Only its beginning, as long as the set of large bundles stays the same.
    pub(super) fn write_head(&self, manifest: &Manifest, snapshot: &Snapshot) -> Result<()> {
        let mut state = self.lock_head();
        let io = |error| Error::io(HEAD, error);
        if state.file.is_none() || state.epoch != manifest.epoch {
            *state = HeadState {
                epoch: manifest.epoch,
                ..HeadState::default()
            };
            let mount = &self.follower.source().mount;
            let known = self.follower.read_head().ok();
            state.file = Some(mount.open(HEAD, Access::Update).map_err(io)?);
            // What is damaged is written anew, not carried on.
            if let Some(known) = known.filter(|known| known.hot_there && known.hot.is_whole()) {
                state.room = Some(known.hot_offset);
                state.image = known.hot;
            }
        }
        let image = hot_image(manifest, snapshot, &state.image)?;
        let room = state.room.filter(|_| image == state.image);
        let mut copy = manifest.clone();
        let prefix = copy.encode_prefix()?;
        let (bytes, hot_offset) = head::encode(manifest.id(), &prefix, &image, room)?;
        if let Some(file) = &state.file {
            file.write_durably_at(&bytes, 0).map_err(io)?;
        }
        state.image = image;
        state.room = Some(hot_offset);
        Ok(())
    }
}

fn ghostly(error: &Error) -> bool {
    use rustix::io::Errno;
    let gone = [Errno::STALE, Errno::NOENT].map(Errno::raw_os_error);
    error.kind() == ErrorKind::Fenced
        || error
            .raw_os_error()
            .is_some_and(|code| gone.contains(&code))
}

/// The hot sections that are not in the manifest, those that `known` has from there.
fn hot_image(manifest: &Manifest, snapshot: &Snapshot, known: &HotImage) -> Result<HotImage> {
    let mut image = HotImage::default();
    for segment in &manifest.body.segments {
        let HotPlace::File(span) = segment.hot else {
            continue;
        };
        let id = &manifest.container(segment)?.id;
        let section = match known.section(id, span.offset) {
            Some(section) => section.to_vec(),
            None => {
                let containers = snapshot.containers();
                let Some(open) = containers.iter().find(|open| open.id() == id) else {
                    continue;
                };
                open.read_raw(span)?
            }
        };
        if image.bytes.len() + section.len() > HOT_IMAGE_MAX {
            continue;
        }
        let Some(crc) = section.first_chunk() else {
            continue;
        };
        image.entries.push(HotEntry {
            crc: u32::from_le_bytes(*crc),
            container: id.clone(),
            file_offset: span.offset,
            offset: image.bytes.len(),
            len: section.len(),
        });
        image.bytes.extend(section);
    }
    Ok(image)
}
