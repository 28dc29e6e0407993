//! What an input begins with.

use std::io::{self, BufRead, Read};

use super::TEXT_BYTES;
use super::array::is_complete;

const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Passes over a byte order mark and white space; says what follows, and in which line.
pub(super) fn beginning(input: &mut impl BufRead) -> io::Result<(Option<u8>, u64)> {
    let mut line = 1;
    let mut skippable = BYTE_ORDER_MARK;
    loop {
        let buffer = input.fill_buf()?;
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
        input.consume(1);
    }
}

/// Whether the input is an object whose first field is `documents` with an array, and the bytes that were
/// consumed to find out: up to and with the bracket if it is.
pub(super) fn begins_documents(input: &mut impl BufRead) -> io::Result<(Vec<u8>, bool)> {
    let mut seen = Vec::new();
    for token in [&b"{"[..], b"\"documents\"", b":", b"["] {
        let mut rest = token;
        while let Some((expected, after)) = rest.split_first() {
            let Some(&byte) = input.fill_buf()?.first() else {
                return Ok((seen, false));
            };
            if byte == *expected {
                rest = after;
            } else if !(byte.is_ascii_whitespace() && rest.len() == token.len()) {
                return Ok((seen, false));
            } else if seen.len() > TEXT_BYTES {
                // White space without end; what it is before is too long for a document.
                return Ok((seen, false));
            }
            seen.push(byte);
            input.consume(1);
        }
    }
    Ok((seen, true))
}

/// Whether the input is a document a line, and the bytes that were consumed to find out. It is one document
/// otherwise, over several lines or alone in its line.
pub(super) fn begins_lines(input: &mut impl BufRead) -> io::Result<(Vec<u8>, bool)> {
    let mut seen = Vec::new();
    let read = Read::take(&mut *input, TEXT_BYTES as u64).read_until(b'\n', &mut seen)?;
    if read == TEXT_BYTES && !seen.ends_with(b"\n") {
        return Ok((seen, false));
    }
    let first_is_complete = is_complete(&seen);
    let next = loop {
        match input.fill_buf()?.first() {
            Some(byte) if byte.is_ascii_whitespace() && seen.len() <= TEXT_BYTES => {
                seen.push(*byte);
                input.consume(1);
            }
            other => break other.copied(),
        }
    };
    // A first line that breaks off is the beginning of a document, unless the second begins like another one.
    let lines = match next {
        None => false,
        Some(b'{') => true,
        Some(_) => first_is_complete,
    };
    Ok((seen, lines))
}
