//! The folder of the indexes, opened by the first request that needs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aquifer_indexer::index::{Aquifer, Config};
use aquifer_indexer::{Error, Result};
use tokio::sync::OnceCell;

use super::environment::Environment;

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
    /// Like [`Aquifer::open`].
    pub async fn get(&self) -> Result<&Arc<Aquifer>> {
        let open = || async {
            let (path, config) = (self.path.clone(), self.config.clone());
            let opened = tokio::task::spawn_blocking(move || Aquifer::open(path, config)).await;
            let opened =
                opened.map_err(|error| Error::internal("opening broke off").because(error))?;
            opened
                .map(Arc::new)
                .map_err(|error| unopened(&self.path, error))
        };
        self.opened.get_or_try_init(open).await
    }

    /// The indexes, if something has opened them.
    pub fn opened(&self) -> Option<&Arc<Aquifer>> {
        self.opened.get()
    }
}
