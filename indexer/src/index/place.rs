//! Whether an open index is still the one that its name leads to: somebody may replace its folder, or what is in it, for
//! example by a backup.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Aquifer, Index};
use crate::error::Result;
use crate::mount::FileId;

/// Pause between two looks at the folder of an index that is in use. A look takes some calls, and people who replace
/// folders can wait as long.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// When the place of an index is looked at next.
#[derive(Debug)]
pub(super) struct NextLook(Mutex<Instant>);

impl NextLook {
    pub(super) fn after(now: Instant) -> Self {
        Self(Mutex::new(now + LOOK_INTERVAL))
    }

    /// Whether it is time; the one that is told so looks.
    fn is_due(&self, now: Instant) -> bool {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = *next <= now;
        if due {
            *next = now + LOOK_INTERVAL;
        }
        due
    }
}

impl Aquifer {
    /// Whether an open index is still the one with this name, as far as it is time to look.
    pub(super) fn is_in_place(&self, name: &str, index: &Index) -> bool {
        if !index.next_look.is_due(self.clock.now()) {
            return true;
        }
        match self.is_replaced(name, index) {
            Ok(false) => true,
            Ok(true) => {
                tracing::warn!(
                    index = name,
                    "the folder of the index was replaced: opening it again"
                );
                false
            }
            Err(error) => {
                tracing::debug!(%error, index = name, "the folder of the index could not be looked at");
                true
            }
        }
    }

    /// Whether another folder has the name of an open index, or the index in it is another one.
    pub(super) fn is_replaced(&self, name: &str, index: &Index) -> Result<bool> {
        let io = |error| self.io(name, error);
        let mount = &index.follower.source().mount;
        let held = match mount.metadata(".") {
            Err(failure) if failure.is_gone() => return Ok(true),
            metadata => metadata.map_err(io)?.id,
        };
        if self.root.identity(name, ".").map_err(io)? != Some(held) {
            return Ok(true);
        }
        let Some(snapshot) = index.follower.held() else {
            return Ok(false);
        };
        let path = snapshot.manifest().path();
        let held = match mount.metadata(&path) {
            Ok(metadata) => Some(metadata.id),
            Err(failure) if failure.is_gone() => None,
            Err(error) => return Err(io(error)),
        };
        let named: Option<FileId> = self.root.identity(name, &path).map_err(io)?;
        if held.is_some() && held == named {
            return Ok(false);
        }
        // It may have been collected. Then its mark names a later version; if it does not, another file, or none, is
        // in the place of the newest version.
        Ok(!matches!(index.follower.successor(&snapshot), Ok(Some(_))))
    }
}
