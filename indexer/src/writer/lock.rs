//! The lock: politeness and speed, never the reason something is correct.
//!
//! It is tried and polled, never waited for. While its holder works it writes a heartbeat into the
//! file; a holder whose heartbeat stands still, at a tip that stands still, is overtaken: the next
//! generation of the lock file is used from then on. The exclusive creation of versions makes that
//! safe.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::clock::Clock;
use crate::error::Result;
use crate::layout;
use crate::mount::{Access, COHERENT_PAGE, LockGuard, Mount, MountFile, MountResult};
use crate::numbers::{LockGeneration, Version};
use crate::snapshot::Snapshot;

/// A holder writes a sign of life this often. A commit that is shorter writes none.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Who has not looked for so long has not seen that nothing changed, and begins to observe anew.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Tries, observes and overtakes.
#[derive(Debug)]
pub(super) struct Lock {
    mount: Arc<dyn Mount>,
    clock: Arc<dyn Clock>,
    writer: Uuid,
    overtake_after: Duration,
    observed: Mutex<Option<Observation>>,
    /// The lock file that a contender watches, of this generation.
    watched: Mutex<Option<(LockGeneration, Arc<dyn MountFile>)>>,
}

/// What a contender saw of the holder, and since when it has not changed.
#[derive(Debug)]
struct Observation {
    generation: LockGeneration,
    version: Version,
    heartbeat: Vec<u8>,
    since: Instant,
    last: Instant,
}

/// The lock, held.
#[derive(Debug)]
pub(super) struct Held {
    /// Which lock file is held. The version published under it must name it.
    pub(super) generation: LockGeneration,
    _heartbeat: Heartbeat,
    _guard: Box<dyn LockGuard>,
}

impl Held {
    /// Whether this is the lock of `tip`, or a later one, which overtakes its holder. Otherwise it was
    /// overtaken while it was held.
    pub(super) fn serves(&self, tip: &Snapshot) -> bool {
        self.generation >= tip.manifest().body.lock_generation
    }
}

impl Lock {
    pub(super) fn new(
        mount: Arc<dyn Mount>,
        clock: Arc<dyn Clock>,
        writer: Uuid,
        overtake_after: Duration,
    ) -> Self {
        Self {
            mount,
            clock,
            writer,
            overtake_after,
            observed: Mutex::default(),
            watched: Mutex::default(),
        }
    }

    /// Tries to take the lock of `generation`, the one that `version`, the tip, names. `None`: somebody
    /// holds it and seems to be alive.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unavailable`] when locking itself fails.
    pub(super) fn attempt(
        &self,
        generation: LockGeneration,
        version: Version,
    ) -> Result<Option<Held>> {
        if let Some(held) = self.take(generation)? {
            self.observe(None);
            self.watch(None);
            return Ok(Some(held));
        }
        let heartbeat = self.read_heartbeat(generation);
        let now = self.clock.now();
        let mut observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        let unchanged = observed.as_mut().filter(|seen| {
            seen.generation == generation
                && seen.version == version
                && seen.heartbeat == heartbeat
                && now.saturating_duration_since(seen.last) < LOOK_AGAIN
        });
        let Some(seen) = unchanged else {
            *observed = Some(Observation {
                generation,
                version,
                heartbeat,
                since: now,
                last: now,
            });
            return Ok(None);
        };
        seen.last = now;
        if now.saturating_duration_since(seen.since) < self.overtake_after {
            return Ok(None);
        }
        drop(observed);
        let held = self.take(generation.next())?;
        if held.is_some() {
            tracing::warn!(
                generation = generation.get(),
                version = version.get(),
                "the lock holder shows no sign of life: overtaken"
            );
        }
        Ok(held)
    }

    fn observe(&self, observation: Option<Observation>) {
        *self.observed.lock().unwrap_or_else(PoisonError::into_inner) = observation;
    }

    fn take(&self, generation: LockGeneration) -> Result<Option<Held>> {
        let path = layout::lock(generation);
        let guard = self.mount.try_lock(&path)?;
        Ok(guard.map(|guard| Held {
            generation,
            _heartbeat: Heartbeat::start(Arc::clone(&self.mount), path, self.writer),
            _guard: guard,
        }))
    }

    fn read_heartbeat(&self, generation: LockGeneration) -> Vec<u8> {
        let mut page = vec![0; COHERENT_PAGE];
        let read = self.watched(generation).and_then(|file| {
            let read = file.read_at(&mut page, 0)?;
            self.watch(Some((generation, file)));
            Ok(read)
        });
        page.truncate(read.unwrap_or(0));
        page
    }

    /// The lock file of a generation. It is let go of while it is used, and after an error for good.
    fn watched(&self, generation: LockGeneration) -> MountResult<Arc<dyn MountFile>> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        match watched.take() {
            Some((known, file)) if known == generation => Ok(file),
            _ => self
                .mount
                .open(&layout::lock(generation), Access::CoherentRead),
        }
    }

    fn watch(&self, file: Option<(LockGeneration, Arc<dyn MountFile>)>) {
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = file;
    }
}

/// Writes signs of life from a thread of its own, from the second second on, until dropped.
#[derive(Debug)]
struct Heartbeat {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    fn start(mount: Arc<dyn Mount>, path: String, writer: Uuid) -> Self {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let stopped = Arc::clone(&stop);
        let beat = move || {
            let (stop, changed) = &*stopped;
            for count in 1_u64.. {
                let guard = stop.lock().unwrap_or_else(PoisonError::into_inner);
                let waited = changed.wait_timeout_while(guard, HEARTBEAT, |stop| !*stop);
                let (stop, _) = waited.unwrap_or_else(PoisonError::into_inner);
                if *stop {
                    return;
                }
                drop(stop);
                let page = heartbeat_page(writer, count);
                let written = mount
                    .open(&path, Access::Update)
                    .and_then(|file| file.write_durably_at(&page, 0));
                if let Err(error) = written {
                    tracing::debug!(%error, "a heartbeat could not be written");
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("heartbeat".into())
            .spawn(beat);
        Self {
            stop,
            thread: thread.ok(),
        }
    }
}

fn heartbeat_page(writer: Uuid, count: u64) -> Vec<u8> {
    let mut page = crate::format::begin(*b"AQLK");
    page.extend(writer.as_bytes());
    page.extend(count.to_le_bytes());
    crate::format::seal(&mut page);
    page.resize(COHERENT_PAGE, 0);
    page
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        let (stop, changed) = &*self.stop;
        *stop.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        // A heartbeat in the middle of a hung write must not hold up the answer; it ends by itself.
        drop(self.thread.take());
    }
}
