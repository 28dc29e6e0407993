//! Group commit: many requests, few commits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::Writer;
use super::commit::Member;
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

/// What came of one look at the lock.
enum Turn {
    /// Something was applied, or may be at once.
    Progress,
    /// Somebody else holds the lock.
    Busy,
    /// There was nothing to apply.
    Idle,
}

/// A batch that came straight from a request.
struct Direct {
    id: BatchId,
    ticket: Arc<Ticket>,
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
        let ticket = Arc::new(Ticket {
            batch,
            deadline,
            outcome: Mutex::default(),
        });
        self.lock_queue().tickets.push_back(Arc::clone(&ticket));
        loop {
            if let Some(outcome) = ticket.take() {
                return outcome;
            }
            if let Some(mut leader) = self.try_lead() {
                self.lead(&mut leader, &ticket);
                drop(leader);
                self.changed.notify_all();
                continue;
            }
            let mut queue = self.lock_queue();
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

    /// Applies what lies in the inbox, until it is empty or the deadline has come.
    pub fn drain(&self, deadline: Instant) -> Result<()> {
        while !self.inbox.list()?.is_empty() && self.clock.now() < deadline {
            match self.try_lead() {
                Some(mut leader) => {
                    let turn = self.turn(&mut leader)?;
                    drop(leader);
                    self.changed.notify_all();
                    match turn {
                        Turn::Progress => {}
                        Turn::Busy => self.clock.sleep(POLL),
                        // What lies there still is half a batch, which only collecting removes.
                        Turn::Idle => return Ok(()),
                    }
                }
                None => self.clock.sleep(POLL),
            }
        }
        Ok(())
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
                Ok(Turn::Progress) => {}
                // After a failure the own batch may lie in the inbox all the same; its deadline ends this.
                Ok(Turn::Busy | Turn::Idle) | Err(_) => self.clock.sleep(POLL),
            }
            self.changed.notify_all();
        }
    }

    /// One look at the lock, and a commit if it can be had.
    fn turn(&self, leader: &mut Leader) -> Result<Turn> {
        let tickets = self.lock_queue().take();
        match self.look(leader, &tickets) {
            Ok(progress) => Ok(progress),
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
            let id = self.inbox.next_id();
            match self.inbox.put(id, &ticket.batch) {
                Ok(()) => drop(leader.waiting.insert(id, Arc::clone(ticket))),
                Err(error) => ticket.settle(Err(error)),
            }
        }
        Ok(Turn::Busy)
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
        let mut direct: Option<Vec<Direct>> = None;
        let mut failures = 0;
        for _ in 0..ATTEMPTS {
            let base = self.follower.newest()?;
            self.settle_waiting(leader);
            if let Some(direct) = &mut direct {
                self.settle_direct(direct);
            }
            if !held.serves(&base) {
                // This lock was overtaken while it was held: line up again for the current one.
                self.lock_queue().put_back(tickets);
                return Ok(Turn::Progress);
            }
            let mut members = self.read_inbox(&base)?;
            // Made once, and after the inbox was listed: a new identity for what an earlier attempt may have
            // published would apply it twice.
            let direct = direct.get_or_insert_with(|| {
                let id = |ticket: &Arc<Ticket>| Direct {
                    id: self.inbox.next_id(),
                    ticket: Arc::clone(ticket),
                };
                tickets.iter().map(id).collect()
            });
            members.extend(direct.iter().map(|direct| Member {
                id: direct.id,
                batch: Arc::clone(&direct.ticket.batch),
                stored: false,
            }));
            let unconfirmed = self.unconfirmed(&base);
            if members.is_empty() {
                let idle = tickets.is_empty();
                return Ok(if idle { Turn::Idle } else { Turn::Progress });
            }
            match self.commit(&base, held, &members, unconfirmed) {
                Ok((published, counts)) => {
                    let version = published.id.version;
                    self.settle(leader, direct, &members, &counts, version);
                    self.changed.notify_all();
                    self.finish(&base, &published)?;
                    self.remove_applied(members.iter().filter(|m| m.stored).map(|m| m.id));
                    return Ok(Turn::Progress);
                }
                Err(error) if error.kind() == ErrorKind::Fenced => {
                    tracing::info!(%error, "starting over from the newest version");
                }
                Err(error) if is_stale(&error) && failures == 0 => {
                    tracing::warn!(%error, "a commit failed: trying once more");
                    failures += 1;
                    // It may have been published all the same. Only the versions since `base` tell,
                    // and one that was passed over would make this batch apply twice.
                    if let Err(lost) = self.follower.retrace(&base) {
                        tracing::warn!(%lost, "what became of it cannot be found out");
                        self.follower.forget();
                        return Err(error);
                    }
                }
                Err(error) => {
                    self.follower.forget();
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
        direct: &[Direct],
        members: &[Member],
        counts: &[Counts],
        version: u64,
    ) {
        for (member, &counts) in members.iter().zip(counts) {
            let ticket = leader.waiting.remove(&member.id).or_else(|| {
                let direct = direct.iter().find(|direct| direct.id == member.id);
                direct.map(|direct| Arc::clone(&direct.ticket))
            });
            if let Some(ticket) = ticket {
                ticket.settle(Ok(Outcome::Applied { version, counts }));
            }
        }
    }

    /// An attempt whose reply was lost may have been published all the same.
    fn settle_direct(&self, direct: &mut Vec<Direct>) {
        direct.retain(|direct| match self.follower.applied(direct.id) {
            Some(applied) => {
                direct.ticket.settle(Ok(applied_outcome(&applied)));
                false
            }
            None => true,
        });
    }

    /// The batches in the inbox that `base` has not applied, oldest first.
    fn read_inbox(&self, base: &Snapshot) -> Result<Vec<Member>> {
        let applied = &base.manifest().body.applied;
        let mut members = Vec::new();
        let mut bytes = 0;
        for id in self.inbox.list()? {
            if members.len() >= GROUP_BATCHES_MAX || bytes >= GROUP_BYTES_MAX {
                break;
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
        Ok(members)
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
