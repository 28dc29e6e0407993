//! The hot section of a segment: every byte range that opening it reads.
//!
//! A reader that holds the hot sections opens a snapshot without touching the bundles.

use super::{Fields, crc, len_field};
use crate::error::Result;

/// The ranges of one file of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HotRange {
    /// The file's extension, such as `term`.
    pub extension: String,
    /// Offset in that file.
    pub offset: u64,
    /// The bytes there.
    pub bytes: Vec<u8>,
}

/// Encodes hot ranges: a CRC, then for each range its extension, offset, length and bytes.
pub fn encode(ranges: &[HotRange]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for range in ranges {
        body.extend(len_field(range.extension.len())?);
        body.extend(range.extension.as_bytes());
        body.extend(range.offset.to_le_bytes());
        body.extend(len_field(range.bytes.len())?);
        body.extend(&range.bytes);
    }
    let mut section = crc(&body).to_le_bytes().to_vec();
    section.append(&mut body);
    Ok(section)
}

/// Reads what [`encode`] wrote, out of the file `path`.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] when the checksum or the structure is wrong.
pub fn decode(section: &[u8], path: &str) -> Result<Vec<HotRange>> {
    let mut fields = Fields::new(section, path);
    if fields.u32()? != crc(section.get(4..).unwrap_or_default()) {
        return Err(fields.damaged("the checksum of a hot section"));
    }
    let mut ranges = Vec::new();
    while !fields.is_empty() {
        let len = fields.len32()?;
        let extension = String::from_utf8_lossy(fields.take(len)?).into_owned();
        let offset = fields.u64()?;
        let len = fields.len32()?;
        ranges.push(HotRange {
            extension,
            offset,
            bytes: fields.take(len)?.to_vec(),
        });
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_read_back_and_damage_is_noticed() {
        let ranges = vec![
            HotRange {
                extension: "term".into(),
                offset: 9,
                bytes: vec![1, 2, 3],
            },
            HotRange {
                extension: "fast".into(),
                offset: 0,
                bytes: vec![],
            },
        ];
        let section = encode(&ranges).unwrap();
        assert_eq!(decode(&section, "m").unwrap(), ranges);
        for position in 0..section.len() {
            let mut damaged = section.clone();
            damaged[position] ^= 0x80;
            assert!(decode(&damaged, "m").is_err(), "byte {position}");
        }
    }
}
