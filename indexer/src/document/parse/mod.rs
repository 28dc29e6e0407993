//! From the JSON text of a document to its values, by the mapping.

mod fields;
mod key;
mod language;
mod value;

use std::borrow::Cow;
use std::sync::Arc;

use self::key::{UNIQUE_KEY, key_text, unique_key};
use self::language::detect;
use super::error::{DocumentError, json_error, kind};
use super::tree::{Node, Object, TreeError};
use super::{Document, Stored, limits, number, tree};
use crate::analysis::Language;
use crate::mapping::IndexSchema;
use crate::quote::quoted;

type Result<T> = std::result::Result<T, DocumentError>;

/// The characters that JSON takes for white space.
const WHITE_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

pub(super) fn parse(source: &str, schema: &IndexSchema) -> Result<Document> {
    let source = source.trim_matches(WHITE_SPACE);
    let object = read_object(source)?;
    let unique_key = unique_key(source, &object)?.into_owned();
    read_fields(source, &object, schema, &unique_key).map_err(|error| error.of(&unique_key))
}

pub(super) fn key_of_value(json: &str) -> Result<String> {
    key::of_value(json)
}

pub(super) fn check_key(key: &str) -> Result<()> {
    key::validate(key)
}

pub(super) fn key_of(source: &str) -> Option<Cow<'_, str>> {
    let object = read_object(source.trim_matches(WHITE_SPACE)).ok()?;
    let (_, node) = object.into_iter().find(|(name, _)| name == UNIQUE_KEY)?;
    key_text(node)
}

fn read_object(source: &str) -> Result<Object<'_>> {
    if source.len() > limits::DOCUMENT_BYTES {
        return Err(DocumentError::new(
            kind::TOO_LARGE,
            format!(
                "the document has {} bytes of JSON and the limit is {}: split it, a chapter each",
                source.len(),
                limits::DOCUMENT_BYTES
            ),
        ));
    }
    match tree::read(source) {
        Ok(Node::Object(object)) => Ok(object),
        Ok(_) => Err(DocumentError::new(
            kind::NOT_AN_OBJECT,
            "a document is a JSON object such as {\"unique_key\": \"a\", \"content\": \"...\"}",
        )),
        Err(error) => Err(read_error(source, error)),
    }
}

fn read_error(source: &str, error: TreeError) -> DocumentError {
    match error {
        TreeError::TooDeep => DocumentError::new(
            kind::TOO_MANY,
            format!(
                "objects and arrays lie more than {} deep in each other: flatten them",
                limits::NESTING
            ),
        ),
        TreeError::Syntax(error) => {
            let (place, why) = json_error(source, &error);
            let detail = format!("the document is not valid JSON: {why}");
            DocumentError::new(kind::INVALID_JSON, detail).at(place)
        }
    }
}

fn read_fields(
    source: &str,
    object: &Object<'_>,
    schema: &IndexSchema,
    unique_key: &str,
) -> Result<Document> {
    let mut reader = Reader {
        source,
        schema,
        path: String::new(),
        lang: None,
        declared: Vec::new(),
        undeclared: Vec::new(),
    };
    reader.object(object)?;
    reader.check_counts()?;
    let Reader {
        lang,
        declared,
        undeclared,
        ..
    } = reader;
    let definition = schema.definition();
    let mut document = Document {
        unique_key: unique_key.into(),
        lang: Language::UNDETERMINED,
        language: Language::UNDETERMINED,
        source: source.into(),
        mapping: schema.identity(),
        declared,
        undeclared,
    };
    let language = definition
        .force_language
        .or(lang)
        .unwrap_or_else(|| detect(&document, schema).unwrap_or(definition.default_language));
    document.language = language;
    document.lang = lang.unwrap_or(language);
    Ok(document)
}

/// Walks through the tree, collecting values.
struct Reader<'a> {
    source: &'a str,
    schema: &'a IndexSchema,
    /// The dotted path of where it is.
    path: String,
    lang: Option<Language>,
    declared: Vec<(usize, Stored)>,
    undeclared: Vec<(Arc<str>, Stored)>,
}

/// A value of `source` for an error text.
fn named(source: &str, node: &Node<'_>) -> String {
    match node {
        Node::Null => "null".to_owned(),
        Node::Bool(value) => value.to_string(),
        Node::I64(value) => format!("the number {value}"),
        Node::U64(value) => format!("the number {value}"),
        Node::F64(value, place) => match number::written(source, *place) {
            Some(written) => format!("the number {written}"),
            None => format!("the number {value}"),
        },
        Node::Str(text) => format!("the string {}", quoted(text)),
        Node::Array(_) => "an array".to_owned(),
        Node::Object(_) => "an object".to_owned(),
    }
}
