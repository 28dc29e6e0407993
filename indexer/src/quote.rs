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

/// `value` without quotation marks, for what has none of its own; a long one is cut, and its length is given.
pub fn brief(value: &str) -> Cow<'_, str> {
    match cut(value, QUOTED_CHARACTERS) {
        Some(beginning) => format!("{beginning}... ({} bytes)", value.len()).into(),
        None => value.into(),
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

/// `text` with everything visible that a terminal or a reader could take for something else than text: control
/// characters, line breaks among them, and those that change its direction.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => shown.extend(character.escape_default()),
            hidden if is_hidden(hidden) => shown.extend(hidden.escape_unicode()),
            plain => shown.push(plain),
        }
    }
    shown.into()
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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

    #[test]
    fn nothing_reaches_a_terminal_that_it_could_obey() {
        assert_eq!(
            visible("plain \u{65e5}\u{672c} é"),
            "plain \u{65e5}\u{672c} é"
        );
        let hostile = "\u{1b}[2J\u{9b}31m\u{7f}a\nb\u{202e}c\u{2066}";
        let expected = "\\u{1b}[2J\\u{9b}31m\\u{7f}a\\nb\\u{202e}c\\u{2066}";
        assert_eq!(visible(hostile), expected);
    }
}
