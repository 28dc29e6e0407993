//! Ctrl-C, and the signal that asks a process to end.

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot::Receiver;

/// The status of a program that Ctrl-C has ended, as shells have it.
pub(super) const INTERRUPTED: i32 = 130;

/// Listens for signals from when it is made, so that none meets a process that does not know it.
pub(super) struct Interrupts {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    pub(super) fn new() -> Result<Self> {
        let cannot = "cannot listen for Ctrl-C";
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context(cannot)?;
        let (interrupt, terminate) = {
            let _inside = runtime.enter();
            let listen = |kind| signal(kind).context(cannot);
            (
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
            )
        };
        Ok(Self {
            runtime,
            interrupt,
            terminate,
        })
    }

    /// Waits for a signal; `false` when the other end of `ended` is dropped first.
    pub(super) fn come(mut self, ended: Receiver<()>) -> bool {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.interrupt.recv() => true,
                _ = self.terminate.recv() => true,
                _ = ended => false,
            }
        })
    }
}
