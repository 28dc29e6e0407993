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

mod clauses;
mod tokens;

#[cfg(test)]
mod tests;

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
}

fn negation(query: Query) -> Query {
    Query::Bool(Bool {
        must_not: vec![query],
        ..Bool::default()
    })
}
