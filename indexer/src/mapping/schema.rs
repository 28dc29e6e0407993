//! A definition, ready to be used: the tantivy schema and what each dotted path means in it.

use std::collections::HashMap;
use std::sync::Arc;

use tantivy::schema::{Field, Schema};
use tantivy::tokenizer::{RawTokenizer, TokenizerManager};

use super::definition::{Definition, Dynamic, Fields, Mapping};
use crate::Result;
use crate::analysis::{self, Language};

/// The name of the analyser that takes a value whole.
pub(super) const RAW: &str = "raw";

/// The compiled form of a [`Definition`].
#[derive(Debug)]
pub struct IndexSchema {
    pub(super) definition: Definition,
    /// What tells two definitions apart, within a process.
    pub(super) identity: u64,
    /// Whether it is that of the ledger of events, which is the same in every index.
    pub(super) ledger: bool,
    /// What documents have to fit into as well, since the index is being built anew with it.
    pub(super) next: Option<Arc<IndexSchema>>,
    pub(super) tantivy: Schema,
    pub(super) special: Special,
    pub(super) texts: Vec<TextField>,
    pub(super) slots: Vec<Slot>,
    pub(super) paths: HashMap<String, Declared>,
}

/// The fields of tantivy's schema that no document names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Special {
    pub(super) key: Field,
    pub(super) source: Field,
    pub(super) present: Field,
    pub(super) lang: Field,
    pub(super) json: Field,
    pub(super) json_text: Field,
}

/// A text field and the tantivy fields that its words are in.
#[derive(Clone, Debug, PartialEq)]
pub struct TextField {
    /// Its dotted name.
    pub name: String,
    /// How much a word in it counts.
    pub boost: f32,
    /// Read by the fallback; holds every document.
    pub fallback: Field,
    /// Read by a language's own analyser; each holds only the documents in that language (or
    /// every document, where the mapping fixes the analyser of this field).
    pub languages: Vec<(Language, Field)>,
    /// Whether the mapping fixes the analyser, so that the document's language does not matter.
    pub(crate) fixed: bool,
}

/// What a dotted path means in an index.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved<'a> {
    /// The words of a text.
    Text(&'a TextField),
    /// A whole string, one term.
    Keyword(Field),
    /// An i64.
    Integer(Field),
    /// An f64.
    Float(Field),
    /// A bool.
    Boolean(Field),
    /// A date, with microseconds in its column and seconds in its terms.
    Date(Field),
    /// The `unique_key`, one term.
    Key(Field),
    /// A field that no mapping declares: what there is of it depends on the documents.
    Dynamic {
        /// The JSON field of whole strings (up to
        /// [`DYNAMIC_KEYWORD_BYTES`](crate::document::limits::DYNAMIC_KEYWORD_BYTES)), numbers,
        /// booleans and dates: terms and columns. Dots in the path are expanded.
        json: Field,
        /// The JSON field of the words of strings, read by the fallback. Dots are expanded.
        text: Field,
        /// The path within both.
        path: String,
    },
}

/// What the mapping says of a dotted path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Declared {
    /// The `unique_key`.
    Key,
    /// The `lang`.
    Lang,
    /// A field with values, by its place among the slots.
    Slot(usize),
    /// An object; an open one takes fields that are not declared, whatever `dynamic` says.
    Object {
        /// Whether it declares no fields of its own.
        open: bool,
    },
}

/// A declared field with values.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) kind: SlotKind,
}

/// Where and as what the values of a declared field go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SlotKind {
    /// By its place among the text fields.
    Text(usize),
    Keyword(Field),
    Integer(Field),
    Float(Field),
    Boolean(Field),
    Date(Field),
}

impl IndexSchema {
    /// Compiles a definition: the same one gives the same schema, field for field.
    ///
    /// # Errors
    ///
    /// `Invalid`, as [`Definition::validate`].
    pub fn compile(definition: &Definition) -> Result<Self> {
        definition.validate()?;
        Ok(super::compile::compile(definition))
    }

    /// The schema by which documents are accepted while the index is being built anew: what they are read by, and
    /// what they have to fit into as well.
    ///
    /// # Errors
    ///
    /// `Invalid`, as [`Definition::validate`].
    pub fn compile_with_next(definition: &Definition, next: &Definition) -> Result<Self> {
        Ok(Self {
            next: Some(Arc::new(Self::compile(next)?)),
            ..Self::compile(definition)?
        })
    }

    /// The schema of the ledger of events, whose records have these fields.
    pub(crate) fn of_ledger(fields: Fields) -> Self {
        let definition = Definition {
            mapping: Mapping {
                dynamic: Dynamic::Ignore,
                fields,
            },
            languages: Vec::new(),
            ..Definition::default()
        };
        Self {
            ledger: true,
            ..super::compile::compile(&definition)
        }
    }

    pub(crate) fn is_ledger(&self) -> bool {
        self.ledger
    }

    pub(crate) fn next(&self) -> Option<&Self> {
        self.next.as_deref()
    }

    pub(crate) fn identity(&self) -> u64 {
        self.identity
    }

    /// What this was compiled from.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The schema of every segment.
    pub fn tantivy(&self) -> &Schema {
        &self.tantivy
    }

    /// Every analyser that the schema names.
    pub fn tokenizers(&self) -> TokenizerManager {
        let manager = TokenizerManager::new();
        manager.register(RAW, RawTokenizer::default());
        // What tantivy asks for where a field is not text, and never runs.
        manager.register("default", RawTokenizer::default());
        manager.register(Language::UNDETERMINED.as_str(), analysis::fallback());
        for language in analysis::ANALYSED {
            if let Some(analyser) = analysis::analyser(language) {
                manager.register(language.as_str(), analyser);
            }
        }
        manager
    }

    /// The `unique_key`, one raw term a document.
    pub fn key(&self) -> Field {
        self.special.key
    }

    /// The document's JSON text, stored as bytes.
    pub fn source(&self) -> Field {
        self.special.source
    }

    /// The dotted names of the fields that a document has, objects included: raw terms.
    pub fn present(&self) -> Field {
        self.special.present
    }

    /// The language of a document, a raw term and a column.
    pub fn lang(&self) -> Field {
        self.special.lang
    }

    /// All text fields, the built-in ones first: what a bare word searches.
    pub fn text_fields(&self) -> &[TextField] {
        &self.texts
    }

    /// What `path` means, or none where no document can have it.
    pub fn resolve(&self, path: &str) -> Option<Resolved<'_>> {
        match self.paths.get(path) {
            Some(Declared::Key) => Some(Resolved::Key(self.special.key)),
            Some(Declared::Lang) => Some(Resolved::Keyword(self.special.lang)),
            Some(Declared::Slot(slot)) => match self.slots.get(*slot)?.kind {
                SlotKind::Text(text) => self.texts.get(text).map(Resolved::Text),
                SlotKind::Keyword(field) => Some(Resolved::Keyword(field)),
                SlotKind::Integer(field) => Some(Resolved::Integer(field)),
                SlotKind::Float(field) => Some(Resolved::Float(field)),
                SlotKind::Boolean(field) => Some(Resolved::Boolean(field)),
                SlotKind::Date(field) => Some(Resolved::Date(field)),
            },
            Some(Declared::Object { .. }) => Some(self.dynamic(path)),
            None => (!path.is_empty() && self.takes_undeclared(path)).then(|| self.dynamic(path)),
        }
    }

    fn dynamic(&self, path: &str) -> Resolved<'_> {
        Resolved::Dynamic {
            json: self.special.json,
            text: self.special.json_text,
            path: path.to_owned(),
        }
    }

    /// Whether a document may have an indexed field of this undeclared name.
    pub(crate) fn takes_undeclared(&self, path: &str) -> bool {
        if is_ignored(path) {
            return false;
        }
        if self.definition.mapping.dynamic == Dynamic::Accept {
            return true;
        }
        let nearest = path
            .rmatch_indices('.')
            .filter_map(|(end, _)| path.get(..end))
            .find_map(|parent| self.paths.get(parent));
        matches!(nearest, Some(Declared::Object { open: true }))
    }

    pub(crate) fn declared(&self, path: &str) -> Option<Declared> {
        self.paths.get(path).copied()
    }

    pub(crate) fn slot(&self, slot: usize) -> Option<&Slot> {
        self.slots.get(slot)
    }
}

/// Whether a field of this name is a remark to people or editors, which stays in the source only.
pub(crate) fn is_ignored(path: &str) -> bool {
    let first = path.split('.').next();
    matches!(first, Some("$schema" | "$comment"))
}
