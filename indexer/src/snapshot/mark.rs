//! Reading and setting successor marks, through the descriptor that is held since the manifest was opened.

use std::sync::Arc;

use super::follow::Follower;
use super::{Snapshot, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::format::mark::{ManifestId, MarkPage};
use crate::mount::{Access, COHERENT_PAGE, FailureClass, MountFile};

/// A mark that is being written may be seen half: read again this often.
const MARK_TRIES: usize = 3;

impl Follower {
    /// Reads the successor mark of a snapshot.
    pub fn successor(&self, snapshot: &Snapshot) -> Result<Option<ManifestId>> {
        read_successor(&self.source, self.access, snapshot)
    }

    /// Sets the successor mark of a snapshot, durably.
    ///
    /// # Errors
    /// [`ErrorKind::Fenced`] when it names another manifest: what `successor` names is a ghost.
    pub(crate) fn set_successor(&self, snapshot: &Snapshot, successor: ManifestId) -> Result<()> {
        match self.successor(snapshot)? {
            Some(set) if set == successor => return Ok(()),
            Some(_) => {
                let message = "this version exists already: a newer writer has taken over";
                return Err(Error::new(ErrorKind::Fenced, message));
            }
            None => {}
        }
        let owner = snapshot.manifest().id();
        let page = MarkPage {
            owner,
            successor: Some(successor),
        }
        .encode();
        let file = mark_file(&self.source, self.access, snapshot)?;
        let offset = owner.len - COHERENT_PAGE as u64;
        Ok(file.write_durably_at(&page, offset)?)
    }
}

fn mark_file(source: &Source, access: Access, snapshot: &Snapshot) -> Result<Arc<dyn MountFile>> {
    if let Some(file) = snapshot.mark.get() {
        return Ok(Arc::clone(file));
    }
    let path = snapshot.manifest().path();
    let file = open_marked(source, access, &path)?;
    Ok(Arc::clone(snapshot.mark.get_or_init(|| file)))
}

/// Opens a manifest. Where writing it is refused, for reading: a search goes on where a post is told why
/// it cannot.
pub(super) fn open_marked(
    source: &Source,
    access: Access,
    path: &str,
) -> Result<Arc<dyn MountFile>> {
    let file = match source.mount.open(path, access) {
        Err(error) if matches!(error.class(), FailureClass::Denied | FailureClass::ReadOnly) => {
            source.mount.open(path, Access::CoherentRead)
        }
        file => file,
    };
    Ok(file?)
}

pub(super) fn read_successor(
    source: &Source,
    access: Access,
    snapshot: &Snapshot,
) -> Result<Option<ManifestId>> {
    let owner = snapshot.manifest().id();
    let path = snapshot.manifest().path();
    let file = mark_file(source, access, snapshot)?;
    let mut failure = Error::internal("a mark has no attempts");
    for _ in 0..MARK_TRIES {
        let mut page = vec![0; COHERENT_PAGE];
        let offset = owner.len - COHERENT_PAGE as u64;
        let read = file.read_at(&mut page, offset)?;
        if read < COHERENT_PAGE {
            // A mark that is cut off is not an empty one.
            return Err(crate::format::damaged(&path, "the length"));
        }
        match MarkPage::decode(&page, &path) {
            Ok(page) if page.owner == owner => return Ok(page.successor),
            Ok(_) => {
                return Err(crate::format::damaged(
                    &path,
                    "the identity of the manifest",
                ));
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
