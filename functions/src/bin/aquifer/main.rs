//! `aquifer`: the service, and the commands that fill, ask and tend its indexes.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "a test may read the time of day, and wait for another thread"
    )
)]

mod check;
mod create_index;
mod doctor;
mod gc;
mod import;
mod load;
mod log;
mod merge;
mod place;
mod reindex;
mod report;
mod resources;
mod search;
mod serve;
mod stats;
#[cfg(feature = "test-options")]
mod stop_at;
mod terminal;

use std::io;
use std::process::ExitCode;

use aquifer_functions::doctor::partner_if_asked;
use aquifer_indexer::descriptors;
use aquifer_indexer::quote::visible;
use clap::{Parser, Subcommand};

/// A full-text index that many processes share through one folder.
#[derive(Debug, Parser)]
#[command(name = "aquifer", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    CreateIndex(create_index::CreateIndex),
    Import(import::Import),
    Search(search::Search),
    Stats(stats::Stats),
    Check(check::Check),
    Doctor(doctor::Doctor),
    Gc(gc::Gc),
    Merge(merge::Merge),
    Reindex(reindex::Reindex),
}

fn main() -> ExitCode {
    descriptors::raise_limit();
    if let Some(ended) = partner_if_asked() {
        return ended;
    }
    match Cli::parse().command {
        Command::Serve(command) => serve(command),
        command => run(command),
    }
}

/// Runs the server, whose log may be read by nobody.
fn serve(command: serve::Serve) -> ExitCode {
    let log = match log::start_queued() {
        Ok(log) => log,
        Err(error) => {
            terminal::complain(&format!("error: the log cannot be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = command.run(&log);
    let complaint = outcome.as_ref().err().map(|error| {
        let told = format!("error: {}", terminal::in_words(error));
        visible(&told).into_owned()
    });
    log::end(&log, complaint.as_deref());
    outcome.unwrap_or(ExitCode::FAILURE)
}

fn run(command: Command) -> ExitCode {
    log::start_plain();
    let outcome = match command {
        Command::Serve(command) => return serve(command),
        Command::CreateIndex(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Search(command) => command.run(),
        Command::Stats(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Gc(command) => command.run(),
        Command::Merge(command) => command.run(),
        Command::Reindex(command) => command.run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain_of(&error);
            ExitCode::FAILURE
        }
    }
}

/// Whoever reads our output (`head`, say) has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
