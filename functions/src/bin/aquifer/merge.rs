//! `aquifer merge`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;

use crate::place::Place;
use crate::report;
use crate::resources::Resources;

/// Compact an index: few large segments, and no deleted documents
#[derive(Args, Debug)]
pub(crate) struct Merge {
    #[command(flatten)]
    place: Place,
    /// Begin no further step after so many seconds
    #[arg(long, value_name = "SECONDS")]
    within: Option<u64>,
    #[command(flatten)]
    resources: Resources,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Merge {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let within = self.within.map(Duration::from_secs);
        let deadline = within.and_then(|within| Instant::now().checked_add(within));
        let index = self.place.change(self.resources.config())?;
        report::print(&index.compact(deadline)?, self.json)?;
        Ok(ExitCode::SUCCESS)
    }
}
