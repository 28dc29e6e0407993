//! Clauses: a word, a phrase, a group, or a field and what is asked of it.

use std::ops::Bound;

use super::{Context, Parser};
use crate::search::limits;
use crate::search::query::Query;

impl Parser<'_> {
    pub(super) fn clause(&mut self, context: &Context) -> Option<Query> {
        if self.rest.starts_with('(') {
            return self.group(context, context.field.clone());
        }
        if let Some(text) = self.take_quoted() {
            return words_in(&text).then(|| Query::Phrase {
                field: context.field.clone(),
                text,
            });
        }
        if let Some(name) = self.field_name() {
            let whole = self.rest;
            self.rest = whole.get(name.len() + 1..).unwrap_or_default();
            if let Some(query) = self.value(context, name) {
                return Some(query);
            }
            self.rest = whole;
        }
        let text = self.take_word();
        word(context.field.clone(), text)
    }

    /// What follows `name:`. `None` leaves the caller to read it all as words.
    fn value(&mut self, context: &Context, name: &str) -> Option<Query> {
        let field = name.to_owned();
        if self.rest.starts_with('(') {
            return self.group(context, Some(field));
        }
        if let Some(text) = self.take_quoted() {
            return Some(Query::Phrase {
                field: Some(field),
                text,
            });
        }
        if self.rest.starts_with(['[', '{']) {
            return self.range(field);
        }
        for (sign, upper, included) in [
            (">=", false, true),
            ("<=", true, true),
            (">", false, false),
            ("<", true, false),
        ] {
            let Some(rest) = self.rest.strip_prefix(sign) else {
                continue;
            };
            self.rest = rest;
            let value = match self.take_quoted() {
                Some(quoted) => quoted,
                None => self.take_word().to_owned(),
            };
            if value.is_empty() {
                return None;
            }
            let bound = if included {
                Bound::Included(value)
            } else {
                Bound::Excluded(value)
            };
            let (from, to) = if upper {
                (Bound::Unbounded, bound)
            } else {
                (bound, Bound::Unbounded)
            };
            return Some(Query::Range { field, from, to });
        }
        match self.take_word() {
            "" => None,
            "*" => Some(Query::Exists { field }),
            text => match text.strip_suffix('*') {
                Some(prefix) => Some(Query::Prefix {
                    field: Some(field),
                    text: prefix.to_owned(),
                }),
                None => Some(Query::Words {
                    field: Some(field),
                    text: text.to_owned(),
                }),
            },
        }
    }

    /// `( ... )`; a missing closing parenthesis is supplied at the end.
    fn group(&mut self, context: &Context, field: Option<String>) -> Option<Query> {
        self.skip_char();
        if context.depth >= limits::DEPTH {
            return None;
        }
        let query = self.sequence(&Context {
            field,
            depth: context.depth + 1,
        });
        self.rest = self.rest.strip_prefix(')').unwrap_or(self.rest);
        query
    }

    /// `[a TO b]`, with `{` and `}` for bounds that are left out, and `*` for no bound.
    fn range(&mut self, field: String) -> Option<Query> {
        let end = self.rest.find([']', '}'])?;
        let inner = self.rest.get(1..end)?;
        let (from, to) = split_range(inner)?;
        let bound = |text: &str, included: bool| match text.trim().trim_matches('"') {
            "*" | "" => Bound::Unbounded,
            text if included => Bound::Included(text.to_owned()),
            text => Bound::Excluded(text.to_owned()),
        };
        let query = Query::Range {
            field,
            from: bound(from, self.rest.starts_with('[')),
            to: bound(to, self.rest.get(end..)?.starts_with(']')),
        };
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        Some(query)
    }
}

/// A bare word: `*` alone is everything, `word*` a prefix.
fn word(field: Option<String>, text: &str) -> Option<Query> {
    if text == "*" {
        return Some(match field {
            Some(field) => Query::Exists { field },
            None => Query::All,
        });
    }
    if !words_in(text) {
        return None;
    }
    Some(match text.strip_suffix('*') {
        Some(prefix) => Query::Prefix {
            field,
            text: prefix.to_owned(),
        },
        None => Query::Words {
            field,
            text: text.to_owned(),
        },
    })
}

fn words_in(text: &str) -> bool {
    text.chars()
        .any(|c| !c.is_ascii_punctuation() && !c.is_whitespace())
}

/// Splits `a TO b`; either side may be missing.
fn split_range(inner: &str) -> Option<(&str, &str)> {
    let words: Vec<&str> = inner.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "TO")?;
    let offset = words.get(at)?.as_ptr() as usize - inner.as_ptr() as usize;
    Some((inner.get(..offset)?, inner.get(offset + 2..)?))
}
