//! Attempts at large pieces of work, written down before they begin.
//!
//! A process that takes more memory than it may have is killed without a word, and whoever comes next would do the same
//! again. So the size of a large merge, or of a job's step, is written into a file that is locked while the work goes on
//! and removed when it ends, whatever it ends in. A file that is there without a lock is one of a process that was killed:
//! half of its size is tried next. Locks only tell the living from the dead here; nothing is wrong if they fail.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::history::History;
use crate::config::MIB;
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::layout::{self, ATTEMPTS};
use crate::mount::{Access, FailureClass, LockGuard, Mount};

/// Merges of fewer bytes are not written down: no process is so small.
pub(super) const MERGE_FROM: u64 = 16 * MIB as u64;
/// Bytes of a file at the most.
const RECORD_MAX: usize = 4096;

/// What was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Work {
    /// A merge, by the bytes of its result.
    Merge,
    /// A step of a job, by the bytes of its documents.
    Step,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Record {
    work: Work,
    bytes: u64,
    /// The memory of the process. One with more need not be afraid.
    memory: u64,
}

/// What earlier attempts tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Bytes of a merge that nobody died of.
    pub(super) merge: Option<u64>,
    /// Bytes of a step that nobody died of.
    pub(super) step: Option<u64>,
    /// Another process is at a large merge.
    pub(super) elsewhere: bool,
}

/// An attempt that goes on. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Attempt {
    mount: Arc<dyn Mount>,
    path: String,
    _lock: Option<Box<dyn LockGuard>>,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Err(error) = self.mount.unlink(&self.path) {
            tracing::debug!(%error, path = self.path, "an attempt that has ended");
        }
    }
}

/// Writes down that a process with so much memory begins work on so many bytes.
pub(super) fn begin(
    mount: &Arc<dyn Mount>,
    ids: &dyn Ids,
    work: Work,
    bytes: u64,
    memory: u64,
) -> Result<Attempt> {
    let path = layout::attempt(ids.next());
    mount.make_dir(ATTEMPTS)?;
    let record = Record {
        work,
        bytes,
        memory,
    };
    let text = serde_json::to_vec(&record)
        .map_err(|error| Error::internal("an attempt cannot be written").because(error))?;
    let file = mount.open(&path, Access::CreateNew)?;
    // Without a lock it is taken for one that was killed, which does no harm.
    let lock = mount.try_lock(&path).unwrap_or_else(|error| {
        tracing::debug!(%error, path, "an attempt is not locked");
        None
    });
    let attempt = Attempt {
        mount: Arc::clone(mount),
        path: path.clone(),
        _lock: lock,
    };
    file.write_durably_at(&text, 0)?;
    mount.sync_dir(ATTEMPTS)?;
    Ok(attempt)
}

/// What earlier attempts say about the work of this process.
pub(super) fn told_to(history: &History) -> Result<Told> {
    told(&**history.mount(), history.config.budget.memory_bytes())
}

/// What earlier attempts tell a process with so much memory.
fn told(mount: &dyn Mount, memory: u64) -> Result<Told> {
    let names = match mount.list(ATTEMPTS) {
        Err(error) if error.class() == FailureClass::Missing => return Ok(Told::default()),
        names => names?,
    };
    let mut told = Told::default();
    for name in names {
        let path = format!("{ATTEMPTS}/{name}");
        // One that has just ended, or is only just being written, tells nothing.
        let Some(record) = read(mount, &path) else {
            continue;
        };
        if matches!(mount.try_lock(&path), Ok(None)) {
            told.elsewhere |= record.work == Work::Merge;
            continue;
        }
        if record.memory < memory {
            continue;
        }
        let half = record.bytes / 2;
        let place = match record.work {
            Work::Merge => &mut told.merge,
            Work::Step => &mut told.step,
        };
        *place = Some(place.map_or(half, |known| known.min(half)));
    }
    Ok(told)
}

fn read(mount: &dyn Mount, path: &str) -> Option<Record> {
    let file = mount.open(path, Access::Read).ok()?;
    let text = file.read_range(0, RECORD_MAX).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RandomIds;
    use crate::mount::PosixMount;

    const M: u64 = MIB as u64;

    #[test]
    fn an_attempt_that_was_killed_halves_the_next_of_processes_no_larger() {
        let folder = tempfile::tempdir().unwrap();
        let mount: Arc<dyn Mount> = Arc::new(PosixMount::open(folder.path()).unwrap());
        assert_eq!(told(&*mount, 128 * M).unwrap(), Told::default());
        let attempt = begin(&mount, &RandomIds, Work::Merge, 100 * M, 512 * M).unwrap();
        assert!(told(&*mount, 128 * M).unwrap().elsewhere);
        let killed = Attempt {
            _lock: None,
            mount: Arc::clone(&attempt.mount),
            path: attempt.path.clone(),
        };
        // As if the process were gone: the lock is free, the file is there.
        let text = std::fs::read(folder.path().join(&killed.path)).unwrap();
        drop(attempt);
        std::fs::write(folder.path().join(&killed.path), text).unwrap();
        let expected = Told {
            merge: Some(50 * M),
            ..Told::default()
        };
        assert_eq!(told(&*mount, 512 * M).unwrap(), expected);
        assert_eq!(told(&*mount, 513 * M).unwrap(), Told::default());
        drop(killed);
        assert_eq!(told(&*mount, 128 * M).unwrap(), Told::default());
    }
}
