//! Group commit: many requests, few commits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::Writer;
use super::commit::{Failure, Member};
use super::lock::Held;
use crate::document::Document;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::{Stored, StoredOperation};
use crate::format::manifest::{Applied, Counts};
use crate::inbox::{Batch, Operation};
use crate::layout::BatchId;
use crate::snapshot::Snapshot;
use crate::snapshot::follow::is_stale;

/// Bytes of documents in one commit; what is left over goes into the next.
const GROUP_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Batches in one commit; each adds a line to the manifest.
const GROUP_BATCHES_MAX: usize = 2_000;
/// Attempts at one commit when other writers come first.
const ATTEMPTS: usize = 16;
/// Pause between looks at a lock that somebody else holds: about what a commit takes on EFS.
const POLL: Duration = Duration::from_millis(10);
/// How long a thread that does not lead waits before it looks again whether somebody does.
const NAP: Duration = Duration::from_millis(100);
/// A request whose deadline is this near gets its batch into the inbox while there is time.
const MARGIN: Duration = Duration::from_millis(1500);

/// What a request waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// Until every later search sees the batch.
    #[default]
    Visible,
    /// Until the batch survives the loss of every process.
    Durable,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is part of `version`: every search that starts from now on sees it.
    Applied {
        /// The version.
        version: u64,
        /// What it did.
        counts: Counts,
    },
    /// It is durable and will be applied.
    Durable {
        /// By this identity its state can be asked for.
        batch: BatchId,
    },
}

/// Batches that wait in memory for the thread that leads.
#[derive(Debug, Default)]
pub(super) struct Queue {
    tickets: VecDeque<Arc<Ticket>>,
}

/// A request that waits.
#[derive(Debug)]
struct Ticket {
    /// Set once, so that an attempt whose reply was lost is recognised however it is tried again.
    id: OnceLock<BatchId>,
    batch: Arc<Batch>,
    deadline: Instant,
    outcome: Mutex<Option<Result<Outcome>>>,
}

impl Ticket {
    fn settle(&self, outcome: Result<Outcome>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    fn fail(&self, error: &Error) {
        if !self.settled() {
            self.settle(Err(error.copy()));
        }
    }

    fn take(&self) -> Option<Result<Outcome>> {
        self.outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn settled(&self) -> bool {
        self.outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }
}

/// What passes from one leading thread to the next.
#[derive(Debug, Default)]
pub(super) struct Leader {
    /// Requests whose batches lie in the inbox.
    waiting: BTreeMap<BatchId, Arc<Ticket>>,
}

/// What a look at the lock came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Somebody else holds it.
    Busy,
    /// There was nothing to apply.
    Idle,
    /// Something was applied, or has to be tried again.
    Worked,
}

impl Writer {
    /// Accepts a batch and, unless only durability is asked for, waits until it is visible or the
    /// deadline is near; then it is durable at least.
    ///
    /// # Errors
    /// Whatever kept the batch from being accepted. With [`ErrorKind::Unavailable`] it may have been applied all
    /// the same; sending it again is safe, since it is an upsert.
    pub fn submit(&self, batch: Batch, wait: Wait, deadline: Instant) -> Result<Outcome> {
        if wait == Wait::Durable {
            return self.store(&batch);
        }
        let batch = Arc::new(batch);
        let (id, outcome) = (OnceLock::new(), Mutex::default());
        let ticket = Arc::new(Ticket {
            id,
            batch,
            deadline,
            outcome,
        });
        self.lock_queue().tickets.push_back(Arc::clone(&ticket));
        loop {
            if let Some(outcome) = ticket.take() {
                return outcome;
            }
            if let Some(mut leader) = self.try_lead() {
                self.lead(&mut leader, &ticket);
                drop(leader);
                self.wake();
                continue;
            }
            let mut queue = self.lock_queue();
            if self.try_lead().is_some() {
                // Whoever led has gone between the two looks.
                continue;
            }
            let left = deadline.saturating_duration_since(self.clock.now());
            if left <= MARGIN && queue.withdraw(&ticket) {
                drop(queue);
                return self.store(&ticket.batch);
            }
            if !ticket.settled() {
                let nap = NAP.min(left.max(POLL));
                let waited = self.changed.wait_timeout(queue, nap);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// Applies what lies in the inbox, until nothing is left to apply or the deadline has come.
    pub fn drain(&self, deadline: Instant) -> Result<()> {
        while !self.inbox.list()?.is_empty() && self.clock.now() < deadline {
            let turn = match self.try_lead() {
                Some(mut leader) => self.turn(&mut leader)?,
                None => Turn::Busy,
            };
            self.wake();
            match turn {
                Turn::Worked => {}
                Turn::Busy => self.clock.sleep(POLL),
                // What lies there is not whole, or applied already.
                Turn::Idle => break,
            }
        }
        Ok(())
    }

    /// Wakes those who wait. Holding the queue makes sure that nobody is between looking and waiting.
    fn wake(&self) {
        drop(self.lock_queue());
        self.changed.notify_all();
    }

    fn store(&self, batch: &Batch) -> Result<Outcome> {
        // Looking first makes the new identity sort after every batch that was accepted before.
        self.inbox.list()?;
        let id = self.inbox.next_id();
        self.inbox.put(id, batch)?;
        Ok(Outcome::Durable { batch: id })
    }

    fn lock_queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lead(&self) -> Option<MutexGuard<'_, Leader>> {
        match self.leader.try_lock() {
            Ok(leader) => Some(leader),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Leads until the own request has its result; whoever waits then leads on.
    fn lead(&self, leader: &mut Leader, own: &Ticket) {
        while !own.settled() {
            match self.turn(leader) {
                Ok(Turn::Worked) => {}
                // After a failure the own batch may lie in the inbox all the same; its deadline ends this.
                Ok(_) | Err(_) if !own.settled() => self.clock.sleep(POLL),
                Ok(_) | Err(_) => {}
            }
            self.wake();
        }
    }

    /// One look at the lock, and a commit if it can be had.
    fn turn(&self, leader: &mut Leader) -> Result<Turn> {
        let tickets = self.lock_queue().take();
        match self.look(leader, &tickets) {
            Ok(turn) => Ok(turn),
            Err(error) => {
                tickets.iter().for_each(|ticket| ticket.fail(&error));
                if error.kind() == ErrorKind::NotFound {
                    // The index was deleted, and its inbox with it.
                    leader
                        .waiting
                        .values()
                        .for_each(|ticket| ticket.fail(&error));
                    leader.waiting.clear();
                }
                self.settle_waiting(leader);
                Err(error)
            }
        }
    }

    fn look(&self, leader: &mut Leader, tickets: &[Arc<Ticket>]) -> Result<Turn> {
        // The lock can be tried at the version that is known; under it the newest is looked for.
        let tip = match self.follower.held() {
            Some(held) => held,
            None => self.follower.newest()?,
        };
        let generation = tip.manifest().body.lock_generation;
        if let Some(held) = self.lock.attempt(generation, tip.version())? {
            return self.apply(leader, &held, tickets);
        }
        self.follower.newest()?;
        self.settle_waiting(leader);
        if !tickets.is_empty() {
            self.inbox.list()?;
        }
        for ticket in tickets {
            let id = self.identify(ticket);
            match self.inbox.put(id, &ticket.batch) {
                Ok(()) => drop(leader.waiting.insert(id, Arc::clone(ticket))),
                Err(error) => ticket.settle(Err(error)),
            }
        }
        Ok(Turn::Busy)
    }

    fn identify(&self, ticket: &Ticket) -> BatchId {
        *ticket.id.get_or_init(|| self.inbox.next_id())
    }

    /// Gives results to requests whose batches were applied by somebody, and `Durable` to those that
    /// cannot wait any longer.
    fn settle_waiting(&self, leader: &mut Leader) {
        let now = self.clock.now();
        leader.waiting.retain(|id, ticket| {
            let outcome = match self.follower.applied(*id) {
                Some(applied) => applied_outcome(&applied),
                None if ticket.deadline <= now => Outcome::Durable { batch: *id },
                None => return true,
            };
            ticket.settle(Ok(outcome));
            false
        });
    }

    /// Applies the inbox and `tickets` under the lock.
    fn apply(&self, leader: &mut Leader, held: &Held, tickets: &[Arc<Ticket>]) -> Result<Turn> {
        for _ in 0..ATTEMPTS {
            let base = self.follower.newest()?;
            self.settle_waiting(leader);
            if !held.serves(&base) {
                // This lock was overtaken while it was held: line up again for the current one.
                self.lock_queue().put_back(tickets);
                return Ok(Turn::Worked);
            }
            let (mut members, all) = self.read_inbox(&base)?;
            if all {
                members.extend(tickets.iter().map(|ticket| Member {
                    id: self.identify(ticket),
                    batch: Arc::clone(&ticket.batch),
                    stored: false,
                }));
            }
            let unconfirmed = self.unconfirmed(&base);
            if members.is_empty() {
                return Ok(Turn::Idle);
            }
            match self.commit(&base, held, &members, unconfirmed) {
                Ok((published, counts)) => {
                    let version = published.id.version;
                    self.settle(leader, tickets, &members, &counts, version);
                    self.lock_queue().put_back(tickets);
                    self.wake();
                    self.finish(&base, &published)?;
                    self.remove_applied(members.iter().filter(|m| m.stored).map(|m| m.id));
                    return Ok(Turn::Worked);
                }
                Err(Failure::Fenced(error)) => {
                    tracing::info!(%error, "starting over from the newest version");
                }
                Err(Failure::Nothing(error)) if is_stale(&error) => {
                    tracing::info!(%error, "starting over from HEAD");
                    self.follower.forget();
                }
                Err(Failure::Nothing(error)) => return Err(error),
                Err(Failure::Unknown(error)) => {
                    self.settle_unknown(tickets);
                    return Err(error);
                }
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            "other writers were faster, again and again: send the request again",
        ))
    }

    fn settle(
        &self,
        leader: &mut Leader,
        tickets: &[Arc<Ticket>],
        members: &[Member],
        counts: &[Counts],
        version: u64,
    ) {
        for (member, &counts) in members.iter().zip(counts) {
            let direct = |ticket: &&Arc<Ticket>| ticket.id.get() == Some(&member.id);
            let waiting = leader.waiting.remove(&member.id);
            if let Some(ticket) = waiting.or_else(|| tickets.iter().find(direct).cloned()) {
                ticket.settle(Ok(Outcome::Applied { version, counts }));
            }
        }
    }

    /// An attempt that failed in the middle may have been published all the same: then the newest version tells.
    /// If it does not, the requests are told of the failure; trying again could apply them twice.
    fn settle_unknown(&self, tickets: &[Arc<Ticket>]) {
        if let Err(error) = self.follower.newest() {
            tracing::info!(%error, "it is not known what became of a commit");
        }
        for ticket in tickets {
            if let Some(applied) = ticket.id.get().and_then(|id| self.follower.applied(*id)) {
                ticket.settle(Ok(applied_outcome(&applied)));
            }
        }
    }

    /// The batches in the inbox that `base` has not applied, oldest first, and whether these are all.
    fn read_inbox(&self, base: &Snapshot) -> Result<(Vec<Member>, bool)> {
        let applied = &base.manifest().body.applied;
        let mut members = Vec::new();
        let mut bytes = 0;
        for id in self.inbox.list()? {
            if members.len() >= GROUP_BATCHES_MAX || bytes >= GROUP_BYTES_MAX {
                return Ok((members, false));
            }
            if applied.iter().any(|entry| entry.batch == id) {
                continue;
            }
            match self.read_batch(id, base) {
                Ok(Some(batch)) => {
                    bytes += batch.bytes();
                    members.push(Member {
                        id,
                        batch: Arc::new(batch),
                        stored: true,
                    });
                }
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    tracing::error!(%error, %id, "a damaged batch is laid aside");
                    self.inbox.set_aside(id)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok((members, true))
    }

    fn read_batch(&self, id: BatchId, base: &Snapshot) -> Result<Option<Batch>> {
        let Some(Stored::Whole(stored)) = self.inbox.read(id)? else {
            return Ok(None);
        };
        let operation = |stored| match stored {
            StoredOperation::Delete(key) => Ok(Operation::Delete(key)),
            StoredOperation::Upsert(source) => Document::parse(&source, base.schema())
                .map(Operation::Upsert)
                .map_err(|error| {
                    let path = crate::layout::batch(id);
                    Error::corrupt(path, "a document that was accepted is not valid").because(error)
                }),
        };
        let operations = stored.into_iter().map(operation).collect::<Result<_>>()?;
        Ok(Some(Batch { operations }))
    }

    /// Applied batches whose files may still lie in the inbox: tries to remove them; the next version
    /// must go on naming those that could not be.
    pub(super) fn unconfirmed(&self, base: &Snapshot) -> Vec<Applied> {
        let applied = &base.manifest().body.applied;
        let left = || applied.iter().filter(|entry| entry.in_inbox);
        self.remove_applied(left().map(|entry| entry.batch));
        let mut confirmed = self
            .confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        confirmed.retain(|id| left().any(|entry| entry.batch == *id));
        left()
            .filter(|entry| !confirmed.contains(&entry.batch))
            .copied()
            .collect()
    }

    fn remove_applied(&self, ids: impl Iterator<Item = BatchId>) {
        for id in ids {
            let mut confirmed = self
                .confirmed
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if !confirmed.contains(&id) && self.inbox.remove(id) {
                confirmed.insert(id);
            }
        }
    }
}

impl Queue {
    /// Takes what one commit may hold.
    fn take(&mut self) -> Vec<Arc<Ticket>> {
        let mut bytes = 0;
        let mut taken = Vec::new();
        while taken.len() < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX {
            let Some(ticket) = self.tickets.pop_front() else {
                break;
            };
            bytes += ticket.batch.bytes();
            taken.push(ticket);
        }
        taken
    }

    /// Puts those back that have no result yet.
    fn put_back(&mut self, tickets: &[Arc<Ticket>]) {
        for ticket in tickets.iter().rev().filter(|ticket| !ticket.settled()) {
            self.tickets.push_front(Arc::clone(ticket));
        }
    }

    /// Takes one back; `false` when somebody has taken it up already.
    fn withdraw(&mut self, ticket: &Arc<Ticket>) -> bool {
        let position = self
            .tickets
            .iter()
            .position(|queued| Arc::ptr_eq(queued, ticket));
        position
            .and_then(|position| self.tickets.remove(position))
            .is_some()
    }
}

fn applied_outcome(applied: &Applied) -> Outcome {
    Outcome::Applied {
        version: applied.version,
        counts: applied.counts,
    }
}
