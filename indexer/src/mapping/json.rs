//! A document's undeclared fields as tantivy reads a JSON value, borrowed from the document.

use tantivy::schema::document::{ReferenceValue, ReferenceValueLeaf, Value};

/// An object of dotted paths and their values, or one of those values.
///
/// A path may come more than once: tantivy takes it for a field of several values.
#[derive(Clone, Debug)]
pub(super) enum Json<'a> {
    /// The object.
    Object(&'a [(&'a str, ReferenceValueLeaf<'a>)]),
    /// A value in it.
    Leaf(ReferenceValueLeaf<'a>),
}

/// The entries of a [`Json::Object`].
pub(super) struct Entries<'a>(std::slice::Iter<'a, (&'a str, ReferenceValueLeaf<'a>)>);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (path, leaf) = self.0.next()?;
        Some((path, Json::Leaf(leaf.clone())))
    }
}

impl<'a> Value<'a> for Json<'a> {
    type ArrayIter = std::iter::Empty<Self>;
    type ObjectIter = Entries<'a>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        match self {
            Self::Object(entries) => ReferenceValue::Object(Entries(entries.iter())),
            Self::Leaf(leaf) => ReferenceValue::Leaf(leaf.clone()),
        }
    }
}
