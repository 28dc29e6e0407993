//! `aquifer create-index`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use aquifer_indexer::analysis::Language;
use aquifer_indexer::index::{Aquifer, Index};
use aquifer_indexer::mapping::Definition;
use clap::Args;

use crate::load::{self, Emit, Input, Local};
use crate::place::Place;
use crate::resources::Resources;

/// Fill an index with a folder of JSON files
///
/// As `import` does, which says what files may hold. A file that is one document without a `unique_key` gets its path
/// in the folder as one; `$schema` and `$comment` are left out of it.
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
}

impl CreateIndex {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if !self.folder.is_dir() {
            bail!(
                "{} is not a folder: name one that holds JSON files, one document each",
                self.folder.display()
            );
        }
        let input = Input::open_folder(&self.folder)?;
        let aquifer = self.place.root.open(load::config(self.resources))?;
        let index = self.index(&aquifer)?;
        let progress = load::Progress::new(None);
        let read = |emit: &mut Emit<'_>| input.read(&progress, emit);
        let local = Local::new(index)?;
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
