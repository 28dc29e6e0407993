//! The connections that are open: how many there may be, and which of them only wait for a request.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// One place for a connection, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slot(
    #[expect(dead_code, reason = "its end is what counts")] OwnedSemaphorePermit,
);

/// All connections of a server.
#[derive(Debug)]
pub(super) struct Register {
    slots: Arc<Semaphore>,
    capacity: u32,
    waiting: Mutex<Waiting>,
    /// A connection has begun to wait, so that it may be closed for another one.
    came: Notify,
}

/// Connections without a request, in the order in which they began to wait.
#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    since: BTreeMap<u64, Arc<Notify>>,
}

impl Register {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        let capacity = u32::try_from(capacity.max(1)).unwrap_or(u32::MAX);
        Arc::new(Self {
            slots: Arc::new(Semaphore::new(capacity as usize)),
            capacity,
            waiting: Mutex::default(),
            came: Notify::new(),
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more connection. Where all are taken, the connection that has waited longest for a request is
    /// closed; where none waits, the first that ends or begins to wait makes room.
    pub(super) async fn slot(&self) -> Option<Slot> {
        if let Ok(free) = Arc::clone(&self.slots).try_acquire_owned() {
            return Some(Slot(free));
        }
        let mut freed = pin!(Arc::clone(&self.slots).acquire_owned());
        loop {
            let mut came = pin!(self.came.notified());
            // From here on none is overlooked.
            came.as_mut().enable();
            self.close_longest_waiting();
            tokio::select! {
                biased;
                slot = &mut freed => return slot.ok().map(Slot),
                () = came => {}
            }
        }
    }

    /// Whether every place is taken.
    pub(super) fn is_full(&self) -> bool {
        self.slots.available_permits() == 0
    }

    /// Closes the connection that has waited longest for a request, if one waits.
    pub(super) fn close_longest_waiting(&self) {
        let longest = self.waiting().since.pop_first();
        if let Some((_, close)) = longest {
            close.notify_one();
        }
    }

    /// A connection waits for a request; `close` is notified when it must go. The number is for [`Self::leave`].
    pub(super) fn wait(&self, close: &Arc<Notify>) -> u64 {
        let number = {
            let mut waiting = self.waiting();
            let number = waiting.next;
            waiting.next += 1;
            waiting.since.insert(number, Arc::clone(close));
            number
        };
        self.came.notify_waiters();
        number
    }

    /// Has the next of the waiting connections closed, for one that stays.
    pub(super) fn ask_the_next(&self) {
        self.came.notify_waiters();
    }

    /// A connection does not wait any more.
    pub(super) fn leave(&self, number: u64) {
        self.waiting().since.remove(&number);
    }

    /// Waits until every connection has ended.
    pub(super) async fn all_ended(&self) {
        // An error would mean that the semaphore is closed, which it never is.
        drop(self.slots.acquire_many(self.capacity).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_waiting_one_makes_room_and_a_busy_one_does_not() {
        let register = Register::new(2);
        let busy = register.slot().await.unwrap();
        let idle = register.slot().await.unwrap();
        let close = Arc::new(Notify::new());
        register.wait(&close);
        let third = {
            let register = Arc::clone(&register);
            tokio::spawn(async move { register.slot().await.is_some() })
        };
        close.notified().await;
        drop(idle);
        assert!(third.await.unwrap());
        drop(busy);
        register.all_ended().await;
    }

    #[tokio::test]
    async fn one_that_begins_to_wait_while_all_are_busy_makes_room() {
        let register = Register::new(1);
        let busy = register.slot().await.unwrap();
        let next = {
            let register = Arc::clone(&register);
            tokio::spawn(async move { register.slot().await.is_some() })
        };
        tokio::task::yield_now().await;
        let close = Arc::new(Notify::new());
        let number = register.wait(&close);
        close.notified().await;
        register.leave(number);
        drop(busy);
        assert!(next.await.unwrap());
    }
}
