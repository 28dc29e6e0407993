//! A batch in the inbox: the operations of one request, durable and not yet applied.

use super::{Fields, crc, len_field};
use crate::error::Result;
use crate::layout::BatchId;

const MAGIC: [u8; 4] = *b"AQBT";
/// Bytes of the header: magic, format, padding, clock, random, body length, body checksum, header checksum.
pub const HEADER: usize = 4 + 2 + 2 + 8 + 8 + 8 + 4 + 4;
const UPSERT: u8 = 1;
const DELETE: u8 = 2;

/// One operation of a batch, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredOperation {
    /// A document's JSON text.
    Upsert(String),
    /// A unique key.
    Delete(String),
}

/// What a batch file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// All of it.
    Whole(Vec<StoredOperation>),
    /// Its writer died in the middle: it was never acknowledged.
    Torn,
}

/// A batch as bytes.
pub fn encode<'a>(
    id: BatchId,
    operations: impl Iterator<Item = (bool, &'a str)>,
) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for (upsert, text) in operations {
        body.push(if upsert { UPSERT } else { DELETE });
        body.extend(len_field(text.len())?);
        body.extend(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(MAGIC);
    bytes.extend(super::FORMAT_VERSION.to_le_bytes());
    bytes.extend([0; 2]);
    bytes.extend(id.clock.to_le_bytes());
    bytes.extend(id.random.to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(crc(&body).to_le_bytes());
    bytes.extend(crc(&bytes).to_le_bytes());
    bytes.append(&mut body);
    Ok(bytes)
}

/// Reads a batch file.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] when the file is as long as it should be and yet wrong.
pub fn decode(bytes: &[u8], id: BatchId, path: &str) -> Result<Stored> {
    let Some((header, body)) = bytes.split_at_checked(HEADER) else {
        return Ok(Stored::Torn);
    };
    if header.iter().all(|&byte| byte == 0) {
        return Ok(Stored::Torn);
    }
    let mut fields = Fields::new(header, path);
    fields.expect_format(MAGIC)?;
    fields.take(2)?;
    let written_for = BatchId {
        clock: fields.u64()?,
        random: fields.u64()?,
    };
    let body_len = fields.u64()?;
    let body_crc = fields.u32()?;
    if fields.u32()? != crc(header.get(..HEADER - 4).unwrap_or_default()) || written_for != id {
        return Err(fields.damaged("the header of the batch"));
    }
    if (body.len() as u64) < body_len {
        return Ok(Stored::Torn);
    }
    if body.len() as u64 != body_len || crc(body) != body_crc {
        return Err(fields.damaged("the checksum of the batch"));
    }
    let mut fields = Fields::new(body, path);
    let mut operations = Vec::new();
    while !fields.is_empty() {
        let kind = fields.u8()?;
        let len = fields.len32()?;
        let text = std::str::from_utf8(fields.take(len)?)
            .map_err(|error| super::damaged(path, "the text of the batch").because(error))?
            .to_owned();
        operations.push(match kind {
            UPSERT => StoredOperation::Upsert(text),
            DELETE => StoredOperation::Delete(text),
            _ => return Err(fields.damaged("an operation of the batch")),
        });
    }
    Ok(Stored::Whole(operations))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_whole_torn_or_damaged() {
        let id = BatchId {
            clock: 1,
            random: 2,
        };
        let bytes = encode(id, [(true, "{\"a\":1}"), (false, "k")].into_iter()).unwrap();
        let whole = vec![
            StoredOperation::Upsert("{\"a\":1}".into()),
            StoredOperation::Delete("k".into()),
        ];
        assert_eq!(decode(&bytes, id, "b").unwrap(), Stored::Whole(whole));
        for len in 0..bytes.len() {
            assert_eq!(
                decode(&bytes[..len], id, "b").unwrap(),
                Stored::Torn,
                "{len} bytes"
            );
        }
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 4;
            let wrong = !matches!(decode(&damaged, id, "b"), Ok(Stored::Whole(_)));
            assert!(wrong, "byte {position}");
        }
    }
}
