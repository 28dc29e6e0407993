//! One object, cut into documents.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aquifer_indexer::reindex::{Refusal, Sourced};

use super::objects::{Failed, Opened};
use crate::texts::{Form, Place, Spot, Text, Texts, TextsError, keyed};

/// An object that is being read.
pub(super) struct Reading {
    name: String,
    version: String,
    texts: Option<Texts>,
    taken: u64,
    read: Arc<AtomicU64>,
    /// What it was refused for as a whole, to be given next.
    refused: Option<String>,
}

impl Reading {
    /// Begins with an object; what cannot be unpacked is refused when it is asked for documents.
    pub(super) fn begin(name: String, form: Form, opened: Opened) -> Result<Self, Failed> {
        let read = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            bytes: opened.bytes,
            read: Arc::clone(&read),
        };
        let (texts, refused) = match Texts::new(form, counted) {
            Ok(texts) => (Some(texts), None),
            Err(error) => (None, Some(content(error)?)),
        };
        Ok(Self {
            name,
            version: opened.version,
            texts,
            taken: 0,
            read,
            refused,
        })
    }

    /// An object, or a folder, of which nothing can be read.
    pub(super) fn refused(name: String, why: String) -> Self {
        Self {
            name,
            version: String::new(),
            texts: None,
            taken: 0,
            read: Arc::default(),
            refused: Some(why),
        }
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// How many were taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Bytes that were read of it, packed as they are.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The next document; none at the end.
    pub(super) fn take(&mut self) -> Result<Option<Result<Sourced, Refusal>>, Failed> {
        let next = self.next()?;
        self.taken += u64::from(next.is_some());
        Ok(next)
    }

    fn next(&mut self) -> Result<Option<Result<Sourced, Refusal>>, Failed> {
        if let Some(refused) = self.refused.take() {
            return Ok(Some(Err(self.refusal(None, refused))));
        }
        let Some(texts) = &mut self.texts else {
            return Ok(None);
        };
        let broken = match texts.next_text() {
            Ok(text) => return Ok(text.map(|text| self.document(text))),
            Err(error) => content(error)?,
        };
        self.texts = None;
        Ok(Some(Err(self.refusal(None, broken))))
    }

    fn document(&self, text: Text) -> Result<Sourced, Refusal> {
        let place = text.place;
        let mut text = text
            .text
            .map_err(|why| self.refusal(Some(place.spot()), why))?;
        if matches!(place, Place::Whole(_)) {
            text = keyed(&text, &self.name)
                .map_err(|error| self.refusal(Some(place.within(error.place)), error.detail))?;
        }
        Ok(Sourced {
            place: place.spot().of_file(&self.name),
            text,
        })
    }

    fn refusal(&self, spot: Option<Spot>, detail: String) -> Refusal {
        let place = match spot {
            Some(spot) => spot.of_file(&self.name),
            None => self.name.clone(),
        };
        Refusal { place, detail }
    }
}

/// What is wrong with the content of an object, unless it was reading it that failed.
fn content(error: TextsError) -> Result<String, Failed> {
    match error {
        TextsError::Io {
            line,
            packed,
            error,
        } => match Failed::of(error) {
            Ok(failed) => Err(failed),
            Err(error) => Ok(TextsError::Io {
                line,
                packed,
                error,
            }
            .to_string()),
        },
        broken @ TextsError::Broken { .. } => Ok(broken.to_string()),
    }
}

/// Counts the bytes that are read.
struct Counted {
    bytes: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
