//! Work that waits for the file system, beside the thread that asked for it.
//!
//! Reads of different files that do not depend on each other are made in a thread for each file: the waiting is
//! the cost, not the thread. The threads belong to tokio's blocking pool and end when they are idle;
//! no runtime has to be driven.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};

/// Work under way at once in this process: of a query, one thread for each container in each round. A thread that
/// waits costs little; an NFS client queues what exceeds its session's slots (64 by default).
const THREADS_MAX: usize = 256;

/// Starts `work` at once; the handle can be awaited in any executor. Dropping it does not stop the work.
///
/// # Errors
/// [`crate::ErrorKind::Internal`] when the threads cannot be set up.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    static POOL: OnceLock<Option<Runtime>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        Builder::new_current_thread()
            .max_blocking_threads(THREADS_MAX)
            .thread_name("aquifer-io")
            .build()
            .ok()
    });
    let pool = pool
        .as_ref()
        .ok_or_else(|| Error::internal("no threads can be started"))?;
    Ok(pool.spawn_blocking(work))
}

/// Waits for work that was spawned.
pub(crate) fn wait<T>(handle: JoinHandle<Result<T>>) -> Result<T> {
    futures_lite::future::block_on(finish(handle))
}

/// Awaits work that was spawned; a panic in it is an error here.
pub(crate) async fn finish<T>(handle: JoinHandle<Result<T>>) -> Result<T> {
    handle.await.unwrap_or_else(|error| {
        Err(Error::internal("work beside the request failed").because(error))
    })
}
