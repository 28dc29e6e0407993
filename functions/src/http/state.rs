//! What every request is answered with: the indexes, the settings, the turnstiles.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aquifer_indexer::index::{Aquifer, Index};
use aquifer_indexer::reindex::{NoSources, Sources};
use axum::http::HeaderValue;

use super::body::{Admitted, Packed, Purpose};
use super::budget::Budget;
use super::error::{Problem, Sort};
use super::health::Readiness;
use super::hosts::AllowedHosts;
use super::left::{Unannounced, WorkLeft};
use super::limits;
use super::origins::AllowedOrigins;
use super::served::ServedIndexes;
use super::turnstile::Turnstile;
use super::versions::Versions;
use crate::log_queue::LogQueue;

/// What caches are told by default: they may keep an answer, and ask each time whether it still holds. Without a word some
/// keep it for a day.
pub const DEFAULT_CACHE_CONTROL: &str = "no-cache";

/// How the router behaves.
#[derive(Clone)]
pub struct Settings {
    /// The index behind the routes that name none.
    pub default_index: String,
    /// The indexes that are served.
    pub served: ServedIndexes,
    /// Refuse every write with 403.
    pub read_only: bool,
    /// The longest that a request may take.
    pub deadline: Duration,
    /// Reads that run at once, searches apart.
    pub concurrent_reads: usize,
    /// Searches that are under way at once.
    pub concurrent_searches: usize,
    /// Writes that run at once.
    pub concurrent_writes: usize,
    /// Requests of each sort that wait for a turn before the next is answered 503.
    pub queue: usize,
    /// The host names that are answered.
    pub hosts: AllowedHosts,
    /// The web pages that may read answers, and write.
    pub origins: AllowedOrigins,
    /// What caches are told about searches and documents that were read.
    pub cache_control: HeaderValue,
    /// Bytes for the bodies of all requests, what is read from them, and all answers.
    pub request_bytes: usize,
    /// The log, for `/health` to say how many lines were lost.
    pub log: Option<LogQueue>,
    /// The external sources that a reindex may name.
    pub sources: Arc<dyn Sources>,
    /// Who is told of work that outlives a request.
    pub left: Arc<dyn WorkLeft>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("default_index", &self.default_index)
            .field("served", &self.served)
            .field("read_only", &self.read_only)
            .field("deadline", &self.deadline)
            .field("concurrent_reads", &self.concurrent_reads)
            .field("concurrent_searches", &self.concurrent_searches)
            .field("concurrent_writes", &self.concurrent_writes)
            .field("queue", &self.queue)
            .field("hosts", &self.hosts)
            .field("origins", &self.origins)
            .field("cache_control", &self.cache_control)
            .field("request_bytes", &self.request_bytes)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_index: "default".to_owned(),
            served: ServedIndexes::default(),
            read_only: false,
            deadline: limits::DEFAULT_DEADLINE,
            concurrent_reads: limits::DEFAULT_CONCURRENT_READS,
            concurrent_searches: limits::DEFAULT_CONCURRENT_SEARCHES,
            concurrent_writes: limits::DEFAULT_CONCURRENT_WRITES,
            queue: limits::DEFAULT_QUEUE,
            hosts: AllowedHosts::default(),
            origins: AllowedOrigins::default(),
            cache_control: HeaderValue::from_static(DEFAULT_CACHE_CONTROL),
            request_bytes: limits::DEFAULT_REQUEST_BYTES,
            log: None,
            sources: Arc::new(NoSources),
            left: Arc::new(Unannounced),
        }
    }
}

/// What the router needs to answer; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    shared: Arc<Shared>,
}

struct Shared {
    aquifer: Arc<Aquifer>,
    settings: Settings,
    reads: Turnstile,
    searches: Turnstile,
    versions: Versions,
    writes: Turnstile,
    budget: Budget,
    readiness: Readiness,
}

impl AppState {
    /// Serves the indexes of `aquifer` as `settings` say.
    pub fn new(aquifer: Arc<Aquifer>, settings: Settings) -> Self {
        let reads = Turnstile::new(settings.concurrent_reads, settings.queue);
        let searches = Turnstile::new(settings.concurrent_searches, settings.queue);
        let writes = Turnstile::new(settings.concurrent_writes, settings.queue);
        let budget = Budget::new(settings.request_bytes);
        Self {
            shared: Arc::new(Shared {
                aquifer,
                settings,
                reads,
                searches,
                versions: Versions::default(),
                writes,
                budget,
                readiness: Readiness::default(),
            }),
        }
    }

    pub(crate) fn aquifer(&self) -> &Aquifer {
        &self.shared.aquifer
    }

    pub(crate) fn shared_aquifer(&self) -> Arc<Aquifer> {
        Arc::clone(&self.shared.aquifer)
    }

    pub(crate) fn readiness(&self) -> &Readiness {
        &self.shared.readiness
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(crate) fn reads(&self) -> &Turnstile {
        &self.shared.reads
    }

    pub(crate) fn searches(&self) -> &Turnstile {
        &self.shared.searches
    }

    pub(crate) fn versions(&self) -> &Versions {
        &self.shared.versions
    }

    pub(crate) fn writes(&self) -> &Turnstile {
        &self.shared.writes
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.shared.budget
    }

    /// Lets `call` unpack and read `body` when it is its turn and there is memory for it, on a thread that may block.
    pub(crate) async fn with_body<T, F>(
        &self,
        turnstile: &Turnstile,
        deadline: Instant,
        (body, purpose): (Packed, Purpose),
        call: F,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(Admitted) -> Result<T, Problem> + Send + 'static,
    {
        let turn = turnstile.turn(deadline).await?;
        let body = body.admit(purpose, self.budget(), deadline).await?;
        turn.run(deadline, move || call(body)).await
    }

    /// Opens an index that must exist. Blocks.
    pub(crate) fn index(&self, name: &str) -> Result<Arc<Index>, Problem> {
        Ok(self.shared.aquifer.index(name)?)
    }

    /// Asks an index that must exist. One that turns out to have been deleted is opened anew by its name and asked again:
    /// another may have been created since. Blocks.
    pub(crate) fn ask<T>(
        &self,
        name: &str,
        question: impl Fn(&Index) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let index = self.index(name)?;
        match question(&index) {
            Err(_) if index.is_gone() => question(&*self.index(name)?),
            answer => answer,
        }
    }

    /// Opens an index to write to it; the default one is created by its first document. Blocks.
    pub(crate) fn index_to_fill(&self, name: &str) -> Result<Arc<Index>, Problem> {
        if name == self.shared.settings.default_index {
            Ok(self.shared.aquifer.index_or_create(name)?)
        } else {
            self.index(name)
        }
    }

    /// Refuses on a server that only reads.
    pub(crate) fn must_write(&self) -> Result<(), Problem> {
        if self.shared.settings.read_only {
            return Err(Problem::new(
                Sort::ReadOnly,
                "this server was started with --read-only: send the request to one that writes",
            ));
        }
        Ok(())
    }
}
