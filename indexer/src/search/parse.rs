//! The friendly syntax: from what a person types to a [`Query`].
//!
//! ```text
//! words          any may match          "a phrase"           these words in a row
//! +word -word    must, must not         a AND b, a OR b      both, either; ( ) groups
//! prefix*        words that begin so    field:...            all of these in one field
//! field:*        has the field          field:[a TO b]       between, ends included
//! field:>=a      also > < <=            field:{a TO b}       between, ends excluded
//! ```
//!
//! `AND` binds more tightly than `OR`, and both more tightly than standing side by side. The parser
//! is total: what makes no sense as syntax (a quote that never ends, an operator with nothing to
//! its side, a name before a colon that is no field) is read as words. Only the limits can fail.

use std::ops::Bound;

use super::limits;
use super::query::{Bool, Query};
use super::request::Operator;
use crate::error::{Error, Result};

/// Parses `text`. `operator` joins what stands side by side; `is_field` knows the names that may
/// stand before a colon. `None` is a text that asks for nothing.
pub(crate) fn parse(
    text: &str,
    operator: Operator,
    is_field: &dyn Fn(&str) -> bool,
) -> Result<Option<Query>> {
    if text.len() > limits::QUERY_BYTES {
        return Err(Error::invalid(format!(
            "the query is {} bytes long and may have {}: shorten it",
            text.len(),
            limits::QUERY_BYTES
        )));
    }
    let mut parser = Parser {
        rest: text,
        operator,
        is_field,
        clauses: 0,
    };
    let query = parser.sequence(&Context {
        field: None,
        depth: 0,
    });
    if parser.clauses > limits::CLAUSES {
        return Err(Error::invalid(format!(
            "the query has {} words and clauses and may have {}: shorten it",
            parser.clauses,
            limits::CLAUSES
        )));
    }
    Ok(query)
}

/// Where in the query the parser is.
struct Context {
    /// The field whose parentheses we are in.
    field: Option<String>,
    /// How many parentheses are open.
    depth: usize,
}

/// How a clause was marked.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    None,
    Must,
    Not,
}

struct Parser<'a> {
    rest: &'a str,
    operator: Operator,
    is_field: &'a dyn Fn(&str) -> bool,
    clauses: usize,
}

impl<'a> Parser<'a> {
    /// Everything up to the closing parenthesis or the end, joined by the default operator.
    fn sequence(&mut self, context: &Context) -> Option<Query> {
        let mut clauses = Bool::default();
        while let Some((sign, query)) = self.either(context) {
            match (sign, self.operator) {
                (Sign::Not, _) => clauses.must_not.push(query),
                (Sign::Must, _) | (Sign::None, Operator::And) => clauses.must.push(query),
                (Sign::None, Operator::Or) => clauses.should.push(query),
            }
        }
        clauses.simplify()
    }

    /// `a OR b OR c`
    fn either(&mut self, context: &Context) -> Option<(Sign, Query)> {
        let first = self.both(context)?;
        let mut others = Vec::new();
        while self.operator_before_clause("OR") {
            match self.both(context) {
                Some(other) => others.push(other),
                None => break,
            }
        }
        if others.is_empty() {
            return Some(first);
        }
        let mut clauses = Bool::default();
        others.insert(0, first);
        for (sign, query) in others {
            clauses.should.push(match sign {
                Sign::Not => negation(query),
                Sign::None | Sign::Must => query,
            });
        }
        Some((Sign::None, Query::Bool(clauses)))
    }

    /// `a AND b AND c`
    fn both(&mut self, context: &Context) -> Option<(Sign, Query)> {
        let first = self.signed(context)?;
        let mut others = Vec::new();
        while self.operator_before_clause("AND") {
            match self.signed(context) {
                Some(other) => others.push(other),
                None => break,
            }
        }
        if others.is_empty() {
            return Some(first);
        }
        let mut clauses = Bool::default();
        others.insert(0, first);
        for (sign, query) in others {
            match sign {
                Sign::Not => clauses.must_not.push(query),
                Sign::None | Sign::Must => clauses.must.push(query),
            }
        }
        Some((Sign::None, Query::Bool(clauses)))
    }

    /// A clause with its signs. Clauses that come to nothing are passed over.
    fn signed(&mut self, context: &Context) -> Option<(Sign, Query)> {
        loop {
            self.skip_space(context);
            if self.rest.is_empty() || (self.rest.starts_with(')') && context.depth > 0) {
                return None;
            }
            let sign = self.signs();
            let before = self.rest.len();
            if let Some(query) = self.clause(context) {
                self.clauses += 1;
                return Some((sign, query));
            }
            if self.rest.len() == before {
                self.skip_char();
            }
        }
    }

    /// All signs before a clause. Two negations cancel each other out.
    fn signs(&mut self) -> Sign {
        let mut sign = Sign::None;
        loop {
            let next = if self.take_operator("NOT") {
                Sign::Not
            } else {
                self.take_sign()
            };
            sign = match (sign, next) {
                (sign, Sign::None) => return sign,
                (Sign::Not, Sign::Not) => Sign::None,
                (_, next) => next,
            };
        }
    }

    fn clause(&mut self, context: &Context) -> Option<Query> {
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

    /// A name before a colon that is a field, with something after the colon.
    fn field_name(&self) -> Option<&'a str> {
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
    fn take_quoted(&mut self) -> Option<String> {
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
    fn take_word(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || is_quote(c) || matches!(c, '(' | ')'))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// `+` or `-` right before a clause. Two in a row (`--help`) are part of a word.
    fn take_sign(&mut self) -> Sign {
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
    fn take_operator(&mut self, name: &str) -> bool {
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

    fn operator_before_clause(&mut self, name: &str) -> bool {
        let before = self.rest;
        self.rest = self.rest.trim_start();
        if self.take_operator(name) {
            return true;
        }
        self.rest = before;
        false
    }

    /// Skips what separates clauses. Outside of parentheses, a closing one does too.
    fn skip_space(&mut self, context: &Context) {
        self.rest = self
            .rest
            .trim_start_matches(|c: char| c.is_whitespace() || (c == ')' && context.depth == 0));
    }

    fn skip_char(&mut self) {
        let mut chars = self.rest.chars();
        chars.next();
        self.rest = chars.as_str();
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

fn negation(query: Query) -> Query {
    Query::Bool(Bool {
        must_not: vec![query],
        ..Bool::default()
    })
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

/// Splits `a TO b`; either side may be missing.
fn split_range(inner: &str) -> Option<(&str, &str)> {
    let words: Vec<&str> = inner.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "TO")?;
    let offset = words.get(at)?.as_ptr() as usize - inner.as_ptr() as usize;
    Some((inner.get(..offset)?, inner.get(offset + 2..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_field(name: &str) -> bool {
        matches!(
            name,
            "title" | "tags" | "price" | "updated_at" | "metadata.author"
        )
    }

    /// The query as fully bracketed text.
    fn read(text: &str) -> String {
        read_with(text, Operator::Or)
    }

    fn read_with(text: &str, operator: Operator) -> String {
        match parse(text, operator, &is_field).unwrap() {
            Some(query) => query.to_string(),
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn what_people_write_is_read_as_they_mean_it() {
        for (text, meaning) in [
            ("", "nothing"),
            ("   \u{3000} ", "nothing"),
            ("*", "*"),
            ("word", "word"),
            ("two words", "(two words)"),
            ("+a b -c", "(+a b -c)"),
            ("-a", "(-a)"),
            ("-a -b", "(-a -b)"),
            ("NOT a", "(-a)"),
            ("a NOT b", "(a -b)"),
            ("a AND b", "(+a +b)"),
            ("a AND NOT b", "(+a -b)"),
            ("a OR b AND c", "(a (+b +c))"),
            ("a OR -b", "(a (-b))"),
            ("(a OR b) AND c", "(+(a b) +c)"),
            ("x a AND b y", "(x (+a +b) y)"),
            ("-(a b)", "(-(a b))"),
            ("-\"a b\"", "(-\"a b\")"),
            ("\"a phrase\" word", "(\"a phrase\" word)"),
            ("\u{201c}smart quotes\u{201d}", "\"smart quotes\""),
            ("pre*", "pre*"),
            ("title:pre*", "title:pre*"),
            ("title:*", "title:*"),
            ("title:word", "title:word"),
            ("-tags:old", "(-tags:old)"),
            ("title:\"a b\"", "title:\"a b\""),
            ("title:(a b)", "(title:a title:b)"),
            ("title:(a AND \"b c\")", "(+title:a +title:\"b c\")"),
            ("price:[1 TO 5]", "price:[1 TO 5]"),
            ("price:{1 TO 5]", "price:{1 TO 5]"),
            ("price:[* TO 5}", "price:[* TO 5}"),
            ("price:[ TO 5]", "price:[* TO 5]"),
            ("price:>=5", "price:[5 TO *]"),
            ("price:>5", "price:{5 TO *]"),
            ("price:<5", "price:[* TO 5}"),
            ("price:<=5", "price:[* TO 5]"),
            (
                "updated_at:2024-01-01T00:00:00Z x",
                "(updated_at:2024-01-01T00:00:00Z x)",
            ),
            ("metadata.author:ann", "metadata.author:ann"),
        ] {
            assert_eq!(read(text), meaning, "{text}");
        }
    }

    #[test]
    fn odd_punctuation_is_read_as_words() {
        for (text, meaning) in [
            ("\"never closed", "never closed".to_owned()),
            ("a \" b", "(a b)".to_owned()),
            ("AND", "AND".to_owned()),
            ("OR a", "(OR a)".to_owned()),
            ("a AND", "(a AND)".to_owned()),
            ("a AND OR b", "(a (AND b))".to_owned()),
            ("NOT", "NOT".to_owned()),
            ("a - b", "(a b)".to_owned()),
            ("--help", "--help".to_owned()),
            ("c++", "c++".to_owned()),
            (":", "nothing".to_owned()),
            (": a :", "a".to_owned()),
            ("title:", "title:".to_owned()),
            ("title: a", "(title: a)".to_owned()),
            ("nofield:a", "nofield:a".to_owned()),
            (
                "https://example.com/?q=(x)",
                "(https://example.com/?q= x)".to_owned(),
            ),
            ("price:[1 TO", "(price:[1 TO)".to_owned()),
            ("price:>", "price:>".to_owned()),
            ("(a", "a".to_owned()),
            ("a) b", "(a b)".to_owned()),
            ("()", "nothing".to_owned()),
            ("((((a))))", "a".to_owned()),
            ("\"\" \"!\"", "nothing".to_owned()),
            ("!?", "nothing".to_owned()),
        ] {
            let meaning = if meaning == "never closed" {
                "(never closed)".to_owned()
            } else {
                meaning
            };
            assert_eq!(read(text), meaning, "{text}");
        }
    }

    #[test]
    fn the_operator_joins_what_stands_side_by_side() {
        assert_eq!(read_with("a b -c", Operator::And), "(+a +b -c)");
        assert_eq!(read_with("a b OR c", Operator::And), "(+a +(b c))");
    }

    #[test]
    fn only_the_limits_fail() {
        let long = "a".repeat(limits::QUERY_BYTES + 1);
        let error = parse(&long, Operator::Or, &is_field).unwrap_err();
        assert!(error.to_string().contains("4097"), "{error}");
        let many = "a ".repeat(limits::CLAUSES + 1);
        let error = parse(&many, Operator::Or, &is_field).unwrap_err();
        assert!(error.to_string().contains("257"), "{error}");
        let brackets = "(".repeat(limits::QUERY_BYTES);
        assert_eq!(read(&brackets), "nothing");
        let nested = format!("{}a{}", "(".repeat(1000), ")".repeat(1000));
        assert_eq!(read(&nested), "a");
    }

    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("AND".to_owned()),
            Just("OR".to_owned()),
            Just("NOT".to_owned()),
            Just("TO".to_owned()),
            Just("title:".to_owned()),
            Just("price:[".to_owned()),
            "[-+\"():*<>=\\[\\]{}~^!\u{201c}\u{201d} ]",
            "[a-c東京]{1,3}",
            Just(" ".to_owned()),
            any::<char>().prop_map(|c| c.to_string()),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    /// Queries whose text means the same again.
    fn tree() -> impl Strategy<Value = Query> {
        let field = prop::option::of(Just("title".to_owned()));
        let word = "[a-z]{1,5}";
        let leaf = prop_oneof![
            (field.clone(), word).prop_map(|(field, text)| Query::Words { field, text }),
            (field.clone(), "[a-z]{1,3} [a-z]{1,3}")
                .prop_map(|(field, text)| Query::Phrase { field, text }),
            (field, word).prop_map(|(field, text)| Query::Prefix { field, text }),
            Just(Query::Exists {
                field: "tags".to_owned()
            }),
            ("[0-9]{1,3}", "[0-9]{1,3}").prop_map(|(from, to)| Query::Range {
                field: "price".to_owned(),
                from: Bound::Included(from),
                to: Bound::Excluded(to),
            }),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let some = || prop::collection::vec(inner.clone(), 0..3);
            (some(), some(), some()).prop_filter_map("empty", |(must, should, must_not)| {
                Bool {
                    must,
                    should,
                    must_not,
                    filter: Vec::new(),
                }
                .simplify()
            })
        })
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in text()) {
            for operator in [Operator::Or, Operator::And] {
                let read = parse(&text, operator, &is_field);
                prop_assert!(read.is_ok() || text.len() > limits::QUERY_BYTES);
            }
        }

        #[test]
        fn what_a_query_prints_is_read_as_that_query(query in tree()) {
            let printed = query.to_string();
            prop_assert_eq!(parse(&printed, Operator::Or, &is_field).unwrap(), Some(query), "{}", printed);
        }
    }
}
