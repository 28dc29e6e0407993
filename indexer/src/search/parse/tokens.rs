//! Tokens: the words, quotes, signs and operators that a query is written with.
//!
//! Each is taken off the front of what is left to read, but for the name of a field, which is only
//! looked at; where none stands, nothing is taken.

use super::{Context, Parser, Sign};

impl<'a> Parser<'a> {
    /// A name before a colon that is a field, with something after the colon.
    pub(super) fn field_name(&self) -> Option<&'a str> {
        let colon = self.rest.find(':')?;
        let name = self.rest.get(..colon)?;
        let after = self.rest.get(colon + 1..)?.chars().next()?;
        let is_name = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@'));
        (is_name && !after.is_whitespace() && (self.is_field)(name)).then_some(name)
    }

    /// Text between quotes. A quote that is never closed is not one.
    pub(super) fn take_quoted(&mut self) -> Option<String> {
        let (rest, close) = match self.rest.chars().next()? {
            '"' => (self.rest.get(1..)?, '"'),
            '\u{201c}' => (self.rest.get('\u{201c}'.len_utf8()..)?, '\u{201d}'),
            _ => return None,
        };
        let end = rest.find(close)?;
        let text = rest.get(..end)?.to_owned();
        self.rest = rest.get(end + close.len_utf8()..).unwrap_or_default();
        Some(text)
    }

    /// Everything up to a space, a quote or a parenthesis.
    pub(super) fn take_word(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || is_quote(c) || matches!(c, '(' | ')'))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// `+` or `-` right before a clause. Two in a row (`--help`) are part of a word.
    pub(super) fn take_sign(&mut self) -> Sign {
        let sign = match self.rest.chars().next() {
            Some('+') => Sign::Must,
            Some('-') => Sign::Not,
            _ => return Sign::None,
        };
        let rest = self.rest.get(1..).unwrap_or_default();
        match rest.chars().next() {
            None | Some('+' | '-' | ')') => Sign::None,
            Some(c) if c.is_whitespace() => Sign::None,
            Some(_) => {
                self.rest = rest;
                sign
            }
        }
    }

    /// Takes the operator `name` if something to operate on follows it.
    pub(super) fn take_operator(&mut self, name: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(name) else {
            return false;
        };
        let next = rest.trim_start();
        let separated = next.len() < rest.len() || rest.starts_with(['(', '"', '\u{201c}']);
        let stray = next.is_empty() || next.starts_with(')') || starts_with_operator(next);
        if separated && !stray {
            self.rest = next;
            return true;
        }
        false
    }

    pub(super) fn operator_before_clause(&mut self, name: &str) -> bool {
        let before = self.rest;
        self.rest = self.rest.trim_start();
        if self.take_operator(name) {
            return true;
        }
        self.rest = before;
        false
    }

    /// Skips what separates clauses. Outside of parentheses, a closing one does too.
    pub(super) fn skip_space(&mut self, context: &Context) {
        self.rest = self
            .rest
            .trim_start_matches(|c: char| c.is_whitespace() || (c == ')' && context.depth == 0));
    }

    pub(super) fn skip_char(&mut self) {
        let mut chars = self.rest.chars();
        chars.next();
        self.rest = chars.as_str();
    }
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}')
}

/// Whether a binary operator comes next: then the one before it is stray (`a AND OR b`).
fn starts_with_operator(text: &str) -> bool {
    ["AND", "OR"].iter().any(|name| {
        text.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    })
}
