//! HEAD: what a cold reader fetches first, with one read.
//!
//! It is overwritten in place after each commit and only ever a hint: it may lag, step back, or be
//! torn; then its checksums fail, and the reader takes the longer way. It carries a copy of header and body of a
//! manifest and the sections that it refers to, so that a cold reader has what it needs to open the index after
//! one round trip:
//!
//! ```text
//! header | copy | directory | young sections | 0.. | image: the other sections
//! ```
//!
//! A commit rewrites what lies before the image. `image.rs` decides what lies where.

use super::manifest::Manifest;
use super::mark::ManifestId;
use super::section::Sections;
use super::{Fields, crc};
use crate::error::Result;
use crate::numbers::Version;

const MAGIC: [u8; 4] = *b"AQHD";
/// Bytes of the header.
pub const HEADER: usize = 4 + 2 + 2 + 8 + 16 + 8 + 4 + 4 + 4 + 4 + 4 + 4;
/// Bytes of an entry of the directory.
pub const ENTRY: usize = 4 + 4 + 4;
/// Bytes that a cold reader fetches at once. EFS reads at most 1 MiB in one request, so a longer HEAD
/// would cost further ones; what does not fit is left out and read from where it belongs.
pub const MAX: usize = 1024 * 1024;

/// Where a section lies in HEAD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Offset in HEAD.
    pub offset: u32,
    /// Length; 0 for a section that is left out.
    pub len: u32,
    /// Checksum of its bytes. Two writers may have overwritten HEAD one after the other, each a part of it: what lies at
    /// the place may then be another section, and whole.
    pub crc: u32,
}

impl Place {
    /// The section, if it lies there whole in `head`.
    pub fn section(self, head: &[u8]) -> Option<&[u8]> {
        let offset = usize::try_from(self.offset).ok()?;
        let len = usize::try_from(self.len).ok().filter(|&len| len > 0)?;
        head.get(offset..offset.checked_add(len)?)
            .filter(|section| crc(section) == self.crc)
    }
}

/// What HEAD says.
#[derive(Debug)]
pub struct Head {
    /// The newest manifest, as far as HEAD knows.
    pub id: ManifestId,
    /// A copy of it without its blob, if it is there and whole.
    pub manifest: Option<Manifest>,
    /// Whether there should be a copy.
    pub has_copy: bool,
    /// Where the sections lie that the manifest refers to, in its order; none when the directory is damaged.
    pub directory: Option<Vec<Place>>,
    /// Where the image begins.
    pub image_offset: usize,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Head {
    /// Reads HEAD from its first [`MAX`] bytes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] when the header is damaged: the reader must list the manifests.
    pub fn decode(bytes: Vec<u8>, path: &str) -> Result<Self> {
        let header = Fields::new(&bytes, path).take(HEADER)?;
        let mut fields = Fields::of_header(header, MAGIC, path, "HEAD")?;
        let id = ManifestId {
            version: Version::new(fields.u64()?),
            nonce: fields.uuid()?,
            len: fields.u64()?,
        };
        let (copy_len, copy_crc) = (fields.len32()?, fields.u32()?);
        let (directory_len, directory_crc) = (fields.len32()?, fields.u32()?);
        let image_offset = fields.len32()?;
        let piece = |offset: usize, len: usize, expected: u32| {
            bytes
                .get(offset..offset.checked_add(len)?)
                .filter(|piece| crc(piece) == expected)
        };
        let manifest = piece(HEADER, copy_len, copy_crc)
            .filter(|copy| !copy.is_empty())
            .and_then(|copy| Manifest::decode_copy(copy, path).ok())
            .filter(|manifest| manifest.id() == id);
        let directory = piece(HEADER + copy_len, directory_len, directory_crc);
        let directory = directory.map(|bytes| decode_directory(bytes, path));
        Ok(Self {
            id,
            manifest,
            has_copy: copy_len > 0,
            directory: directory.transpose()?,
            image_offset,
            bytes,
        })
    }

    /// The sections that are here of those that `manifest` refers to, which must be the one that HEAD names.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] naming the manifest.
    pub fn sections(&self, manifest: &Manifest) -> Result<Sections> {
        let mut sections = Sections::default();
        if manifest.id() != self.id {
            return Ok(sections);
        }
        let directory = self.directory.iter().flatten();
        for (section, place) in manifest.sections()?.into_iter().zip(directory) {
            if u64::from(place.len) == section.len
                && let Some(bytes) = place.section(&self.bytes)
            {
                sections.insert(section.id, bytes.to_vec());
            }
        }
        Ok(sections)
    }

    /// Whether everything that should be here is, undamaged.
    pub fn is_whole(&self) -> bool {
        let whole = |place: &Place| place.len == 0 || place.section(&self.bytes).is_some();
        let directory = self.directory.as_ref();
        directory.is_some_and(|places| places.iter().all(whole))
    }
}

fn decode_directory(bytes: &[u8], path: &str) -> Result<Vec<Place>> {
    let mut fields = Fields::new(bytes, path);
    let mut places = Vec::with_capacity(bytes.len() / ENTRY);
    while !fields.is_empty() {
        places.push(Place {
            offset: fields.u32()?,
            len: fields.u32()?,
            crc: fields.u32()?,
        });
    }
    Ok(places)
}

/// Header, copy and directory.
pub(super) fn encode(
    id: ManifestId,
    copy: &[u8],
    places: &[Place],
    image_offset: usize,
) -> Result<Vec<u8>> {
    let directory: Vec<u8> = places
        .iter()
        .flat_map(|place| [place.offset, place.len, place.crc])
        .flat_map(u32::to_le_bytes)
        .collect();
    let mut bytes = super::begin(MAGIC);
    bytes.extend(id.version.get().to_le_bytes());
    bytes.extend(id.nonce.as_bytes());
    bytes.extend(id.len.to_le_bytes());
    bytes.extend(super::len_field(copy.len())?);
    bytes.extend(crc(copy).to_le_bytes());
    bytes.extend(super::len_field(directory.len())?);
    bytes.extend(crc(&directory).to_le_bytes());
    bytes.extend(super::len_field(image_offset)?);
    super::seal(&mut bytes);
    bytes.extend(copy);
    bytes.extend(directory);
    Ok(bytes)
}
