//! One object, cut into documents.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aquifer_indexer::reindex::Refusal;

use super::objects::{Failed, Opened};
use crate::texts::{Place, Text, Texts, TextsError, keyed};

/// How the documents of an object are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Lines,
}

impl Form {
    /// What a name promises; none for an object that holds no documents.
    pub(super) fn of(name: &str) -> Option<Self> {
        let file = name.rsplit('/').next().unwrap_or(name);
        let file = file
            .strip_suffix(".gz")
            .or_else(|| file.strip_suffix(".zst"))
            .unwrap_or(file);
        match file.rsplit_once('.')?.1 {
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Lines),
            _ => None,
        }
    }
}

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
        let texts = match form {
            Form::Json => Texts::of_json(counted),
            Form::Lines => Texts::of_lines(counted),
        };
        let (texts, refused) = match texts.map_err(Failed::of) {
            Ok(texts) => (Some(texts), None),
            Err(Ok(failed)) => return Err(failed),
            Err(Err(content)) => (None, Some(damaged(&content))),
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
    pub(super) fn take(&mut self) -> Result<Option<Result<String, Refusal>>, Failed> {
        let next = self.next()?;
        self.taken += u64::from(next.is_some());
        Ok(next)
    }

    fn next(&mut self) -> Result<Option<Result<String, Refusal>>, Failed> {
        if let Some(refused) = self.refused.take() {
            return Ok(Some(Err(self.refusal(None, refused))));
        }
        let Some(texts) = &mut self.texts else {
            return Ok(None);
        };
        let broken = match texts.next_text() {
            Ok(text) => return Ok(text.map(|text| self.document(text))),
            Err(TextsError::Io(error)) => damaged(&Failed::of(error).map_or_else(Ok, Err)?),
            Err(TextsError::Broken(why)) => why,
        };
        self.texts = None;
        Ok(Some(Err(self.refusal(None, broken))))
    }

    fn document(&self, text: Text) -> Result<String, Refusal> {
        let place = text.place;
        let text = text.text.map_err(|why| self.refusal(Some(place), why))?;
        if place != Place::Whole {
            return Ok(text);
        }
        keyed(&text, &self.name).map_err(|error| Refusal {
            place: format!("{}:{}:{}", self.name, error.place.0, error.place.1),
            detail: error.detail,
        })
    }

    fn refusal(&self, place: Option<Place>, detail: String) -> Refusal {
        let place = match place {
            Some(Place::Line(number)) => format!("{}, line {number}", self.name),
            Some(Place::Element(number)) => format!("{}, document {number}", self.name),
            Some(Place::Whole) | None => self.name.clone(),
        };
        Refusal { place, detail }
    }
}

fn damaged(error: &io::Error) -> String {
    format!("it cannot be unpacked: {error}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_how_documents_are_written() {
        for (name, expected) in [
            ("a.json", Some(Form::Json)),
            ("d/a.json.gz", Some(Form::Json)),
            ("a.ndjson", Some(Form::Lines)),
            ("a.jsonl.zst", Some(Form::Lines)),
            ("a.b.jsonl", Some(Form::Lines)),
            ("a.txt", None),
            ("a.json/b", None),
            ("json", None),
            ("a.gz", None),
            ("a.json.gz.tmp", None),
            ("a.JSON", None),
        ] {
            assert_eq!(Form::of(name), expected, "{name}");
        }
    }
}
