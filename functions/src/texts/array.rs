//! The elements of an array, cut out without parsing them: each goes on as soon as it is complete.

use std::io::{self, BufRead};

use super::{Place, TEXT_BYTES, Text, text};

/// How deep brackets may stand in each other; a document holds far fewer levels.
const LEVELS_MAX: usize = 1_000;

/// Why there are no more elements.
pub(super) enum Stop {
    Io(io::Error),
    /// From this line on it is not JSON.
    Broken(u64, &'static str),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Cuts elements. The input stands behind the opening bracket.
pub(super) struct Elements {
    /// The brace of `{"documents": [...]}` follows the array.
    wrapped: bool,
    number: u64,
    line: u64,
}

impl Elements {
    pub(super) fn new(line: u64) -> Self {
        Self {
            wrapped: false,
            number: 0,
            line,
        }
    }

    pub(super) fn wrapped(line: u64) -> Self {
        Self {
            wrapped: true,
            ..Self::new(line)
        }
    }

    pub(super) fn next(&mut self, input: &mut impl BufRead) -> Result<Option<Text>, Stop> {
        match self.visible(input)? {
            Some(b']') => {
                input.consume(1);
                return self.end(input).map(|()| None);
            }
            Some(b',') if self.number > 0 => {
                input.consume(1);
                if self.visible(input)? == Some(b']') {
                    return Err(self.broken("a document is expected after the comma"));
                }
            }
            Some(_) if self.number > 0 => return Err(self.broken("a comma is expected")),
            Some(_) => {}
            None => return Err(self.broken("the array does not end")),
        }
        self.number += 1;
        let place = Place::Element {
            number: self.number,
            line: self.line,
        };
        let text = self.element(input)?;
        Ok(Some(Text { place, text }))
    }

    /// What follows the array must be nothing.
    fn end(&mut self, input: &mut impl BufRead) -> Result<(), Stop> {
        if self.wrapped {
            if self.visible(input)? != Some(b'}') {
                return Err(self.broken("the documents should be the only field of the object"));
            }
            input.consume(1);
        }
        match self.visible(input)? {
            None => Ok(()),
            Some(_) => Err(self.broken("something follows the array")),
        }
    }

    fn element(&mut self, input: &mut impl BufRead) -> Result<Result<String, String>, Stop> {
        let mut scan = Scan::default();
        let mut kept = Vec::new();
        let mut length = 0;
        loop {
            let buffer = input.fill_buf()?;
            if buffer.is_empty() {
                return Err(self.broken("the array does not end"));
            }
            let (taken, step) = scan.run(buffer);
            let part = buffer.get(..taken).unwrap_or(buffer);
            self.line += part.iter().filter(|byte| **byte == b'\n').count() as u64;
            length += part.len();
            if length <= TEXT_BYTES {
                kept.extend_from_slice(part);
            }
            input.consume(taken);
            match step {
                Step::More => {}
                Step::Complete if length == 0 => {
                    return Err(self.broken("a document is expected"));
                }
                Step::Complete if length > TEXT_BYTES => {
                    let detail = format!("it is longer than {TEXT_BYTES} bytes: no document is");
                    return Ok(Err(detail));
                }
                Step::Complete => return Ok(text(kept)),
                Step::Broken(why) => return Err(self.broken(why)),
            }
        }
    }

    /// Passes over white space.
    fn visible(&mut self, input: &mut impl BufRead) -> io::Result<Option<u8>> {
        loop {
            match input.fill_buf()?.first() {
                Some(byte) if byte.is_ascii_whitespace() => {
                    self.line += u64::from(*byte == b'\n');
                    input.consume(1);
                }
                other => return Ok(other.copied()),
            }
        }
    }

    fn broken(&self, why: &'static str) -> Stop {
        Stop::Broken(self.line, why)
    }

    /// The line that is being read.
    pub(super) fn line(&self) -> u64 {
        self.line
    }
}

/// Whether a line holds a whole JSON value, as far as its brackets tell.
pub(super) fn is_complete(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let mut scan = Scan::default();
    match scan.run(line) {
        (_, Step::More) => scan.open.is_empty() && !scan.in_string,
        (_, Step::Complete | Step::Broken(_)) => true,
    }
}

/// How far one element has been seen.
#[derive(Default)]
struct Scan {
    /// The brackets that have to come, the innermost last.
    open: Vec<u8>,
    in_string: bool,
    escaped: bool,
}

enum Step {
    More,
    Complete,
    Broken(&'static str),
}

impl Scan {
    /// How many bytes of `buffer` belong to the element, and whether it ends with them.
    fn run(&mut self, buffer: &[u8]) -> (usize, Step) {
        for (at, &byte) in buffer.iter().enumerate() {
            if self.in_string {
                if self.string(byte) && self.open.is_empty() {
                    return (at + 1, Step::Complete);
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' if self.open.len() >= LEVELS_MAX => {
                    return (at, Step::Broken("brackets stand too deep in each other"));
                }
                b'{' => self.open.push(b'}'),
                b'[' => self.open.push(b']'),
                // Behind a number or a word.
                b',' | b']' | b'}' if self.open.is_empty() => return (at, Step::Complete),
                b'}' | b']' => {
                    if self.open.pop() != Some(byte) {
                        return (at, Step::Broken("a bracket closes what it did not open"));
                    }
                    if self.open.is_empty() {
                        return (at + 1, Step::Complete);
                    }
                }
                _ if self.open.is_empty() && byte.is_ascii_whitespace() => {
                    return (at, Step::Complete);
                }
                _ => {}
            }
        }
        (buffer.len(), Step::More)
    }

    /// A byte of a string; whether it ends there.
    fn string(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
        } else {
            match byte {
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
        }
        !self.in_string
    }
}
