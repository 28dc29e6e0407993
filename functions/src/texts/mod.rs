//! The texts of documents out of a file or an object, packed or not, one after the other: never more of it in
//! memory than one document.
//!
//! What is cut out is not parsed: whether a text is a document is for the mapping to say.

mod array;
mod beginning;
mod keyed;
mod line;

use std::io::{self, BufRead, BufReader, Cursor, Read};

use aquifer_indexer::document::limits::DOCUMENT_BYTES;
use flate2::read::MultiGzDecoder;

use self::array::Elements;
use self::beginning::{beginning, begins_documents};
pub use self::keyed::{Unreadable, keyed};
use self::line::Lines;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Bytes of a text that are kept at the most: a document may be indented before it is too large.
const TEXT_BYTES: usize = 4 * DOCUMENT_BYTES;

/// Bytes read at once.
const BUFFER_BYTES: usize = 256 * 1024;

type Input = Box<dyn BufRead + Send>;

/// Where in its file a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line, counted from 1.
    Line(u64),
    /// A place in an array, counted from 1.
    Element(u64),
    /// The file is the document.
    Whole,
}

/// What may be a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Where it stands.
    pub place: Place,
    /// Its text, or why it cannot be a document.
    pub text: Result<String, String>,
}

/// Why there are no more texts.
#[derive(Debug, thiserror::Error)]
pub enum TextsError {
    /// Reading or unpacking failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not JSON from some place on.
    #[error("{0}")]
    Broken(String),
}

/// Cuts an input into texts.
pub struct Texts {
    input: Input,
    form: Form,
}

enum Form {
    Lines(Lines),
    Elements(Elements),
    Whole,
    Ended,
}

impl Texts {
    /// An array where it begins like one, else a document a line.
    ///
    /// # Errors
    /// Reading or unpacking fails.
    pub fn of_lines(input: impl Read + Send + 'static) -> io::Result<Self> {
        let mut input = unpacked(input)?;
        let form = match beginning(&mut input)? {
            (Some(b'['), line) => Form::array(&mut input, line),
            (_, line) => Form::Lines(Lines::new(line)),
        };
        Ok(Self { input, form })
    }

    /// An array, an object whose first field is `documents` with an array, or one document.
    ///
    /// # Errors
    /// Reading or unpacking fails.
    pub fn of_json(input: impl Read + Send + 'static) -> io::Result<Self> {
        let mut input = unpacked(input)?;
        let (first, line) = beginning(&mut input)?;
        if first == Some(b'[') {
            let form = Form::array(&mut input, line);
            return Ok(Self { input, form });
        }
        let (seen, is_documents) = begins_documents(&mut input)?;
        let form = if is_documents {
            let lines = seen.iter().filter(|byte| **byte == b'\n').count() as u64;
            Form::Elements(Elements::wrapped(line + lines))
        } else {
            input = Box::new(Cursor::new(seen).chain(input));
            Form::Whole
        };
        Ok(Self { input, form })
    }

    /// The next text; none at the end.
    ///
    /// # Errors
    /// [`TextsError`]; after one there are no more.
    pub fn next_text(&mut self) -> Result<Option<Text>, TextsError> {
        let next = match &mut self.form {
            Form::Lines(lines) => lines.next(&mut self.input).map_err(TextsError::from),
            Form::Elements(elements) => elements.next(&mut self.input),
            Form::Whole => whole(&mut self.input).map(Some).map_err(TextsError::from),
            Form::Ended => Ok(None),
        };
        if !matches!(next, Ok(Some(_))) || matches!(self.form, Form::Whole) {
            self.form = Form::Ended;
        }
        next
    }
}

impl Form {
    /// `input` stands before the bracket.
    fn array(input: &mut Input, line: u64) -> Self {
        input.consume(1);
        Self::Elements(Elements::new(line))
    }
}

/// Unpacks what begins like something packed.
fn unpacked(mut input: impl Read + Send + 'static) -> io::Result<Input> {
    let mut start = Vec::new();
    let head = input.by_ref().take(ZSTD.len() as u64);
    { head }.read_to_end(&mut start)?;
    let packing = start.clone();
    let whole = Cursor::new(start).chain(input);
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

fn whole(input: &mut Input) -> io::Result<Text> {
    let mut bytes = Vec::new();
    input.take(TEXT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let text = if bytes.len() > TEXT_BYTES {
        Err(format!(
            "it is longer than {TEXT_BYTES} bytes: no document is"
        ))
    } else {
        text(bytes)
    };
    Ok(Text {
        place: Place::Whole,
        text,
    })
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8: {}", error.utf8_error()))
}

#[cfg(test)]
mod tests;
