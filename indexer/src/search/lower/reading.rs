//! A reading: what the analysers make of a text that is asked for.

use tantivy::tokenizer::TextAnalyzer;

use crate::analysis::Language;
use crate::search::words;

/// What the analysers make of a text: terms and their positions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::search) struct Reading {
    /// The fallback.
    pub(in crate::search) fallback: Vec<(usize, String)>,
    /// The languages that are searched.
    pub(in crate::search) languages: Vec<(Language, Vec<(usize, String)>)>,
}

/// The terms of a text, counted from the first.
pub(super) fn positions(analyser: &mut TextAnalyzer, text: &str) -> Vec<(usize, String)> {
    let tokens = words::tokens(analyser, text);
    let first = tokens.first().map_or(0, |token| token.position);
    tokens
        .into_iter()
        .map(|token| (token.position - first, token.text))
        .collect()
}

/// Whether every reading there is of a text is a single word.
pub(super) fn is_word(reading: &Reading) -> bool {
    let mut languages = reading.languages.iter();
    reading.fallback.len() == 1 || languages.any(|(_, terms)| terms.len() == 1)
}

pub(super) fn fallback_only(terms: Vec<(usize, String)>) -> Reading {
    Reading {
        fallback: terms,
        languages: Vec::new(),
    }
}

pub(super) fn word_of((_, pair): &(usize, String)) -> Reading {
    fallback_only(vec![(0, pair.clone())])
}
