//! Documents out of a file or standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use aquifer_functions::texts::{Place, Texts, TextsError};

use super::Emit;
use super::outcome::{Item, Origin, Refusal};
use super::progress::Progress;

/// Where documents are read from.
pub(crate) struct Input {
    reader: Box<dyn Read + Send>,
    length: Option<u64>,
}

impl Input {
    /// Opens a file, or standard input for `-`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self {
                reader: Box::new(io::stdin()),
                length: None,
            });
        }
        let cannot = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(cannot)?;
        let metadata = file.metadata().with_context(cannot)?;
        if metadata.is_dir() {
            return Err(anyhow!(
                "{} is a folder: `aquifer create-index` takes one of JSON files",
                path.display()
            ));
        }
        Ok(Self {
            reader: Box::new(file),
            length: metadata.is_file().then_some(metadata.len()),
        })
    }

    /// How many bytes there are, where that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Reads to the end, one document after the other.
    pub(crate) fn read(self, progress: &Progress, emit: &mut Emit<'_>) -> Result<()> {
        let mut texts = Texts::of_lines(progress.watch(self.reader))?;
        loop {
            let text = match texts.next_text() {
                Ok(Some(text)) => text,
                Ok(None) => return Ok(()),
                Err(TextsError::Broken(why)) => {
                    let told = "what stands before that in the array is in the index";
                    return Err(anyhow!("{why}; {told}"));
                }
                Err(TextsError::Io(error)) => return Err(error.into()),
            };
            let origin = match text.place {
                Place::Line(number) => Origin::Line(number),
                Place::Element(number) => Origin::Element(number),
                Place::Whole => Origin::Element(1),
            };
            emit(match text.text {
                Ok(text) => Ok(Item { origin, text }),
                Err(detail) => Err(Refusal::new(origin, detail)),
            })?;
        }
    }
}
