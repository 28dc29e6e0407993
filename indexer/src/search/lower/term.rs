//! Terms: how the values of undeclared fields are written in an index, and where a range of terms
//! ends.

use tantivy::schema::Field;
use tantivy::{DateTime, Term};

use crate::mapping::IndexSchema;
use crate::search::values::Number;

/// A term that comes after every one that begins with `term`: no text contains this byte.
pub(super) fn after_all(mut term: Term) -> Term {
    term.append_bytes(&[0xff]);
    term
}

pub(super) fn json_term(json: Field, path: &str) -> Term {
    Term::from_field_json_path(json, path, true)
}

pub(super) fn json_text(json: Field, path: &str, text: &str) -> Term {
    let mut term = json_term(json, path);
    term.append_type_and_str(text);
    term
}

pub(super) fn json_number(json: Field, path: &str, number: Number) -> Term {
    let mut term = json_term(json, path);
    match number {
        Number::I64(number) => term.append_type_and_fast_value(number),
        Number::U64(number) => term.append_type_and_fast_value(number),
        Number::F64(number) => term.append_type_and_fast_value(number),
    }
    term
}

pub(super) fn json_date(json: Field, path: &str, date: DateTime) -> Term {
    let mut term = json_term(json, path);
    term.append_type_and_fast_value(date);
    term
}

/// The name that tantivy knows the column of an undeclared field by.
pub(in crate::search) fn json_column(schema: &IndexSchema, json: Field, path: &str) -> String {
    format!("{}.{path}", schema.tantivy().get_field_name(json))
}
