//! What a folder in the root holds: an index, a deleted one, or what is left of one.

use std::sync::Arc;

use super::Aquifer;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{self, ATTEMPTS, BUNDLES, HEAD, INBOX, JOBS, MANIFESTS, SCRATCH};
use crate::mount::Mount;

/// What is in a folder.
#[derive(Debug)]
pub(super) enum Content {
    /// An index.
    Live,
    /// An index whose newest version says that it is deleted, in the order in which its parts are removed.
    Deleted(Vec<Part>),
    /// No version of an index, and nothing that anybody could need: a deletion was cut short, or an earlier release
    /// was cut short in creating an index. In the order in which it is removed.
    Remains(Vec<Part>),
}

/// A part of an index, and how it is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A folder that goes where it is, file by file.
    InPlace(String),
    /// A file or folder that is moved away first.
    Moved(String),
    /// A folder that only goes if it is empty.
    Empty(String),
}

impl Part {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::InPlace(name) | Self::Moved(name) | Self::Empty(name) => name,
        }
    }
}

impl Aquifer {
    /// What is in `folder`, which has or had this name. Only what a fresh listing shows counts, since a network file
    /// system remembers names that did not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when there is no index in it but something else, which must not be removed;
    /// [`ErrorKind::Corrupt`] when there are documents in it that no version names.
    pub(super) fn content(&self, name: &str, folder: &Arc<dyn Mount>) -> Result<Content> {
        let names = self.names(name, folder, ".")?;
        let has_manifests = names.iter().any(|name| name == MANIFESTS);
        if has_manifests && self.has_versions(name, folder)? {
            let index = self.new_index(name, Arc::clone(folder), true);
            return match index.snapshot() {
                Ok(_) => Ok(Content::Live),
                Err(error) if error.is_index_gone() => Ok(Content::Deleted(deleted(names))),
                Err(error) => Err(error),
            };
        }
        let parts = names
            .into_iter()
            .map(|part| self.remains(name, folder, part));
        Ok(Content::Remains(parts.collect::<Result<_>>()?))
    }

    fn has_versions(&self, name: &str, folder: &Arc<dyn Mount>) -> Result<bool> {
        let names = self.names(name, folder, MANIFESTS)?;
        Ok(names
            .iter()
            .any(|name| layout::parse_version_link(name).is_some()))
    }

    /// How something in a folder without any version is removed. Nothing is touched that may be a document,
    /// or that is not known for a file of an index.
    fn remains(&self, name: &str, folder: &Arc<dyn Mount>, part: String) -> Result<Part> {
        if part == HEAD || layout::parse_lock(&part).is_some() {
            return Ok(Part::Moved(part));
        }
        match part.as_str() {
            ATTEMPTS | SCRATCH => {
                let files = self.names(name, folder, &part)?;
                match files.iter().find(|file| !layout::is_passing(&part, file)) {
                    Some(file) => Err(self.foreign(name, &format!("{part}/{file}"))),
                    None => Ok(Part::Moved(part)),
                }
            }
            MANIFESTS | BUNDLES | INBOX | JOBS if self.names(name, folder, &part)?.is_empty() => {
                Ok(Part::Empty(part))
            }
            MANIFESTS | BUNDLES | INBOX | JOBS => {
                let message = "this folder has files of an index that has no version: restore its `manifests`, or move \
                               the folder away";
                Err(Error::corrupt(self.root.path().join(name), message))
            }
            _ => Err(self.foreign(name, &part)),
        }
    }

    fn names(&self, name: &str, folder: &Arc<dyn Mount>, inside: &str) -> Result<Vec<String>> {
        match folder.list(inside) {
            Err(failure) if failure.is_gone() => Ok(Vec::new()),
            names => names.map_err(|error| self.io(&format!("{name}/{inside}"), error)),
        }
    }

    fn foreign(&self, name: &str, found: &str) -> Error {
        let message = format!(
            "this folder holds `{found}`, which is not part of an index: move it away, or choose another name"
        );
        Error::new(ErrorKind::Conflict, message).at(self.root.path().join(name))
    }
}

/// The parts of a deleted index. What says that it is deleted goes last, so that whoever comes after a crash can go
/// on. The inbox goes first, and nobody can lay anything into it from then on.
fn deleted(names: Vec<String>) -> Vec<Part> {
    let own = names.into_iter().filter(|name| layout::is_own(name));
    let mut parts: Vec<Part> = own
        .map(|name| match name.as_str() {
            INBOX => Part::InPlace(name),
            _ => Part::Moved(name),
        })
        .collect();
    parts.sort_by_key(|part| match part.name() {
        INBOX => 0,
        MANIFESTS => 2,
        _ => 1,
    });
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inbox_goes_first_and_the_manifests_go_last() {
        let names = ["manifests", "HEAD", "lock.3", "photos", "inbox", "bundles"];
        let parts = deleted(names.map(str::to_owned).to_vec());
        assert_eq!(parts.first(), Some(&Part::InPlace("inbox".into())));
        assert_eq!(parts.last(), Some(&Part::Moved("manifests".into())));
        assert_eq!(parts.len(), 5, "{parts:?}");
    }
}
