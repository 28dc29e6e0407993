//! Work that waits for the file system, beside the thread that asked for it.
//!
//! Reads of different files that do not depend on each other are made in a thread for each file: the waiting is
//! the cost, not the thread. The threads belong to tokio's blocking pool and end when they are idle;
//! no runtime has to be driven.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};

/// Threads that wait for the file system at once in this process, where nothing else is said. An NFS client sends no
/// more than its session has slots, which are 64 by default: further threads would only wait in the kernel. Work
/// beyond that waits here, first come first served, so that one query of many files does not keep out the others.
pub(crate) const THREADS_DEFAULT: usize = 64;

/// Bytes of stack of each, of which only what is used takes memory: reads, checksums and decompression use little.
const STACK_BYTES: usize = 512 * 1024;

/// How many threads there may be; zero until somebody says.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Says how many threads there may be, once: whoever opens the first root folder of the process.
pub(crate) fn limit_threads(threads: usize) {
    let first = THREADS.compare_exchange(0, threads.max(1), Ordering::SeqCst, Ordering::SeqCst);
    if let Err(known) = first
        && known != threads
    {
        tracing::debug!(known, threads, "the number of threads is settled already");
    }
}

/// Starts `work` at once; the handle can be awaited in any executor. Dropping it does not stop the work.
///
/// # Errors
/// [`crate::ErrorKind::Internal`] when the threads cannot be set up.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    static POOL: OnceLock<Option<Runtime>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let threads = match THREADS.load(Ordering::SeqCst) {
            0 => THREADS_DEFAULT,
            threads => threads,
        };
        Builder::new_current_thread()
            .max_blocking_threads(threads)
            .thread_stack_size(STACK_BYTES)
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

/// Does `work` for each item, beside each other where there are several; gives the results in their order.
///
/// # Errors
/// Like [`spawn`], and [`crate::ErrorKind::Internal`] when it panics.
pub(crate) fn each<T, R>(
    items: &[T],
    work: impl Fn(T) -> R + Send + Sync + 'static,
) -> Result<Vec<R>>
where
    T: Copy + Send + 'static,
    R: Send + 'static,
{
    if let [only] = items {
        return Ok(vec![work(*only)]);
    }
    let work = Arc::new(work);
    let started: Result<Vec<_>> = items
        .iter()
        .map(|&item| {
            let work = Arc::clone(&work);
            spawn(move || Ok(work(item)))
        })
        .collect();
    started?.into_iter().map(wait).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn however_much_is_asked_for_the_threads_are_bounded() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let items: Vec<usize> = (0..1000).collect();
        let results = each(&items, |item| {
            let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
            MOST.fetch_max(running, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(1));
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            item
        });
        assert_eq!(results.unwrap(), items);
        let most = MOST.load(Ordering::SeqCst);
        assert!((2..=THREADS_DEFAULT).contains(&most), "{most}");
    }
}
