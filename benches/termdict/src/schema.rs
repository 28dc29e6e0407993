//! The schema: a text field `F` of unstemmed words and its twin `F.en` of stemmed ones, a raw key,
//! raw fast tags, and the document's JSON.

use anyhow::Result;
use tantivy::Index;
use tantivy::schema::{
    FAST, Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{
    Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, TextAnalyzer,
};

const WORDS: &str = "words";
const ENGLISH: &str = "english";

/// Tokens longer than this are dropped, in bytes.
const LONGEST_TOKEN_BYTES: usize = 255;

/// The fields of the index.
#[derive(Clone)]
pub(crate) struct Fields {
    pub(crate) schema: Schema,
    pub(crate) key: Field,
    pub(crate) tags: Field,
    pub(crate) source: Field,
    pub(crate) title: TextField,
    pub(crate) content: TextField,
}

/// One text, indexed twice.
#[derive(Clone, Copy)]
pub(crate) struct TextField {
    pub(crate) words: Field,
    pub(crate) english: Field,
}

impl Fields {
    pub(crate) fn new() -> Fields {
        let mut builder = Schema::builder();
        let key = builder.add_text_field("unique_key", STRING);
        let tags = builder.add_text_field("tags", STRING | FAST);
        let source = builder.add_bytes_field("source", STORED);
        let mut text = |name: &str| TextField {
            words: builder.add_text_field(name, analysed(WORDS)),
            english: builder.add_text_field(&format!("{name}.en"), analysed(ENGLISH)),
        };
        let (title, content) = (text("title"), text("content"));
        Fields {
            schema: builder.build(),
            key,
            tags,
            source,
            title,
            content,
        }
    }

    /// The four text fields that a bare word searches.
    pub(crate) fn text(&self) -> [Field; 4] {
        [
            self.title.words,
            self.title.english,
            self.content.words,
            self.content.english,
        ]
    }

    /// Every field with a term dictionary.
    pub(crate) fn indexed(&self) -> Vec<Field> {
        [self.key, self.tags]
            .into_iter()
            .chain(self.text())
            .collect()
    }
}

fn analysed(tokenizer: &str) -> TextOptions {
    TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer(tokenizer)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions),
    )
}

/// Gives an index its two analysers; they are not kept on the disk.
pub(crate) fn register_analysers(index: &Index) {
    let words = || {
        TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(RemoveLongFilter::limit(LONGEST_TOKEN_BYTES))
            .filter(LowerCaser)
    };
    index.tokenizers().register(WORDS, words().build());
    let english = words().filter(Stemmer::new(Language::English));
    index.tokenizers().register(ENGLISH, english.build());
}

/// The tokens of `text` in the analyser of `field`.
pub(crate) fn tokens(index: &Index, field: Field, text: &str) -> Result<Vec<String>> {
    let mut analyser = index.tokenizer_for_field(field)?;
    let mut stream = analyser.token_stream(text);
    let mut tokens = Vec::new();
    stream.process(&mut |token| tokens.push(token.text.clone()));
    Ok(tokens)
}
