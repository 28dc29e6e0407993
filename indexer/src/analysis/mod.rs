//! The one seam between a language and how its text becomes terms.
//!
//! Every text is read by the script-aware [`fallback`]; a language that has an [`analyser`] of its
//! own is read by that too, into a field of its own, so that stems and their statistics do not mix
//! with words of other languages. All analysers see the text in Unicode's compatibility form
//! (NFKC), so that full-width letters, half-width kana and ligatures are found by their plain
//! spelling, and all report offsets into the text as it was given, so that highlights fit it.

mod detect;
mod language;
mod normal;
mod words;

#[cfg(test)]
mod tests;

use tantivy::tokenizer::{Stemmer, TextAnalyzer};

use words::{Apostrophe, Words};

pub use detect::detect;
pub use language::{Language, MalformedLanguage};

/// The languages that have an analyser of their own; every other one is read by the fallback.
pub const ANALYSED: &[Language] = &[Language::ENGLISH];

/// The analyser of `language`, or none where only the [`fallback`] reads it.
///
/// English: words in lower case, reduced to their stems (Snowball), possessives too. No word is
/// left out for being common, so that every phrase can be found.
pub fn analyser(language: &Language) -> Option<TextAnalyzer> {
    (*language == Language::ENGLISH).then(|| {
        TextAnalyzer::builder(Words::new(Apostrophe::Joins))
            .filter(Stemmer::new(tantivy::tokenizer::Language::English))
            .build()
    })
}

/// The analyser that reads every text: words in lower case, and overlapping pairs of characters in
/// the scripts that are written without spaces (one that stands alone is a token of its own).
pub fn fallback() -> TextAnalyzer {
    TextAnalyzer::builder(Words::new(Apostrophe::Parts)).build()
}
