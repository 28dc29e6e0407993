//! Where a change stands in the history of its source.
//!
//! Events arrive more than once and in any order. A source that numbers its changes (a stream, a bucket) gives each one an
//! [`Order`]; the index remembers the newest order of each key, and leaves out a change that is older.

use std::fmt;

use crate::error::{Error, Result};
use crate::quote::quoted;

/// Digits of a position at most: the longest that AWS gives are the 56 of a Kinesis stream.
const DIGITS_MAX: usize = 128;
/// Bytes of a source's name at most: a bucket, and a key of up to 1,024 bytes whose every byte is escaped.
const SOURCE_BYTES_MAX: usize = 4096;

/// The source of a change, and the position of the change in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    source: Box<str>,
    position: Position,
}

/// A position in the history of one source. Positions of different sources say nothing about each other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(Box<str>);

impl Order {
    /// The change at `position` of the history of `source`: a name that stays the same, such as the ARN of a stream or
    /// the URL of an object.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when the name is empty or too long.
    pub fn new(source: &str, position: Position) -> Result<Self> {
        if source.is_empty() || source.len() > SOURCE_BYTES_MAX {
            return Err(Error::invalid(format!(
                "the name of an event's source has {} bytes: it needs 1 to {SOURCE_BYTES_MAX}",
                source.len()
            )));
        }
        let source = source.into();
        Ok(Self { source, position })
    }

    /// The name of the source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The position in it.
    pub fn position(&self) -> &Position {
        &self.position
    }
}

impl Position {
    /// A whole number without a sign, of any length: the sequence number of a stream.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] for anything else.
    pub fn decimal(text: &str) -> Result<Self> {
        let digits = text.trim_start_matches('0');
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || digits.len() > DIGITS_MAX {
            return Err(Error::invalid(format!(
                "{} is no position of an event: it needs a whole number of up to {DIGITS_MAX} digits",
                quoted(text)
            )));
        }
        Ok(Self::of_digits(digits))
    }

    /// A number.
    pub fn number(number: u64) -> Self {
        Self::of_digits(number.to_string().trim_start_matches('0'))
    }

    /// The longer number is the greater one.
    fn of_digits(digits: &str) -> Self {
        Self(format!("{:03}{digits}", digits.len()).into())
    }

    /// The `sequencer` of an S3 event. Two are compared as text, the shorter one with zeros at its end.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] for anything but hexadecimal digits.
    pub fn sequencer(text: &str) -> Result<Self> {
        let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || text.len() > DIGITS_MAX {
            return Err(Error::invalid(format!(
                "{} is no sequencer of an S3 event: it needs up to {DIGITS_MAX} hexadecimal digits",
                quoted(text)
            )));
        }
        let text = text.to_ascii_uppercase();
        Ok(Self(text.trim_end_matches('0').into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// A position as [`Self::as_str`] gave it.
    pub(crate) fn written(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_their_value() {
        let numbers = ["0", "7", "12", "111000000000000000000001", "222"];
        let positions = numbers.map(|text| Position::decimal(text).unwrap());
        assert!(positions[0] < positions[1] && positions[1] < positions[2]);
        assert!(positions[2] < positions[4] && positions[4] < positions[3]);
        assert_eq!(Position::decimal("0012").unwrap(), positions[2]);
        assert_eq!(Position::number(12), positions[2]);
        assert_eq!(Position::number(0), positions[0]);
        for wrong in ["", "-1", "1.5", "a", &"1".repeat(200)] {
            assert!(Position::decimal(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sequencers_compare_as_if_zeros_followed() {
        let position = |text| Position::sequencer(text).unwrap();
        assert!(position("0055AED6DCD90281E5") < position("0055AED6DCD90281E6"));
        assert!(position("0055") < position("005501"));
        assert_eq!(position("0055"), position("005500"));
        assert_eq!(position("00aB"), position("00AB"));
        assert!(Position::sequencer("").is_err() && Position::sequencer("x").is_err());
    }
}
