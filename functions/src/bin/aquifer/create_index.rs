//! `aquifer create-index`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use aquifer_functions::texts::keyed;
use aquifer_indexer::analysis::Language;
use aquifer_indexer::index::{Aquifer, Index};
use aquifer_indexer::mapping::Definition;
use clap::Args;
use walkdir::WalkDir;

use crate::load::{self, Emit, Item, Local, Origin, Refusal};
use crate::place::Place;
use crate::resources::Resources;
use crate::stop_at::StopAt;

/// Fill an index with a folder of JSON files, one document each
///
/// A document without a `unique_key` gets its path in the folder as one; `$schema` and `$comment`
/// are left out. A file that is refused is reported, the others go in, and the status is 1 then.
#[derive(Args, Debug)]
pub(crate) struct CreateIndex {
    /// The folder
    folder: PathBuf,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    resources: Resources,
    /// The language of documents that do not say theirs and whose text does not tell
    #[arg(long, value_name = "LANGUAGE")]
    default_language: Option<Language>,
    /// The language to read every document in, whatever it says
    #[arg(long, value_name = "LANGUAGE")]
    force_language: Option<Language>,
    #[command(flatten)]
    stop_at: StopAt,
}

impl CreateIndex {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if !self.folder.is_dir() {
            bail!(
                "{} is not a folder: name one that holds JSON files, one document each",
                self.folder.display()
            );
        }
        let aquifer = self
            .place
            .root
            .open(load::config(self.resources, self.stop_at))?;
        let index = self.index(&aquifer)?;
        let progress = load::Progress::new(None);
        let read = |emit: &mut Emit<'_>| walk(&self.folder, emit);
        let local = Local::new(index, None)?;
        load::run(read, &local, local.lanes(), &progress)
    }

    /// With settings of its own, the index is created with them, or exists with the same; without
    /// any it may have whatever it has.
    fn index(&self, aquifer: &Aquifer) -> Result<Arc<Index>> {
        let name = &self.place.index;
        if self.default_language.is_none() && self.force_language.is_none() {
            return Ok(aquifer.index_or_create(name)?);
        }
        let default = Definition::default();
        let definition = Definition {
            default_language: self.default_language.unwrap_or(default.default_language),
            force_language: self.force_language,
            ..default
        };
        aquifer.create_index(name, &definition)?;
        Ok(aquifer.index(name)?)
    }
}

/// Every `*.json` under `folder`, in the order of their paths.
fn walk(folder: &Path, emit: &mut Emit<'_>) -> Result<()> {
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.context("cannot read the folder")?;
        let path = entry.path();
        if entry.file_type().is_dir() || path.extension().is_none_or(|kind| kind != "json") {
            continue;
        }
        let origin = Origin::File(path.display().to_string());
        let relative = path.strip_prefix(folder).unwrap_or(path);
        emit(match document(path, &key(relative)) {
            Ok(text) => Ok(Item { origin, text }),
            Err(Unreadable { place, detail }) => {
                let refusal = Refusal::new(origin, detail);
                Err(match place {
                    Some((line, column)) => refusal.with_place(line, column),
                    None => refusal,
                })
            }
        })?;
    }
    Ok(())
}

/// A path as a key: with `/` on every system.
fn key(relative: &Path) -> String {
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// Why a file holds no document, and where in it.
struct Unreadable {
    place: Option<(usize, usize)>,
    detail: String,
}

fn document(path: &Path, key: &str) -> Result<String, Unreadable> {
    let text = fs::read_to_string(path).map_err(|error| Unreadable {
        place: None,
        detail: error.to_string(),
    })?;
    keyed(&text, key).map_err(|error| Unreadable {
        place: Some(error.place),
        detail: error.detail,
    })
}
