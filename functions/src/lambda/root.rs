//! The folder of the indexes, opened by the first request that needs it, or copied from S3 before that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aquifer_indexer::index::{Aquifer, Config};
use aquifer_indexer::{Error, Result};
use tokio::sync::OnceCell;

use super::environment::Environment;
use crate::sources;

/// What a root begins with that is not a folder.
const BUCKET: &str = "s3://";
/// The start of the name of a folder that indexes are copied to; the number of the process follows.
const COPY: &str = "aquifer-copy-";

/// Opens the folder once; a failure is told to the request that met it, and the next one tries again.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    config: Config,
    opened: OnceCell<Arc<Aquifer>>,
}

/// What is said where the folder cannot be opened, which most often means that nothing is mounted there. A client reads this
/// too, so that the path stands apart.
fn unopened(path: &Path, error: Error) -> Error {
    let advice = "the folder that AQUIFER_ROOT names cannot be opened: check that the function has the file system, that it \
                  is mounted there, and that the variable names that path";
    Error::new(error.kind(), advice).at(path).because(error)
}

impl Root {
    /// The folder that `environment` names; touches no file.
    pub fn new(environment: &Environment, read_only: bool) -> Self {
        Self {
            path: environment.root.clone(),
            config: environment.config(read_only),
            opened: OnceCell::new(),
        }
    }

    /// The indexes in it.
    ///
    /// # Errors
    /// Like [`Aquifer::open`], and [`sources::copy`].
    pub async fn get(&self) -> Result<&Arc<Aquifer>> {
        let open = || async {
            let (path, config) = (self.path.clone(), self.config.clone());
            let opened = tokio::task::spawn_blocking(move || open(&path, config)).await;
            opened
                .map_err(|error| Error::internal("opening broke off").because(error))?
                .map(Arc::new)
        };
        self.opened.get_or_try_init(open).await
    }

    /// The indexes, if something has opened them.
    pub fn opened(&self) -> Option<&Arc<Aquifer>> {
        self.opened.get()
    }
}

fn open(path: &Path, config: Config) -> Result<Aquifer> {
    match path.to_str().filter(|path| path.starts_with(BUCKET)) {
        Some(url) => Aquifer::open(copy(url, &config)?, config),
        None => Aquifer::open(path, config).map_err(|error| unopened(path, error)),
    }
}

/// Copies the indexes at `url` to the folder for temporary files.
fn copy(url: &str, config: &Config) -> Result<PathBuf> {
    if !config.read_only {
        return Err(Error::invalid(format!(
            "AQUIFER_ROOT is {url}, and only the search function reads indexes from S3: what this one writes would be lost; \
             name a folder on a file system that is mounted"
        )));
    }
    let temporary = std::env::temp_dir();
    let io = |error| Error::io(&temporary, error);
    for entry in std::fs::read_dir(&temporary).map_err(io)? {
        let entry = entry.map_err(io)?;
        if is_abandoned(&entry.file_name().to_string_lossy()) {
            let removed = std::fs::remove_dir_all(entry.path());
            tracing::info!(folder = %entry.path().display(), ?removed, "an earlier copy");
        }
    }
    let folder = temporary.join(format!("{COPY}{}", std::process::id()));
    std::fs::create_dir(&folder).map_err(|error| Error::io(&folder, error))?;
    let room = config.budget.scratch_bytes();
    let copied = sources::copy(url, &folder, room, &sources::environment());
    match copied {
        Ok(()) => Ok(folder),
        Err(error) => {
            let removed = std::fs::remove_dir_all(&folder);
            tracing::debug!(?removed, "what was copied");
            Err(error)
        }
    }
}

/// Whether a folder is a copy of a process that is no more, or of an earlier attempt of this one.
fn is_abandoned(name: &str) -> bool {
    let process = name
        .strip_prefix(COPY)
        .and_then(|id| id.parse::<u32>().ok());
    process.is_some_and(|id| {
        id == std::process::id() || !Path::new("/proc").join(id.to_string()).exists()
    })
}
