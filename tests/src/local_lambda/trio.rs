//! Aquifer's three functions on one folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{LocalLambda, Routes, Spec, fetched};
use crate::program;

/// The function that answers what only reads.
pub const READS: &str = "aquifer-search";
/// The function that answers everything else.
pub const WRITES: &str = "aquifer-writer";
/// The function that a schedule invokes.
pub const REINDEX: &str = "aquifer-reindex";

/// How they run.
#[derive(Clone, Debug)]
pub struct Trio {
    /// Environments of the writer and of the search, each.
    pub environments_max: usize,
    /// Stop them between two invocations.
    pub freezes: bool,
    /// How long an invocation of the writer and of the search may take.
    pub timeout: Duration,
    /// How long an invocation of the reindex function may take; the next one resumes what it leaves.
    pub reindex_timeout: Duration,
    /// The pause before a failed asynchronous invocation is tried again.
    pub retry_pause: Duration,
    /// What all three find in their environment beside what they need.
    pub variables: BTreeMap<String, String>,
}

impl Default for Trio {
    fn default() -> Self {
        Self {
            environments_max: 4,
            freezes: true,
            timeout: Duration::from_secs(30),
            reindex_timeout: Duration::from_secs(900),
            retry_pause: Duration::from_secs(1),
            variables: BTreeMap::new(),
        }
    }
}

impl Trio {
    /// Starts them on the indexes in `root`, with their logs in `logs`.
    ///
    /// # Errors
    /// The emulator cannot be had here.
    ///
    /// # Panics
    /// When a program was not built.
    pub fn start(self, root: &Path, logs: &Path) -> Result<LocalLambda, String> {
        let emulator = fetched()?;
        let specs = self.specs(root, logs);
        Ok(LocalLambda::start(
            &emulator,
            specs.into(),
            self.retry_pause,
        ))
    }

    /// What they are made of: the search, the writer, the reindex function.
    ///
    /// # Panics
    /// When a program was not built.
    pub fn specs(&self, root: &Path, logs: &Path) -> [Spec; 3] {
        [READS, WRITES, REINDEX].map(|name| self.spec(name, root, logs))
    }

    /// Which of them answers what.
    pub fn routes() -> Routes {
        Routes {
            reads: READS.to_owned(),
            writes: WRITES.to_owned(),
            scheduled: REINDEX.to_owned(),
        }
    }

    fn spec(&self, name: &str, root: &Path, logs: &Path) -> Spec {
        let mut variables = self.variables.clone();
        let root = root.to_string_lossy().into_owned();
        variables.insert("AQUIFER_ROOT".to_owned(), root);
        variables.insert("AQUIFER_REINDEX_FUNCTION".to_owned(), REINDEX.to_owned());
        let reindex = name == REINDEX;
        Spec {
            name: name.to_owned(),
            program: program::built(name),
            variables,
            timeout: if reindex {
                self.reindex_timeout
            } else {
                self.timeout
            },
            memory_mib: 1024,
            environments_max: if reindex { 1 } else { self.environments_max },
            freezes: self.freezes,
            log: PathBuf::from(logs).join(format!("{name}.log")),
        }
    }
}
