//! Documents out of a file, out of the files of a folder, or out of standard input.

use std::fs::File;
use std::io::{self, Read as Bytes};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use aquifer_functions::sources::{Folder, Found};
use aquifer_functions::texts::{Form, Place, Text, Texts, keyed};

use super::Emit;
use super::outcome::{Item, Origin, Read, Refusal};
use super::progress::Progress;

/// Where documents are read from.
pub(crate) enum Input {
    Stream(Stream),
    Folder { folder: Folder, path: String },
}

/// One file, or standard input.
pub(crate) struct Stream {
    reader: Box<dyn Bytes + Send>,
    length: Option<u64>,
    name: Name,
    form: Form,
}

/// What a file is called.
struct Name {
    /// In messages; standard input has none.
    shown: Option<Arc<str>>,
    /// The key of the document that the whole file is, where that has none of its own.
    key: Option<String>,
}

impl Input {
    /// Opens a file or a folder, or standard input for `-`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stream(Stream::standard_input()));
        }
        let cannot = || format!("cannot read {}", path.display());
        if path.metadata().with_context(cannot)?.is_dir() {
            return Self::open_folder(path);
        }
        let file = File::open(path).with_context(cannot)?;
        let metadata = file.metadata().with_context(cannot)?;
        let key = path.file_name().map(|name| name.to_string_lossy());
        Ok(Self::Stream(Stream {
            reader: Box::new(file),
            length: metadata.is_file().then_some(metadata.len()),
            form: key.as_deref().and_then(Form::of).unwrap_or(Form::Unknown),
            name: Name {
                shown: Some(path.to_string_lossy().into()),
                key: key.map(Into::into),
            },
        }))
    }

    /// Opens a folder.
    pub(crate) fn open_folder(path: &Path) -> Result<Self> {
        Ok(Self::Folder {
            folder: Folder::open(path)?,
            path: path.to_string_lossy().into_owned(),
        })
    }

    /// How many bytes there are, where that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Stream(stream) => stream.length,
            Self::Folder { .. } => None,
        }
    }

    /// Reads to the end, one document after the other. What cannot be read is given as such; an error is one of
    /// `emit`.
    pub(crate) fn read(self, progress: &Progress, emit: &mut Emit<'_>) -> Result<()> {
        match self {
            Self::Stream(stream) => stream.read(progress, emit),
            Self::Folder { folder, path } => read_folder(&folder, &path, progress, emit),
        }
    }
}

impl Stream {
    fn standard_input() -> Self {
        Self {
            reader: Box::new(io::stdin()),
            length: None,
            form: Form::Unknown,
            name: Name {
                shown: None,
                key: None,
            },
        }
    }

    fn read(self, progress: &Progress, emit: &mut Emit<'_>) -> Result<()> {
        let mut texts = match Texts::new(self.form, progress.watch(self.reader)) {
            Ok(texts) => texts,
            Err(error) => return emit(self.name.broken(&error)),
        };
        loop {
            match texts.next_text() {
                Ok(Some(text)) => emit(self.name.document(text))?,
                Ok(None) => return Ok(()),
                Err(error) => return emit(self.name.broken(&error)),
            }
        }
    }
}

impl Name {
    fn document(&self, text: Text) -> Read {
        let origin = Origin::new(self.shown.clone(), text.place);
        let text = match (text.text, text.place, &self.key) {
            (Ok(text), Place::Whole(_), Some(key)) => {
                keyed(&text, key).map_err(|error| (Some(error.place), error.detail))
            }
            (text, _, _) => text.map_err(|why| (None, why)),
        };
        match text {
            Ok(text) => Read::Document(Item { origin, text }),
            Err((place, detail)) => Read::Refused(Refusal::new(&origin, place, detail)),
        }
    }

    /// That the rest cannot be read.
    fn broken(&self, why: &dyn std::fmt::Display) -> Read {
        Read::Broken {
            file: self.shown.as_deref().unwrap_or("standard input").to_owned(),
            why: why.to_string(),
        }
    }
}

/// Reads the files of a folder in the order of their names. One that cannot be read keeps none of the others out.
fn read_folder(
    folder: &Folder,
    path: &str,
    progress: &Progress,
    emit: &mut Emit<'_>,
) -> Result<()> {
    let path = path.trim_end_matches('/');
    let broken = |file: String, why: String| Read::Broken { file, why };
    let mut after: Option<String> = None;
    loop {
        let page = match folder.files(after.as_deref()) {
            Ok(page) => page,
            Err(error) => return emit(broken(path.to_owned(), error.message().to_owned())),
        };
        for skipped in page.skipped {
            emit(Read::Skipped {
                file: format!("{path}/{}", skipped.name),
                why: skipped.why,
            })?;
        }
        for Found { name, problem, .. } in page.found {
            let file = format!("{path}/{name}");
            let opened = match problem {
                Some(why) => Err(why),
                None => folder.file(&name).map_err(|error| error.to_string()),
            };
            match opened {
                Ok(Some(opened)) => Stream::of_folder(opened, file, name).read(progress, emit)?,
                Ok(None) => emit(broken(file, "it is gone since it was listed".to_owned()))?,
                Err(why) => emit(broken(file, why))?,
            }
        }
        match page.after {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

impl Stream {
    /// A file that is called `name` in its folder.
    fn of_folder(file: File, shown: String, name: String) -> Self {
        Self {
            reader: Box::new(file),
            length: None,
            form: Form::of(&name).unwrap_or(Form::Unknown),
            name: Name {
                shown: Some(shown.into()),
                key: Some(name),
            },
        }
    }
}
