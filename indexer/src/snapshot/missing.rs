//! Proving that a file is missing, and not just collected since this process last looked.
//!
//! No process removes a file that the newest version names. So if the same version is the newest before and after a
//! listing in which one of its files does not appear, that file is lost.

use super::follow::Follower;
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::Manifest;
use crate::layout::{self, BUNDLES, MANIFESTS};

/// Looks at an index to which others write all the time. One in which a file is missing is not written to for long.
const LOOKS_MAX: usize = 3;

/// Where the marks lead.
enum Listed {
    /// To this version.
    Version(Box<Manifest>),
    /// To a version whose manifest does not exist.
    Missing(String),
}

impl Follower {
    /// What `error` is really about, when it says that a file is gone: a file that is lost for good if the newest version
    /// names one, and otherwise the error itself.
    pub(crate) fn judge(&self, error: Error) -> Error {
        if !error.is_stale() {
            return error;
        }
        match self.missing() {
            Ok(Some(path)) => {
                let message = "the newest version of the index names this file, and it does not exist: restore it from a \
                               backup, or create the index again from its documents";
                Error::corrupt(path, message).because(error)
            }
            Ok(None) => error,
            Err(unread) if unread.kind() == ErrorKind::Corrupt => unread,
            Err(_) => error,
        }
    }

    /// A file that the newest version names and that does not exist.
    fn missing(&self) -> Result<Option<String>> {
        for _ in 0..LOOKS_MAX {
            let manifest = match self.newest_by_listing()? {
                Listed::Missing(path) => return Ok(Some(path)),
                Listed::Version(manifest) => manifest,
            };
            let mut there = self.paths(BUNDLES)?;
            there.extend(self.paths(MANIFESTS)?);
            let mut named = manifest.files().into_iter().map(|file| file.path());
            let Some(path) = named.find(|path| !there.contains(path)) else {
                return Ok(None);
            };
            if matches!(self.newest_by_listing()?, Listed::Version(again) if again.id() == manifest.id())
            {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// The newest version, from a listing and along the marks.
    fn newest_by_listing(&self) -> Result<Listed> {
        let (mut manifest, mut page, _) = self.newest_listed()?;
        while let Some(next) = page.successor {
            match self.read_manifest(next) {
                Ok((further, mark, _)) => (manifest, page) = (further, mark),
                Err(error) if error.is_stale() => {
                    // It was collected only if there is a later version.
                    let after = layout::version_link(next.version);
                    let there = self.paths(MANIFESTS)?;
                    let is_later = |path: &String| path.len() == after.len() && *path > after;
                    return match there.iter().any(is_later) {
                        true => Err(error),
                        false => Ok(Listed::Missing(next.name().path())),
                    };
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Listed::Version(Box::new(manifest)))
    }

    /// The files in a folder, as the server has them now.
    fn paths(&self, folder: &str) -> Result<Vec<String>> {
        let names = self.source.mount.list(folder)?;
        Ok(names
            .iter()
            .map(|name| format!("{folder}/{name}"))
            .collect())
    }
}
