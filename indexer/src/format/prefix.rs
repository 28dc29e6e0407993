//! How a manifest becomes bytes, and bytes a manifest.

use super::manifest::{Body, Cause, ContainerId, Manifest};
use super::mark::MarkPage;
use super::{Fields, crc};
use crate::error::{Error, Result};
use crate::layout::ManifestName;
use crate::mapping::Definition;
use crate::mount::COHERENT_PAGE;
use crate::numbers::{Epoch, Version};

const MAGIC: [u8; 4] = *b"AQMF";
/// Bytes of the header.
pub const HEADER: usize = 4 + 2 + 2 + 8 + 8 + 16 + 16 + 8 + 8 + 8 + 8 + 8 + 4 + 4 + 4;
/// How hard the body is compressed: zstd's default. A body of some ten kilobytes takes a tenth of a millisecond.
const LEVEL: i32 = 3;
/// Bytes of a body's JSON that are read at most: a million deletes and ten thousand long keys are far below.
const BODY_MAX: u64 = 256 * 1024 * 1024;

/// What the header says beside the identity.
struct Lengths {
    blob: usize,
    body: usize,
    json: usize,
    blob_crc: u32,
    body_crc: u32,
}

impl Manifest {
    /// The whole file: header, blob, body, embedded pages, mark page without a successor. Sets where the embedded
    /// pages begin, here and in the containers that are in this very manifest.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Internal`].
    pub fn encode_file(&mut self, pages: &[u8]) -> Result<Vec<u8>> {
        self.pages_len = pages.len() as u64;
        self.place_pages(0);
        let json = serde_json::to_vec(&self.body)
            .map_err(|error| Error::internal("a manifest cannot be written").because(error))?;
        let body = zstd::bulk::compress(&json, LEVEL)
            .map_err(|error| Error::internal("a manifest cannot be compressed").because(error))?;
        let prefix = HEADER + self.blob.len() + body.len();
        let base = prefix.next_multiple_of(COHERENT_PAGE);
        self.place_pages(base as u64);
        let mut bytes = self.header(&body, json.len());
        bytes.reserve(base + pages.len() + 2 * COHERENT_PAGE);
        bytes.extend(&self.blob);
        bytes.extend(&body);
        bytes.resize(base, 0);
        bytes.extend(pages);
        bytes.resize(bytes.len().next_multiple_of(COHERENT_PAGE), 0);
        let page = MarkPage {
            owner: self.id(),
            successor: None,
        };
        bytes.extend(page.encode());
        Ok(bytes)
    }

    fn place_pages(&mut self, base: u64) {
        self.pages_base = base;
        let own = ContainerId::Manifest(self.name());
        for container in &mut self.body.containers {
            if container.id == own {
                container.base = base;
            }
        }
    }

    fn header(&self, body: &[u8], json: usize) -> Vec<u8> {
        let mut bytes = super::begin(MAGIC);
        bytes.extend(self.version.get().to_le_bytes());
        bytes.extend(self.epoch.get().to_le_bytes());
        bytes.extend(self.nonce.as_bytes());
        bytes.extend(self.lineage.as_bytes());
        bytes.extend((self.blob.len() as u64).to_le_bytes());
        bytes.extend((body.len() as u64).to_le_bytes());
        bytes.extend((json as u64).to_le_bytes());
        bytes.extend(self.pages_base.to_le_bytes());
        bytes.extend(self.pages_len.to_le_bytes());
        bytes.extend(crc(&self.blob).to_le_bytes());
        bytes.extend(crc(body).to_le_bytes());
        super::seal(&mut bytes);
        bytes
    }

    /// Header and body of a file that [`Self::encode_file`] made: what HEAD has of it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] naming `path`.
    pub fn copy_of(file: &[u8], path: &str) -> Result<Vec<u8>> {
        let (_, lengths) = decode_header(file, path)?;
        let mut fields = Fields::new(file, path);
        let mut copy = fields.take(HEADER)?.to_vec();
        fields.take(lengths.blob)?;
        copy.extend(fields.take(lengths.body)?);
        Ok(copy)
    }

    /// Reads what [`Self::copy_of`] made. Its blob is empty.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] naming `path`.
    pub fn decode_copy(copy: &[u8], path: &str) -> Result<Self> {
        let (manifest, lengths) = decode_header(copy, path)?;
        let body = copy.get(HEADER..).unwrap_or_default();
        manifest.with_body(Fields::new(body, path).take(lengths.body)?, &lengths, path)
    }

    /// The name of the manifest that begins with `start`, which holds its header.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] naming `path`.
    pub fn name_in(start: &[u8], path: &str) -> Result<ManifestName> {
        let (manifest, _) = decode_header(start, path)?;
        Ok(manifest.name())
    }

    /// Reads a manifest from its file.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] naming `path`.
    pub fn decode(file: &[u8], path: &str) -> Result<Self> {
        let (mut manifest, lengths) = decode_header(file, path)?;
        let mut fields = Fields::new(file.get(HEADER..).unwrap_or_default(), path);
        let blob = fields.take(lengths.blob)?;
        if crc(blob) != lengths.blob_crc {
            return Err(fields.damaged("the checksum of the blob"));
        }
        manifest.blob = blob.to_vec();
        manifest.with_body(fields.take(lengths.body)?, &lengths, path)
    }

    fn with_body(mut self, body: &[u8], lengths: &Lengths, path: &str) -> Result<Self> {
        if crc(body) != lengths.body_crc {
            return Err(super::damaged(path, "the checksum of the body"));
        }
        let json = zstd::bulk::decompress(body, lengths.json)
            .map_err(|error| super::damaged(path, "the compression of the body").because(error))?;
        self.body = serde_json::from_slice(&json)
            .map_err(|error| super::damaged(path, "the JSON of the body").because(error))?;
        self.place_pages(self.pages_base);
        Ok(self)
    }
}

fn decode_header(bytes: &[u8], path: &str) -> Result<(Manifest, Lengths)> {
    let header = Fields::new(bytes, path).take(HEADER)?;
    let mut fields = Fields::of_header(header, MAGIC, path, "the header")?;
    let version = Version::new(fields.u64()?);
    let epoch = Epoch::new(fields.u64()?);
    let (nonce, lineage) = (fields.uuid()?, fields.uuid()?);
    let (blob, body, json) = (fields.u64()?, fields.u64()?, fields.u64()?);
    let (pages_base, pages_len) = (fields.u64()?, fields.u64()?);
    let (blob_crc, body_crc) = (fields.u32()?, fields.u32()?);
    let len = |len: u64| {
        let fits = usize::try_from(len).ok().filter(|_| len <= BODY_MAX);
        fits.ok_or_else(|| super::damaged(path, "the length of the body"))
    };
    let lengths = Lengths {
        blob: len(blob)?,
        body: len(body)?,
        json: len(json)?,
        blob_crc,
        body_crc,
    };
    let manifest = Manifest {
        version,
        epoch,
        nonce,
        lineage,
        body: Body::empty(Cause::Create, 0, Definition::default()),
        blob: Vec::new(),
        pages_base,
        pages_len,
    };
    Ok((manifest, lengths))
}
