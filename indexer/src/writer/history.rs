//! The handle over an index's history, and the one loop that publishes versions.
//!
//! Committing, merging, collecting, rebuilding and deleting are types of their own. Each holds this handle and gives
//! [`History::publish`] a function that turns a draft of the next version into what it wants to publish. The loop takes the
//! lock, looks for the newest version, asks for the proposal, publishes it, and starts over where another writer was
//! first. Nothing else takes the lock, and nothing else publishes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::alone::Alone;
use super::draft::{Draft, Stamp};
use super::leftovers::Leftovers;
use super::lock::Lock;
use super::permit::{Patience, Permit};
use super::publish::{Failure, NewVersion, Publisher, preceded};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::{Applied, Cause};
use crate::ids::Ids;
use crate::inbox::Inbox;
use crate::mount::Mount;
use crate::numbers::{LockGeneration, Version};
use crate::snapshot::Snapshot;
use crate::snapshot::follow::Follower;
use crate::world::World;

/// Attempts at one version when other writers come first.
const ATTEMPTS: usize = 16;
/// Pause between two tries of a lock that another process holds.
const POLL: Duration = Duration::from_millis(20);

/// What every job that writes an index needs: the way to the newest version, and to the next.
#[derive(Debug)]
pub(super) struct History {
    /// Which writer this is.
    pub(super) id: Uuid,
    pub(super) follower: Arc<Follower>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) config: Config,
    pub(super) leftovers: Leftovers,
    lock: Lock,
    publisher: Publisher,
    alone: Mutex<Alone>,
}

/// What a job makes of a draft of the next version.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Proposal<V, N> {
    /// Publish it.
    Version(Draft, V),
    /// There is nothing to publish.
    Nothing(N),
}

/// The result of [`History::publish`].
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Publication<'a, V, N> {
    /// The proposed version exists.
    Version(Published<'a>, V),
    /// There was nothing to publish after the newest version.
    Nothing { newest: Arc<Snapshot>, value: N },
    /// Another process held the lock until the deadline, or others published first again and again.
    Busy,
}

/// The result of [`History::maintain`].
pub(super) enum Maintained<V, N> {
    /// The proposed version exists, and this process has gone on from it.
    Published(V),
    /// There was nothing to publish.
    Nothing(N),
}

/// A version that was just published. The permit lasts until this is dropped.
#[must_use = "a version is announced in HEAD by `finish`"]
pub(super) struct Published<'a> {
    history: &'a History,
    base: Arc<Snapshot>,
    version: NewVersion,
    _permit: Permit,
}

/// The version that a draft is made of.
struct Base {
    snapshot: Arc<Snapshot>,
    /// Whether it was taken for the newest without looking.
    trusted: bool,
}

impl History {
    /// The history of the index that `follower`, which must be writable, follows.
    pub(super) fn new(follower: Arc<Follower>, inbox: Arc<Inbox>, config: Config) -> Self {
        let World { clock, ids } = config.world.clone();
        let id = ids.next();
        let mount = Arc::clone(&follower.source().mount);
        Self {
            lock: Lock::new(mount, Arc::clone(&clock), id, config.overtake_after),
            publisher: Publisher::new(Arc::clone(&follower), config.observer.clone()),
            leftovers: Leftovers::new(inbox),
            alone: Mutex::default(),
            id,
            follower,
            clock,
            ids,
            config,
        }
    }

    /// The folder of the index.
    pub(super) fn mount(&self) -> &Arc<dyn Mount> {
        &self.follower.source().mount
    }

    /// Publishes the version that `propose` makes of a draft, which has the newest version as its base and everything that
    /// is in it. Waits for the lock as `patience` says. Where another writer was first, `propose` is asked again.
    ///
    /// # Errors
    /// Whatever `propose` or publishing met. [`Failure`] says whether anything was published.
    pub(super) fn publish<V, N>(
        &self,
        cause: Cause,
        patience: Patience,
        mut propose: impl FnMut(Draft) -> Result<Proposal<V, N>>,
    ) -> Result<Publication<'_, V, N>, Failure> {
        let mut held = None;
        for _ in 0..ATTEMPTS {
            if held.is_none() {
                held = self.permit(patience)?;
            }
            let Some(permit) = held.take() else {
                return Ok(Publication::Busy);
            };
            let base = self.base(patience)?;
            if !permit.serves(&base.snapshot) {
                // The lock was overtaken while it was held. The next attempt takes the one that is current.
                continue;
            }
            match self.attempt(cause, &base, &permit, &mut propose) {
                Ok(Ok((version, value))) => {
                    let before = base.snapshot.version();
                    self.alone().published(before, patience, self.clock.now());
                    let (history, base, _permit) = (self, base.snapshot, permit);
                    let published = Published {
                        history,
                        base,
                        version,
                        _permit,
                    };
                    return Ok(Publication::Version(published, value));
                }
                Ok(Err(value)) => {
                    let newest = base.snapshot;
                    return Ok(Publication::Nothing { newest, value });
                }
                Err(failure) => self.start_over(failure, base.trusted)?,
            }
            held = permit.again();
        }
        Ok(Publication::Busy)
    }

    /// Asks for a proposal for the version after `base`, and publishes it. Gives what the proposal says where there is nothing
    /// to publish.
    fn attempt<V, N>(
        &self,
        cause: Cause,
        base: &Base,
        permit: &Permit,
        propose: &mut impl FnMut(Draft) -> Result<Proposal<V, N>>,
    ) -> Result<Result<(NewVersion, V), N>, Failure> {
        let Base { snapshot, trusted } = base;
        let leftovers = self.leftovers.named_by(snapshot);
        match propose(Draft::new(Arc::clone(snapshot), cause, &*self.ids))? {
            Proposal::Version(draft, value) => {
                let version = self.write(draft, permit, leftovers)?;
                Ok(Ok((version, value)))
            }
            // Only publishing shows whether a version that was trusted is the newest.
            Proposal::Nothing(_)
                if *trusted && self.follower.newest()?.version() != snapshot.version() =>
            {
                Err(preceded())
            }
            Proposal::Nothing(value) => Ok(Err(value)),
        }
    }

    /// Like [`Self::publish`], for work that no client waits for: waits for the lock, and goes on from the version at once.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] when the lock could not be had; like [`Self::publish`].
    pub(super) fn maintain<V, N>(
        &self,
        cause: Cause,
        deadline: Instant,
        propose: impl FnMut(Draft) -> Result<Proposal<V, N>>,
    ) -> Result<Maintained<V, N>> {
        match self.publish(cause, Patience::Until(deadline), propose)? {
            Publication::Version(published, value) => {
                published.finish()?;
                Ok(Maintained::Published(value))
            }
            Publication::Nothing { value, .. } => Ok(Maintained::Nothing(value)),
            Publication::Busy => Err(Error::new(
                ErrorKind::Busy,
                "another process is writing: try again later",
            )),
        }
    }

    /// Removes files that certainly belong to no version.
    pub(super) fn remove<'a>(&self, paths: impl IntoIterator<Item = &'a String>) {
        for path in paths {
            self.publisher.remove(path);
        }
    }

    /// The right to publish next: the lock of the newest version, which a process that seems to be alone need not take.
    /// `None`: another process held it for too long.
    fn permit(&self, patience: Patience) -> Result<Option<Permit>> {
        if patience == Patience::None
            && let Some(held) = self.follower.held()
            && self.alone().skips_lock(held.version(), self.clock.now())
        {
            return Ok(Some(Permit::Alone));
        }
        loop {
            // The lock can be tried at the version that is known. Once it is held, the newest is looked for.
            let tip = match self.follower.held() {
                Some(held) => held,
                None => self.follower.newest()?,
            };
            let generation = tip.manifest().body.lock_generation;
            if let Some(held) = self.lock.attempt(generation, tip.version())? {
                return Ok(Some(Permit::Locked(held)));
            }
            self.alone().met(false);
            self.follower.newest()?;
            if !patience.lasts_at(self.clock.now()) {
                return Ok(None);
            }
            self.clock.sleep(POLL);
        }
    }

    fn base(&self, patience: Patience) -> Result<Base> {
        let held = self.follower.held().filter(|held| {
            patience == Patience::None && self.alone().trusts(held.version(), self.clock.now())
        });
        let trusted = held.is_some();
        let snapshot = match held {
            Some(held) => held,
            None => self.follower.newest()?,
        };
        Ok(Base { snapshot, trusted })
    }

    /// Publishes a draft. Files that were made for it go if it certainly is no version.
    fn write(
        &self,
        mut draft: Draft,
        permit: &Permit,
        mut applied: Vec<Applied>,
    ) -> Result<NewVersion, Failure> {
        applied.append(&mut draft.applied);
        draft.applied = applied;
        let (base, made) = (Arc::clone(draft.base()), draft.made().to_vec());
        let stamp = Stamp {
            lock_generation: permit.generation(&base),
            ..self.stamp()
        };
        let published = draft
            .finish(stamp)
            .map_err(Failure::Nothing)
            .and_then(|(manifest, pages)| self.publisher.publish(&base, manifest, &pages));
        if matches!(published, Err(Failure::Fenced(_))) {
            self.follower.counters().fenced();
        }
        if matches!(published, Err(Failure::Fenced(_) | Failure::Nothing(_))) {
            self.remove(&made);
        }
        published
    }

    /// What a manifest of this writer is stamped with that is published without the lock.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            writer: self.id,
            written_ms: self.clock.wall_ms(),
            lock_generation: LockGeneration::FIRST,
        }
    }

    /// Prepares another attempt after a failure; gives the failure back where another attempt does not help.
    fn start_over(&self, failure: Failure, trusted: bool) -> Result<(), Failure> {
        match failure {
            Failure::Fenced(error) => {
                self.alone().met(trusted);
                tracing::info!(%error, "starting over from the newest version");
                Ok(())
            }
            Failure::Nothing(error) if error.is_stale() => {
                self.alone().met(trusted);
                tracing::info!(%error, "starting over from HEAD");
                self.follower.restart();
                Ok(())
            }
            Failure::Nothing(_) | Failure::Unknown(_) => {
                self.alone().met(false);
                Err(failure)
            }
        }
    }

    fn alone(&self) -> MutexGuard<'_, Alone> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Published<'_> {
    /// The number of the version.
    pub(super) fn version(&self) -> Version {
        self.version.manifest.version
    }

    /// What may come after the answer: this process goes on from the version, and HEAD names it.
    pub(super) fn finish(self) -> Result<()> {
        let Self {
            history,
            base,
            version,
            ..
        } = &self;
        if version.manifest.body.cause == Cause::Delete {
            return Ok(());
        }
        let (manifest, file) = (version.manifest.clone(), Arc::clone(&version.file));
        let snapshot = history.follower.install(base, manifest, file)?;
        history.publisher.finish(version, &snapshot);
        Ok(())
    }
}
