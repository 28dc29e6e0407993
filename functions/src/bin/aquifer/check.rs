//! `aquifer check`.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use aquifer_indexer::quote::visible;
use clap::Args;

use crate::place::Place;
use crate::report;

/// Verify every checksum and every reference of an index
///
/// Ends with status 1 when something is wrong.
#[derive(Args, Debug)]
pub(crate) struct Check {
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let report = self.place.read()?.check()?;
        let problems = report.problems.len();
        if self.json || problems == 0 {
            report::print(&report, self.json)?;
        } else {
            let mut out = io::stdout().lock();
            for problem in &report.problems {
                let line = format!("{}: {}", problem.file, problem.detail);
                writeln!(out, "{}", visible(&line))?;
            }
        }
        if problems == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        crate::terminal::complain(&format!(
            "error: {problems} problem(s): restore the files that are named from a backup, or \
             build the index anew from its documents"
        ));
        Ok(ExitCode::FAILURE)
    }
}
