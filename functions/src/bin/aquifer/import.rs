//! `aquifer import`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::load::{self, Emit, Input, Local, Remote};
use crate::place::{DEFAULT_INDEX, Root};
use crate::resources::Resources;

/// Requests under way at once to a service.
const REMOTE_LANES: usize = 4;

/// Fill an index with the documents of a file or a folder
///
/// A file holds a document a line (NDJSON), a JSON array, {"documents": [...]} or one document, packed with gzip or zstd
/// or not. Of a folder, the files are read whose names end in .json, .ndjson or .jsonl, or in one of these and .gz or
/// .zst. Links in it are not followed. Documents that are refused and files that cannot be read are
/// reported with file and line, the others go in, and the status is 1 then.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The file or the folder, or - for standard input
    #[arg(value_name = "FILE|FOLDER|-")]
    file: PathBuf,
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    resources: Resources,
    /// Post the documents to the service at this address, instead of writing to --root
    #[arg(long)]
    url: Option<String>,
    /// Which index; without it, the default one
    #[arg(long)]
    index: Option<String>,
    /// Batches under way at once
    #[arg(long, value_name = "COUNT")]
    jobs: Option<usize>,
    /// Bytes of text that become one segment at first; for trying out much with little
    #[cfg(feature = "test-options")]
    #[arg(long, value_name = "BYTES", hide = true)]
    segment_bytes: Option<usize>,
}

impl Import {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let input = Input::open(&self.file)?;
        let progress = load::Progress::new(input.length());
        let read = |emit: &mut Emit<'_>| input.read(&progress, emit);
        if let Some(url) = &self.url {
            let service = Remote::new(url, self.index.as_deref(), progress.clone())?;
            return load::run(read, &service, self.jobs.unwrap_or(REMOTE_LANES), &progress);
        }
        let aquifer = self.root.open(load::config(self.resources))?;
        let name = self.index.as_deref().unwrap_or(DEFAULT_INDEX);
        let index = Local::new(aquifer.index_or_create(name)?)?;
        #[cfg(feature = "test-options")]
        let index = match self.segment_bytes {
            Some(bytes) => index.segments_of(bytes),
            None => index,
        };
        load::run(read, &index, self.jobs.unwrap_or(index.lanes()), &progress)
    }
}
