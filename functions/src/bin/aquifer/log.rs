//! The log, on standard error: for people on a terminal, JSON for whatever collects it.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Starts it. `RUST_LOG` decides what is written; without it a server says what it does, and a
/// command only what is wrong.
pub(crate) fn start(serving: bool) {
    let level = if serving {
        LevelFilter::INFO
    } else {
        LevelFilter::WARN
    };
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    if io::stderr().is_terminal() {
        log.compact().with_target(false).init();
    } else {
        log.json().flatten_event(true).with_span_list(false).init();
    }
}
