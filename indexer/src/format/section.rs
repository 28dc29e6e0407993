//! Sections: the small pieces of files that opening a version takes.
//!
//! A section is written once, where it belongs: the hot section of a segment in the file of its container,
//! a bitmap of deletes in the manifest of the version that wrote it. Later versions refer to it there, so that
//! a commit writes what it changes and nothing else. The manifest that adds a bundle carries a copy of its hot
//! sections, and HEAD a copy of every section, so that neither kind of reader opens those files.

use std::collections::{HashMap, HashSet};

use super::manifest::{ContainerId, Manifest, Span};
use crate::error::Result;

/// Which section: the file it was written to, and its offset there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SectionId {
    /// The file.
    pub file: ContainerId,
    /// Offset of the first byte.
    pub offset: u64,
}

/// A section that a version refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionRef {
    /// Which.
    pub id: SectionId,
    /// Its length in bytes.
    pub len: u64,
}

impl SectionRef {
    /// Where it lies in its file.
    pub fn span(&self) -> Span {
        Span {
            offset: self.id.offset,
            len: self.len,
        }
    }
}

/// Sections that are in memory. Each is verified where it is used.
#[derive(Debug, Default)]
pub struct Sections(HashMap<SectionId, Vec<u8>>);

impl Sections {
    /// Keeps a section.
    pub fn insert(&mut self, id: SectionId, bytes: Vec<u8>) {
        self.0.insert(id, bytes);
    }

    /// A section, if it is here.
    pub fn get(&self, id: &SectionId) -> Option<&[u8]> {
        self.0.get(id).map(Vec::as_slice)
    }

    /// Adds what `manifest` carries, and drops what it does not refer to: of many versions in a row, what the last
    /// one needs is left.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] when the manifest refers to what it does not have.
    pub fn follow(&mut self, manifest: &Manifest) -> Result<()> {
        let needed: HashSet<SectionId> = manifest
            .sections()?
            .into_iter()
            .map(|section| section.id)
            .collect();
        self.0.retain(|id, _| needed.contains(id));
        for (id, bytes) in manifest.carried()? {
            self.insert(id, bytes.to_vec());
        }
        Ok(())
    }
}
