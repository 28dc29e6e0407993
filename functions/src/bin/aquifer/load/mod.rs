//! Filling an index with many documents: from wherever they are read, in batches, over several
//! lanes at once, into an index or a service.
//!
//! A lane sends one batch after the other, and all documents of one key go over the same lane:
//! where a key comes twice, the last one wins, as it would one by one.

mod answer;
mod attempts;
mod batches;
mod input;
mod interrupt;
mod local;
mod outcome;
mod progress;
mod remote;
mod sorter;

use anyhow::Result;

pub(crate) use batches::run;
pub(crate) use input::Input;
pub(crate) use local::{Local, config};
pub(crate) use progress::Progress;
pub(crate) use remote::Remote;

use outcome::{Item, Read, Sent};

/// Takes one document after the other from whoever reads them; an error ends the reading.
pub(crate) type Emit<'a> = dyn FnMut(Read) -> Result<()> + 'a;

/// Where batches go. Used by several lanes at once.
pub(crate) trait Destination: Sync {
    /// Sends a batch and waits for what became of it. An error means that sending more is
    /// pointless.
    fn send(&self, batch: &[Item]) -> Result<Sent>;

    /// Waits until everything that was sent is applied, where that can be waited for.
    fn finish(&self, progress: &Progress) -> Result<()>;

    /// What has become so far of the documents that were only taken when they were sent.
    fn settled(&self) -> Sent {
        Sent::default()
    }

    /// Whether it merges segments right now.
    fn is_merging(&self) -> bool {
        false
    }
}
