//! The end of a bundle: the file table, and the trailer that leads to it.
//!
//! ```text
//! pages | hot sections | file table (JSON) | trailer (48)
//! ```
//!
//! Readers go by the manifest and never look at it. It says what is in the bundle to whoever has only the
//! bundle, and to a check where the hot sections are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::manifest::{Container, Span};
use super::{Fields, crc, hot};
use crate::error::{Error, Result};
use crate::mount::MountFile;

const MAGIC: [u8; 4] = *b"AQBN";
/// Bytes of the trailer: magic, format, padding, container, offset and length of the table, its checksum,
/// checksum of the trailer.
pub const TRAILER: usize = 4 + 2 + 2 + 16 + 8 + 8 + 4 + 4;

/// What is in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The bundle itself.
    pub container: Container,
    /// Its segments.
    pub segments: Vec<Entry>,
}

/// A segment in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// tantivy's identity of it.
    pub id: Uuid,
    /// Documents in it.
    pub max_doc: u32,
    /// Its files by extension: where they lie in the payload of the pages.
    pub files: BTreeMap<String, Span>,
    /// Its hot section: where it lies in the file.
    pub hot: Span,
}

/// Table and trailer as bytes that begin at `offset` of the file.
pub fn encode(table: &Table, offset: u64) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(table)
        .map_err(|error| Error::internal("a file table cannot be written").because(error))?;
    let mut trailer = super::begin(MAGIC);
    trailer.extend(table.container.uuid.as_bytes());
    trailer.extend(offset.to_le_bytes());
    trailer.extend((bytes.len() as u64).to_le_bytes());
    trailer.extend(crc(&bytes).to_le_bytes());
    super::seal(&mut trailer);
    bytes.append(&mut trailer);
    Ok(bytes)
}

/// Reads the table of the bundle `path` and verifies it, its trailer and the hot sections it names.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] naming `path`, [`crate::ErrorKind::Unavailable`].
pub fn verify(file: &dyn MountFile, path: &str, container: Uuid) -> Result<Table> {
    let read = |offset: u64, len: u64| {
        let len = usize::try_from(len)
            .ok()
            .filter(|&len| len <= super::head::MAX * 64);
        let mut bytes = vec![0; len.ok_or_else(|| super::damaged(path, "a length"))?];
        if file.read_at(&mut bytes, offset)? < bytes.len() {
            return Err(super::damaged(path, "the length"));
        }
        Ok(bytes)
    };
    let end = file.len()?.checked_sub(TRAILER as u64);
    let end = end.ok_or_else(|| super::damaged(path, "the length"))?;
    let trailer = read(end, TRAILER as u64)?;
    let mut fields = Fields::of_header(&trailer, MAGIC, path, "the trailer")?;
    let (owner, table_offset, table_len) = (fields.uuid()?, fields.u64()?, fields.u64()?);
    let table_crc = fields.u32()?;
    let whole = table_offset.checked_add(table_len) == Some(end);
    if owner != container || !whole {
        return Err(fields.damaged("the trailer"));
    }
    let table = read(table_offset, table_len)?;
    if crc(&table) != table_crc {
        return Err(fields.damaged("the checksum of the file table"));
    }
    let table: Table = serde_json::from_slice(&table)
        .map_err(|error| super::damaged(path, "the JSON of the file table").because(error))?;
    for segment in &table.segments {
        hot::decode(&read(segment.hot.offset, segment.hot.len)?, path)?;
    }
    Ok(table)
}
