//! From a definition to tantivy's schema.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tantivy::schema::{
    BytesOptions, DateOptions, DateTimePrecision, Field, IndexRecordOption, JsonObjectOptions,
    NumericOptions, Schema, SchemaBuilder, TextFieldIndexing, TextOptions,
};

use super::definition::{
    BUILT_IN, Definition, FieldDefinition, FieldType, Fields, TITLE_BOOST, join,
};
use super::schema::{Declared, IndexSchema, RAW, Slot, SlotKind, Special, TextField};
use crate::analysis::Language;

/// Compiles a valid definition.
///
/// The order is fixed (special fields, built-in ones, declared ones by name), since the numbers of
/// the fields are in every segment.
pub(super) fn compile(definition: &Definition) -> IndexSchema {
    let mut builder = Schema::builder();
    let special = Special {
        key: builder.add_text_field("_key", raw()),
        source: builder.add_bytes_field("_source", BytesOptions::default().set_stored()),
        present: builder.add_text_field("_fields", raw()),
        lang: builder.add_text_field("lang", raw().set_fast(RAW)),
        json: builder.add_json_field("_json", json_values()),
        json_text: builder.add_json_field("_json_text", json_words()),
    };
    let mut compiler = Compiler {
        definition,
        builder,
        texts: Vec::new(),
        slots: Vec::new(),
        paths: HashMap::from([
            ("unique_key".to_owned(), Declared::Key),
            ("lang".to_owned(), Declared::Lang),
        ]),
    };
    let declared = &definition.mapping.fields;
    for name in BUILT_IN {
        match declared.0.get(*name) {
            Some(own) => compiler.field((*name).to_owned(), own),
            None => {
                if let Some(field) = built_in(name) {
                    compiler.field((*name).to_owned(), &field);
                }
            }
        }
    }
    for (name, field) in &declared.0 {
        if !BUILT_IN.contains(&name.as_str()) {
            compiler.field(name.clone(), field);
        }
    }
    IndexSchema {
        definition: definition.clone(),
        identity: identity(definition),
        ledger: false,
        next: None,
        tantivy: compiler.builder.build(),
        special,
        texts: compiler.texts,
        slots: compiler.slots,
        paths: compiler.paths,
    }
}

/// A number that tells two definitions apart, within this process.
fn identity(definition: &Definition) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{definition:?}").hash(&mut hasher);
    hasher.finish()
}

/// The built-in field of this name, where it is one with values or an object.
fn built_in(name: &str) -> Option<FieldDefinition> {
    let kind = match name {
        "title" | "content" => FieldType::Text,
        "tags" => FieldType::Keyword,
        "metadata" => FieldType::Object,
        "updated_at" => FieldType::Date,
        _ => return None,
    };
    let boost = (name == "title").then_some(TITLE_BOOST);
    Some(FieldDefinition {
        boost,
        ..FieldDefinition::new(kind)
    })
}

struct Compiler<'a> {
    definition: &'a Definition,
    builder: SchemaBuilder,
    texts: Vec<TextField>,
    slots: Vec<Slot>,
    paths: HashMap<String, Declared>,
}

impl Compiler<'_> {
    fn field(&mut self, path: String, field: &FieldDefinition) {
        let kind = match field.kind {
            FieldType::Object => return self.object(path, field.fields.as_ref()),
            FieldType::Text => self.text(&path, field),
            FieldType::Keyword => {
                SlotKind::Keyword(self.builder.add_text_field(&path, raw().set_fast(RAW)))
            }
            FieldType::Integer => SlotKind::Integer(self.builder.add_i64_field(&path, number())),
            FieldType::Float => SlotKind::Float(self.builder.add_f64_field(&path, number())),
            FieldType::Boolean => SlotKind::Boolean(self.builder.add_bool_field(&path, number())),
            FieldType::Date => SlotKind::Date(self.builder.add_date_field(&path, date())),
        };
        self.paths
            .insert(path.clone(), Declared::Slot(self.slots.len()));
        self.slots.push(Slot { name: path, kind });
    }

    fn object(&mut self, path: String, fields: Option<&Fields>) {
        for (name, field) in fields.iter().flat_map(|fields| &fields.0) {
            self.field(join(&path, name), field);
        }
        let open = fields.is_none();
        self.paths.insert(path, Declared::Object { open });
    }

    fn text(&mut self, path: &str, field: &FieldDefinition) -> SlotKind {
        let analysed: Vec<Language> = match field.analyzer {
            None => self.definition.languages.clone(),
            Some(Language::UNDETERMINED) => Vec::new(),
            Some(language) => vec![language],
        };
        let fallback = self
            .builder
            .add_text_field(path, words(Language::UNDETERMINED));
        let languages = analysed
            .into_iter()
            .map(|language| (language, self.language_field(path, language)))
            .collect();
        self.texts.push(TextField {
            name: path.to_owned(),
            boost: field.boost.unwrap_or(1.0),
            fallback,
            languages,
            fixed: field.analyzer.is_some(),
        });
        SlotKind::Text(self.texts.len() - 1)
    }

    fn language_field(&mut self, path: &str, language: Language) -> Field {
        self.builder
            .add_text_field(&join(path, language.as_str()), words(language))
    }
}

/// One term a value, without positions or lengths.
fn raw_terms() -> TextFieldIndexing {
    TextFieldIndexing::default()
        .set_tokenizer(RAW)
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false)
}

/// The words in the order they stand in.
fn word_terms(language: Language) -> TextFieldIndexing {
    TextFieldIndexing::default()
        .set_tokenizer(language.as_str())
        .set_index_option(IndexRecordOption::WithFreqsAndPositions)
}

fn raw() -> TextOptions {
    TextOptions::default().set_indexing_options(raw_terms())
}

fn words(language: Language) -> TextOptions {
    TextOptions::default().set_indexing_options(word_terms(language))
}

fn number() -> NumericOptions {
    NumericOptions::default().set_indexed().set_fast()
}

fn date() -> DateOptions {
    DateOptions::default()
        .set_indexed()
        .set_fast()
        .set_precision(DateTimePrecision::Microseconds)
}

fn json_values() -> JsonObjectOptions {
    JsonObjectOptions::default()
        .set_indexing_options(raw_terms())
        .set_fast(RAW)
        .set_expand_dots_enabled()
}

fn json_words() -> JsonObjectOptions {
    JsonObjectOptions::default()
        .set_indexing_options(word_terms(Language::UNDETERMINED))
        .set_expand_dots_enabled()
}
