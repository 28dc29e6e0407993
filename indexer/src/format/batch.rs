//! A batch in the inbox: the operations of one request, durable and not yet applied.

use super::{Fields, crc, len_field};
use crate::error::Result;
use crate::layout::BatchId;

const MAGIC: [u8; 4] = *b"AQBT";
/// Bytes of the header: magic, format, padding, clock, random, body length, body checksum, header checksum.
pub const HEADER: usize = 4 + 2 + 2 + 8 + 8 + 8 + 4 + 4;
/// Set in the byte of an operation's kind when its order follows.
const ORDERED: u8 = 0x80;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its text is a document's JSON.
    Upsert = 1,
    /// Its text is a unique key.
    Delete = 2,
    /// See [`Change::Claim`](crate::inbox::Change::Claim).
    Claim = 3,
    /// See [`Change::Sweep`](crate::inbox::Change::Sweep).
    Sweep = 4,
}

impl Kind {
    fn read(byte: u8) -> Option<Self> {
        let kinds = [Self::Upsert, Self::Delete, Self::Claim, Self::Sweep];
        kinds.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// One operation of a batch, to be written.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// What it does.
    pub kind: Kind,
    /// The source and the position of the event that it came from.
    pub order: Option<(&'a str, &'a str)>,
    /// With what.
    pub text: &'a str,
}

/// One operation of a batch, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOperation {
    /// What it does.
    pub kind: Kind,
    /// The source and the position of the event that it came from.
    pub order: Option<(String, String)>,
    /// With what.
    pub text: String,
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
pub fn encode<'a>(id: BatchId, operations: impl Iterator<Item = Written<'a>>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for Written { kind, order, text } in operations {
        let ordered = if order.is_some() { ORDERED } else { 0 };
        body.push(kind as u8 | ordered);
        let order = order
            .into_iter()
            .flat_map(|(source, position)| [source, position]);
        for text in order.chain([text]) {
            body.extend(len_field(text.len())?);
            body.extend(text.as_bytes());
        }
    }
    let mut bytes = super::begin(MAGIC);
    bytes.extend(id.clock.to_le_bytes());
    bytes.extend(id.random.to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(crc(&body).to_le_bytes());
    super::seal(&mut bytes);
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
    let mut fields = Fields::of_header(header, MAGIC, path, "the header of the batch")?;
    let written_for = BatchId {
        clock: fields.u64()?,
        random: fields.u64()?,
    };
    let body_len = fields.u64()?;
    let body_crc = fields.u32()?;
    if written_for != id {
        return Err(fields.damaged("the identity of the batch"));
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
        let byte = fields.u8()?;
        let kind = Kind::read(byte & !ORDERED);
        let kind = kind.ok_or_else(|| fields.damaged("an operation of the batch"))?;
        let order = match byte & ORDERED {
            0 => None,
            _ => Some((text(&mut fields, path)?, text(&mut fields, path)?)),
        };
        let text = text(&mut fields, path)?;
        operations.push(StoredOperation { kind, order, text });
    }
    Ok(Stored::Whole(operations))
}

fn text(fields: &mut Fields<'_>, path: &str) -> Result<String> {
    let len = fields.len32()?;
    let text = std::str::from_utf8(fields.take(len)?)
        .map_err(|error| super::damaged(path, "the text of the batch").because(error))?;
    Ok(text.to_owned())
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
        let order = Some(("s3://bucket/key", "17"));
        let written = [
            (Kind::Upsert, None, "{\"a\":1}"),
            (Kind::Delete, None, "k"),
            (Kind::Claim, order, ""),
            (Kind::Upsert, order, "{\"b\":2}"),
        ];
        let operations = written.map(|(kind, order, text)| Written { kind, order, text });
        let bytes = encode(id, operations.into_iter()).unwrap();
        let owned = |(source, position): (&str, &str)| (source.to_owned(), position.to_owned());
        let stored = written.map(|(kind, order, text)| StoredOperation {
            kind,
            order: order.map(owned),
            text: text.to_owned(),
        });
        let whole = stored.to_vec();
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
