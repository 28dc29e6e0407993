//! The deleted documents of a segment: a bitmap that an earlier version wrote, and what was deleted since.
//!
//! A bitmap may be long, so it is not written with every commit. The few documents deleted since are listed in
//! the body of the manifest; when they become many, the whole is written as a bitmap again.

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::crc;
use super::manifest::{ContainerId, Span};
use super::section::{SectionId, SectionRef};
use crate::error::{Error, Result};
use crate::layout::ManifestName;
use crate::numbers::Version;

/// Documents that a manifest lists as deleted, in all its segments together, before bitmaps are written: about
/// two bytes each in the manifest and as much in HEAD.
pub const LISTED_MAX: usize = 4096;

/// The deleted documents of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletes {
    /// How many.
    pub count: u32,
    /// The version that changed them last.
    pub version: Version,
    /// A bitmap of most of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// The others, in order: each as its distance from the one before, the first as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub since: Vec<u32>,
}

/// A bitmap of deleted documents in the manifest that wrote it: Roaring, in its portable serialisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// That manifest.
    pub manifest: ManifestName,
    /// Where it lies in its file.
    #[serde(flatten)]
    pub span: Span,
    /// Checksum of its bytes.
    pub crc: u32,
}

impl Base {
    /// It as a section.
    pub fn section(&self) -> SectionRef {
        let file = ContainerId::Manifest(self.manifest);
        let offset = self.span.offset;
        SectionRef {
            id: SectionId { file, offset },
            len: self.span.len,
        }
    }

    /// Reads the bitmap out of `bytes`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] naming the manifest it belongs to.
    pub fn decode(&self, bytes: &[u8]) -> Result<RoaringBitmap> {
        let damaged = || super::damaged(&self.manifest.path(), "a bitmap of deletes");
        if bytes.len() as u64 != self.span.len || crc(bytes) != self.crc {
            return Err(damaged());
        }
        RoaringBitmap::deserialize_from(bytes).map_err(|error| damaged().because(error))
    }
}

/// A bitmap as bytes.
pub fn encode(deleted: &RoaringBitmap) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let written = deleted.serialize_into(&mut bytes);
    written.map_err(|error| Error::internal("a bitmap cannot be written").because(error))?;
    Ok(bytes)
}

/// A bitmap as distances.
pub fn distances(deleted: &RoaringBitmap) -> Vec<u32> {
    let mut before = 0;
    let distance = |document| {
        let distance = document - before;
        before = document;
        distance
    };
    deleted.iter().map(distance).collect()
}

impl Deletes {
    /// The listed documents.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] naming `path`.
    pub fn listed(&self, path: &str) -> Result<RoaringBitmap> {
        let mut document = 0_u32;
        let mut listed = RoaringBitmap::new();
        for distance in &self.since {
            let next = document.checked_add(*distance);
            document = next.ok_or_else(|| super::damaged(path, "a list of deletes"))?;
            listed.insert(document);
        }
        Ok(listed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_and_bitmaps_read_back(
            documents in proptest::collection::btree_set(0_u32..=u32::MAX, 0..200)
        ) {
            let deleted: RoaringBitmap = documents.into_iter().collect();
            let (version, bytes) = (Version::new(7), encode(&deleted).unwrap());
            let deletes = Deletes { count: 0, version, base: None, since: distances(&deleted) };
            prop_assert_eq!(&deletes.listed("m").unwrap(), &deleted);
            let span = Span { offset: 100, len: bytes.len() as u64 };
            let manifest = ManifestName { version, nonce: uuid::Uuid::from_u128(8) };
            let base = Base { manifest, span, crc: crc(&bytes) };
            prop_assert_eq!(base.decode(&bytes).unwrap(), deleted);
            for position in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[position] ^= 4;
                prop_assert!(base.decode(&damaged).is_err());
            }
        }
    }

    #[test]
    fn a_list_that_leaves_the_numbers_is_damage() {
        let since = vec![u32::MAX, 1];
        let deletes = Deletes {
            count: 2,
            version: Version::new(1),
            base: None,
            since,
        };
        assert!(deletes.listed("m").is_err());
    }
}
