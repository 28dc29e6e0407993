//! Waiting for a version that does not exist yet (`min_version`).
//!
//! Who waits holds no turn and no thread: waiting is a future, which ends with the client's connection. One of those who
//! wait for the same index looks for its newest version now and then, for all of them; when it leaves, the next does.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use aquifer_indexer::index::Index;
use aquifer_indexer::numbers::Version;
use tokio::sync::watch;
use tokio::time::{sleep, timeout_at};

use super::error::{Problem, Sort};
use super::limits::{
    MAX_VERSION_WAITERS, MAX_VERSIONS_AHEAD, VERSION_POLL_FIRST, VERSION_POLL_LONGEST, VERSION_WAIT,
};
use super::state::AppState;
use super::turnstile::{Place, Turnstile};

/// Who waits for versions.
#[derive(Default)]
pub(crate) struct Versions {
    waiting: AtomicUsize,
    polls: Mutex<HashMap<String, Weak<Poll>>>,
}

/// The look-out for the newest version of one index, shared by all who wait for it.
struct Poll {
    newest: watch::Sender<Version>,
    /// Held by the one that looks.
    looking: tokio::sync::Mutex<()>,
}

/// What a question to an index came to.
enum Asked<T> {
    Answered(T),
    /// The newest version is this one, before the one that was asked for.
    Behind(Version),
}

/// Asks an index that must exist, in a turn of `turnstile`, as soon as it has reached `min_version`.
pub(crate) async fn ask<T: Send + 'static>(
    state: &AppState,
    turnstile: &Turnstile,
    name: &str,
    min_version: Option<Version>,
    deadline: Instant,
    question: impl Fn(&Index) -> Result<T, Problem> + Clone + Send + 'static,
) -> Result<T, Problem> {
    loop {
        let (worker, question, index) = (state.clone(), question.clone(), name.to_owned());
        let call = move || {
            worker.ask(&index, |index| {
                if let Some(version) = min_version
                    && let Some(newest) = index.behind(version)?
                {
                    return Ok(Asked::Behind(newest));
                }
                question(index).map(Asked::Answered)
            })
        };
        match (turnstile.run(deadline, call).await?, min_version) {
            (Asked::Answered(answer), _) => return Ok(answer),
            (Asked::Behind(newest), version) => {
                let wanted = version.unwrap_or(newest);
                let versions = state.versions();
                versions.wait(state, name, wanted, newest, deadline).await?;
            }
        }
    }
}

impl Versions {
    /// Waits until the index has reached version `wanted`, where it is at `newest` now.
    async fn wait(
        &self,
        state: &AppState,
        name: &str,
        wanted: Version,
        newest: Version,
        deadline: Instant,
    ) -> Result<(), Problem> {
        near(wanted, newest)?;
        let Some(_place) = Place::take(&self.waiting, MAX_VERSION_WAITERS) else {
            return Err(Problem::new(
                Sort::Busy,
                format!(
                    "{MAX_VERSION_WAITERS} requests already wait for a version: try again later, or without \
                     min_version"
                ),
            ));
        };
        let poll = self.poll(name, newest);
        let mut seen = poll.newest.subscribe();
        let until = deadline.min(Instant::now() + VERSION_WAIT);
        let reached = async {
            tokio::select! {
                seen = seen.wait_for(|newest| *newest >= wanted) => match seen {
                    Ok(_reached) => Ok(()),
                    Err(_closed) => Err(Problem::new(Sort::Internal, "nobody looks for versions")),
                },
                looked = poll.look(state, name, wanted, deadline) => looked,
            }
        };
        match timeout_at(until.into(), reached).await {
            Ok(reached) => reached,
            Err(_elapsed) => {
                let newest = *poll.newest.borrow();
                Err(Problem::new(
                    Sort::Busy,
                    format!(
                        "version {wanted} does not exist yet, the newest is {newest}: ask again later, or without \
                         min_version. (In an index that was created anew, versions begin at 1 again.)"
                    ),
                ))
            }
        }
    }

    /// The look-out for an index.
    fn poll(&self, name: &str, newest: Version) -> Arc<Poll> {
        let mut polls = self.polls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(poll) = polls.get(name).and_then(Weak::upgrade) {
            return poll;
        }
        // There are no more of them than there are requests that wait.
        polls.retain(|_, poll| poll.strong_count() > 0);
        let poll = Arc::new(Poll {
            newest: watch::Sender::new(newest),
            looking: tokio::sync::Mutex::default(),
        });
        polls.insert(name.to_owned(), Arc::downgrade(&poll));
        poll
    }
}

impl Poll {
    /// Looks for the newest version until it is `wanted`, as soon as nobody else looks.
    async fn look(
        &self,
        state: &AppState,
        name: &str,
        wanted: Version,
        deadline: Instant,
    ) -> Result<(), Problem> {
        let _looking = self.looking.lock().await;
        let mut pause = VERSION_POLL_FIRST;
        loop {
            sleep(pause).await;
            pause = (pause * 2).min(VERSION_POLL_LONGEST);
            let (worker, index) = (state.clone(), name.to_owned());
            let newest = move || worker.ask(&index, |index| Ok(index.snapshot()?.version()));
            let newest = match state.reads().run(deadline, newest).await {
                // The next look may find a turn.
                Err(problem) if problem.is_busy() => continue,
                newest => newest?,
            };
            self.newest.send_replace(newest);
            if newest >= wanted {
                return Ok(());
            }
            near(wanted, newest)?;
        }
    }
}

/// Refuses to wait for a version that is too far ahead to come soon.
fn near(wanted: Version, newest: Version) -> Result<(), Problem> {
    if wanted.since(newest) <= MAX_VERSIONS_AHEAD {
        return Ok(());
    }
    Err(Problem::new(
        Sort::Conflict,
        format!(
            "version {wanted} does not exist and is far ahead of {newest}, the newest: use the `version` that a write to \
             this index answered. (An index that was created anew begins at version 1 again: then forget \
             the earlier versions.)"
        ),
    ))
}
