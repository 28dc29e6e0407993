//! Text of a client inside messages: an error and a log line stay short, whatever the request was.

use std::borrow::Cow;

/// The longest part of an offending value that a message repeats, in characters: enough to recognise it.
pub const QUOTED_CHARACTERS: usize = 200;

/// The longest message, in characters. Messages of this program quote a few values; anything longer repeats its input.
pub const MESSAGE_CHARACTERS: usize = 2_000;

/// `value` in quotation marks, escaped; a long one is cut, and its length is given.
pub fn quoted(value: &str) -> String {
    match cut(value, QUOTED_CHARACTERS) {
        Some(beginning) => format!("{beginning:?}... ({} bytes)", value.len()),
        None => format!("{value:?}"),
    }
}

/// `message` itself, or its beginning and its length where it is longer than [`MESSAGE_CHARACTERS`].
pub fn shortened<'a>(message: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
    let message = message.into();
    match cut(&message, MESSAGE_CHARACTERS) {
        Some(beginning) => format!("{beginning}... ({} bytes)", message.len()).into(),
        None => message,
    }
}

/// The first `characters` of `text`, if it has more.
fn cut(text: &str, characters: usize) -> Option<&str> {
    // Most texts are short: no need to count.
    if text.len() <= characters {
        return None;
    }
    let (end, _) = text.char_indices().nth(characters)?;
    text.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_value_is_quoted_whole_and_a_long_one_is_cut_between_characters() {
        assert_eq!(quoted("a\"b\n"), "\"a\\\"b\\n\"");
        let exact = "é".repeat(QUOTED_CHARACTERS);
        assert_eq!(quoted(&exact), format!("{exact:?}"));
        let cut = quoted(&format!("{exact}x"));
        assert_eq!(cut, format!("{exact:?}... (401 bytes)"));
    }

    #[test]
    fn a_message_of_any_length_stays_within_its_bound() {
        assert_eq!(shortened("short"), "short");
        let long = "\u{1F600}".repeat(1_000_000);
        let message = shortened(long.as_str());
        assert!(message.chars().count() < MESSAGE_CHARACTERS + 30);
        assert!(message.ends_with("... (4000000 bytes)"), "{message}");
    }
}
