//! `aquifer gc`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::place::Place;
use crate::report;

/// Delete the files of an index that no version has needed for longer than the retention
#[derive(Args, Debug)]
pub(crate) struct Gc {
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Gc {
    pub(crate) fn run(self) -> Result<ExitCode> {
        report::print(&self.place.change()?.gc()?, self.json)?;
        Ok(ExitCode::SUCCESS)
    }
}
