//! `aquifer gc`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use aquifer_functions::duration::duration;
use aquifer_indexer::config::Config;
use clap::Args;

use crate::place::Place;
use crate::report;

/// Delete the files of an index that no version has needed for longer than the retention, and what is left in the root
/// of indexes that were deleted or never completed
#[derive(Args, Debug)]
pub(crate) struct Gc {
    #[command(flatten)]
    place: Place,
    /// How long a file that no version names any more is kept for readers; longer than any request
    /// takes
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    retention: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Gc {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let config = Config {
            retention: self.retention,
            ..Config::default()
        };
        let aquifer = self.place.root.open(config)?;
        aquifer.sweep()?.log();
        report::print(&aquifer.index(&self.place.index)?.gc()?, self.json)?;
        Ok(ExitCode::SUCCESS)
    }
}
