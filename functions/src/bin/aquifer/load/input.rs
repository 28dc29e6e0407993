//! Documents out of a file or standard input: packed or not, one a line or an array, and never
//! more of it in memory than one document.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use aquifer_indexer::document::limits::DOCUMENT_BYTES;
use flate2::read::MultiGzDecoder;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Emit;
use super::outcome::{Item, Origin, Refusal};
use super::progress::Progress;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Bytes of a line that are read at the most: a document may be indented before it is too large.
const LINE_BYTES: u64 = 4 * DOCUMENT_BYTES as u64;

/// Bytes read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Where documents are read from.
pub(crate) struct Input {
    reader: Box<dyn Read>,
    length: Option<u64>,
}

impl Input {
    /// Opens a file, or standard input for `-`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self {
                reader: Box::new(io::stdin()),
                length: None,
            });
        }
        let cannot = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(cannot)?;
        let metadata = file.metadata().with_context(cannot)?;
        if metadata.is_dir() {
            return Err(anyhow!(
                "{} is a folder: `aquifer create-index` takes one of JSON files",
                path.display()
            ));
        }
        Ok(Self {
            reader: Box::new(file),
            length: metadata.is_file().then_some(metadata.len()),
        })
    }

    /// How many bytes there are, where that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Reads to the end, one document after the other.
    pub(crate) fn read(self, progress: &Progress, emit: &mut Emit<'_>) -> Result<()> {
        let mut reader = unpacked(progress.watch(self.reader))?;
        match beginning(&mut reader)? {
            (Some(b'['), _) => read_array(reader, emit),
            (_, first_line) => read_lines(reader, first_line, emit),
        }
    }
}

/// Unpacks what begins like something packed.
fn unpacked<R: Read + 'static>(mut reader: R) -> Result<Box<dyn BufRead>> {
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(ZSTD.len() as u64)
        .read_to_end(&mut start)?;
    let packing = start.clone();
    let whole = Cursor::new(start).chain(reader);
    if packing.starts_with(GZIP) {
        let buffered = BufReader::with_capacity(BUFFER_BYTES, whole);
        return Ok(Box::new(buffer(MultiGzDecoder::new(buffered))));
    }
    if packing.starts_with(ZSTD) {
        return Ok(Box::new(buffer(zstd::Decoder::new(whole)?)));
    }
    Ok(Box::new(buffer(whole)))
}

fn buffer<R: Read>(reader: R) -> BufReader<R> {
    BufReader::with_capacity(BUFFER_BYTES, reader)
}

/// Passes over a byte order mark and white space; says what follows, and in which line.
fn beginning(reader: &mut impl BufRead) -> io::Result<(Option<u8>, u64)> {
    let mut line = 1;
    let mut skippable = BYTE_ORDER_MARK;
    loop {
        let buffer = reader.fill_buf()?;
        let Some(&byte) = buffer.first() else {
            return Ok((None, line));
        };
        let mark_goes_on = skippable.split_first().filter(|(mark, _)| **mark == byte);
        if let Some((_, rest)) = mark_goes_on {
            skippable = rest;
        } else if byte.is_ascii_whitespace() {
            line += u64::from(byte == b'\n');
        } else {
            return Ok((Some(byte), line));
        }
        reader.consume(1);
    }
}

fn read_lines(mut reader: impl BufRead, first: u64, emit: &mut Emit<'_>) -> Result<()> {
    let mut line = Vec::new();
    for number in first.. {
        line.clear();
        let origin = Origin::Line(number);
        let read = reader
            .by_ref()
            .take(LINE_BYTES)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        if read as u64 == LINE_BYTES && !line.ends_with(b"\n") {
            skip_line(&mut reader)?;
            let detail = format!(
                "the line is longer than {LINE_BYTES} bytes: a document a line is expected"
            );
            emit(Err(Refusal::new(origin, detail)))?;
            continue;
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        emit(match std::str::from_utf8(line) {
            Ok(text) => Ok(Item {
                origin,
                text: text.to_owned(),
            }),
            Err(error) => Err(Refusal::new(
                origin,
                format!("the line is not UTF-8: {error}"),
            )),
        })?;
    }
    Ok(())
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    reader.skip_until(b'\n').map(drop)
}

/// Reads an array without ever holding it: each element goes on as soon as it is complete.
fn read_array(reader: impl Read, emit: &mut Emit<'_>) -> Result<()> {
    let mut stopped = None;
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let elements = Elements {
        emit,
        stopped: &mut stopped,
    };
    let outcome = deserializer
        .deserialize_seq(elements)
        .and_then(|()| deserializer.end());
    match (outcome, stopped) {
        (_, Some(stopped)) => Err(stopped),
        (Ok(()), None) => Ok(()),
        (Err(error), None) => Err(anyhow!(
            "the array is not JSON from there on, what stands before it is in the index: {error}"
        )),
    }
}

struct Elements<'a, 'b> {
    emit: &'a mut Emit<'b>,
    stopped: &'a mut Option<anyhow::Error>,
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of documents")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(element) = array.next_element::<Box<RawValue>>()? {
            number += 1;
            let item = Item {
                origin: Origin::Element(number),
                text: String::from(Box::<str>::from(element)),
            };
            if let Err(error) = (self.emit)(Ok(item)) {
                *self.stopped = Some(error);
                return Err(serde::de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;

    use super::*;

    fn read(bytes: &[u8]) -> (Vec<String>, Result<()>) {
        let input = Input {
            reader: Box::new(Cursor::new(bytes.to_vec())),
            length: None,
        };
        let mut seen = Vec::new();
        let outcome = input.read(&Progress::new(None), &mut |item| {
            seen.push(match item {
                Ok(item) => format!("{}: {}", item.origin, item.text),
                Err(refusal) => format!("refused {refusal}"),
            });
            Ok(())
        });
        (seen, outcome)
    }

    fn check(bytes: &[u8], expected: &[&str]) {
        let (seen, outcome) = read(bytes);
        outcome.unwrap();
        assert_eq!(seen, expected);
    }

    const LINES: &[u8] = b"\n{\"a\":1}\r\n\n  {\"b\":2}";
    const OF_LINES: &[&str] = &["line 2: {\"a\":1}", "line 4: {\"b\":2}"];

    #[test]
    fn a_document_a_line_packed_or_not() {
        check(LINES, OF_LINES);
        check(&[BYTE_ORDER_MARK, LINES].concat(), OF_LINES);
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(LINES).unwrap();
        check(&gzip.finish().unwrap(), OF_LINES);
        check(&zstd::encode_all(LINES, 1).unwrap(), OF_LINES);
        let spaced = [&[b' '; 9], &b"\n"[..], LINES].concat();
        check(&spaced, &["line 3: {\"a\":1}", "line 5: {\"b\":2}"]);
        check(b"", &[]);
    }

    #[test]
    fn an_array_keeps_the_text_of_its_elements() {
        let expected = ["document 1: {\"a\": 1.50}", "document 2: [\n2]"];
        check(b"      \n[{\"a\": 1.50},\n [\n2] ]\n", &expected);
        check(b"[]", &[]);
        let (seen, outcome) = read(b"[{\"a\":1},\n{]");
        assert_eq!(seen, ["document 1: {\"a\":1}"]);
        assert!(outcome.unwrap_err().to_string().contains("line 2"));
    }

    #[test]
    fn a_line_that_cannot_be_a_document_spoils_only_itself() {
        let mut bytes = b"{\"a\":1}\n".to_vec();
        bytes.extend(vec![b'x'; usize::try_from(LINE_BYTES).unwrap() + 10]);
        bytes.extend(b"\n\xff\n{\"b\":2}\n");
        let (seen, outcome) = read(&bytes);
        outcome.unwrap();
        assert_eq!(seen.len(), 4);
        assert!(
            seen[1].starts_with("refused line 2: the line is longer"),
            "{}",
            seen[1]
        );
        assert!(
            seen[2].starts_with("refused line 3: the line is not UTF-8"),
            "{}",
            seen[2]
        );
        assert_eq!(seen[3], "line 4: {\"b\":2}");
    }
}
