//! The texts of documents out of a file or an object, packed or not, one after the other: never more of it in
//! memory than one document.
//!
//! What is cut out is not parsed: whether a text is a document is for the mapping to say.

mod array;
mod beginning;
mod form;
mod keyed;
mod line;
mod place;

use std::io::{self, BufRead, BufReader, Cursor, Read};

use aquifer_indexer::document::limits::DOCUMENT_BYTES;
use flate2::read::MultiGzDecoder;

use self::array::{Elements, Stop};
use self::beginning::{beginning, begins_documents, begins_lines};
pub use self::form::{Form, NO_ENDING, NO_NAME};
pub use self::keyed::{Unreadable, keyed};
use self::line::Lines;
pub use self::place::{Place, Spot};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Bytes of a text that are kept at the most: a document may be indented before it is too large.
const TEXT_BYTES: usize = 4 * DOCUMENT_BYTES;

/// Bytes read at once.
const BUFFER_BYTES: usize = 256 * 1024;

type Input = Box<dyn BufRead + Send>;

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
    #[error("it cannot be {} from line {line} on: {error}", if *.packed { "unpacked" } else { "read" })]
    Io {
        /// The line that is not whole.
        line: u64,
        /// Whether it was packed.
        packed: bool,
        /// What failed.
        error: io::Error,
    },
    /// It is not JSON from some place on.
    #[error("it is not JSON from line {line} on: {why}")]
    Broken {
        /// Where.
        line: u64,
        /// What is wrong.
        why: &'static str,
    },
}

/// Cuts an input into texts.
pub struct Texts {
    input: Input,
    packed: bool,
    texts: Cutter,
}

enum Cutter {
    Lines(Lines),
    Elements(Elements),
    /// From this line on.
    Whole(u64),
    Ended,
}

impl Texts {
    /// The texts of an input that is written as `form` says.
    ///
    /// # Errors
    /// [`TextsError::Io`].
    pub fn new(form: Form, input: impl Read + Send + 'static) -> Result<Self, TextsError> {
        let failed = |packed| {
            move |error| TextsError::Io {
                line: 1,
                packed,
                error,
            }
        };
        let (mut input, packed) = unpacked(input).map_err(failed(false))?;
        let texts = Cutter::begin(form, &mut input).map_err(failed(packed))?;
        Ok(Self {
            input,
            packed,
            texts,
        })
    }

    /// The next text; none at the end.
    ///
    /// # Errors
    /// [`TextsError`]; after one there are no more.
    pub fn next_text(&mut self) -> Result<Option<Text>, TextsError> {
        let next = match &mut self.texts {
            Cutter::Lines(lines) => lines.next(&mut self.input).map_err(Stop::from),
            Cutter::Elements(elements) => elements.next(&mut self.input),
            Cutter::Whole(line) => whole(&mut self.input, *line).map(Some).map_err(Stop::from),
            Cutter::Ended => Ok(None),
        };
        let line = self.texts.line();
        if !matches!(next, Ok(Some(_))) || matches!(self.texts, Cutter::Whole(_)) {
            self.texts = Cutter::Ended;
        }
        next.map_err(|stop| match stop {
            Stop::Broken(line, why) => TextsError::Broken { line, why },
            Stop::Io(error) => TextsError::Io {
                line,
                packed: self.packed,
                error,
            },
        })
    }
}

impl Cutter {
    /// Finds out how the texts stand in `input`, which is not packed.
    fn begin(form: Form, input: &mut Input) -> io::Result<Self> {
        let (first, line) = beginning(input)?;
        match (first, form) {
            (Some(b'['), _) => {
                input.consume(1);
                return Ok(Self::Elements(Elements::new(line)));
            }
            (_, Form::Lines) | (None, Form::Unknown) => return Ok(Self::Lines(Lines::new(line))),
            (_, Form::Json | Form::Unknown) => {}
        }
        let (seen, is_documents) = begins_documents(input)?;
        if is_documents {
            let lines = seen.iter().filter(|byte| **byte == b'\n').count() as u64;
            return Ok(Self::Elements(Elements::wrapped(line + lines)));
        }
        put_back(input, seen);
        let (seen, is_lines) = begins_lines(input)?;
        put_back(input, seen);
        Ok(if is_lines {
            Self::Lines(Lines::new(line))
        } else {
            Self::Whole(line)
        })
    }

    /// The line that is being read.
    fn line(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.line(),
            Self::Elements(elements) => elements.line(),
            Self::Whole(line) => *line,
            Self::Ended => 1,
        }
    }
}

/// Puts bytes that were consumed in front of `input` again.
fn put_back(input: &mut Input, seen: Vec<u8>) {
    let rest = std::mem::replace(input, Box::new(io::empty()));
    *input = Box::new(Cursor::new(seen).chain(rest));
}

/// Unpacks what begins like something packed, and says whether it was.
fn unpacked(mut input: impl Read + Send + 'static) -> io::Result<(Input, bool)> {
    let mut start = Vec::new();
    let head = input.by_ref().take(ZSTD.len() as u64);
    { head }.read_to_end(&mut start)?;
    let packing = start.clone();
    let whole = Cursor::new(start).chain(input);
    if packing.starts_with(GZIP) {
        let buffered = BufReader::with_capacity(BUFFER_BYTES, whole);
        return Ok((Box::new(buffer(MultiGzDecoder::new(buffered))), true));
    }
    if packing.starts_with(ZSTD) {
        return Ok((Box::new(buffer(zstd::Decoder::new(whole)?)), true));
    }
    Ok((Box::new(buffer(whole)), false))
}

fn buffer<R: Read>(reader: R) -> BufReader<R> {
    BufReader::with_capacity(BUFFER_BYTES, reader)
}

fn whole(input: &mut Input, line: u64) -> io::Result<Text> {
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
        place: Place::Whole(line),
        text,
    })
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8: {}", error.utf8_error()))
}

#[cfg(test)]
mod tests;
