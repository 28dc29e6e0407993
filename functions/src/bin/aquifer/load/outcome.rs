//! Documents on their way, and what became of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aquifer_functions::texts::Place;
use aquifer_indexer::document::DocumentError;

use crate::report::grouped;
use crate::terminal::{complain, one_line};

/// Lines of one sort that are shown. The others are counted.
const SHOWN: usize = 20;

/// Where a document was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// None for standard input.
    file: Option<Arc<str>>,
    place: Place,
}

impl Origin {
    pub(crate) fn new(file: Option<Arc<str>>, place: Place) -> Self {
        Self { file, place }
    }

    /// The document, or a line and a column of its text, as a message names it.
    fn named(&self, within: Option<(usize, usize)>) -> String {
        let spot = match within {
            Some(within) => self.place.within(within),
            None => self.place.spot(),
        };
        match &self.file {
            Some(file) => spot.of_file(file),
            None => spot.to_string(),
        }
    }
}

/// One document's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) origin: Origin,
    pub(crate) text: String,
}

/// What was read next.
#[derive(Debug)]
pub(crate) enum Read {
    /// What may be a document.
    Document(Item),
    /// What is none.
    Refused(Refusal),
    /// A file that holds no documents.
    Skipped { file: String, why: &'static str },
    /// A file, or the rest of one, or a folder, that cannot be read.
    Broken { file: String, why: String },
}

/// Why a document is not in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    place: String,
    unique_key: Option<String>,
    detail: String,
}

impl Refusal {
    /// `within` is the line and the column of the document's text that are wrong, where that is known.
    pub(crate) fn new(
        origin: &Origin,
        within: Option<(usize, usize)>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            place: origin.named(within),
            unique_key: None,
            detail: detail.into(),
        }
    }

    /// What the index has against a document.
    pub(crate) fn of(origin: &Origin, error: DocumentError) -> Self {
        Self {
            unique_key: error.unique_key,
            ..Self::new(origin, error.place, error.detail)
        }
    }

    pub(crate) fn with_key(mut self, unique_key: Option<String>) -> Self {
        self.unique_key = unique_key;
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if let Some(key) = &self.unique_key {
            write!(f, " ({})", one_line(key))?;
        }
        write!(f, ": {}", one_line(&self.detail))
    }
}

/// What became of one batch.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) created: u64,
    pub(crate) updated: u64,
    /// Durable, and not visible yet, so that it is not known which are new.
    pub(crate) pending: u64,
    /// Neither durable nor visible yet: [`super::Destination::settled`] tells later.
    pub(crate) taken: u64,
    pub(crate) refusals: Vec<Refusal>,
}

impl Sent {
    /// Adds what became of another part of the batch.
    pub(crate) fn add(&mut self, other: Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.pending += other.pending;
        self.taken += other.taken;
        self.refusals.extend(other.refusals);
    }
}

/// Lines to show, and how many there are.
#[derive(Debug, Default)]
struct Lines {
    shown: Vec<String>,
    count: u64,
}

impl Lines {
    fn add(&mut self, line: impl fmt::Display) {
        self.count += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(line.to_string());
        }
    }

    fn complain(&self, before: &str) {
        for line in &self.shown {
            complain(&format!("{before}{line}"));
        }
        let more = self.count.saturating_sub(self.shown.len() as u64);
        if more > 0 {
            complain(&format!("{before}... and {} more", grouped(more)));
        }
    }
}

/// What became of everything so far.
#[derive(Debug, Default)]
pub(crate) struct Total {
    created: u64,
    updated: u64,
    pending: u64,
    taken: u64,
    refused: Lines,
    skipped: Lines,
    broken: Lines,
}

impl Total {
    pub(crate) fn add(&mut self, sent: Sent) {
        self.created += sent.created;
        self.updated += sent.updated;
        self.pending += sent.pending;
        self.taken += sent.taken;
        for refusal in sent.refusals {
            self.refuse(refusal);
        }
    }

    /// What became of the documents that were taken. Gives the number of those that are not in the index.
    pub(crate) fn settle(&mut self, settled: Sent) -> u64 {
        let known = settled.created + settled.updated + settled.pending;
        let lost = std::mem::take(&mut self.taken).saturating_sub(known);
        self.add(settled);
        lost
    }

    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.refused.add(refusal);
    }

    pub(crate) fn skip(&mut self, file: &str, why: &str) {
        self.skipped.add(format_args!("{file}: {why}"));
    }

    pub(crate) fn break_off(&mut self, file: &str, why: &str) {
        self.broken.add(format_args!("{file}: {why}"));
    }

    pub(crate) fn documents(&self) -> u64 {
        self.created + self.updated + self.pending + self.taken + self.refused.count
    }

    /// Whether everything that was to be read is in the index, or on its way.
    pub(crate) fn is_whole(&self) -> bool {
        self.refused.count == 0 && self.broken.count == 0
    }

    /// Tells what was skipped and refused, and what could not be read.
    pub(crate) fn complain(&self) {
        self.skipped.complain("skipped ");
        self.refused.complain("");
        self.broken.complain("error: ");
    }

    /// One line about all of it.
    pub(crate) fn summary(&self, took: Duration) -> String {
        let mut parts = vec![
            format!("{} created", grouped(self.created)),
            format!("{} updated", grouped(self.updated)),
        ];
        if self.pending > 0 {
            parts.push(format!(
                "{} accepted and not yet visible",
                grouped(self.pending)
            ));
        }
        parts.push(format!("{} refused", grouped(self.refused.count)));
        format!(
            "{} documents: {} in {:.1} s",
            grouped(self.documents()),
            parts.join(", "),
            took.as_secs_f64()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64) -> Origin {
        Origin::new(None, Place::Line(number))
    }

    #[test]
    fn a_total_counts_everything_and_shows_some() {
        let mut total = Total::default();
        for number in 1..=25 {
            total.refuse(Refusal::new(&line(number), None, "no"));
        }
        total.add(Sent {
            created: 1200,
            updated: 3,
            ..Sent::default()
        });
        assert_eq!(total.refused.shown.len(), SHOWN);
        assert_eq!(
            total.summary(Duration::from_millis(1250)),
            "1,228 documents: 1,200 created, 3 updated, 25 refused in 1.2 s"
        );
    }

    #[test]
    fn a_refusal_names_its_place() {
        let origin = Origin::new(Some("a/b.json".into()), Place::Whole(1));
        let refusal = Refusal::new(&origin, Some((3, 5)), "no\nJSON");
        assert_eq!(refusal.to_string(), "a/b.json:3:5: no JSON");
        let refusal = Refusal::new(&line(7), None, "why").with_key(Some("k".into()));
        assert_eq!(refusal.to_string(), "line 7 (k): why");
    }
}
