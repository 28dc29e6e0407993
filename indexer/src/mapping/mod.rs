//! What the fields of an index are, and how they lie in tantivy.
//!
//! A [`Definition`] is what somebody wrote: the declared fields, what becomes of undeclared ones,
//! and the languages. An [`IndexSchema`] is compiled from it once for each opened index: the
//! tantivy schema, the analysers, and the answer to "which field does this dotted path mean",
//! which documents ask when they are parsed and queries when they are lowered.

mod compile;
mod definition;
mod fill;
mod json;
mod schema;

#[cfg(test)]
mod tests;

pub use definition::{
    BUILT_IN, Definition, Dynamic, FieldDefinition, FieldType, Fields, MAX_BOOST, MAX_FIELDS,
    MAX_NAME_BYTES, Mapping, TITLE_BOOST,
};
pub use schema::{IndexSchema, Resolved, TextField};

pub(crate) use schema::{Declared, SlotKind, is_ignored};
