//! From a parsed document to the one that tantivy indexes.

use tantivy::TantivyDocument;
use tantivy::schema::document::ReferenceValueLeaf;

use super::json::Json;
use super::schema::{IndexSchema, SlotKind};
use crate::document::limits::DYNAMIC_KEYWORD_BYTES;
use crate::document::{Document, Scalar, date};

/// What tantivy's document takes besides the text of its values, about.
const OVERHEAD_BYTES: usize = 512;

impl IndexSchema {
    /// The document as tantivy indexes it.
    ///
    /// `document` must have been parsed against a schema of the same definition.
    pub fn to_tantivy(&self, document: &Document) -> TantivyDocument {
        let source = document.source();
        let mut out = TantivyDocument::with_capacity(source.len() * 3 + OVERHEAD_BYTES);
        out.add_text(self.special.key, document.unique_key());
        out.add_bytes(self.special.source, source.as_bytes());
        out.add_text(self.special.lang, document.lang().as_str());
        for (slot, value) in document.declared() {
            if let Some(slot) = self.slot(slot) {
                self.add(&mut out, slot.kind, document, value);
            }
        }
        self.add_undeclared(&mut out, document);
        for name in self.present_names(document) {
            out.add_text(self.special.present, name);
        }
        out
    }

    fn add(&self, out: &mut TantivyDocument, kind: SlotKind, document: &Document, value: Scalar) {
        match (kind, value) {
            (SlotKind::Text(text), Scalar::Str(value)) => {
                let Some(text) = self.texts.get(text) else {
                    return;
                };
                out.add_text(text.fallback, value);
                for (language, field) in &text.languages {
                    if text.fixed || *language == document.language() {
                        out.add_text(*field, value);
                    }
                }
            }
            (SlotKind::Keyword(field), Scalar::Str(value)) => out.add_text(field, value),
            (SlotKind::Integer(field), Scalar::I64(value)) => out.add_i64(field, value),
            (SlotKind::Float(field), Scalar::F64(value)) => out.add_f64(field, value),
            (SlotKind::Boolean(field), Scalar::Bool(value)) => out.add_bool(field, value),
            (SlotKind::Date(field), Scalar::Date(value)) => out.add_date(field, value),
            // Parsing gave every slot the type of its kind.
            _ => {}
        }
    }

    fn add_undeclared(&self, out: &mut TantivyDocument, document: &Document) {
        let mut values = Vec::new();
        let mut words = Vec::new();
        for (path, value) in document.undeclared() {
            match value {
                Scalar::Str(text) => {
                    words.push((path, ReferenceValueLeaf::Str(text)));
                    if text.len() <= DYNAMIC_KEYWORD_BYTES {
                        values.push((path, ReferenceValueLeaf::Str(text)));
                        if let Some(date) = date::of_undeclared(text) {
                            values.push((path, ReferenceValueLeaf::Date(date)));
                        }
                    }
                }
                Scalar::I64(value) => values.push((path, ReferenceValueLeaf::I64(value))),
                Scalar::U64(value) => values.push((path, ReferenceValueLeaf::U64(value))),
                Scalar::F64(value) => values.push((path, ReferenceValueLeaf::F64(value))),
                Scalar::Bool(value) => values.push((path, ReferenceValueLeaf::Bool(value))),
                Scalar::Date(value) => values.push((path, ReferenceValueLeaf::Date(value))),
            }
        }
        if !values.is_empty() {
            out.add_field_value(self.special.json, Json::Object(&values));
        }
        if !words.is_empty() {
            out.add_field_value(self.special.json_text, Json::Object(&words));
        }
    }

    /// The dotted names of the fields that `document` has, and of the objects they are in.
    fn present_names<'a>(&'a self, document: &'a Document) -> Vec<&'a str> {
        let declared = document
            .declared()
            .filter_map(|(slot, _)| self.slot(slot))
            .map(|slot| slot.name.as_str());
        let undeclared = document.undeclared().map(|(path, _)| path);
        let mut names = vec!["unique_key", "lang"];
        for path in declared.chain(undeclared) {
            if names.last() == Some(&path) {
                continue;
            }
            names.push(path);
            names.extend(
                path.match_indices('.')
                    .filter_map(|(end, _)| path.get(..end)),
            );
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}
