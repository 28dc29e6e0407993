//! Group commit: many requests, few commits.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::Writer;
use super::alone::Alone;
use super::commit::{Committed, Failure, Member};
use super::lock::Held;
use super::queue::{Outcome, Queue, Ticket, Wait};
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::{Applied, Counts};
use crate::inbox::Batch;
use crate::layout::BatchId;
use crate::snapshot::Snapshot;
use crate::snapshot::follow::is_stale;

/// Attempts at one commit when other writers come first.
const ATTEMPTS: usize = 16;
/// Pause between looks at a lock that somebody else holds: about what a commit takes on EFS.
const POLL: Duration = Duration::from_millis(10);
/// How long a thread that does not lead waits before it looks again whether somebody does.
const NAP: Duration = Duration::from_millis(100);
/// A request whose deadline is this near gets its batch into the inbox while there is time.
const MARGIN: Duration = Duration::from_millis(1500);

/// What passes from one leading thread to the next.
#[derive(Debug, Default)]
pub(super) struct Leader {
    /// Requests whose batches lie in the inbox.
    waiting: BTreeMap<BatchId, Arc<Ticket>>,
    alone: Alone,
}

/// What draining an inbox came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drained {
    /// Nothing is left to apply.
    pub(crate) empty: bool,
    /// Something was applied.
    pub(crate) worked: bool,
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
        let ticket = Arc::new(Ticket::new(batch, deadline));
        self.lock_queue().join(Arc::clone(&ticket));
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
        let go_on = || self.clock.now() < deadline;
        self.drain_while(Duration::ZERO, &go_on).map(drop)
    }

    /// Applies what lies in the inbox for as long as `go_on` says so, with a pause between two commits in which more
    /// batches arrive and others may lead.
    pub(crate) fn drain_while(&self, pause: Duration, go_on: &dyn Fn() -> bool) -> Result<Drained> {
        let mut nap = POLL;
        let mut drained = Drained {
            empty: false,
            worked: false,
        };
        while !self.inbox.list()?.is_empty() {
            if !go_on() {
                return Ok(drained);
            }
            let turn = match self.try_lead() {
                Some(mut leader) => self.turn(&mut leader)?,
                None => Turn::Busy,
            };
            self.wake();
            match turn {
                Turn::Worked => {
                    nap = POLL;
                    drained.worked = true;
                    self.clock.sleep(pause);
                }
                // Whoever leads, or holds the lock, applies what lies here as well.
                Turn::Busy => {
                    self.clock.sleep(nap);
                    nap = (nap * 2).min(NAP);
                }
                // What lies there is not whole, or applied already.
                Turn::Idle => break,
            }
        }
        drained.empty = true;
        Ok(drained)
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
        leader.alone.met(false);
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
            let trusts =
                |known: &Arc<Snapshot>| leader.alone.trusts(known.version(), self.clock.now());
            let trusted = self.follower.held().filter(trusts);
            let trusting = trusted.is_some();
            let base = match trusted {
                Some(known) => known,
                None => self.follower.newest()?,
            };
            self.settle_waiting(leader);
            if !held.serves(&base) {
                // This lock was overtaken while it was held: line up again for the current one.
                self.lock_queue().put_back(tickets);
                return Ok(Turn::Worked);
            }
            let (mut members, all) = self.read_inbox(&base)?;
            if all {
                for ticket in tickets.iter().filter(|ticket| !ticket.settled()) {
                    // The mapping may have been changed since it was read, and nothing was promised yet.
                    if let Err(error) = ticket.batch.fits(base.schema()) {
                        ticket.settle(Err(error));
                        continue;
                    }
                    members.push(Member {
                        id: self.identify(ticket),
                        batch: Arc::clone(&ticket.batch),
                        stored: false,
                    });
                }
            }
            let unconfirmed = self.unconfirmed(&base);
            if members.is_empty() {
                return Ok(Turn::Idle);
            }
            match self.commit(&base, held, &members, unconfirmed) {
                Ok(Committed::Nothing(counts)) => {
                    // Only a publication shows whether a version that was trusted is the newest.
                    if trusting && self.follower.newest()?.version() != base.version() {
                        leader.alone.met(true);
                        continue;
                    }
                    self.settle(leader, tickets, &members, &counts, base.version());
                    self.lock_queue().put_back(tickets);
                    return Ok(Turn::Worked);
                }
                Ok(Committed::Version(published, counts)) => {
                    let version = published.id.version;
                    let now = self.clock.now();
                    leader.alone.published(base.version(), version, now);
                    self.settle(leader, tickets, &members, &counts, version);
                    self.lock_queue().put_back(tickets);
                    self.wake();
                    self.finish(&base, &published)?;
                    self.remove_applied(members.iter().filter(|m| m.stored).map(|m| m.id));
                    return Ok(Turn::Worked);
                }
                Err(Failure::Fenced(error)) => {
                    leader.alone.met(trusting);
                    tracing::info!(%error, "starting over from the newest version");
                }
                Err(Failure::Nothing(error)) if is_stale(&error) => {
                    leader.alone.met(trusting);
                    tracing::info!(%error, "starting over from HEAD");
                    self.follower.forget();
                }
                Err(Failure::Nothing(error)) => {
                    leader.alone.met(false);
                    return Err(error);
                }
                Err(Failure::Unknown(error)) => {
                    leader.alone.met(false);
                    self.settle_unknown(tickets);
                    return Err(unknown(error));
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
}

/// What those are told whose batch was perhaps applied.
fn unknown(error: Error) -> Error {
    let message = "the commit was interrupted, and whether it took effect is not known: look for the \
                   documents, or send it again";
    Error::outcome_unknown(message, error)
}

fn applied_outcome(applied: &Applied) -> Outcome {
    Outcome::Applied {
        version: applied.version,
        counts: applied.counts,
    }
}
