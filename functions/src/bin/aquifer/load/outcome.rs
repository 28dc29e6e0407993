//! Documents on their way, and what became of them.

use std::fmt;
use std::time::Duration;

use crate::report::grouped;
use crate::terminal::{complain, one_line};

/// Refusals that are shown one by one; of the others only the number is told.
const SHOWN_REFUSALS: usize = 20;

/// Where a document was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A line, counted from 1.
    Line(u64),
    /// A place in an array, counted from 1.
    Element(u64),
    /// A file of its own.
    File(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Element(number) => write!(f, "document {number}"),
            Self::File(path) => f.write_str(path),
        }
    }
}

/// One document's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) origin: Origin,
    pub(crate) text: String,
}

/// Why a document is not in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    origin: Origin,
    unique_key: Option<String>,
    detail: String,
    /// Where in a file of its own, as `line:column`.
    place: Option<String>,
}

impl Refusal {
    pub(crate) fn new(origin: Origin, detail: impl Into<String>) -> Self {
        Self {
            origin,
            unique_key: None,
            detail: detail.into(),
            place: None,
        }
    }

    pub(crate) fn with_key(mut self, unique_key: Option<String>) -> Self {
        self.unique_key = unique_key;
        self
    }

    pub(crate) fn with_place(mut self, line: usize, column: usize) -> Self {
        self.place = Some(format!("{line}:{column}"));
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.origin)?;
        if let Some(place) = &self.place {
            write!(f, ":{place}")?;
        }
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
    /// Durable, and not visible yet, so that nobody knows which are new.
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

/// What became of everything so far.
#[derive(Debug, Default)]
pub(crate) struct Total {
    created: u64,
    updated: u64,
    pending: u64,
    taken: u64,
    refused: u64,
    shown: Vec<Refusal>,
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
        self.refused += 1;
        if self.shown.len() < SHOWN_REFUSALS {
            self.shown.push(refusal);
        }
    }

    pub(crate) fn documents(&self) -> u64 {
        self.created + self.updated + self.pending + self.taken + self.refused
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Tells what was refused.
    pub(crate) fn complain(&self) {
        for refusal in &self.shown {
            complain(&refusal.to_string());
        }
        let more = self.refused.saturating_sub(self.shown.len() as u64);
        if more > 0 {
            complain(&format!("... and {} more", grouped(more)));
        }
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
        parts.push(format!("{} refused", grouped(self.refused)));
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

    #[test]
    fn a_total_counts_everything_and_shows_some() {
        let mut total = Total::default();
        for line in 1..=25 {
            total.refuse(Refusal::new(Origin::Line(line), "no"));
        }
        total.add(Sent {
            created: 1200,
            updated: 3,
            ..Sent::default()
        });
        assert_eq!(total.shown.len(), SHOWN_REFUSALS);
        assert_eq!(
            total.summary(Duration::from_millis(1250)),
            "1,228 documents: 1,200 created, 3 updated, 25 refused in 1.2 s"
        );
    }

    #[test]
    fn a_refusal_names_its_place() {
        let refusal = Refusal::new(Origin::File("a/b.json".into()), "no\nJSON").with_place(3, 5);
        assert_eq!(refusal.to_string(), "a/b.json:3:5: no JSON");
        let refusal = Refusal::new(Origin::Line(7), "why").with_key(Some("k".into()));
        assert_eq!(refusal.to_string(), "line 7 (k): why");
    }
}
