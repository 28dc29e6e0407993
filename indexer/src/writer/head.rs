//! Writing HEAD, after a version was published.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::format::head::Place;
use crate::format::image::Image;
use crate::format::manifest::Manifest;
use crate::format::section::{SectionId, SectionRef};
use crate::layout::HEAD;
use crate::mount::{Access, Mount, MountFile};
use crate::numbers::Epoch;
use crate::snapshot::Snapshot;
use crate::snapshot::follow::Follower;

/// Overwrites HEAD.
#[derive(Debug)]
pub(super) struct HeadWriter {
    follower: Arc<Follower>,
    state: Mutex<HeadState>,
}

/// What this process knows of the HEAD it writes.
#[derive(Debug, Default)]
struct HeadState {
    /// The term in which it was last written; in another one, another writer has written it since.
    epoch: Epoch,
    file: Option<Arc<dyn MountFile>>,
    image: Image,
}

impl HeadWriter {
    pub(super) fn new(follower: Arc<Follower>) -> Self {
        Self {
            follower,
            state: Mutex::default(),
        }
    }

    /// Makes HEAD name `manifest`, of which `copy` are header and body and which `snapshot` has open. A failure is
    /// logged: readers find the version without HEAD.
    pub(super) fn write(&self, manifest: &Manifest, copy: &[u8], snapshot: &Snapshot) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.overwrite(&mut state, manifest, copy, snapshot) {
            tracing::warn!(%error, "HEAD could not be written; readers find the version without it");
            *state = HeadState::default();
        }
    }

    fn overwrite(
        &self,
        state: &mut HeadState,
        manifest: &Manifest,
        copy: &[u8],
        snapshot: &Snapshot,
    ) -> Result<()> {
        let mount = &self.follower.source().mount;
        if state.file.is_none() || state.epoch != manifest.epoch {
            let image = match self.follower.read_head() {
                Ok(head) => Image::of(&head)?,
                Err(_) => Image::default(),
            };
            *state = HeadState {
                epoch: manifest.epoch,
                file: Some(mount.open(HEAD, Access::Update)?),
                image,
            };
        }
        let carried: HashMap<SectionId, &[u8]> = manifest.carried()?.into_iter().collect();
        let mut head = None;
        let mut fetch = |section: &SectionRef, place: Option<Place>| {
            if let Some(place) = place {
                let read = || self.follower.read_head().ok().map(|head| head.bytes);
                let bytes = head.get_or_insert_with(read).as_deref();
                if let Some(found) = bytes.and_then(|bytes| place.section(bytes)) {
                    return Some(found.to_vec());
                }
            }
            match carried.get(&section.id) {
                Some(bytes) => Some(bytes.to_vec()),
                None => read_section(&**mount, section, snapshot),
            }
        };
        let writes = state.image.update(manifest, copy, &mut fetch)?;
        if let Some(file) = &state.file {
            if let Some((offset, bytes)) = writes.image {
                file.write_durably_at(&bytes, offset)?;
            }
            file.write_durably_at(&writes.beginning, 0)?;
        }
        Ok(())
    }
}

/// A section from its own file, where another process has written it.
fn read_section(mount: &dyn Mount, section: &SectionRef, snapshot: &Snapshot) -> Option<Vec<u8>> {
    let containers = snapshot.containers();
    let open = containers.iter().find(|open| *open.id() == section.id.file);
    if let Some(open) = open {
        return open.read_raw(section.span()).ok();
    }
    let file = mount.open(&section.id.file.path(), Access::Read).ok()?;
    let len = usize::try_from(section.len).ok()?;
    file.read_range(section.id.offset, len).ok()
}
