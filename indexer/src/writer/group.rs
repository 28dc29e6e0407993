//! Group commit: many requests, few commits.
//!
//! Requests hand their batches to [`Committer::submit`]. One thread at a time leads: it publishes what is queued in this
//! process and what is in the inbox as **one** version, and gives each request its result; the others wait. While another
//! process holds the lock, batches are put into the inbox, where the holder finds them.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::commit::{Group, Member};
use super::history::{History, Proposal, Publication};
use super::permit::Patience;
use super::publish::Failure;
use super::queue::{Outcome, Queue, Ticket, Wait};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::format::manifest::{Applied, Cause};
use crate::inbox::{Batch, Inbox};
use crate::layout::BatchId;
use crate::numbers::Version;
use crate::snapshot::Snapshot;

/// Pause between looks at a lock that somebody else holds: about what a commit takes on EFS.
const POLL: Duration = Duration::from_millis(10);
/// How long a thread that does not lead waits before it looks again whether somebody does.
const NAP: Duration = Duration::from_millis(100);
/// A request whose deadline is this near gets its batch into the inbox while there is time.
const MARGIN: Duration = Duration::from_millis(1500);

/// Commits batches. Shared by all threads of a process.
#[derive(Debug)]
pub(crate) struct Committer {
    pub(super) history: Arc<History>,
    pub(super) inbox: Arc<Inbox>,
    queue: Mutex<Queue>,
    changed: Condvar,
    leader: Mutex<Leader>,
}

/// What passes from one leading thread to the next.
#[derive(Debug, Default)]
struct Leader {
    /// Requests whose batches are in the inbox.
    waiting: BTreeMap<BatchId, Arc<Ticket>>,
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

impl Committer {
    pub(super) fn new(history: Arc<History>, inbox: Arc<Inbox>) -> Self {
        Self {
            history,
            inbox,
            queue: Mutex::default(),
            changed: Condvar::new(),
            leader: Mutex::default(),
        }
    }

    fn clock(&self) -> &dyn Clock {
        &*self.history.clock
    }

    /// Accepts a batch and, unless only durability is asked for, waits until it is visible or the
    /// deadline is near; then it is durable at least.
    ///
    /// # Errors
    /// Whatever kept the batch from being accepted. With [`ErrorKind::Unavailable`] it may have been applied all
    /// the same; sending it again is safe, since it is an upsert.
    pub(crate) fn submit(&self, batch: Batch, wait: Wait, deadline: Instant) -> Result<Outcome> {
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
            let left = deadline.saturating_duration_since(self.clock().now());
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
    pub(crate) fn drain(&self, deadline: Instant) -> Result<()> {
        let go_on = || self.clock().now() < deadline;
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
                    self.clock().sleep(pause);
                }
                // Whoever leads, or holds the lock, applies what lies here as well.
                Turn::Busy => {
                    self.clock().sleep(nap);
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
                Ok(_) | Err(_) if !own.settled() => self.clock().sleep(POLL),
                Ok(_) | Err(_) => {}
            }
            self.wake();
        }
    }

    /// One try of the lock, and a commit if it can be had.
    fn turn(&self, leader: &mut Leader) -> Result<Turn> {
        let tickets = self.lock_queue().take();
        let turn = self.try_commit(leader, &tickets);
        if let Err(error) = &turn {
            tickets.iter().for_each(|ticket| ticket.fail(error));
            if error.is_index_gone() {
                // The index was deleted, and its inbox with it.
                let waiting = std::mem::take(&mut leader.waiting);
                waiting.values().for_each(|ticket| ticket.fail(error));
            }
            self.settle_waiting(leader);
        }
        turn
    }

    fn try_commit(&self, leader: &mut Leader, tickets: &[Arc<Ticket>]) -> Result<Turn> {
        // Where another process holds the lock, the batches go into the inbox.
        let published = self
            .history
            .publish(Cause::Commit, Patience::None, |draft| {
                self.settle_waiting(leader);
                let members = self.members(draft.base(), tickets)?;
                if members.is_empty() {
                    return Ok(Proposal::Nothing(None));
                }
                self.commit(draft, members)
            });
        match published {
            Ok(Publication::Version(published, group)) => {
                self.settle(leader, tickets, &group, published.version());
                let took = self.clock().now().saturating_duration_since(group.began);
                let counters = self.history.follower.counters();
                counters.committed(group.members.len(), took);
                self.lock_queue().put_back(tickets);
                self.wake();
                published.finish()?;
                let stored = group.members.iter().filter(|member| member.stored);
                self.history
                    .leftovers
                    .remove(stored.map(|member| member.id));
                Ok(Turn::Worked)
            }
            Ok(Publication::Nothing {
                newest,
                value: Some(group),
            }) => {
                self.settle(leader, tickets, &group, newest.version());
                self.lock_queue().put_back(tickets);
                Ok(Turn::Worked)
            }
            Ok(Publication::Nothing { value: None, .. }) => Ok(Turn::Idle),
            Ok(Publication::Busy) => {
                self.deposit(leader, tickets)?;
                Ok(Turn::Busy)
            }
            Err(Failure::Unknown(error)) => {
                self.settle_unknown(tickets);
                Err(unknown(error))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Puts batches into the inbox, where the process that holds the lock finds them.
    fn deposit(&self, leader: &mut Leader, tickets: &[Arc<Ticket>]) -> Result<()> {
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
        Ok(())
    }

    /// The batches in the inbox, and those of `tickets` where these fit in as well.
    fn members(&self, base: &Snapshot, tickets: &[Arc<Ticket>]) -> Result<Vec<Member>> {
        let (mut members, all) = self.read_inbox(base)?;
        let waiting = tickets.iter().filter(|ticket| all && !ticket.settled());
        for ticket in waiting {
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
        Ok(members)
    }

    fn identify(&self, ticket: &Ticket) -> BatchId {
        *ticket.id.get_or_init(|| self.inbox.next_id())
    }

    /// Gives results to requests whose batches were applied by somebody, and `Durable` to those that
    /// cannot wait any longer.
    fn settle_waiting(&self, leader: &mut Leader) {
        let now = self.clock().now();
        leader.waiting.retain(|id, ticket| {
            let outcome = match self.history.follower.applied(*id) {
                Some(applied) => applied_outcome(&applied),
                None if ticket.deadline <= now => Outcome::Durable { batch: *id },
                None => return true,
            };
            ticket.settle(Ok(outcome));
            false
        });
    }

    fn settle(
        &self,
        leader: &mut Leader,
        tickets: &[Arc<Ticket>],
        group: &Group,
        version: Version,
    ) {
        for (member, &counts) in group.members.iter().zip(&group.counts) {
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
        if let Err(error) = self.history.follower.newest() {
            tracing::info!(%error, "it is not known what became of a commit");
        }
        for ticket in tickets {
            if let Some(applied) = ticket
                .id
                .get()
                .and_then(|id| self.history.follower.applied(*id))
            {
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
