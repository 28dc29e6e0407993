//! What can be set, and the limits that cannot.

use std::time::Duration;

use crate::budget::Budget;
use crate::concurrent::THREADS_DEFAULT;
use crate::descriptors::Shares;
use crate::world::World;

/// Settings of a process that opens a root folder.
#[derive(Clone, Debug)]
pub struct Config {
    /// Never write, lock or create anything; a read-only mount suffices.
    pub read_only: bool,
    /// Create the root folder where it is missing. Where it is a mount, a missing one must be an error: documents that are
    /// written below its path would be out of sight as soon as it is mounted.
    pub create_root: bool,
    /// What the process may use. The sizes below are shares of it: [`Config::within`] sets them.
    pub budget: Budget,
    /// Bytes of index files that a process keeps in memory, over all its indexes.
    pub cache_bytes: usize,
    /// Bytes of memory for building segments in one commit. More memory makes fewer, larger segments.
    pub writer_memory_bytes: usize,
    /// How long a file that no version names any more is kept for readers that may still use it.
    pub retention: Duration,
    /// How long a lock holder may show no sign of life before it is overtaken.
    pub overtake_after: Duration,
    /// Bytes of documents in the first step of a job that builds an index anew; the next are larger while they are
    /// short. Little, so that a process with little time gets on at all.
    pub job_step_bytes: usize,
    /// Go on working after an answer was given, in threads of this process. Where the process is frozen between
    /// requests, as a function is, somebody else has to be asked: [`crate::Index::pending`] says what is left.
    pub after_answer: bool,
    /// Indexes that stay open while nobody uses them; by default as many as the limit of open files has room for.
    pub open_indexes: usize,
    /// Threads of this process that wait for the file system at once.
    pub io_threads: usize,
    /// Stops the process at a step of a commit; for tests of what happens then.
    pub observer: Observer,
    /// Where time and identities come from; a test sets its own.
    pub world: World,
}

impl Default for Config {
    fn default() -> Self {
        Self::within(Budget::default())
    }
}

/// Bytes of documents in the first step of a job, where the budget allows it.
const JOB_STEP: usize = 4 * MIB;
/// What a document of a step takes in memory, as a multiple of its source: the source as it was read, the document that
/// is parsed from it with its own copy, its values, and what of it waits to be compressed.
const JOB_FACTOR: usize = 4;

impl Config {
    /// The defaults, with every size as its share of `budget`.
    pub fn within(budget: Budget) -> Self {
        Self {
            read_only: false,
            create_root: false,
            cache_bytes: budget.cache_bytes(),
            writer_memory_bytes: budget.building_bytes(),
            retention: Duration::from_secs(3600),
            overtake_after: Duration::from_secs(5),
            job_step_bytes: JOB_STEP.min(budget.job_bytes() / JOB_FACTOR),
            budget,
            after_answer: true,
            open_indexes: Shares::of_this_process().indexes,
            io_threads: THREADS_DEFAULT,
            observer: Observer::default(),
            world: World::default(),
        }
    }

    /// Bytes that searches may hold beside the cache.
    pub(crate) fn search_bytes(&self) -> usize {
        match self.read_only {
            true => self.budget.searching_alone_bytes(),
            false => self.budget.searching_bytes(),
        }
    }

    /// Bytes of documents in a step of a job at the most.
    pub(crate) fn job_step_max(&self) -> usize {
        self.budget.job_bytes() / JOB_FACTOR
    }
}

/// One mebibyte.
pub const MIB: usize = 1024 * 1024;

/// A moment at which a process may be frozen, cut off or killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Nothing is written. A commit holds the lock, unless the process seems to be the only writer; a merge takes it later.
    BeforeBundle,
    /// Everything is written, and no link names the manifest; the version does not exist.
    BeforeLink,
    /// The version exists; its predecessor does not say so yet.
    BeforeMark,
    /// The version is visible and about to be acknowledged; HEAD is behind.
    BeforeHead,
    /// A new index is complete, and nobody sees it: its folder does not have its name yet.
    BeforeName,
    /// A deletion was published; a part of the deleted index is about to leave its folder. Reached once for each part.
    BeforeRemove,
    /// The folder of a deleted index is empty and about to be removed, which frees its name.
    BeforeFree,
}

/// Each step and its name in words.
const STEPS: [(&str, Step); 7] = [
    ("before-bundle", Step::BeforeBundle),
    ("before-link", Step::BeforeLink),
    ("before-mark", Step::BeforeMark),
    ("before-head", Step::BeforeHead),
    ("before-name", Step::BeforeName),
    ("before-remove", Step::BeforeRemove),
    ("before-free", Step::BeforeFree),
];

impl std::str::FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = STEPS.iter().find(|(name, _)| *name == text);
        known.map(|(_, step)| *step).ok_or_else(|| {
            let names = STEPS.map(|(name, _)| name).join(", ");
            format!("`{text}` is not a step: use one of {names}")
        })
    }
}

/// Is told each [`Step`] as it is reached.
#[derive(Clone, Default)]
pub struct Observer(Option<std::sync::Arc<dyn Fn(Step) + Send + Sync>>);

impl Observer {
    /// Calls `observe` at each step, in the thread that works.
    pub fn new(observe: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self(Some(std::sync::Arc::new(observe)))
    }

    pub(crate) fn reached(&self, step: Step) {
        if let Some(observe) = &self.0 {
            observe(step);
        }
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Observer(set)"
        } else {
            "Observer(none)"
        })
    }
}
