//! From the JSON text of a document to its values, by the mapping.

use std::borrow::Cow;
use std::collections::HashSet;

use super::error::{DocumentError, kind, quoted};
use super::tree::{Node, Object, TreeError};
use super::{Document, Stored, date, limits, tree};
use crate::analysis::{self, Language};
use crate::mapping::{Declared, Dynamic, IndexSchema, SlotKind, is_ignored};

type Result<T> = std::result::Result<T, DocumentError>;

/// The characters that JSON takes for white space.
const WHITE_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

pub(super) fn parse(source: &str, schema: &IndexSchema) -> Result<Document> {
    let source = source.trim_matches(WHITE_SPACE);
    let object = read_object(source)?;
    let unique_key = unique_key(&object)?.into_owned();
    read_fields(source, &object, schema, &unique_key).map_err(|error| error.of(&unique_key))
}

pub(super) fn key_of(source: &str) -> Option<Cow<'_, str>> {
    let object = read_object(source.trim_matches(WHITE_SPACE)).ok()?;
    let (_, node) = object.into_iter().find(|(name, _)| name == UNIQUE_KEY)?;
    key_text(node)
}

const UNIQUE_KEY: &str = "unique_key";

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
        Err(TreeError::TooDeep) => Err(DocumentError::new(
            kind::TOO_MANY,
            format!(
                "objects and arrays lie more than {} deep in each other: flatten them",
                limits::NESTING
            ),
        )),
        Err(TreeError::Syntax(error)) => Err(DocumentError::new(
            kind::INVALID_JSON,
            format!("the document is not valid JSON: {error}"),
        )),
    }
}

fn unique_key<'a>(object: &'a Object<'_>) -> Result<Cow<'a, str>> {
    let missing = || {
        DocumentError::new(
            kind::MISSING_UNIQUE_KEY,
            "`unique_key` is missing: give the document a string that identifies it",
        )
    };
    let (_, node) = object
        .iter()
        .find(|(name, _)| name == UNIQUE_KEY)
        .ok_or_else(missing)?;
    let key: Cow<'a, str> = match node {
        Node::Null => return Err(missing()),
        Node::Str(text) => Cow::Borrowed(text),
        Node::I64(number) => number.to_string().into(),
        Node::U64(number) => number.to_string().into(),
        _ => {
            return Err(DocumentError::new(
                kind::INVALID_UNIQUE_KEY,
                format!(
                    "`unique_key` must be a string or a whole number, not {}",
                    named(node)
                ),
            ));
        }
    };
    validate_key(&key)
        .map(|()| key)
        .map_err(|detail| DocumentError::new(kind::INVALID_UNIQUE_KEY, detail))
}

fn key_text(node: Node<'_>) -> Option<Cow<'_, str>> {
    let key: Cow<'_, str> = match node {
        Node::Str(text) => text,
        Node::I64(number) => number.to_string().into(),
        Node::U64(number) => number.to_string().into(),
        _ => return None,
    };
    validate_key(&key).is_ok().then_some(key)
}

/// Whether `key` can identify a document; if not, how to mend it.
pub(super) fn validate_key(key: &str) -> std::result::Result<(), String> {
    if key.is_empty() {
        return Err("`unique_key` is empty: give the document a string that identifies it".into());
    }
    if key.len() > limits::UNIQUE_KEY_BYTES {
        return Err(format!(
            "`unique_key` has {} bytes and the limit is {}: shorten it, or use a hash of it",
            key.len(),
            limits::UNIQUE_KEY_BYTES
        ));
    }
    if key.chars().any(char::is_control) {
        return Err(format!(
            "`unique_key` {} holds a control character: leave it out",
            quoted(key)
        ));
    }
    Ok(())
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

/// The most text that is looked at to tell its language, in bytes.
const DETECTED_BYTES: usize = 512;

/// The language of the beginning of the texts of `document`, title first.
fn detect(document: &Document, schema: &IndexSchema) -> Option<Language> {
    let mut sample = String::new();
    for (slot, value) in document.declared() {
        let is_text = matches!(
            schema.slot(slot).map(|slot| slot.kind),
            Some(SlotKind::Text(_))
        );
        if let (true, super::Scalar::Str(text)) = (is_text, value) {
            let room = DETECTED_BYTES.saturating_sub(sample.len());
            let end = text.floor_char_boundary(room);
            sample.push_str(text.get(..end).unwrap_or_default());
            sample.push('\n');
        }
    }
    analysis::detect(&sample)
}

/// Walks through the tree, collecting values.
struct Reader<'a> {
    source: &'a str,
    schema: &'a IndexSchema,
    /// The dotted path of where it is.
    path: String,
    lang: Option<Language>,
    declared: Vec<(usize, Stored)>,
    undeclared: Vec<(Box<str>, Stored)>,
}

impl Reader<'_> {
    fn object(&mut self, object: &Object<'_>) -> Result<()> {
        let outer = self.path.len();
        for (name, node) in object {
            if matches!(node, Node::Null) {
                continue;
            }
            if outer > 0 {
                self.path.push('.');
            }
            self.path.push_str(name);
            self.member(name, node)?;
            self.path.truncate(outer);
        }
        Ok(())
    }

    fn member(&mut self, name: &str, node: &Node<'_>) -> Result<()> {
        match self.schema.declared(&self.path) {
            Some(Declared::Key) => Ok(()),
            Some(Declared::Lang) => self.language(node),
            Some(Declared::Slot(slot)) => self.slot(slot, node),
            Some(Declared::Object { .. }) => self.members_of(node),
            None => self.undeclared(name, node),
        }
    }

    fn language(&mut self, node: &Node<'_>) -> Result<()> {
        let Node::Str(tag) = node else {
            return Err(self.wrong_type("a language tag such as \"en\"", node));
        };
        let language = tag.parse().map_err(|error| {
            DocumentError::new(
                kind::INVALID_LANGUAGE,
                format!(
                    "`lang` is {}, which is not a language: {error}",
                    quoted(tag)
                ),
            )
        })?;
        self.lang = Some(language);
        Ok(())
    }

    /// The members of a declared object, or of each of an array of them.
    fn members_of(&mut self, node: &Node<'_>) -> Result<()> {
        match node {
            Node::Null => Ok(()),
            Node::Object(object) => self.object(object),
            Node::Array(nodes) => nodes.iter().try_for_each(|node| self.members_of(node)),
            _ => Err(self.wrong_type("an object", node)),
        }
    }

    fn slot(&mut self, slot: usize, node: &Node<'_>) -> Result<()> {
        if let Node::Array(nodes) = node {
            return nodes.iter().try_for_each(|node| self.slot(slot, node));
        }
        let Some(kind) = self.schema.slot(slot).map(|slot| slot.kind) else {
            return Ok(());
        };
        if let Some(value) = self.typed(kind, node)? {
            self.declared.push((slot, value));
        }
        Ok(())
    }

    fn typed(&self, kind: SlotKind, node: &Node<'_>) -> Result<Option<Stored>> {
        Ok(Some(match (kind, node) {
            (_, Node::Null) => return Ok(None),
            (SlotKind::Text(_), _) => self.string("a string", node)?,
            (SlotKind::Keyword(_), _) => {
                let value = self.string("a string (or an array of them)", node)?;
                self.check_keyword(&value)?;
                value
            }
            (SlotKind::Integer(_), Node::I64(value)) => Stored::I64(*value),
            (SlotKind::Integer(_), Node::F64(value)) => match whole(*value) {
                Some(value) => Stored::I64(value),
                None => return Err(self.wrong_type(INTEGER, node)),
            },
            (SlotKind::Integer(_), _) => return Err(self.wrong_type(INTEGER, node)),
            (SlotKind::Float(_), Node::F64(value)) => Stored::F64(*value),
            #[expect(clippy::cast_precision_loss, reason = "that is what a float field is")]
            (SlotKind::Float(_), Node::I64(value)) => Stored::F64(*value as f64),
            #[expect(clippy::cast_precision_loss, reason = "that is what a float field is")]
            (SlotKind::Float(_), Node::U64(value)) => Stored::F64(*value as f64),
            (SlotKind::Float(_), _) => return Err(self.wrong_type("a number", node)),
            (SlotKind::Boolean(_), Node::Bool(value)) => Stored::Bool(*value),
            (SlotKind::Boolean(_), _) => return Err(self.wrong_type("true or false", node)),
            (SlotKind::Date(_), Node::Str(text)) => match date::parse(text) {
                Some(date) => Stored::Date(date),
                None => return Err(self.invalid_date(text)),
            },
            (SlotKind::Date(_), _) => {
                return Err(self.wrong_type("a string with a date of RFC 3339", node));
            }
        }))
    }

    /// A string, or what has only one way to be written as one.
    fn string(&self, expected: &str, node: &Node<'_>) -> Result<Stored> {
        match node {
            Node::Str(text) => Ok(self.text(text)),
            Node::I64(value) => Ok(Stored::Owned(value.to_string().into())),
            Node::U64(value) => Ok(Stored::Owned(value.to_string().into())),
            Node::Bool(value) => Ok(Stored::Owned(value.to_string().into())),
            _ => Err(self.wrong_type(expected, node)),
        }
    }

    /// Keeps `text` as its place in the source, where it is a part of that.
    fn text(&self, text: &str) -> Stored {
        let start = text
            .as_ptr()
            .addr()
            .checked_sub(self.source.as_ptr().addr());
        match start.map(|start| start..start + text.len()) {
            Some(place) if place.end <= self.source.len() => Stored::Source(place),
            _ => Stored::Owned(text.into()),
        }
    }

    fn undeclared(&mut self, name: &str, node: &Node<'_>) -> Result<()> {
        if is_ignored(&self.path) {
            return Ok(());
        }
        if !self.schema.takes_undeclared(&self.path) {
            return match self.schema.definition().mapping.dynamic {
                Dynamic::Accept | Dynamic::Ignore => Ok(()),
                Dynamic::Strict => Err(DocumentError::new(
                    kind::UNKNOWN_FIELD,
                    format!(
                        "the field {} is not in the mapping, which is strict: leave it out, or \
                         declare it",
                        quoted(&self.path)
                    ),
                )),
            };
        }
        self.check_name(name)?;
        self.undeclared_value(node)
    }

    fn undeclared_value(&mut self, node: &Node<'_>) -> Result<()> {
        let value = match node {
            Node::Null => return Ok(()),
            Node::Array(nodes) => {
                return nodes
                    .iter()
                    .try_for_each(|node| self.undeclared_value(node));
            }
            Node::Object(object) => return self.object(object),
            Node::Bool(value) => Stored::Bool(*value),
            Node::I64(value) => Stored::I64(*value),
            Node::U64(value) => Stored::U64(*value),
            Node::F64(value) => Stored::F64(*value),
            Node::Str(text) => self.text(text),
        };
        self.undeclared.push((self.path.as_str().into(), value));
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<()> {
        let problem = if name.split('.').any(str::is_empty) {
            "is empty, or has an empty part between dots: give it a name".to_owned()
        } else if name.chars().any(char::is_control) {
            "holds a control character: leave it out".to_owned()
        } else if self.path.len() > limits::FIELD_PATH_BYTES {
            format!(
                "is longer than {} bytes: shorten it",
                limits::FIELD_PATH_BYTES
            )
        } else {
            return Ok(());
        };
        Err(DocumentError::new(
            kind::INVALID_FIELD_NAME,
            format!("the field name {} {problem}", quoted(&self.path)),
        ))
    }

    fn check_keyword(&self, value: &Stored) -> Result<()> {
        let length = match value {
            Stored::Source(range) => range.len(),
            Stored::Owned(text) => text.len(),
            _ => 0,
        };
        if length <= limits::KEYWORD_BYTES {
            return Ok(());
        }
        Err(DocumentError::new(
            kind::TOO_LARGE,
            format!(
                "a value of the keyword field `{}` has {length} bytes and the limit is {}: shorten \
                 it, or declare the field as text",
                self.path,
                limits::KEYWORD_BYTES
            ),
        ))
    }

    fn check_counts(&self) -> Result<()> {
        if let Some(Declared::Slot(tags)) = self.schema.declared("tags") {
            let count = self
                .declared
                .iter()
                .filter(|(slot, _)| *slot == tags)
                .count();
            if count > limits::TAGS {
                return Err(DocumentError::new(
                    kind::TOO_MANY,
                    format!(
                        "there are {count} tags and the limit is {}: keep fewer",
                        limits::TAGS
                    ),
                ));
            }
        }
        if self.undeclared.len() > limits::DYNAMIC_FIELDS {
            let paths: HashSet<&str> = self.undeclared.iter().map(|(path, _)| &**path).collect();
            if paths.len() > limits::DYNAMIC_FIELDS {
                return Err(DocumentError::new(
                    kind::TOO_MANY,
                    format!(
                        "there are {} undeclared fields and the limit is {}: put what need not be \
                         found into one string",
                        paths.len(),
                        limits::DYNAMIC_FIELDS
                    ),
                ));
            }
        }
        Ok(())
    }

    fn wrong_type(&self, expected: &str, node: &Node<'_>) -> DocumentError {
        DocumentError::new(
            kind::WRONG_TYPE,
            format!(
                "the field `{}` must be {expected}, not {}",
                self.path,
                named(node)
            ),
        )
    }

    fn invalid_date(&self, text: &str) -> DocumentError {
        DocumentError::new(
            kind::INVALID_DATE,
            format!(
                "the field `{}` is {}, which is not a date of RFC 3339: write it like \
                 \"2024-05-17T09:30:00Z\" or \"2024-05-17\" (from 1678 to 2261)",
                self.path,
                quoted(text)
            ),
        )
    }
}

const INTEGER: &str = "a whole number of at most 64 bits with a sign";

/// The whole number that a float is exactly, where it is one that a float tells from its
/// neighbours.
fn whole(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it has no fraction and is in range"
    )]
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
}

/// A value for an error text.
fn named(node: &Node<'_>) -> String {
    match node {
        Node::Null => "null".to_owned(),
        Node::Bool(value) => value.to_string(),
        Node::I64(value) => format!("the number {value}"),
        Node::U64(value) => format!("the number {value}"),
        Node::F64(value) => format!("the number {value}"),
        Node::Str(text) => format!("the string {}", quoted(text)),
        Node::Array(_) => "an array".to_owned(),
        Node::Object(_) => "an object".to_owned(),
    }
}
