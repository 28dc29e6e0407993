//! Where the indexes lie, and which of them is meant: the arguments that most commands share.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use aquifer_indexer::config::Config;
use aquifer_indexer::index::{Aquifer, Index};
use clap::Args;

#[cfg(feature = "test-options")]
use crate::stop_at::StopAt;

/// The index of those who do not care.
pub(crate) const DEFAULT_INDEX: &str = "default";

/// A root folder.
#[derive(Args, Debug)]
pub(crate) struct Root {
    /// The folder that the indexes lie in
    #[arg(long, env = "AQUIFER_ROOT", default_value = DEFAULT_ROOT, alias = "output")]
    pub(crate) root: PathBuf,
    #[cfg(feature = "test-options")]
    #[command(flatten)]
    stop_at: StopAt,
}

/// The root folder of those who name none. It is theirs to create.
pub(crate) const DEFAULT_ROOT: &str = "./data";

impl Root {
    pub(crate) fn open(&self, config: Config) -> Result<Aquifer> {
        #[cfg(feature = "test-options")]
        let config = Config {
            observer: self.stop_at.observer(),
            ..config
        };
        // The cause names the folder.
        Aquifer::open(&self.root, config).context("cannot open the folder of --root (AQUIFER_ROOT)")
    }

    /// Whether it is the default one.
    pub(crate) fn is_default(&self) -> bool {
        self.root.as_os_str() == DEFAULT_ROOT
    }

    /// Opens it without writing, which a read-only mount allows too.
    pub(crate) fn open_to_read(&self) -> Result<Aquifer> {
        self.open(Config {
            read_only: true,
            ..Config::default()
        })
    }
}

/// One index in a root folder.
#[derive(Args, Debug)]
pub(crate) struct Place {
    #[command(flatten)]
    pub(crate) root: Root,
    /// Which index
    #[arg(long, default_value = DEFAULT_INDEX)]
    pub(crate) index: String,
}

impl Place {
    /// Opens the index to read it.
    pub(crate) fn read(&self) -> Result<Arc<Index>> {
        Ok(self.root.open_to_read()?.index(&self.index)?)
    }

    /// Opens the index to change it; it must exist.
    pub(crate) fn change(&self, config: Config) -> Result<Arc<Index>> {
        Ok(self.root.open(config)?.index(&self.index)?)
    }
}
