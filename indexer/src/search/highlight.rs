//! Highlights: the words that were found, in fragments of the text they were found in.
//!
//! A text is analysed again as it was for the index, and where its terms are those of the query,
//! the analyser's offsets say which bytes of the original to put in `<em>`. The result is HTML:
//! everything else is escaped.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;
use tantivy::tokenizer::{TextAnalyzer, Token};

use super::limits;
use super::lower::{Asked, Target};
use super::words;
use crate::analysis::{self, Language};

/// Highlights documents for one search.
pub(super) struct Highlighter<'a> {
    marks: &'a [Asked],
    targets: &'a [Target<'a>],
    fallback: TextAnalyzer,
    analysers: Vec<(Language, TextAnalyzer)>,
}

impl<'a> Highlighter<'a> {
    pub(super) fn new(marks: &'a [Asked], targets: &'a [Target<'a>]) -> Self {
        let mut analysers: Vec<(Language, TextAnalyzer)> = Vec::new();
        for (language, _) in targets.iter().flat_map(|target| &target.languages) {
            if analysers.iter().all(|(known, _)| known != language)
                && let Some(analyser) = analysis::analyser(language)
            {
                analysers.push((*language, analyser));
            }
        }
        Self {
            marks,
            targets,
            fallback: analysis::fallback(),
            analysers,
        }
    }

    /// For each text field with words found, its fragments.
    pub(super) fn document(&mut self, source: &str) -> BTreeMap<String, Vec<String>> {
        let mut highlights = BTreeMap::new();
        if self.marks.is_empty() {
            return highlights;
        }
        let Ok(document) = serde_json::from_str::<Value>(source) else {
            return highlights;
        };
        for target in self.targets {
            let mut texts = Vec::new();
            texts_at(&document, &target.field.name, &mut texts);
            let mut fragments = Vec::new();
            for text in texts {
                let found = self.find(target, text);
                let whole = target.field.name == "title";
                let most = limits::FRAGMENTS - fragments.len();
                fragments.extend(cut(text, &found, whole).into_iter().take(most));
                if fragments.len() >= limits::FRAGMENTS {
                    break;
                }
            }
            if !fragments.is_empty() {
                highlights.insert(target.field.name.clone(), fragments);
            }
        }
        highlights
    }

    /// The places in `text` that were asked for, in order and apart.
    fn find(&mut self, target: &Target<'_>, text: &str) -> Vec<Range<usize>> {
        let mut end = text.len().min(limits::HIGHLIGHT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default();
        let marks = || {
            self.marks
                .iter()
                .filter(|mark| target.is(mark.field.as_deref()))
        };
        let mut found = Vec::new();
        let tokens = words::tokens(&mut self.fallback, text);
        for mark in marks() {
            matches(&tokens, &mark.reading.fallback, mark.prefix, &mut found);
        }
        for (language, analyser) in &mut self.analysers {
            if target
                .languages
                .iter()
                .all(|(searched, _)| searched != language)
            {
                continue;
            }
            let tokens = words::tokens(analyser, text);
            for mark in marks() {
                for (_, terms) in mark
                    .reading
                    .languages
                    .iter()
                    .filter(|(of, _)| of == language)
                {
                    matches(&tokens, terms, mark.prefix, &mut found);
                }
            }
        }
        joined(found)
    }
}

/// The strings at a dotted path, through arrays.
fn texts_at<'a>(value: &'a Value, path: &str, texts: &mut Vec<&'a str>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| texts_at(value, path, texts)),
        Value::String(text) if path.is_empty() => texts.push(text),
        Value::Object(object) => {
            for (name, value) in object {
                let rest = path.strip_prefix(name.as_str());
                match rest.and_then(|rest| rest.strip_prefix('.')) {
                    Some(rest) => texts_at(value, rest, texts),
                    None if rest == Some("") => texts_at(value, "", texts),
                    None => {}
                }
            }
        }
        _ => {}
    }
}

/// Where `terms` stand in a row among `tokens`.
fn matches(
    tokens: &[Token],
    terms: &[(usize, String)],
    prefix: bool,
    found: &mut Vec<Range<usize>>,
) {
    let Some(((_, first), others)) = terms.split_first() else {
        return;
    };
    let is =
        |token: &Token, term: &str| token.text == term || (prefix && token.text.starts_with(term));
    for (at, token) in tokens.iter().enumerate() {
        if !is(token, first) {
            continue;
        }
        let mut rest = tokens.get(at + 1..).unwrap_or_default().iter();
        let row: Option<Vec<&Token>> = others
            .iter()
            .map(|(offset, term)| {
                rest.find(|next| next.position >= token.position + offset)
                    .filter(|next| next.position == token.position + offset && is(next, term))
            })
            .collect();
        if let Some(row) = row {
            found.push(token.offset_from..token.offset_to);
            found.extend(row.iter().map(|token| token.offset_from..token.offset_to));
        }
    }
}

/// Sorted, with those that touch or overlap joined.
fn joined(mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    found.sort_unstable_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in found {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Fragments of `text` around the places `found`, the ones with the most first.
fn cut(text: &str, found: &[Range<usize>], whole: bool) -> Vec<String> {
    if found.is_empty() {
        return Vec::new();
    }
    if whole {
        return vec![html(text, 0..text.len(), found)];
    }
    let mut fragments: Vec<(usize, Range<usize>)> = Vec::new();
    let mut rest = found;
    let mut floor = 0;
    while let Some(first) = rest.first() {
        let range = around(text, first, floor);
        let inside = rest
            .iter()
            .take_while(|place| place.end <= range.end)
            .count()
            .max(1);
        rest = rest.get(inside..).unwrap_or_default();
        floor = range.end;
        fragments.push((inside, range));
    }
    // The fullest ones, in the order of the text.
    fragments.sort_by_key(|(inside, range)| (std::cmp::Reverse(*inside), range.start));
    fragments.truncate(limits::FRAGMENTS);
    fragments.sort_by_key(|(_, range)| range.start);
    fragments
        .into_iter()
        .map(|(_, range)| html(text, range, found))
        .collect()
}

/// About [`limits::FRAGMENT_CHARS`] characters from shortly before `place`, not before `floor`.
fn around(text: &str, place: &Range<usize>, floor: usize) -> Range<usize> {
    let before = text.get(floor..place.start).unwrap_or_default();
    let lead = limits::FRAGMENT_CHARS / 3;
    let mut start = before
        .char_indices()
        .rev()
        .take(lead)
        .last()
        .map_or(place.start, |(at, _)| floor + at);
    if start > floor {
        // Not in the middle of a word, where there are spaces.
        let lead = text.get(start..place.start).unwrap_or_default();
        if let Some((at, space)) = lead.char_indices().find(|(_, c)| c.is_whitespace()) {
            start += at + space.len_utf8();
        }
    }
    let shown = text
        .get(start..place.end)
        .unwrap_or_default()
        .chars()
        .count();
    let after = text.get(place.end..).unwrap_or_default();
    let room = limits::FRAGMENT_CHARS.saturating_sub(shown);
    let end = match after.char_indices().nth(room) {
        None => text.len(),
        Some((at, _)) => {
            let tail = after.get(..at).unwrap_or_default();
            place.end + tail.rfind(char::is_whitespace).unwrap_or(at)
        }
    };
    start..end
}

/// A part of `text` as HTML, with the places `found` in `<em>`.
fn html(text: &str, range: Range<usize>, found: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(range.len() + 32);
    let mut at = range.start;
    for place in found {
        let (start, end) = (place.start.max(range.start), place.end.min(range.end));
        if start >= end {
            continue;
        }
        escape(text.get(at..start).unwrap_or_default(), &mut out);
        out.push_str("<em>");
        escape(text.get(start..end).unwrap_or_default(), &mut out);
        out.push_str("</em>");
        at = end;
    }
    escape(text.get(at..range.end).unwrap_or_default(), &mut out);
    out.trim().to_owned()
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}
