//! Aquifer's side: an index in a root folder.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use aquifer_indexer::config::Config;
use aquifer_indexer::document::Document;
use aquifer_indexer::index::{Aquifer, Batch, Index, Operation, Outcome, Wait};
use aquifer_indexer::mapping::Definition;
use aquifer_indexer::numbers::Version;
use aquifer_indexer::search::{SearchRequest, SearchResponse};

/// The name of the index, and of its folder in the root.
pub(crate) const NAME: &str = "documents";
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(3600);

pub(crate) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// Creates an index with the default mapping.
pub(crate) fn create(root: &Path) -> Result<Arc<Index>> {
    let config = Config {
        create_root: true,
        ..Config::default()
    };
    let aquifer = Aquifer::open(root, config)?;
    aquifer.create_index(NAME, &Definition::default())?;
    Ok(aquifer.index(NAME)?)
}

/// Opens the index as a process of its own would.
pub(crate) fn open(root: &Path, config: Config) -> Result<Arc<Index>> {
    Ok(Aquifer::open(root, config)?.index(NAME)?)
}

/// Removes what merging has left: nobody reads it any more.
pub(crate) fn collect(root: &Path) -> Result<()> {
    let config = Config {
        retention: Duration::ZERO,
        ..Config::default()
    };
    open(root, config)?.gc()?;
    Ok(())
}

/// Opens it for reading.
pub(crate) fn open_reader(root: &Path) -> Result<Arc<Index>> {
    let config = Config {
        read_only: true,
        ..Config::default()
    };
    open(root, config)
}

/// Posts, and waits until it is visible.
pub(crate) fn post(index: &Index, documents: Vec<Document>) -> Result<Version> {
    let operations = documents.into_iter().map(Operation::Upsert).collect();
    match index.submit(Batch { operations }, Wait::Visible, soon())? {
        Outcome::Applied { version, .. } => Ok(version),
        Outcome::Durable { batch } => anyhow::bail!("{batch} is only durable"),
    }
}

/// The ten best documents for an English query.
pub(crate) fn search(index: &Index, query: &str) -> Result<SearchResponse> {
    let request = SearchRequest {
        query: query.to_owned(),
        lang: Some("en".to_owned()),
        ..SearchRequest::default()
    };
    Ok(index.search(&request, soon())?)
}
