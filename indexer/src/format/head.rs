//! HEAD: what a cold reader fetches first, with one read.
//!
//! It is overwritten in place after each commit and only ever a hint: it may lag, step back, or be
//! torn; then its checksums fail, and the reader takes the longer way. It carries a copy of the
//! manifest's prefix and the hot sections of the large bundles, so that a cold reader has what it needs to
//! open the index after one round trip:
//!
//! ```text
//! header (4096) | copy of a manifest's prefix | 0.. | hot image, at a fixed offset
//! ```
//!
//! The hot image changes only when the set of large bundles does, so a small commit rewrites
//! only the beginning.

use serde::{Deserialize, Serialize};

use super::manifest::{ContainerId, Manifest};
use super::mark::ManifestId;
use super::{Fields, crc, hot};
use crate::error::Result;

const MAGIC: [u8; 4] = *b"AQHD";
/// Bytes of the header.
pub const HEADER: usize = 4096;
/// Bytes that a cold reader fetches at once. EFS reads at most 1 MiB in one request, so a longer HEAD
/// would cost further ones; what does not fit is left out and read from where it belongs.
pub const MAX: usize = 1024 * 1024;
/// Room for the copy of the manifest grows by this much at a time, so that the hot image
/// rarely moves.
const ROOM: usize = 64 * 1024;

/// The hot sections of one large bundle, in the hot image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HotEntry {
    /// Whose.
    pub container: ContainerId,
    /// Offset of the section in the container's file.
    pub file_offset: u64,
    /// Offset in the hot image.
    pub offset: usize,
    /// Length.
    pub len: usize,
    /// The checksum that the section begins with. Two writers may have overwritten HEAD one after the other,
    /// each a part of it: a whole section may then be that of another segment.
    pub crc: u32,
}

/// The hot sections of the large bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HotImage {
    /// What is in it.
    pub entries: Vec<HotEntry>,
    /// The sections, each with its own checksum.
    pub bytes: Vec<u8>,
}

impl HotImage {
    /// The section of a container that begins at `file_offset` of its file.
    pub fn section(&self, container: &ContainerId, file_offset: u64) -> Option<&[u8]> {
        let entry = self
            .entries
            .iter()
            .find(|entry| &entry.container == container && entry.file_offset == file_offset)?;
        self.bytes
            .get(entry.offset..entry.offset.checked_add(entry.len)?)
            .filter(|section| section.starts_with(&entry.crc.to_le_bytes()))
    }
}

impl HotImage {
    /// Whether every section is the one that its entry means, and undamaged.
    pub fn is_whole(&self) -> bool {
        self.entries.iter().all(|entry| {
            let section = self.section(&entry.container, entry.file_offset);
            section.is_some_and(|section| hot::decode(section, crate::layout::HEAD).is_ok())
        })
    }
}

/// What HEAD says.
#[derive(Debug)]
pub struct Head {
    /// The newest manifest, as far as HEAD knows.
    pub id: ManifestId,
    /// A copy of it, if it is there and whole.
    pub manifest: Option<Manifest>,
    /// The hot image; empty if it is cut off.
    pub hot: HotImage,
    /// Whether the hot image is there.
    pub hot_there: bool,
    /// Where the hot image begins, which is where the room for the copy ends.
    pub hot_offset: usize,
}

#[derive(Serialize, Deserialize)]
struct Directory {
    prefix_len: usize,
    prefix_crc: u32,
    hot_offset: usize,
    hot_len: usize,
    hot: Vec<HotEntry>,
}

/// HEAD as bytes to write at offset 0. `room` is where the hot image that is there already
/// begins; with `None`, or when the copy has outgrown it, the image is written anew.
/// Gives the bytes and where the hot image begins.
pub fn encode(
    id: ManifestId,
    prefix: &[u8],
    hot: &HotImage,
    room: Option<usize>,
) -> Result<(Vec<u8>, usize)> {
    let offset_after = |prefix: &[u8]| {
        let end = HEADER + prefix.len();
        let kept = room.filter(|&room| end <= room);
        kept.unwrap_or_else(|| (end + prefix.len() / 2).next_multiple_of(ROOM))
    };
    let fits = offset_after(prefix) + hot.bytes.len() <= MAX;
    let prefix = if fits { prefix } else { &[] };
    let hot_offset = offset_after(prefix);
    let kept = room.filter(|&room| room == hot_offset);
    let directory = Directory {
        prefix_len: prefix.len(),
        prefix_crc: crc(prefix),
        hot_offset,
        hot_len: hot.bytes.len(),
        hot: hot.entries.clone(),
    };
    let mut bytes = encode_header(id, &directory);
    bytes.extend(prefix);
    if kept.is_none() {
        bytes.resize(hot_offset, 0);
        bytes.extend(&hot.bytes);
    }
    Ok((bytes, hot_offset))
}

fn encode_header(id: ManifestId, directory: &Directory) -> Vec<u8> {
    let fixed = |json: &[u8]| {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend(MAGIC);
        bytes.extend(super::FORMAT_VERSION.to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(id.version.to_le_bytes());
        bytes.extend(id.nonce.as_bytes());
        bytes.extend(id.len.to_le_bytes());
        bytes.extend((json.len() as u64).to_le_bytes());
        bytes.extend(json);
        bytes
    };
    let mut bytes = fixed(&serde_json::to_vec(directory).unwrap_or_default());
    if bytes.len() + 4 > HEADER {
        // More large bundles than the header can name: readers fetch their hot sections.
        let bare = Directory {
            hot: Vec::new(),
            ..*directory
        };
        bytes = fixed(&serde_json::to_vec(&bare).unwrap_or_default());
    }
    bytes.resize(HEADER - 4, 0);
    let checksum = crc(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// Reads HEAD from its first [`MAX`] bytes.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] when the header is damaged: the reader must list the manifests.
pub fn decode(bytes: &[u8], path: &str) -> Result<Head> {
    let mut fields = Fields::new(bytes, path);
    let header = fields.take(HEADER)?;
    let mut fields = Fields::new(header, path);
    fields.expect_format(MAGIC)?;
    let (content, checksum) = header.split_at(HEADER - 4);
    if checksum != crc(content).to_le_bytes() {
        return Err(fields.damaged("the checksum of HEAD"));
    }
    fields.take(2)?;
    let id = ManifestId {
        version: fields.u64()?,
        nonce: fields.uuid()?,
        len: fields.u64()?,
    };
    let len = usize::try_from(fields.u64()?).unwrap_or(usize::MAX);
    let directory: Directory = serde_json::from_slice(fields.take(len)?)
        .map_err(|error| super::damaged(path, "the JSON of HEAD").because(error))?;
    let piece = |offset: usize, len: usize| bytes.get(offset..offset.checked_add(len)?);
    let prefix = piece(HEADER, directory.prefix_len)
        .filter(|prefix| !prefix.is_empty() && crc(prefix) == directory.prefix_crc);
    let manifest = prefix
        .and_then(|prefix| Manifest::decode(prefix, path).ok())
        .map(|(manifest, _)| manifest)
        .filter(|manifest| manifest.id() == id);
    let image = piece(directory.hot_offset, directory.hot_len);
    let hot_there = directory.hot_len == 0 || image.is_some();
    let hot = image
        .map(|bytes| HotImage {
            entries: directory.hot,
            bytes: bytes.to_vec(),
        })
        .unwrap_or_default();
    Ok(Head {
        id,
        manifest,
        hot,
        hot_there,
        hot_offset: directory.hot_offset,
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::format::hot::{self, HotRange};

    fn image(fill: u8) -> HotImage {
        let range = HotRange {
            extension: "term".into(),
            offset: 0,
            bytes: vec![fill; 100],
        };
        let bytes = hot::encode(&[range]).unwrap();
        let entry = HotEntry {
            container: ContainerId::Bundle(format!("1-{fill}")),
            file_offset: 7,
            offset: 0,
            len: bytes.len(),
            crc: u32::from_le_bytes(*bytes.first_chunk().unwrap()),
        };
        HotImage {
            entries: vec![entry],
            bytes,
        }
    }

    /// One writer's header over another's hot image, of the same length.
    #[test]
    fn a_section_of_another_segment_is_not_taken() {
        let id = ManifestId {
            version: 2,
            nonce: Uuid::from_u128(3),
            len: 8192,
        };
        let (first, second) = (image(1), image(2));
        let (first_bytes, room) = encode(id, &[], &first, None).unwrap();
        let (mut bytes, other_room) = encode(id, &[], &second, None).unwrap();
        assert_eq!((room, bytes.len()), (other_room, first_bytes.len()));
        let container = &first.entries[0].container;
        let whole = decode(&first_bytes, "HEAD").unwrap().hot;
        assert_eq!(whole.section(container, 7), Some(&*first.bytes));
        bytes[..HEADER].copy_from_slice(&first_bytes[..HEADER]);
        let mixed = decode(&bytes, "HEAD").unwrap().hot;
        assert_eq!(mixed.section(container, 7), None);
    }
}
