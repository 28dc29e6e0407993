//! Cutting a text into words, or into pairs of characters where a script has no spaces.
//!
//! The rules are those of Unicode for words (UAX 29), but that what joins words to a longer one
//! for them (`.`, `:` and `_` between letters) does not here: `report.pdf` and `snake_case` are
//! found by their parts, and as a whole by a phrase.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_normalization::char::is_combining_mark;

use super::normal::{Normal, Normalised};

/// The longest token, in bytes: what is longer is no word, and is left out.
const TOKEN_BYTES: usize = 255;

/// What an apostrophe between two letters does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Apostrophe {
    /// It parts them, so that "l'amour" is found by "amour".
    Parts,
    /// It joins them, as "don't".
    Joins,
}

/// The tokenizer of every analyser: words in lower case, and overlapping pairs of characters of
/// the scripts without spaces.
#[derive(Debug)]
pub(super) struct Words {
    apostrophe: Apostrophe,
    normal: Normal,
    token: Token,
}

impl Words {
    pub(super) fn new(apostrophe: Apostrophe) -> Self {
        Self {
            apostrophe,
            normal: Normal::default(),
            token: Token::default(),
        }
    }
}

impl Clone for Words {
    /// Without the room for texts, which is filled anew for each.
    fn clone(&self) -> Self {
        Self::new(self.apostrophe)
    }
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        WordStream {
            text: self.normal.of(text),
            place: 0,
            unpaired: None,
            apostrophe: self.apostrophe,
            token: &mut self.token,
        }
    }
}

/// The tokens of one text.
#[derive(Debug)]
pub(super) struct WordStream<'a> {
    text: Normalised<'a>,
    /// Where to go on.
    place: usize,
    /// Where the last character of the last pair begins, if the next one may pair with it.
    unpaired: Option<usize>,
    apostrophe: Apostrophe,
    token: &'a mut Token,
}

/// What a character is to the cutting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    /// Of a script without spaces.
    Paired,
    /// A mark upon the character before it, or something invisible within a word.
    Extends,
    Other,
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        self.token.position = self.token.position.wrapping_add(1);
        while let Some((start, end)) = self.next_token() {
            if self.token.text.len() <= TOKEN_BYTES {
                (self.token.offset_from, self.token.offset_to) = self.text.original(start, end);
                return true;
            }
            self.token.position += 1;
        }
        false
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

impl WordStream<'_> {
    /// Writes the next token's text; where it stands in the normal form.
    fn next_token(&mut self) -> Option<(usize, usize)> {
        self.token.text.clear();
        if let Some(start) = self.unpaired.take()
            && let Some(end) = self.paired_at(self.place)
        {
            return Some(self.pair(start, end));
        }
        loop {
            let rest = self.text.text.as_bytes().get(self.place..)?;
            self.place += rest
                .iter()
                .position(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())?;
            let start = self.place;
            let first = self.char_at(start)?;
            match class(first) {
                Class::Letter | Class::Digit => return Some((start, self.word(start))),
                Class::Paired => return self.first_pair(start),
                Class::Extends | Class::Other => self.place += first.len_utf8(),
            }
        }
    }

    fn char_at(&self, place: usize) -> Option<char> {
        self.text.text.get(place..)?.chars().next()
    }

    /// Writes the word that begins at `start`; where it ends.
    fn word(&mut self, start: usize) -> usize {
        let rest = self.text.text.get(start..).unwrap_or_default();
        let ascii = rest
            .bytes()
            .position(|byte| !byte.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let simple = match rest.as_bytes().get(ascii) {
            Some(b'\'' | b'.' | b',') => false,
            next => next.is_none_or(u8::is_ascii),
        };
        if simple {
            self.token
                .text
                .push_str(rest.get(..ascii).unwrap_or_default());
            self.token.text.make_ascii_lowercase();
            self.place = start + ascii;
        } else {
            self.place = start + self.composed_word(rest);
        }
        self.place
    }

    /// Writes the word at the beginning of `rest`, which has other characters than those of
    /// ASCII or something that may join; its length.
    fn composed_word(&mut self, rest: &str) -> usize {
        let mut last = Class::Other;
        let mut characters = rest.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            match class(c) {
                kind @ (Class::Letter | Class::Digit) => {
                    last = kind;
                    push_lower_case(&mut self.token.text, c);
                }
                Class::Extends => push_visible(&mut self.token.text, c),
                Class::Paired => return at,
                Class::Other => {
                    let next = characters
                        .peek()
                        .map_or(Class::Other, |&(_, next)| class(next));
                    match self.joins(last, c, next) {
                        Some(joint) => self.token.text.push(joint),
                        None => return at,
                    }
                }
            }
        }
        rest.len()
    }

    /// What `c` is written as, if it joins what stands before and behind it to one word.
    fn joins(&self, before: Class, c: char, behind: Class) -> Option<char> {
        let (kind, joint) = match c {
            '\'' | '’' if self.apostrophe == Apostrophe::Joins => (Class::Letter, '\''),
            '.' | ',' => (Class::Digit, c),
            _ => return None,
        };
        (before == kind && behind == kind).then_some(joint)
    }

    /// Begins a run of a script without spaces: its first two characters, or its only one.
    fn first_pair(&mut self, start: usize) -> Option<(usize, usize)> {
        let middle = self.paired_at(start)?;
        self.place = middle;
        match self.paired_at(middle) {
            Some(end) => Some(self.pair(start, end)),
            None => {
                self.write(start, middle);
                Some((start, middle))
            }
        }
    }

    /// Writes the pair `start..end`, whose second character begins at the current place.
    fn pair(&mut self, start: usize, end: usize) -> (usize, usize) {
        self.write(start, end);
        self.unpaired = Some(self.place);
        self.place = end;
        (start, end)
    }

    /// Where the character at `place` ends, with the marks upon it, if its script has no spaces.
    fn paired_at(&self, place: usize) -> Option<usize> {
        let rest = self.text.text.get(place..)?;
        let mut characters = rest.char_indices();
        characters
            .next()
            .filter(|&(_, c)| class(c) == Class::Paired)?;
        let length = characters
            .find(|&(_, c)| class(c) != Class::Extends)
            .map_or(rest.len(), |(at, _)| at);
        Some(place + length)
    }

    fn write(&mut self, start: usize, end: usize) {
        for c in self.text.text.get(start..end).unwrap_or_default().chars() {
            push_visible(&mut self.token.text, c);
        }
    }
}

fn push_lower_case(text: &mut String, c: char) {
    match c {
        // The form of a sigma depends on its place, and a word in capitals does not tell it.
        'ς' => text.push('σ'),
        // Its lower case is an i and a dot upon it, which nobody writes.
        'İ' => text.push('i'),
        _ if c.is_ascii() => text.push(c.to_ascii_lowercase()),
        _ => text.extend(c.to_lowercase()),
    }
}

/// Leaves out what only directs how a word is shown.
fn push_visible(text: &mut String, c: char) {
    if !is_invisible(c) {
        text.push(c);
    }
}

/// Soft hyphens, joiners and variation selectors.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{200B}'..='\u{200D}' | '\u{2060}' | '\u{FEFF}' | '\u{FE00}'..='\u{FE0F}'
            | '\u{180B}'..='\u{180D}' | '\u{E0100}'..='\u{E01EF}'
    )
}

fn class(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' => Class::Letter,
        '0'..='9' => Class::Digit,
        '\0'..='\u{7F}' => Class::Other,
        '\u{E0}'..='\u{F6}' => Class::Letter,
        '‐'..='…' => Class::Other,
        _ if c.is_numeric() && !is_ideographic_number(c) => Class::Digit,
        _ if is_combining_mark(c) || is_invisible(c) => Class::Extends,
        _ if has_no_spaces(c) => Class::Paired,
        _ if c.is_alphabetic() => Class::Letter,
        _ => Class::Other,
    }
}

/// Han characters that count as numbers to Unicode.
fn is_ideographic_number(c: char) -> bool {
    matches!(c, '〇' | '〡'..='〩' | '〸'..='〺')
}

/// Whether `c` is a letter of a script whose words are not parted by spaces; or of Hangul, whose
/// words carry particles that no analyser of ours takes off.
fn has_no_spaces(c: char) -> bool {
    match c {
        // Thai, Lao
        '\u{E01}'..='\u{E3A}' | '\u{E40}'..='\u{E4E}' | '\u{E81}'..='\u{EDF}' => c.is_alphabetic(),
        // Myanmar, Khmer
        '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17D7}' => c.is_alphabetic(),
        // Hangul
        '\u{1100}'..='\u{11FF}' | '\u{3131}'..='\u{318E}' | '\u{A960}'..='\u{A97C}' => true,
        '가'..='힣' | '\u{D7B0}'..='\u{D7FB}' => true,
        // Han
        '々'..='〇' | '〡'..='〩' | '〸'..='〼' | '\u{3400}'..='\u{4DBF}' => true,
        '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFD}' => true,
        // Hiragana, Katakana
        'ぁ'..='ゖ' | 'ゝ'..='ゟ' | 'ァ'..='ヺ' | 'ー'..='ヿ' | 'ㇰ'..='ㇿ' => true,
        '\u{1AFF0}'..='\u{1B167}' => true,
        _ => false,
    }
}
