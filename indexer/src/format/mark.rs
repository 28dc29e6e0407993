//! The mark page: the last [`COHERENT_PAGE`] bytes of a manifest.
//!
//! It begins with the manifest's own identity, fixed when it was written, and ends with its
//! **successor mark**: zeros until the next version exists, then written once, in place.

use uuid::Uuid;

use super::Fields;
use crate::error::Result;
use crate::layout::ManifestName;
use crate::mount::COHERENT_PAGE;
use crate::numbers::Version;

const MAGIC: [u8; 4] = *b"AQMK";
/// Bytes of one block: magic, format, padding, version, nonce, length, checksum.
const BLOCK: usize = 4 + 2 + 2 + 8 + 16 + 8 + 4;
/// Offset of the successor mark in the page.
const SUCCESSOR: usize = 64;

/// The identity of one manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestId {
    /// Its version.
    pub version: Version,
    /// What tells two attempts at one version apart.
    pub nonce: Uuid,
    /// Length of its file in bytes, so that it can be fetched with one read.
    pub len: u64,
}

impl ManifestId {
    /// The name of its file.
    pub fn name(&self) -> ManifestName {
        ManifestName {
            version: self.version,
            nonce: self.nonce,
        }
    }
}

/// What a mark page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkPage {
    /// The manifest this page belongs to.
    pub owner: ManifestId,
    /// The next version, once it exists.
    pub successor: Option<ManifestId>,
}

impl MarkPage {
    /// The page as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(COHERENT_PAGE);
        page.extend(encode_block(&self.owner));
        if let Some(successor) = &self.successor {
            page.resize(SUCCESSOR, 0);
            page.extend(encode_block(successor));
        }
        page.resize(COHERENT_PAGE, 0);
        page
    }

    /// Reads a page of the file `path`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] when it is neither empty nor whole.
    pub fn decode(page: &[u8], path: &str) -> Result<Self> {
        let mut fields = Fields::new(page, path);
        let owner = decode_block(fields.take(BLOCK)?, path)?;
        fields.take(SUCCESSOR - BLOCK)?;
        let block = fields.take(BLOCK)?;
        let empty = block.iter().all(|&byte| byte == 0);
        let successor = if empty {
            None
        } else {
            Some(decode_block(block, path)?)
        };
        Ok(Self { owner, successor })
    }
}

fn encode_block(id: &ManifestId) -> Vec<u8> {
    let mut block = super::begin(MAGIC);
    block.extend(id.version.get().to_le_bytes());
    block.extend(id.nonce.as_bytes());
    block.extend(id.len.to_le_bytes());
    super::seal(&mut block);
    block
}

fn decode_block(block: &[u8], path: &str) -> Result<ManifestId> {
    let mut fields = Fields::of_header(block, MAGIC, path, "a successor mark")?;
    Ok(ManifestId {
        version: Version::new(fields.u64()?),
        nonce: fields.uuid()?,
        len: fields.u64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_read_back_and_damage_is_noticed() {
        let owner = ManifestId {
            version: Version::new(7),
            nonce: Uuid::from_u128(1),
            len: 8192,
        };
        let next = ManifestId {
            version: Version::new(8),
            nonce: Uuid::from_u128(2),
            len: 12288,
        };
        for successor in [None, Some(next)] {
            let page = MarkPage { owner, successor };
            let bytes = page.encode();
            assert_eq!(bytes.len(), COHERENT_PAGE);
            assert_eq!(MarkPage::decode(&bytes, "m").unwrap(), page);
            for position in [0, 10, 20, BLOCK - 1, SUCCESSOR + 9] {
                let mut damaged = bytes.clone();
                damaged[position] ^= 0x10;
                assert!(MarkPage::decode(&damaged, "m").is_err(), "byte {position}");
            }
        }
    }
}
