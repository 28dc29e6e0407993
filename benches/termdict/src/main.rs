//! Compares tantivy's two term dictionaries, FST and SSTable, on one index in one segment.
//!
//! Each variant is a build of its own (feature `sstable`); `scripts/bench-termdict` runs both.

mod cold;
mod corpus;
mod directory;
mod figures;
mod indexing;
mod memory;
mod probe;
mod schema;
mod warm;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use tantivy::directory::Directory;
use tantivy::{Index, IndexReader, ReloadPolicy, Searcher, SegmentReader};

use crate::figures::Figures;
use crate::schema::register_analysers;

/// The variant of this build.
const VARIANT: &str = match (cfg!(feature = "sstable"), cfg!(feature = "zstd")) {
    (false, _) => "FST",
    (true, false) => "SSTable",
    (true, true) => "SSTable+zstd",
};

#[derive(Parser)]
#[command(about)]
struct Arguments {
    /// Where the indexes and the figures are, `<variant>/` and `<variant>.tsv`
    #[arg(long, global = true, default_value = "termdict-run")]
    folder: PathBuf,
    /// How many documents the index has
    #[arg(long, global = true, default_value_t = 1_000_000)]
    documents: u32,
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    /// Build the index anew; measure time and size
    Build,
    /// Count reads and bytes from an empty cache
    Cold,
    /// Measure latencies
    Warm,
    /// Measure resident memory
    Memory,
    /// Print what these variants' steps measured, as a table
    Table {
        /// Names of variants
        variants: Vec<String>,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (folder, documents) = (&arguments.folder, arguments.documents);
    if let Step::Table { variants } = &arguments.step {
        let files: Vec<_> = variants
            .iter()
            .map(|name| folder.join(name).with_extension("tsv"))
            .collect();
        return figures::print_table(&files, &mut std::io::stdout().lock());
    }
    let index = folder.join(VARIANT);
    std::fs::create_dir_all(&index)?;
    let figures = &mut Figures::append_to(&index.with_extension("tsv"))?;
    match arguments.step {
        Step::Build => indexing::build(&index, documents, figures),
        Step::Cold => cold::measure(&index_folder(&index), documents, figures),
        Step::Warm => warm::measure(&index_folder(&index), documents, figures),
        Step::Memory => memory::measure(&index_folder(&index), figures),
        Step::Table { .. } => Ok(()),
    }
}

/// Where the merged index of a variant is.
fn index_folder(variant: &Path) -> PathBuf {
    variant.join("whole")
}

/// An open index: what a reader holds.
struct Opened {
    index: Index,
    reader: IndexReader,
}

impl Opened {
    fn open(directory: impl Into<Box<dyn Directory>>) -> Result<Opened> {
        let index = Index::open(directory)?;
        register_analysers(&index);
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        Ok(Opened { index, reader })
    }

    fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }
}

/// The one segment of the index.
fn segment(searcher: &Searcher) -> Result<&SegmentReader> {
    searcher
        .segment_readers()
        .first()
        .context("the index has no segment")
}
