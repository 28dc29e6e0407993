//! Highlights: the words that were found, in fragments of the text they were found in.
//!
//! A text is analysed again as it was for the index, and where its terms are those of the query,
//! the analyser's offsets say which bytes of the original to put in `<em>`. The result is HTML:
//! everything else is escaped.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;
use tantivy::tokenizer::{TextAnalyzer, Token};

use super::budget::Budget;
use super::fetch;
use super::limits;
use super::lower::{Asked, Target};
use super::words;
use crate::analysis::{self, Language};
use crate::error::Result;

/// Highlights documents for one search.
pub(super) struct Highlighter<'a> {
    fields: Vec<FieldMarks<'a>>,
    names: Vec<String>,
    fallback: TextAnalyzer,
    analysers: Vec<(Language, TextAnalyzer)>,
    budget: &'a Budget,
}

/// What is marked in one text field.
struct FieldMarks<'a> {
    name: &'a str,
    fallback: Rows<'a>,
    languages: Vec<(Language, Rows<'a>)>,
}

impl<'a> Highlighter<'a> {
    pub(super) fn new(
        marks: &'a [Asked],
        targets: &'a [Target<'a>],
        budget: &'a Arc<Budget>,
    ) -> Self {
        let mut analysers: Vec<(Language, TextAnalyzer)> = Vec::new();
        for (language, _) in targets.iter().flat_map(|target| &target.languages) {
            if analysers.iter().all(|(known, _)| known != language)
                && let Some(analyser) = analysis::analyser(language)
            {
                analysers.push((*language, analyser));
            }
        }
        let mut seen = HashSet::new();
        let marks: Vec<&Asked> = marks.iter().filter(|mark| seen.insert(*mark)).collect();
        let fields: Vec<FieldMarks<'_>> = targets
            .iter()
            .map(|target| FieldMarks::new(target, &marks))
            .filter(|field| !field.is_empty())
            .collect();
        Self {
            names: fields.iter().map(|field| field.name.to_owned()).collect(),
            fields,
            fallback: analysis::fallback(),
            analysers,
            budget,
        }
    }

    /// For each text field with words found, its fragments.
    pub(super) fn document(&mut self, source: &str) -> Result<BTreeMap<String, Vec<String>>> {
        let mut highlights = BTreeMap::new();
        if self.fields.is_empty() {
            return Ok(highlights);
        }
        let Ok(document) = fetch::part(source, &self.names) else {
            return Ok(highlights);
        };
        for field in &self.fields {
            let mut texts = Vec::new();
            texts_at(&document, field.name, &mut texts);
            let mut fragments = Vec::new();
            let mut bytes = limits::HIGHLIGHT_BYTES;
            let whole = field.name == "title";
            for text in texts {
                self.budget.check()?;
                let looked_at = beginning(text, bytes);
                bytes -= looked_at.len();
                let found = field.find(
                    looked_at,
                    &mut self.fallback,
                    &mut self.analysers,
                    self.budget,
                )?;
                let most = limits::FRAGMENTS - fragments.len();
                fragments.extend(cut(text, &found, whole).into_iter().take(most));
                if fragments.len() >= limits::FRAGMENTS || bytes == 0 {
                    break;
                }
            }
            if !fragments.is_empty() {
                highlights.insert(field.name.to_owned(), fragments);
            }
        }
        Ok(highlights)
    }
}

impl<'a> FieldMarks<'a> {
    fn new(target: &'a Target<'a>, marks: &[&'a Asked]) -> Self {
        let mut fallback = Rows::default();
        let mut languages: Vec<(Language, Rows<'a>)> = target
            .languages
            .iter()
            .map(|(language, _)| (*language, Rows::default()))
            .collect();
        for mark in marks.iter().filter(|mark| target.is(mark.field.as_deref())) {
            fallback.add(&mark.reading.fallback, mark.prefix);
            for (language, rows) in &mut languages {
                let mut readings = mark.reading.languages.iter();
                if let Some((_, terms)) = readings.find(|(of, _)| of == language) {
                    rows.add(terms, mark.prefix);
                }
            }
        }
        Self {
            name: &target.field.name,
            fallback,
            languages,
        }
    }

    fn is_empty(&self) -> bool {
        self.fallback.by_first.is_empty()
            && (self.languages.iter()).all(|(_, rows)| rows.by_first.is_empty())
    }

    /// The places in `text` that were asked for, in order and apart.
    fn find(
        &self,
        text: &str,
        fallback: &mut TextAnalyzer,
        analysers: &mut [(Language, TextAnalyzer)],
        budget: &Budget,
    ) -> Result<Vec<Range<usize>>> {
        let mut found = Vec::new();
        let tokens = words::tokens(fallback, text);
        self.fallback.find(&tokens, budget, &mut found)?;
        for (language, analyser) in analysers {
            let rows = self.languages.iter().find(|(of, _)| of == language);
            if let Some((_, rows)) = rows.filter(|(_, rows)| !rows.by_first.is_empty()) {
                budget.check()?;
                let tokens = words::tokens(analyser, text);
                rows.find(&tokens, budget, &mut found)?;
            }
        }
        Ok(joined(found))
    }
}

/// At most so many bytes of a text, whole characters.
fn beginning(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Rows of terms that are looked for, by the first of each: a text is gone through once, however many there
/// are.
#[derive(Default)]
struct Rows<'a> {
    by_first: HashMap<&'a str, Vec<Row<'a>>>,
    /// The lengths of the first terms after which more may follow.
    prefix_lengths: BTreeSet<usize>,
}

struct Row<'a> {
    others: &'a [(usize, String)],
    prefix: bool,
}

impl<'a> Rows<'a> {
    fn add(&mut self, terms: &'a [(usize, String)], prefix: bool) {
        if let Some(((_, first), others)) = terms.split_first() {
            let rows = self.by_first.entry(first).or_default();
            rows.push(Row { others, prefix });
            if prefix {
                self.prefix_lengths.insert(first.len());
            }
        }
    }

    /// The rows that may begin with a token.
    fn beginning<'b>(&'b self, token: &'b str) -> impl Iterator<Item = &'b Row<'a>> {
        let lengths = self.prefix_lengths.range(..=token.len());
        let starts = lengths.filter_map(|length| token.get(..*length));
        let prefixes = starts
            .filter_map(|start| self.by_first.get(start))
            .flatten()
            .filter(|row| row.prefix);
        let whole = self.by_first.get(token).into_iter().flatten();
        whole.filter(|row| !row.prefix).chain(prefixes)
    }

    /// Adds where the rows stand among `tokens`.
    fn find(&self, tokens: &[Token], budget: &Budget, found: &mut Vec<Range<usize>>) -> Result<()> {
        // Each token once, in however many rows it stands.
        let mut marked = vec![false; tokens.len()];
        let mut steps = 0_u32;
        for (at, token) in tokens.iter().enumerate() {
            for row in self.beginning(&token.text) {
                if let Some(places) = row.places(tokens, at) {
                    for place in places {
                        if let Some(marked) = marked.get_mut(place) {
                            *marked = true;
                        }
                    }
                }
                steps += 1;
                if steps.is_multiple_of(limits::CHECK_EVERY) {
                    budget.check()?;
                }
            }
        }
        let marked = tokens.iter().zip(marked).filter(|(_, marked)| *marked);
        found.extend(marked.map(|(token, _)| token.offset_from..token.offset_to));
        Ok(())
    }
}

impl Row<'_> {
    /// The places of its tokens, if it begins at `at`.
    fn places(&self, tokens: &[Token], at: usize) -> Option<Vec<usize>> {
        let position = tokens.get(at)?.position;
        let mut places = vec![at];
        let mut rest = tokens.iter().enumerate().skip(at + 1);
        for (offset, term) in self.others {
            let (place, token) = rest.find(|(_, next)| next.position >= position + offset)?;
            let is = token.text == *term || (self.prefix && token.text.starts_with(term));
            if token.position != position + offset || !is {
                return None;
            }
            places.push(place);
        }
        Some(places)
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
