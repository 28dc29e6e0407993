//! Text: words, phrases and prefixes, in one text field or in all of them.
//!
//! What is asked of a field that turns out to hold no text is handed on as a value of that field.

use tantivy::Term;
use tantivy::query::{BooleanQuery, Occur};
use tantivy::schema::Field;

use super::clause::{Any, boosted, union};
use super::reading::{Reading, fallback_only, is_word, positions, word_of};
use super::term::json_text;
use super::{Asked, Lowering};
use crate::analysis::Language;
use crate::error::Result;
use crate::mapping::Resolved;
use crate::search::limits;
use crate::search::request::Operator;
use crate::search::words::{self, Unit};

impl Lowering<'_> {
    pub(super) fn words(&mut self, field: Option<&str>, text: &str, asked: bool) -> Result<Any> {
        if let Some(name) = field {
            let resolved = self.resolve(name)?;
            if !matches!(resolved, Resolved::Text(_)) {
                return Ok(self.value(name, &resolved, text, false));
            }
        }
        let units = words::units(&mut self.fallback, text);
        // What was written in one piece and for one field is meant as one.
        let all = field.is_some() || self.operator == Operator::And;
        let mut found: Vec<Any> = Vec::new();
        for unit in &units {
            if !all && unit.is_loose(self.alone && units.len() == 1) {
                let Unit::Run { pairs, .. } = unit else {
                    continue;
                };
                for pair in pairs {
                    found.push(self.reading(field, word_of(pair), asked));
                }
                continue;
            }
            found.push(match unit {
                Unit::Character(text) => self.begins(field, text, asked),
                Unit::Run { pairs, .. } => self.reading(field, fallback_only(pairs.clone()), asked),
                Unit::Word { written, terms } => {
                    let reading = Reading {
                        fallback: terms.clone(),
                        languages: self.in_languages(written),
                    };
                    self.reading(field, reading, asked)
                }
            });
        }
        Ok(if all && found.len() > 1 {
            let clauses = found.into_iter().map(|any| (Occur::Must, union(any)));
            vec![Box::new(BooleanQuery::new(clauses.collect()))]
        } else {
            found.into_iter().flatten().collect()
        })
    }

    pub(super) fn phrase(&mut self, field: Option<&str>, text: &str, asked: bool) -> Result<Any> {
        if let Some(name) = field {
            let resolved = self.resolve(name)?;
            if !matches!(resolved, Resolved::Text(_)) {
                return Ok(self.value(name, &resolved, text, true));
            }
        }
        let units = words::units(&mut self.fallback, text);
        if let [Unit::Character(text)] = units.as_slice() {
            return Ok(self.begins(field, text, asked));
        }
        let reading = Reading {
            fallback: positions(&mut self.fallback, text),
            languages: self.in_languages(text),
        };
        Ok(self.reading(field, reading, asked))
    }

    pub(super) fn prefix(&mut self, field: Option<&str>, text: &str, asked: bool) -> Result<Any> {
        if let Some(name) = field {
            match self.resolve(name)? {
                Resolved::Text(_) => {}
                Resolved::Keyword(field) | Resolved::Key(field) => {
                    return Ok(vec![
                        self.prefix_of(Term::from_field_text(field, text), text),
                    ]);
                }
                Resolved::Dynamic {
                    json,
                    text: words,
                    path,
                } => {
                    let mut any = vec![self.prefix_of(json_text(json, &path, text), text)];
                    if let [(_, term)] = positions(&mut self.fallback, text).as_slice() {
                        any.push(self.prefix_of(json_text(words, &path, term), text));
                    }
                    return Ok(any);
                }
                resolved => return Ok(self.value(name, &resolved, text, false)),
            }
        }
        let mut units = words::units(&mut self.fallback, text);
        let last = match units.pop() {
            // `東京*` is what 東京 means anyway: more may always follow.
            Some(Unit::Run { pairs, .. }) => self.reading(field, fallback_only(pairs), asked),
            Some(Unit::Character(text)) => self.begins(field, &text, asked),
            Some(Unit::Word { mut terms, .. }) => match terms.pop() {
                Some((_, text)) => self.begins(field, &text, asked),
                None => return Ok(Vec::new()),
            },
            None => return Ok(Vec::new()),
        };
        if units.is_empty() {
            return Ok(last);
        }
        // `well-kno*`: the words before the last one are whole.
        let start = text
            .char_indices()
            .rev()
            .find(|(_, c)| !c.is_alphanumeric());
        let before = start.and_then(|(at, _)| text.get(..at)).unwrap_or_default();
        let operator = std::mem::replace(&mut self.operator, Operator::And);
        let before = self.words(field, before, asked);
        self.operator = operator;
        Ok(vec![Box::new(BooleanQuery::new(vec![
            (Occur::Must, union(before?)),
            (Occur::Must, union(last)),
        ]))])
    }

    /// The languages' readings of a text.
    fn in_languages(&mut self, text: &str) -> Vec<(Language, Vec<(usize, String)>)> {
        self.analysers
            .iter_mut()
            .map(|(language, analyser)| (*language, positions(analyser, text)))
            .filter(|(_, terms)| !terms.is_empty())
            .collect()
    }

    /// Words in the text field `field`, or in any.
    fn reading(&mut self, field: Option<&str>, reading: Reading, asked: bool) -> Any {
        let terms = reading.fallback.len().max(1);
        self.terms += terms;
        let mut any = Vec::new();
        for target in self.targets.iter().filter(|target| target.is(field)) {
            self.lookups += terms * (1 + target.languages.len());
            // What is too much is refused when the clause is done; until then it must not grow.
            if self.lookups <= limits::LOOKUPS {
                any.extend(target.query(&reading, &self.budget));
            }
        }
        if asked {
            if is_word(&reading) {
                self.words.push(Asked {
                    field: field.map(str::to_owned),
                    reading: reading.clone(),
                    prefix: false,
                });
            }
            self.mark(field, reading, false);
        }
        any
    }

    fn mark(&mut self, field: Option<&str>, reading: Reading, prefix: bool) {
        self.marks.push(Asked {
            field: field.map(str::to_owned),
            reading,
            prefix,
        });
    }

    /// Everything that begins with `text` in the text field `field`, or in any.
    fn begins(&mut self, field: Option<&str>, text: &str, asked: bool) -> Any {
        self.terms += 1;
        if asked {
            self.mark(field, fallback_only(vec![(0, text.to_owned())]), true);
        }
        let targets: Vec<(Field, f32)> = self
            .targets
            .iter()
            .filter(|target| target.is(field))
            .map(|target| (target.field.fallback, target.field.boost))
            .collect();
        targets
            .into_iter()
            .map(|(field, boost)| {
                boosted(
                    self.prefix_of(Term::from_field_text(field, text), text),
                    boost,
                )
            })
            .collect()
    }
}
