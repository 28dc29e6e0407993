//! What a text that was asked for consists of: words, and runs of characters without spaces.
//!
//! The fallback reads a run of Han, Kana, Hangul or Thai characters as overlapping pairs. To find
//! 東京都 its pairs 東京 and 京都 must stand one after the other; found on their own they would
//! also mean 京都 and 東京 in different places. A run that is longer than a word is a sentence,
//! though, and nobody means all of that literally: its pairs count each on their own.

use tantivy::tokenizer::{TextAnalyzer, Token};

/// The longest run that is taken for one word, in characters. Of longer ones too many are clauses,
/// of which no document has every character in a row.
const WORD_CHARS: usize = 4;

/// A part of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Unit {
    /// A word between spaces.
    Word {
        /// As it was written.
        written: String,
        /// As the fallback reads it: more than one term where an apostrophe parts it.
        terms: Vec<(usize, String)>,
    },
    /// A single character of a script without spaces.
    Character(String),
    /// Several such characters, as overlapping pairs with their positions.
    Run {
        /// The pairs.
        pairs: Vec<(usize, String)>,
        /// Whether it is Korean, where particles hang on to the words.
        hangul: bool,
    },
}

impl Unit {
    /// Whether the pairs of a run count each on their own; `alone` if nothing else was asked for.
    pub(super) fn is_loose(&self, alone: bool) -> bool {
        match self {
            Unit::Run { pairs, hangul } => pairs.len() >= WORD_CHARS || (*hangul && !alone),
            Unit::Word { .. } | Unit::Character(_) => false,
        }
    }
}

/// Takes a text apart as the fallback reads it.
pub(super) fn units(fallback: &mut TextAnalyzer, text: &str) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let (mut word_start, mut word_end, mut word_position) = (0, 0, 0);
    let mut run_end = 0;
    for token in tokens(fallback, text) {
        let mut chars = token.text.chars();
        let first = chars.next().unwrap_or_default();
        let length = chars.count() + 1;
        if !is_unspaced(first) || length > 2 {
            let slice = |from| {
                text.get(from..token.offset_to)
                    .unwrap_or_default()
                    .to_owned()
            };
            let gap = text.get(word_end..token.offset_from).unwrap_or_default();
            let parted = matches!(gap, "'" | "\u{2019}" | "\u{ff07}");
            word_end = token.offset_to;
            run_end = 0;
            match units.last_mut() {
                // The languages may know better: "don't" is one word in English.
                Some(Unit::Word { written, terms }) if parted => {
                    *written = slice(word_start);
                    terms.push((token.position - word_position, token.text));
                }
                _ => {
                    word_start = token.offset_from;
                    word_position = token.position;
                    units.push(Unit::Word {
                        written: slice(word_start),
                        terms: vec![(0, token.text)],
                    });
                }
            }
            continue;
        }
        word_end = usize::MAX;
        let overlaps = token.offset_from < run_end;
        run_end = token.offset_to;
        match units.last_mut() {
            Some(Unit::Run { pairs, hangul }) if overlaps => {
                *hangul = *hangul && is_hangul(first);
                pairs.push((token.position, token.text));
            }
            _ if length == 1 => units.push(Unit::Character(token.text)),
            _ => units.push(Unit::Run {
                pairs: vec![(token.position, token.text)],
                hangul: is_hangul(first),
            }),
        }
    }
    units
}

/// The tokens of a text.
pub(super) fn tokens(analyser: &mut TextAnalyzer, text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    analyser
        .token_stream(text)
        .process(&mut |token| tokens.push(token.clone()));
    tokens
}

/// Whether a character belongs to a script that the fallback reads in pairs.
pub(super) fn is_unspaced(c: char) -> bool {
    is_hangul(c)
        || matches!(c,
            '\u{0e00}'..='\u{0e7f}'     // Thai
            | '\u{3005}'..='\u{3007}'   // Han iteration mark and zero
            | '\u{3021}'..='\u{3029}'   // Hangzhou numerals
            | '\u{3041}'..='\u{30ff}'   // Hiragana, Katakana
            | '\u{31f0}'..='\u{31ff}'   // Katakana extensions
            | '\u{2e80}'..='\u{2fdf}'   // Han radicals
            | '\u{3400}'..='\u{9fff}'   // Han
            | '\u{f900}'..='\u{faff}'   // Han compatibility
            | '\u{1b000}'..='\u{1b16f}' // Kana supplements
            | '\u{20000}'..='\u{3ffff}' // Han extensions
        )
}

fn is_hangul(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}' | '\u{a960}'..='\u{a97c}'
        | '\u{ac00}'..='\u{d7ff}')
}
