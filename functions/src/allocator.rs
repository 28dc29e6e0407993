//! The allocator of every program.
//!
//! A commit is built and merged by threads that come and go, and most of what they allocate is freed by others. glibc
//! keeps such memory in the arena that it came from, one for each thread that was ever busy at the same time, and gives
//! hardly any of it back. jemalloc returns what has not been used for some time, in a thread of its own. The figures
//! for both, and for mimalloc, are in `docs/decisions/allocator.md`.

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

use aquifer_indexer::config::MIB;
use tikv_jemalloc_ctl::{Access, AsName, Result};

/// A process with less memory keeps nothing that is free: what a search lets go of within a moment is a good part of it.
const SMALL: u64 = 256 * MIB as u64;
/// How long others keep it, in milliseconds. jemalloc's ten seconds hold several times of what a busy process uses.
const KEPT_MS: isize = 200;
/// jemalloc's word for all arenas there are (`MALLCTL_ARENAS_ALL`).
const OF_ALL: &[u8] = b"arena.4096.dirty_decay_ms\0";
/// Of those that are to come.
const OF_NEW: &[u8] = b"arenas.dirty_decay_ms\0";

/// Says how long free memory is kept by a process that may use `memory` bytes.
pub fn fit(memory: u64) {
    let kept = if memory < SMALL { 0 } else { KEPT_MS };
    let set = || -> Result<()> {
        OF_NEW.name().write(kept)?;
        OF_ALL.name().write(kept)
    };
    if let Err(error) = set() {
        tracing::debug!(%error, "the allocator keeps free memory as long as it likes");
    }
}
