//! The typed query: what is asked, before anybody knows how it is stored.
//!
//! Every way to write a query ends here, and [`super::lower`] starts here. Texts are as they were
//! written: which words a text has and what type a value is depends on the field, so both are
//! decided when the query is lowered against a schema.

use std::fmt;
use std::ops::Bound;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Query {
    /// Every document.
    All,
    /// The words of a text: in the field named, or else in any text field. Several words in one
    /// text follow the operator of the request.
    Words {
        /// Where to look.
        field: Option<String>,
        /// What was written.
        text: String,
    },
    /// The words of a text, one after the other; where values are whole, exactly this one.
    Phrase {
        /// Where to look.
        field: Option<String>,
        /// What stood between the quotes.
        text: String,
    },
    /// Words that begin with a text.
    Prefix {
        /// Where to look.
        field: Option<String>,
        /// What stood before the star.
        text: String,
    },
    /// A value between two bounds.
    Range {
        /// The field.
        field: String,
        /// The lower bound.
        from: Bound<String>,
        /// The upper bound.
        to: Bound<String>,
    },
    /// Any value at all.
    Exists {
        /// The field.
        field: String,
    },
    /// A combination.
    Bool(Bool),
}

/// A combination of queries.
///
/// A document matches if all of `must` and `filter`, none of `must_not`, and, unless there is a
/// `must` or a `filter`, at least one of `should` match. With only `must_not`, everything else does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bool {
    /// All of these, and they count for the score.
    pub(crate) must: Vec<Query>,
    /// Any of these; the more, the better.
    pub(crate) should: Vec<Query>,
    /// None of these.
    pub(crate) must_not: Vec<Query>,
    /// All of these, without counting for the score.
    pub(crate) filter: Vec<Query>,
}

impl Bool {
    /// This combination as a query, without needless wrapping.
    pub(crate) fn simplify(mut self) -> Option<Query> {
        let others = self.must_not.len() + self.filter.len();
        match (self.must.len(), self.should.len(), others) {
            (0, 0, 0) => None,
            (1, 0, 0) => self.must.pop(),
            (0, 1, 0) => self.should.pop(),
            _ => Some(Query::Bool(self)),
        }
    }
}

/// Writes the query in the friendly syntax.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = |field: &Option<String>| match field {
            Some(field) => format!("{field}:"),
            None => String::new(),
        };
        match self {
            Query::All => f.write_str("*"),
            Query::Words { field, text } => write!(f, "{}{text}", prefix(field)),
            Query::Phrase { field, text } => write!(f, "{}\"{text}\"", prefix(field)),
            Query::Prefix { field, text } => write!(f, "{}{text}*", prefix(field)),
            Query::Exists { field } => write!(f, "{field}:*"),
            Query::Range { field, from, to } => {
                let (open, from) = match from {
                    Bound::Included(from) => ('[', from.as_str()),
                    Bound::Excluded(from) => ('{', from.as_str()),
                    Bound::Unbounded => ('[', "*"),
                };
                let (close, to) = match to {
                    Bound::Included(to) => (']', to.as_str()),
                    Bound::Excluded(to) => ('}', to.as_str()),
                    Bound::Unbounded => (']', "*"),
                };
                write!(f, "{field}:{open}{from} TO {to}{close}")
            }
            Query::Bool(Bool {
                must,
                should,
                must_not,
                filter,
            }) => {
                f.write_str("(")?;
                let signed = [("+", must), ("+", filter), ("", should), ("-", must_not)];
                let mut separator = "";
                for (sign, children) in signed {
                    for child in children {
                        write!(f, "{separator}{sign}{child}")?;
                        separator = " ";
                    }
                }
                f.write_str(")")
            }
        }
    }
}
