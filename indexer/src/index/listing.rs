//! Which folders are indexes, and when they changed, without opening any.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::concurrent;
use crate::error::Result;
use crate::layout::{BUNDLES, HEAD, INBOX, MANIFESTS};
use crate::mount::{FailureClass, MountResult, RootFolder};

/// Folders that are looked at by one thread, at least: fewer are not worth a thread.
const TOGETHER: usize = 64;

/// The folders that are known to hold an index. Whether one still does is told by whoever opens it.
#[derive(Debug, Default)]
pub(super) struct Listing {
    known: Mutex<HashSet<String>>,
}

impl Listing {
    /// Of the folders `names` of the root, those that hold an index.
    pub(super) fn indexes(&self, root: &RootFolder, names: Vec<String>) -> Result<Vec<String>> {
        let new: Vec<String> = {
            let known = self.lock();
            names
                .iter()
                .filter(|name| !known.contains(*name))
                .cloned()
                .collect()
        };
        let mut tasks = Vec::new();
        for together in new.chunks(TOGETHER) {
            let (root, names) = (root.clone(), together.to_vec());
            let look = move || {
                let look = |name: &String| Ok(is_index(&root, name)?);
                names.iter().map(look).collect::<Result<Vec<bool>>>()
            };
            tasks.push(concurrent::spawn(look)?);
        }
        let mut found = Vec::new();
        for task in tasks {
            found.extend(concurrent::wait(task)?);
        }
        let mut known = self.lock();
        let there: HashSet<&String> = names.iter().collect();
        known.retain(|name| there.contains(name));
        let indexes = new.into_iter().zip(found).filter(|(_, found)| *found);
        known.extend(indexes.map(|(name, _)| name));
        Ok(names
            .into_iter()
            .filter(|name| known.contains(name))
            .collect())
    }

    /// Looks again at a folder in which there was no index.
    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is an index in a folder: it has a HEAD from its first commit on, and a manifest before. A damaged
/// index, which may have only other files left, and one that this process must not read are listed as well: whoever
/// asks for them learns what is wrong.
fn is_index(root: &RootFolder, name: &str) -> MountResult<bool> {
    match holds_files(root, name) {
        Err(failure) if failure.class() == FailureClass::Denied => Ok(true),
        holds => holds,
    }
}

fn holds_files(root: &RootFolder, name: &str) -> MountResult<bool> {
    if root.modified(name, HEAD)?.is_some() {
        return Ok(true);
    }
    for folder in [MANIFESTS, BUNDLES, INBOX] {
        if root.has_entries(name, folder)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// When the folders of an index last changed, by the file server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// A version was published, or old ones were removed.
    manifests: SystemTime,
    /// A batch was accepted or applied.
    inbox: SystemTime,
    /// Segments were written, published or not, or removed.
    bundles: SystemTime,
}

impl Stamps {
    /// `None` where one of the folders is missing.
    pub(super) fn read(root: &RootFolder, name: &str) -> MountResult<Option<Self>> {
        let read = |folder| root.modified(name, folder);
        let stamps = (read(MANIFESTS)?, read(INBOX)?, read(BUNDLES)?);
        let (Some(manifests), Some(inbox), Some(bundles)) = stamps else {
            return Ok(None);
        };
        Ok(Some(Self {
            manifests,
            inbox,
            bundles,
        }))
    }
}
