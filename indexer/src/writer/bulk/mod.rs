//! Loading many documents: segments are built and merged before any version names them, and published together.
//!
//! A commit for each batch would leave a segment for each batch, or copy every document once for each tier that it climbs.
//! Here the threads of the caller build segments of the size of the memory, write each as a bundle that no version names,
//! and merge sixteen at a time. The inputs of a merge are removed at once, since no reader can know them. One version then names
//! all of it and deletes the documents whose keys came again: the same result as posting one by one. Until then nothing of
//! it is visible, and whatever a killed process leaves are orphans.
//!
//! The bundles of a load are younger than retention when they are published, so a collection leaves them alone; a
//! thread sees to that however slowly documents come.
//!
//! While a job rebuilds the index, and where everything fits into one batch, documents go through ordinary commits.

mod keys;
mod pile;
mod publish;
mod work;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use self::pile::{Pile, Ticket};
use super::group::Committer;
use super::history::History;
use crate::document::Document;
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::{Body, Cause, Manifest};
use crate::format::section::Sections;
use crate::numbers::{DocCount, Version};
use crate::snapshot::Snapshot;

/// Memory for building that a thread is worth: with less, segments get so small that merging them costs more than the
/// thread gains.
const MEMORY_FOR_A_THREAD: usize = 32 * 1024 * 1024;
/// Of a thread's memory for building, the share that the documents of a segment take as text: one in so many. Postings,
/// positions and the compressed texts take the rest.
const TEXT_ONE_IN: usize = 3;
/// Bytes of documents in an ordinary commit.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that are published at once at the most: what a killed process has to import again.
const PUBLISH_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// Segments are published when the oldest is so old, as a part of retention: a collection takes what no version names after all
/// of it, and merging and the lock need time as well.
const PUBLISH_ONE_IN: u32 = 4;
/// With a shorter retention there is no time for building before publishing.
const RETENTION_MIN: Duration = Duration::from_secs(60);
/// How often the thread that watches the time looks, as a part of the time after which it publishes.
const LOOKS: u32 = 8;

/// What a load has published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BulkReport {
    /// The newest version that has documents of it; 0 for none.
    pub version: Version,
    /// Versions that were published without ordinary commits.
    pub publications: usize,
    /// Documents whose keys were not there before.
    pub created: DocCount,
    /// Documents that replaced one, of the load or of the index.
    pub updated: DocCount,
    /// Documents that are durable and become visible with the next commit of any process.
    pub pending: DocCount,
}

/// Loads many documents into an index. Used by as many threads at once as [`Self::threads`] says, which do all the work. Dropped
/// without [`Self::finish`], unpublished documents are discarded.
#[derive(Debug)]
pub struct Bulk {
    load: Arc<Load>,
    watch: Option<JoinHandle<()>>,
}

/// What the threads of a load share.
#[derive(Debug)]
struct Load {
    history: Arc<History>,
    commits: Arc<Committer>,
    /// The newest version when it began.
    began: Arc<Snapshot>,
    /// An index without documents, to put the own segments into.
    empty: Arc<Snapshot>,
    /// For the names of bundles: the first version that may name them.
    version: Version,
    /// Whether everything goes through ordinary commits.
    ordinary: bool,
    threads: usize,
    /// Bytes of text that become one segment, or one ordinary commit.
    gather_bytes: AtomicUsize,
    publish_after: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Documents that are not yet in a segment.
    gathered: Vec<Document>,
    gathered_bytes: usize,
    pile: Pile,
    /// Segments that are built right now.
    building: usize,
    /// Whether a thread publishes, or commits.
    publishing: bool,
    /// When the oldest of them came.
    gathered_since: Option<Instant>,
    report: BulkReport,
    failed: Option<Error>,
    over: bool,
}

impl Bulk {
    pub(super) fn new(history: Arc<History>, commits: Arc<Committer>) -> Result<Self> {
        let began = history.follower.newest()?;
        let manifest = began.manifest();
        let body = Body::empty(Cause::Commit, 0, manifest.body.definition.clone());
        let nothing = Manifest::empty(Version::NONE, manifest.lineage, body);
        let source = history.follower.source();
        let empty = Snapshot::open(nothing, source, None, &Sections::default())?;
        let retention = history.config.retention;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let worth = history.config.writer_memory_bytes / MEMORY_FOR_A_THREAD;
        let ordinary = manifest.body.job.is_some() || retention < RETENTION_MIN;
        let threads = worth.clamp(1, cores);
        let gather_bytes = if ordinary {
            BATCH_BYTES
        } else {
            history.config.writer_memory_bytes / threads / TEXT_ONE_IN
        };
        let load = Arc::new(Load {
            ordinary,
            empty: Arc::new(empty),
            version: began.version().next(),
            began,
            threads,
            gather_bytes: AtomicUsize::new(gather_bytes),
            publish_after: retention / PUBLISH_ONE_IN,
            history,
            commits,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let watch = (!load.ordinary).then(|| watch(&load)).transpose()?;
        Ok(Self { load, watch })
    }

    /// Threads that may add documents at once; more would wait for these.
    pub fn threads(&self) -> usize {
        self.load.threads
    }

    /// Makes a segment of every so many bytes of text, instead of as many as fit into the memory for building.
    #[must_use]
    pub fn segments_of(self, text_bytes: usize) -> Self {
        self.load.gather_bytes.store(text_bytes, Ordering::Relaxed);
        self
    }

    /// Takes documents. Of two with one key the later one counts. From time to time this builds or merges segments, or
    /// publishes; when it returns, nothing is promised yet.
    ///
    /// # Errors
    /// Whatever building and publishing met; every later call fails too.
    pub fn add(&self, documents: Vec<Document>) -> Result<()> {
        let load = &*self.load;
        let limit = load.gather_bytes.load(Ordering::Relaxed);
        let mut documents = documents.into_iter();
        loop {
            let now = load.history.clock.now();
            let mut state = load.lock();
            state.check()?;
            if !state.gather(&mut documents, limit, now) {
                return Ok(());
            }
            if load.ordinary {
                drop(state);
                load.keeping(Load::commit_gathered)?;
                continue;
            }
            let cut = state.cut(now);
            drop(state);
            load.keeping(|load| load.work(cut))?;
        }
    }

    /// Builds and publishes the remaining documents, in few segments, and reports the whole load.
    ///
    /// # Errors
    /// Like [`Self::add`]. [`Self::published`] says what was published nevertheless.
    pub fn finish(&self) -> Result<BulkReport> {
        self.load.keeping(Load::finish)?;
        Ok(self.published())
    }

    /// What has been published so far.
    pub fn published(&self) -> BulkReport {
        self.load.lock().report
    }

    /// Merges that are under way.
    pub fn merging(&self) -> usize {
        self.load.lock().pile.merging()
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        self.load.lock().over = true;
        self.load.changed.notify_all();
        if let Some(watch) = self.watch.take()
            && watch.join().is_err()
        {
            tracing::error!("the thread that publishes a load in time panicked");
        }
        let left = self.load.lock().pile.take_ready();
        self.load.remove(&left);
    }
}

impl State {
    fn check(&self) -> Result<()> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Gathers documents up to `limit` bytes of text; whether there are as many.
    fn gather(
        &mut self,
        documents: &mut impl Iterator<Item = Document>,
        limit: usize,
        now: Instant,
    ) -> bool {
        while self.gathered_bytes < limit.max(1) {
            let Some(document) = documents.next() else {
                return false;
            };
            self.gathered_since.get_or_insert(now);
            self.gathered_bytes += document.source().len();
            self.gathered.push(document);
        }
        true
    }

    fn take_gathered(&mut self) -> Vec<Document> {
        self.gathered_bytes = 0;
        self.gathered_since = None;
        std::mem::take(&mut self.gathered)
    }

    /// Takes the gathered documents, and a place in the pile for them.
    fn cut(&mut self, now: Instant) -> Cut {
        let ticket = self.pile.reserve(self.gathered_since.unwrap_or(now));
        let documents = self.take_gathered();
        Cut { ticket, documents }
    }

    /// When the oldest document came that is not published.
    fn since(&self) -> Option<Instant> {
        let times = [self.gathered_since, self.pile.since()];
        times.into_iter().flatten().min()
    }
}

/// Documents on their way into a segment.
#[derive(Debug)]
struct Cut {
    ticket: Ticket,
    documents: Vec<Document>,
}

impl Load {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn memory_for_a_thread(&self) -> usize {
        self.history.config.writer_memory_bytes / self.threads
    }

    /// Does `work`; if it fails, so does every later call.
    fn keeping(&self, work: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        let result = work(self);
        if let Err(error) = &result {
            self.lock().failed.get_or_insert(error.clone());
            self.changed.notify_all();
        }
        result
    }
}

/// Publishes in time, however slowly documents come.
fn watch(load: &Arc<Load>) -> Result<JoinHandle<()>> {
    let pause = load.publish_after / LOOKS;
    let load = Arc::downgrade(load);
    let publish = move || {
        while let Some(load) = Weak::upgrade(&load) {
            let state = load.lock();
            if state.over || state.failed.is_some() {
                return;
            }
            let waited = load.changed.wait_timeout(state, pause);
            let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            let age = |since| load.history.clock.now().saturating_duration_since(since);
            let due = state.since().map(age) >= Some(load.publish_after);
            drop(state);
            if due && let Err(error) = load.keeping(Load::flush) {
                tracing::error!(%error, "documents could not be published in time");
            }
        }
    };
    let thread = thread::Builder::new().name("bulk".into()).spawn(publish);
    thread.map_err(|error| {
        let message = "no thread can be started: allow this process more threads";
        Error::new(ErrorKind::Unavailable, message).because(error)
    })
}
