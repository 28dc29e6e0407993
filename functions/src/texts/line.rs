//! A document a line.

use std::io::{self, BufRead, Read};

use super::{Place, TEXT_BYTES, Text};

/// Cuts lines; empty ones are passed over.
pub(super) struct Lines {
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    /// The first line that is read has the number `first`.
    pub(super) fn new(first: u64) -> Self {
        Self {
            number: first,
            line: Vec::new(),
        }
    }

    /// The line that is read next.
    pub(super) fn line(&self) -> u64 {
        self.number
    }

    pub(super) fn next(&mut self, input: &mut (impl BufRead + ?Sized)) -> io::Result<Option<Text>> {
        loop {
            self.line.clear();
            let read =
                Read::take(&mut *input, TEXT_BYTES as u64).read_until(b'\n', &mut self.line)?;
            if read == 0 {
                return Ok(None);
            }
            let place = Place::Line(self.number);
            self.number += 1;
            if read == TEXT_BYTES && !self.line.ends_with(b"\n") {
                input.skip_until(b'\n')?;
                let detail = format!(
                    "the line is longer than {TEXT_BYTES} bytes: a document a line is expected"
                );
                let text = Err(detail);
                return Ok(Some(Text { place, text }));
            }
            let line = self.line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let text = match std::str::from_utf8(line) {
                Ok(text) => Ok(text.to_owned()),
                Err(error) => Err(format!("the line is not UTF-8: {error}")),
            };
            return Ok(Some(Text { place, text }));
        }
    }
}
