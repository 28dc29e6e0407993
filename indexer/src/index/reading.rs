//! Reading an index: searches and documents of the newest version, or of one that is at least as new as asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tantivy::TantivyDocument;
use tantivy::schema::Value as _;

use super::Index;
use crate::error::{Error, ErrorKind, Result};
use crate::numbers::{DocCount, Version};
use crate::search::{self, Allowance, Budget, SearchRequest, SearchResponse};
use crate::snapshot::Snapshot;
use crate::writer::resolve::locate;

/// Fresh starts of one request while files are collected under it. With a retention longer than a
/// request one is enough.
const RESTARTS_MAX: usize = 4;
/// Pause between looks for a version that a request wants to see.
const VERSION_POLL: Duration = Duration::from_millis(10);

/// A document that was found by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its JSON as it came in.
    pub source: Box<str>,
    /// The version it was found in.
    pub version: Version,
}

impl Index {
    /// Searches the newest version: every batch that was answered as applied before this call is in it. Waits
    /// for `min_version`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a bad request or one that stands for too much; [`ErrorKind::Busy`] when `min_version` does
    /// not come before the deadline; [`ErrorKind::Deadline`]; [`ErrorKind::AnswerTooLarge`];
    /// [`ErrorKind::Corrupt`], [`ErrorKind::Unavailable`].
    pub fn search(&self, request: &SearchRequest, deadline: Instant) -> Result<SearchResponse> {
        request.validate()?;
        self.wait_for(request.min_version, deadline)?;
        self.search_now(request, &Allowance::until(deadline))
    }

    /// As [`Self::search`], without waiting for `min_version`, and within an allowance. It ends shortly after
    /// the deadline, or after nobody waits for it any more.
    ///
    /// # Errors
    /// Like [`Self::search`].
    pub fn search_now(
        &self,
        request: &SearchRequest,
        allowance: &Allowance,
    ) -> Result<SearchResponse> {
        request.validate()?;
        self.read(|snapshot| {
            reached(snapshot, request.min_version)?;
            let (searcher, schema) = (snapshot.searcher()?, snapshot.schema());
            let (clock, room) = (Arc::clone(&self.clock), Arc::clone(&self.shared.room));
            let budget = Budget::begin(clock, allowance.clone(), room)?;
            let known = &self.shared.known;
            let (count, hits) = search::execute(searcher, schema, known, request, &budget)?;
            Ok(SearchResponse {
                count: DocCount::new(count),
                hits,
                version: snapshot.version(),
                lineage: snapshot.manifest().lineage,
            })
        })
    }

    /// A document by its key, as it came in.
    pub fn get(
        &self,
        unique_key: &str,
        min_version: Option<Version>,
        deadline: Instant,
    ) -> Result<Option<Found>> {
        self.wait_for(min_version, deadline)?;
        self.get_now(unique_key, min_version)
    }

    /// As [`Self::get`], without waiting for `min_version`.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] where the newest version is an earlier one.
    pub fn get_now(&self, unique_key: &str, min_version: Option<Version>) -> Result<Option<Found>> {
        self.read(|snapshot| {
            reached(snapshot, min_version)?;
            find(snapshot, unique_key)
        })
    }

    /// The newest version, where it is before `version`. Reads nothing where a later one is held.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Corrupt`], [`ErrorKind::Unavailable`].
    pub fn behind(&self, version: Version) -> Result<Option<Version>> {
        let held = self.follower.held();
        if held.is_some_and(|held| held.version() >= version) {
            return Ok(None);
        }
        let newest = self.snapshot()?.version();
        Ok((newest < version).then_some(newest))
    }

    /// Runs `read` on the newest snapshot. Files that are gone (collected, or forgotten by the
    /// server) cost one fresh start; what fails then is told.
    pub(super) fn read<T>(&self, read: impl Fn(&Snapshot) -> Result<T>) -> Result<T> {
        let told = |snapshot: &Snapshot, result: Result<T>| {
            if result.as_ref().is_err_and(Error::is_stale) {
                self.follower.invalidate(snapshot);
            }
            result
        };
        let attempt = || {
            let opened = self.follower.open()?;
            let snapshot = Arc::clone(&opened.snapshot);
            let result = guarded(|| read(&snapshot));
            // After a cold start the answer may be from a version before the newest.
            match opened.is_newest() {
                Ok(true) => told(&snapshot, result),
                Ok(false) => {
                    let newest = self.follower.newest()?;
                    told(&newest, guarded(|| read(&newest)))
                }
                Err(error) => told(&snapshot, Err(error)),
            }
        };
        let mut result = attempt();
        for _ in 0..RESTARTS_MAX {
            match result {
                Err(error) if error.is_stale() => {
                    tracing::info!(%error, "a file is gone: starting over");
                    result = attempt();
                }
                other => return self.notice(other),
            }
        }
        self.notice(result)
    }

    fn wait_for(&self, version: Option<Version>, deadline: Instant) -> Result<()> {
        let Some(version) = version else {
            return Ok(());
        };
        loop {
            let newest = self.snapshot()?.version();
            if newest >= version {
                return Ok(());
            }
            if self.clock.now() >= deadline {
                return Err(not_yet(version, newest));
            }
            self.clock.sleep(VERSION_POLL);
        }
    }
}

/// Fails where a snapshot is before the version that was asked for.
fn reached(snapshot: &Snapshot, min_version: Option<Version>) -> Result<()> {
    match min_version {
        Some(version) if snapshot.version() < version => Err(not_yet(version, snapshot.version())),
        _ => Ok(()),
    }
}

fn not_yet(version: Version, newest: Version) -> Error {
    Error::new(
        ErrorKind::Busy,
        format!(
            "version {version} does not exist yet, the newest is {newest}: ask again later, or without \
             min_version"
        ),
    )
}

fn find(snapshot: &Snapshot, unique_key: &str) -> Result<Option<Found>> {
    let located = locate(snapshot, &[unique_key])?;
    let Some(&(position, doc)) = located.get(unique_key) else {
        return Ok(None);
    };
    let address = snapshot.address(position, doc)?;
    let document: TantivyDocument = snapshot.searcher()?.doc(address)?;
    let source = document.get_first(snapshot.schema().source());
    let source = source
        .and_then(|value| value.as_bytes())
        .unwrap_or_default();
    let source = String::from_utf8_lossy(source)
        .into_owned()
        .into_boxed_str();
    Ok(Some(Found {
        source,
        version: snapshot.version(),
    }))
}

/// tantivy panics where it meets what it holds to be impossible; for a request that is an error.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no text");
        Err(Error::internal(format!(
            "the search library gave up: {text}"
        )))
    })
}
