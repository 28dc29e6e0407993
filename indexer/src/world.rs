//! What the library takes from outside besides files: time and identities.

use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::ids::{Ids, RandomIds};

/// Where a process takes time and identities from. By default from the operating system; a test sets its own in
/// [`crate::config::Config::world`].
#[derive(Clone, Debug)]
pub struct World {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The identities.
    pub ids: Arc<dyn Ids>,
}

impl World {
    /// The operating system's, with another clock.
    pub fn at(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            ..Self::default()
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
        }
    }
}
