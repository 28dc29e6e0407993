//! What a process may use: one budget of memory and one of scratch disk, and how they are shared out.
//!
//! `RESERVED` is left to the program itself: its code, its threads, what is open of each segment. The rest is
//! divided in sixteenths:
//!
//! | share | sixteenths | for |
//! |---|---|---|
//! | [`Budget::cache_bytes`] | 3 | pages of the indexes that searches have read |
//! | [`Budget::request_bytes`] | 3 | bodies of requests and answers |
//! | [`Budget::building_bytes`] | 2 | the documents of a commit while they become segments |
//! | [`Budget::job_bytes`] | 2 | the documents of a step of a reindex job |
//! | [`Budget::loading_bytes`] | 7 | documents that become segments in a process that only loads, in place of the last three |
//! | [`Budget::merging_bytes`] | 5 | a merge: what grows with its documents, its windows, small results |
//! | [`Budget::searching_bytes`] | 1 | postings, lengths and columns of the segments that are searched, beside the cache |
//! | [`Budget::searching_alone_bytes`] | 10 | the same in a process that only reads, in place of the last four |
//!
//! Merged segments and segments that are too large for memory are put together in scratch files: on the local disk, or
//! in the index's folder where the local disk is too small.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::MIB;
use crate::error::{Error, Reason, Result};
use crate::mount::FailureClass;

/// Bytes that no share gets.
const RESERVED: u64 = 32 * MIB as u64;
/// Parts that the rest is divided into.
const PARTS: u64 = 16;
/// The smallest budget that shares are made of; a process with less is likely to be killed.
const MEMORY_MIN: u64 = 64 * MIB as u64;
/// What a process takes at the most of a machine that it was not confined on.
const MEMORY_MAX: u64 = 2048 * MIB as u64;
/// The share of such a machine, as a divisor: other programs run there.
const MACHINE_SHARE: u64 = 4;
/// The cache is no larger by itself: more of it is bought with an explicit size.
const CACHE_MAX: u64 = 256 * MIB as u64;
/// Building takes no more: larger segments gain nothing, and the documents of a commit are bounded anyway.
const BUILDING_MAX: u64 = 128 * MIB as u64;
/// A step of a job takes no more: it is done again after a crash.
const JOB_MAX: u64 = 128 * MIB as u64;
/// Of the free space of the scratch disk one part in so many is left to others.
const SCRATCH_LEFT_ONE_IN: u64 = 10;
/// The `f_type` of a file system in memory (`TMPFS_MAGIC`).
const TMPFS: u64 = 0x0102_1994;
/// The share of the memory that scratch files may take on such a file system, as a divisor.
const IN_MEMORY_SHARE: u64 = 8;

/// What a process may use. Clones share the scratch disk.
#[derive(Clone, Debug)]
pub struct Budget {
    memory: u64,
    scratch: Arc<ScratchDisk>,
}

impl Budget {
    /// A budget of `memory` bytes, and of `scratch` bytes in the folder for temporary files; without a number, of what
    /// is free there.
    pub fn new(memory: u64, scratch: Option<u64>) -> Self {
        let memory = memory.max(MEMORY_MIN);
        let disk = ScratchDisk::new(std::env::temp_dir(), scratch, memory);
        Self {
            memory,
            scratch: Arc::new(disk),
        }
    }

    /// What this process may use: as much memory as it is confined to, a quarter of the machine's otherwise. Numbers
    /// in bytes that somebody has given come first.
    pub fn of_process(memory: Option<u64>, scratch: Option<u64>) -> Self {
        let memory = memory.or_else(confined).unwrap_or_else(|| {
            let machine = proc_field("/proc/meminfo", "MemTotal:").unwrap_or(MEMORY_MAX);
            (machine / MACHINE_SHARE).min(MEMORY_MAX)
        });
        Self::new(memory, scratch)
    }

    /// The same with its scratch files in another folder.
    #[must_use]
    pub fn with_scratch_folder(self, folder: PathBuf) -> Self {
        let disk = ScratchDisk::new(folder, self.scratch.limit, self.memory);
        Self {
            memory: self.memory,
            scratch: Arc::new(disk),
        }
    }

    /// All the memory, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.memory
    }

    /// For pages of the indexes that searches have read.
    pub fn cache_bytes(&self) -> usize {
        bytes(self.sixteenths(3).min(CACHE_MAX))
    }

    /// For bodies of requests, and answers.
    pub fn request_bytes(&self) -> usize {
        bytes(self.sixteenths(3))
    }

    /// For the documents of a commit while they become segments.
    pub fn building_bytes(&self) -> usize {
        bytes(self.sixteenths(2).min(BUILDING_MAX))
    }

    /// For the documents of a bulk load while they become segments: a process that loads answers no requests and works on
    /// no job.
    pub fn loading_bytes(&self) -> usize {
        bytes(self.sixteenths(7))
    }

    /// For the documents of a step of a reindex job, everything that is made of them included.
    pub fn job_bytes(&self) -> usize {
        bytes(self.sixteenths(2).min(JOB_MAX))
    }

    /// For a merge.
    pub fn merging_bytes(&self) -> u64 {
        self.sixteenths(5)
    }

    /// For what searches hold of the segments that they are in, and read ahead.
    pub fn searching_bytes(&self) -> usize {
        bytes(self.sixteenths(1))
    }

    /// The same in a process that neither builds nor merges.
    pub fn searching_alone_bytes(&self) -> usize {
        bytes(self.sixteenths(10))
    }

    /// Bytes that can still be written to the scratch disk.
    pub fn scratch_bytes(&self) -> u64 {
        self.scratch.available()
    }

    pub(crate) fn scratch(&self) -> &Arc<ScratchDisk> {
        &self.scratch
    }

    fn sixteenths(&self, parts: u64) -> u64 {
        (self.memory - RESERVED) / PARTS * parts
    }
}

impl Default for Budget {
    /// Of a process that is told nothing and asks nothing: 2 GiB, and what is free in the folder for temporary files.
    fn default() -> Self {
        Self::new(MEMORY_MAX, None)
    }
}

fn bytes(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The limit of the memory cgroup that this process is in, or of one above it; of a function, its memory.
fn confined() -> Option<u64> {
    let function = std::env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").ok();
    let function = function.and_then(|mib| mib.parse::<u64>().ok());
    if let Some(mib) = function {
        return Some(mib.saturating_mul(MIB as u64));
    }
    let machine = proc_field("/proc/meminfo", "MemTotal:")?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let limit = groups.lines().flat_map(limit_files).filter_map(|file| {
        let text = std::fs::read_to_string(file).ok()?;
        text.trim().parse::<u64>().ok()
    });
    // "No limit" is a word, or a number beyond any machine.
    limit.min().filter(|&limit| limit < machine)
}

/// The files that may hold the limit of a line of `/proc/self/cgroup`, up to the root: within a container the path is
/// often that of the host.
fn limit_files(line: &str) -> Vec<PathBuf> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
        return Vec::new();
    };
    let (root, file) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max"),
        some if some.split(',').any(|name| name == "memory") => {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return Vec::new(),
    };
    let relative = Path::new(path.trim_start_matches('/'));
    relative
        .ancestors()
        .map(|folder| Path::new(root).join(folder).join(file))
        .collect()
}

/// A field of a file in `/proc` that counts kibibytes, in bytes.
fn proc_field(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// The local disk that segments are put together on.
#[derive(Debug)]
pub(crate) struct ScratchDisk {
    folder: PathBuf,
    limit: Option<u64>,
    /// Bytes at the most where the disk is memory.
    in_memory: u64,
    used: AtomicU64,
}

impl ScratchDisk {
    fn new(folder: PathBuf, limit: Option<u64>, memory: u64) -> Self {
        Self {
            folder,
            limit,
            in_memory: memory / IN_MEMORY_SHARE,
            used: AtomicU64::new(0),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes that can still be written.
    pub(crate) fn available(&self) -> u64 {
        let used = self.used.load(Ordering::Relaxed);
        let limit = self
            .limit
            .or_else(|| self.is_memory().then_some(self.in_memory));
        let allowed = limit.map_or(u64::MAX, |limit| limit.saturating_sub(used));
        let free = match rustix::fs::statvfs(&self.folder) {
            Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
            Err(error) => {
                tracing::debug!(%error, folder = %self.folder.display(), "the scratch disk");
                0
            }
        };
        allowed.min(free - free / SCRATCH_LEFT_ONE_IN)
    }

    /// Whether what is written there is in memory, and counts as such.
    fn is_memory(&self) -> bool {
        let found = rustix::fs::statfs(&self.folder);
        found.is_ok_and(|found| u64::try_from(found.f_type) == Ok(TMPFS))
    }

    /// Takes room for `bytes` that are about to be written.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unavailable`] when the limit is reached.
    pub(crate) fn take(&self, bytes: u64) -> Result<()> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed);
        if self.limit.is_some_and(|limit| used + bytes > limit) {
            self.give_back(bytes);
            return Err(self.full(None));
        }
        Ok(())
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The error of a write that failed.
    pub(crate) fn failed(&self, error: std::io::Error) -> Error {
        match FailureClass::of(&error) {
            FailureClass::Full => self.full(Some(error)),
            _ => Error::io(&self.folder, error),
        }
    }

    fn full(&self, cause: Option<std::io::Error>) -> Error {
        let folder = self.folder.display();
        let limit = match self.limit {
            Some(limit) => format!(" or its limit of {} MiB is reached", limit / MIB as u64),
            None => String::new(),
        };
        let error = Error::new(
            Reason::ScratchFull,
            format!(
                "the scratch disk is full{limit}: {folder} is on this machine and not the shared folder; free \
                 some space there, or give this process more scratch disk"
            ),
        );
        match cause {
            Some(cause) => error.because(cause),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_and_the_reserve_are_the_budget() {
        for mib in [64, 128, 256, 512, 1024, 10_240] {
            let memory = mib * MIB as u64;
            let budget = Budget::new(memory, None);
            let shares = budget.cache_bytes()
                + budget.request_bytes()
                + budget.building_bytes()
                + budget.job_bytes()
                + budget.searching_bytes();
            let sum = shares as u64 + budget.merging_bytes() + RESERVED;
            assert!(sum <= memory, "{mib} MiB: {sum}");
            assert!(mib > 512 || sum + 16 * PARTS > memory, "{mib} MiB: {sum}");
        }
    }

    #[test]
    fn less_than_the_least_is_the_least() {
        assert_eq!(Budget::new(1, None).memory_bytes(), MEMORY_MIN);
    }

    #[test]
    fn a_limit_is_looked_for_up_to_the_root() {
        let two = limit_files("0::/a/b");
        assert_eq!(
            two.first().unwrap(),
            Path::new("/sys/fs/cgroup/a/b/memory.max")
        );
        assert_eq!(two.last().unwrap(), Path::new("/sys/fs/cgroup/memory.max"));
        let one = limit_files("7:cpu,memory:/");
        assert_eq!(
            one,
            [Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes")]
        );
        assert!(limit_files("7:cpu:/x").is_empty() && limit_files("nonsense").is_empty());
    }

    #[test]
    fn a_full_scratch_disk_says_which_it_is() {
        let budget = Budget::new(MEMORY_MIN, Some(100)).with_scratch_folder("/tmp".into());
        let disk = budget.scratch();
        disk.take(60).unwrap();
        assert!(disk.available() <= 40);
        let error = disk.take(41).unwrap_err().to_string();
        assert!(
            error.contains("/tmp") && error.contains("scratch disk"),
            "{error}"
        );
        assert!(error.contains("not the shared folder"), "{error}");
        disk.give_back(60);
        disk.take(100).unwrap();
        let full = std::io::Error::from_raw_os_error(28);
        assert!(disk.failed(full).to_string().contains("scratch disk"));
    }

    #[test]
    fn a_scratch_folder_that_is_missing_says_nothing_about_the_index() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let budget = Budget::new(MEMORY_MIN, None).with_scratch_folder(missing.clone());
        let refused = tempfile::tempfile_in(&missing).unwrap_err();
        let error = budget.scratch().failed(refused);
        assert!(matches!(error.reason(), Reason::Local(_)), "{error:?}");
        assert!(!error.is_stale() && !error.is_index_gone());
        assert!(error.to_string().contains("does not exist"), "{error}");
    }
}
