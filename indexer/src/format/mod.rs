//! The bytes on the mount. `indexer/STORAGE.md` describes them one by one.
//!
//! Everything is little-endian, carries a magic number and a format version, and is covered by a
//! CRC-32 (IEEE), so that damage is told and never answered from.

pub mod batch;
pub mod bundle;
pub mod deletes;
pub mod head;
pub mod hot;
pub mod image;
pub mod job;
pub mod manifest;
pub mod mark;
pub mod pages;
pub mod prefix;
pub mod retired;
pub mod section;

use crate::error::{Error, Result};

/// The version of all formats together; a reader refuses any other.
pub const FORMAT_VERSION: u16 = 3;

/// Bytes of a header that are kept for later formats, after the version.
const RESERVED: usize = 2;

/// Begins a header: magic number, format version, and room for later formats.
pub(crate) fn begin(magic: [u8; 4]) -> Vec<u8> {
    let mut header = magic.to_vec();
    header.extend(FORMAT_VERSION.to_le_bytes());
    header.extend([0; RESERVED]);
    header
}

/// Ends a header with its checksum.
pub(crate) fn seal(header: &mut Vec<u8>) {
    let checksum = crc(header);
    header.extend(checksum.to_le_bytes());
}

/// A cursor over bytes that may be too short.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    file: &'a str,
}

impl<'a> Fields<'a> {
    /// Reads `bytes`, which belong to `file`.
    pub(crate) fn new(bytes: &'a [u8], file: &'a str) -> Self {
        Self { bytes, file }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or_else(|| {
            Error::corrupt(
                self.file,
                "the file is cut short: restore it, or build the index anew",
            )
        })?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn uuid(&mut self) -> Result<uuid::Uuid> {
        Ok(uuid::Uuid::from_bytes(self.array()?))
    }

    /// A length that must fit into memory.
    pub(crate) fn len32(&mut self) -> Result<usize> {
        usize::try_from(self.u32()?).map_err(|error| self.damaged("a length").because(error))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn damaged(&self, what: &str) -> Error {
        damaged(self.file, what)
    }

    /// Reads the fields of a header that [`begin`] and [`seal`] made. `what` it is.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] when the magic number, the format or the checksum is wrong.
    pub(crate) fn of_header(
        header: &'a [u8],
        magic: [u8; 4],
        file: &'a str,
        what: &str,
    ) -> Result<Self> {
        let mut fields = Self::new(header, file);
        fields.expect_format(magic)?;
        match header.split_last_chunk() {
            Some((content, checksum)) if crc(content).to_le_bytes() == *checksum => {}
            _ => return Err(fields.damaged(&format!("the checksum of {what}"))),
        }
        fields.take(RESERVED)?;
        Ok(fields)
    }

    /// Checks a magic number and the format version that follows it.
    fn expect_format(&mut self, magic: [u8; 4]) -> Result<()> {
        if self.array::<4>()? != magic {
            return Err(self.damaged("the magic number"));
        }
        let version = self.u16()?;
        if version != FORMAT_VERSION {
            return Err(Error::corrupt(
                self.file,
                format!(
                    "format version {version} is not the one this program reads ({FORMAT_VERSION}): \
                     use the release that wrote it, or build the index anew"
                ),
            ));
        }
        Ok(())
    }
}

/// The error for a checksum or structure that is wrong.
pub(crate) fn damaged(file: &str, what: &str) -> Error {
    Error::corrupt(
        file,
        format!("{what} is wrong: the file is damaged; restore it, or build the index anew"),
    )
}

/// CRC-32 (IEEE) of `bytes`.
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Length as a 32-bit field.
pub(crate) fn len_field(len: usize) -> Result<[u8; 4]> {
    let len = u32::try_from(len)
        .map_err(|error| Error::internal("a section exceeds 4 GiB").because(error))?;
    Ok(len.to_le_bytes())
}
