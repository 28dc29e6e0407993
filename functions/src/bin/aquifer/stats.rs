//! `aquifer stats`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::place::Place;
use crate::report;

/// Show the numbers of an index
#[derive(Args, Debug)]
pub(crate) struct Stats {
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Stats {
    pub(crate) fn run(self) -> Result<ExitCode> {
        report::print(&self.place.read()?.stats()?, self.json)?;
        Ok(ExitCode::SUCCESS)
    }
}
