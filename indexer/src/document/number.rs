//! Numbers as they are written, which a message repeats: a value that was read may look different.

use std::borrow::Cow;

use crate::quote::brief;

/// The number of this place among all numbers of a JSON text, counted from 0.
pub(super) fn written(source: &str, place: u32) -> Option<Cow<'_, str>> {
    let mut rest = source.as_bytes();
    let mut numbers = 0;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'"' {
            rest = after_string(after);
        } else if is_of_number(byte) && !byte.is_ascii_alphabetic() {
            let end = rest.iter().position(|byte| !is_of_number(*byte));
            let (number, after) = rest.split_at(end.unwrap_or(rest.len()));
            if numbers == place {
                return Some(brief(std::str::from_utf8(number).ok()?));
            }
            numbers += 1;
            rest = after;
        } else {
            rest = after;
        }
    }
    None
}

/// What follows the string whose opening quotation mark stands before `rest`.
fn after_string(mut rest: &[u8]) -> &[u8] {
    loop {
        match rest {
            [b'\\', _, after @ ..] => rest = after,
            [b'"', after @ ..] => return after,
            [_, after @ ..] => rest = after,
            [] => return rest,
        }
    }
}

/// The number that stands around an offset, and where it begins.
pub(super) fn around(source: &str, offset: usize) -> Option<(usize, Cow<'_, str>)> {
    let (before, after) = source.as_bytes().split_at_checked(offset)?;
    let left = before.iter().rev().take_while(|byte| is_of_number(**byte));
    let right = after.iter().take_while(|byte| is_of_number(**byte));
    let start = offset - left.count();
    let number = source.get(start..offset + right.count())?;
    Some((start, brief(number)))
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || b"+-.eE".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_as_they_are_written() {
        let source = r#"{"1e5 \" 7": [1.0, true, -0], "e": false, "b": 123456789012345678901E+2}"#;
        let expected = ["1.0", "-0", "123456789012345678901E+2"];
        for (place, number) in (0..).zip(expected) {
            assert_eq!(written(source, place).as_deref(), Some(number));
        }
        assert_eq!(written(source, 3), None);
        for source in ["", "\"", "\"\\", "{\"a\":\"\\\"1"] {
            assert_eq!(written(source, 0), None, "{source}");
        }
    }

    #[test]
    fn a_long_number_is_cut() {
        let source = format!("[{}]", "9".repeat(1_000));
        let number = written(&source, 0).unwrap();
        assert!(number.ends_with("... (1000 bytes)"), "{number}");
    }

    #[test]
    fn a_number_is_found_by_any_place_in_it() {
        for offset in 5..=10 {
            let (start, number) = around("{\"a\":1e400}", offset).unwrap();
            assert_eq!((start, &*number), (5, "1e400"), "{offset}");
        }
        assert_eq!(around("1", 7), None);
    }
}
