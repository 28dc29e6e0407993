//! The documents of a source, one object after the other.

use std::collections::VecDeque;

use aquifer_indexer::reindex::{Chunk, DocumentSource};
use aquifer_indexer::{Error, ErrorKind, Result};

use super::objects::{Failed, Found, Objects, Opened, unreadable};
use super::position::{Position, Within};
use super::reading::Reading;
use crate::texts::{Form, NO_NAME};

/// Bytes of small objects that are opened together; a larger object is opened alone.
const TOGETHER_BYTES: u64 = 4 * 1024 * 1024;
/// Small objects that are opened together.
const TOGETHER: usize = 64;

/// Listings that are read in advance to tell how many bytes there are.
const COUNTED_PAGES: usize = 10;

/// How often an object is begun with again because it changed.
const CHANGES_MAX: usize = 5;

/// A source on its way from its first object to its last.
pub(super) struct Walk {
    shown: String,
    objects: Box<dyn Objects>,
    /// The position that the rest of the fields stand at; none when they stand nowhere.
    at: Option<String>,
    /// What was read to its end, and how far.
    done: Position,
    reading: Option<Reading>,
    /// How often the object that is being read has changed.
    changes: usize,
    opened: VecDeque<(Found, Option<Opened>)>,
    found: VecDeque<Found>,
    /// Where the listing goes on.
    listing: Listing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Listing {
    After(Option<String>),
    Ended,
}

impl Walk {
    pub(super) fn new(shown: String, objects: Box<dyn Objects>) -> Self {
        Self {
            shown,
            objects,
            at: None,
            done: Position::default(),
            reading: None,
            changes: 0,
            opened: VecDeque::new(),
            found: VecDeque::new(),
            listing: Listing::After(None),
        }
    }

    /// Goes to a position that an earlier chunk gave.
    fn seek(&mut self, position: Option<&str>) -> Result<()> {
        self.reading = None;
        self.opened.clear();
        self.found.clear();
        self.changes = 0;
        let Some(position) = position else {
            self.done = Position::default();
            self.listing = Listing::After(None);
            self.done.total_bytes = self.count()?;
            return Ok(());
        };
        let mut position = Position::read(position)?;
        self.listing = Listing::After(Some(position.object.clone()));
        let within = position.within.take();
        self.done = position;
        match within {
            Some(within) => self.again(&within),
            None => Ok(()),
        }
    }

    /// Opens the object of the position once more, and passes over what was taken out of it, unless it has
    /// changed since.
    fn again(&mut self, within: &Within) -> Result<()> {
        let name = self.done.object.clone();
        let opened = self.objects.open(&name)?;
        self.begin(name, opened)?;
        if self
            .reading
            .as_ref()
            .is_none_or(|reading| reading.version() != within.version)
        {
            return Ok(());
        }
        while let Some(reading) = &mut self.reading {
            if reading.taken() >= within.texts {
                break;
            }
            match reading.take() {
                Ok(Some(_passed_over)) => {}
                Ok(None) => break,
                Err(failed) => {
                    self.interrupted(failed)?;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Bytes of all objects, if a few listings tell.
    fn count(&self) -> Result<Option<u64>> {
        let mut total = 0;
        let mut after: Option<String> = None;
        for _ in 0..COUNTED_PAGES {
            let page = self.objects.list(after.as_deref())?;
            total += page.found.iter().map(|found| found.size).sum::<u64>();
            if page.after.is_none() {
                return Ok(Some(total));
            }
            after = page.after;
        }
        Ok(None)
    }

    /// Begins with an object; with none, if it is gone.
    fn begin(&mut self, name: String, opened: Option<Opened>) -> Result<()> {
        self.reading = None;
        self.done.object.clone_from(&name);
        let (Some(opened), Some(form)) = (opened, Form::of(&name)) else {
            return Ok(());
        };
        match Reading::begin(name, form, opened) {
            Ok(reading) => self.reading = Some(reading),
            Err(failed) => self.interrupted(failed)?,
        }
        Ok(())
    }

    /// Goes on after reading failed in the middle of an object: what is gone is passed over, what has changed is
    /// begun with again.
    fn interrupted(&mut self, failed: Failed) -> Result<()> {
        self.reading = None;
        match failed {
            Failed::Gone => Ok(()),
            Failed::Source(error) => Err(error),
            Failed::Changed => {
                self.changes += 1;
                let name = self.done.object.clone();
                if self.changes > CHANGES_MAX {
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        format!(
                            "{name:?} of the source {} changes faster than it can be read",
                            self.shown
                        ),
                    ));
                }
                let opened = self.objects.open(&name)?;
                self.begin(name, opened)
            }
        }
    }

    /// Begins with the next object; `false` at the end of the source.
    fn advance(&mut self) -> Result<bool> {
        while self.opened.is_empty() {
            if self.found.is_empty() && !self.list()? {
                return Ok(false);
            }
            let together = self.together();
            let opened = self.objects.open_all(&together)?;
            self.opened = together.into_iter().zip(opened).collect();
        }
        self.changes = 0;
        if let Some((found, opened)) = self.opened.pop_front() {
            match found.problem {
                Some(why) => {
                    self.done.object.clone_from(&found.name);
                    self.reading = Some(Reading::refused(found.name, why));
                }
                None => self.begin(found.name, opened)?,
            }
        }
        Ok(true)
    }

    /// Reads listings until one has objects; `false` where none is left.
    fn list(&mut self) -> Result<bool> {
        while let Listing::After(after) = &self.listing {
            let page = self.objects.list(after.as_deref())?;
            self.listing = page
                .after
                .map_or(Listing::Ended, |after| Listing::After(Some(after)));
            if let Some(first) = page.skipped.first() {
                tracing::info!(
                    source = self.shown,
                    files = page.skipped.len(),
                    first = first.name,
                    why = first.why,
                    "passing over files that hold no documents"
                );
            }
            self.found = page.found.into();
            if !self.found.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The objects that are opened next: one at least, and several if they are small.
    fn together(&mut self) -> Vec<Found> {
        let mut bytes = 0;
        let mut objects = Vec::new();
        while let Some(next) = self.found.front() {
            bytes += next.size;
            if !objects.is_empty() && (bytes > TOGETHER_BYTES || objects.len() == TOGETHER) {
                break;
            }
            objects.extend(self.found.pop_front());
        }
        objects
    }

    fn position(&self) -> Position {
        let within = self.reading.as_ref().map(|reading| Within {
            version: reading.version().to_owned(),
            texts: reading.taken(),
        });
        Position {
            within,
            ..self.done.clone()
        }
    }

    fn fill(&mut self, bytes: usize) -> Result<Chunk> {
        let mut chunk = Chunk::default();
        let mut taken = 0;
        let ended = loop {
            let Some(reading) = &mut self.reading else {
                if self.advance()? {
                    continue;
                }
                break true;
            };
            match reading.take() {
                Ok(Some(document)) => {
                    taken += document.as_ref().map_or(1, |document| document.text.len());
                    chunk.documents.push(document);
                }
                Ok(None) => {
                    self.done.read_bytes += reading.read_bytes();
                    self.reading = None;
                }
                Err(failed) => self.interrupted(failed)?,
            }
            if taken >= bytes.max(1) {
                break false;
            }
        };
        if ended && self.done.object.is_empty() {
            // A source without a single object is a mistake, and would empty the index.
            return Err(unreadable(&self.shown, NO_NAME));
        }
        let within = self.reading.as_ref().map_or(0, Reading::read_bytes);
        chunk.read_bytes = self.done.read_bytes + within;
        chunk.total_bytes = self.done.total_bytes;
        if !ended {
            chunk.position = Some(self.position().write()?);
        }
        Ok(chunk)
    }
}

impl DocumentSource for Walk {
    fn next(&mut self, position: Option<&str>, bytes: usize) -> Result<Chunk> {
        // Until the chunk is complete this stands nowhere, so that after an error it is read again.
        let at = self.at.take();
        if position.is_none() || at.as_deref() != position {
            self.seek(position)?;
        }
        let chunk = self.fill(bytes)?;
        self.at.clone_from(&chunk.position);
        Ok(chunk)
    }
}
