//! The log, on standard error: for people on a terminal, JSON for whatever collects it.

use std::io::{self, IsTerminal};
use std::time::Duration;

use aquifer_functions::log_queue::{LogQueue, log_panics};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How long the end of a process waits for whoever reads its log.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Starts the log of a server, which no reader of it can hold up. `RUST_LOG` decides what is written; without it a server says
/// what it does.
pub(crate) fn start_queued() -> io::Result<LogQueue> {
    let queue = LogQueue::to_stderr()?;
    start(LevelFilter::INFO, queue.clone());
    log_panics();
    Ok(queue)
}

/// Starts the log of a command, which says only what is wrong.
pub(crate) fn start_plain() {
    start(LevelFilter::WARN, io::stderr);
}

/// Writes a last line, and what the queue still holds.
pub(crate) fn end(queue: &LogQueue, last: Option<&str>) {
    if let Some(last) = last {
        queue.put(format!("{last}\n").as_bytes());
    }
    queue.flush(LAST_LINES);
}

fn start<W>(level: LevelFilter, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        // A line that cannot be written would be complained about on standard error, with a panic if that fails too.
        .log_internal_errors(false);
    if io::stderr().is_terminal() {
        log.compact().with_target(false).init();
    } else {
        log.json().flatten_event(true).with_span_list(false).init();
    }
}
