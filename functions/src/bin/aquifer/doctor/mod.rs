//! `aquifer doctor`.

mod listen;
mod peer;
mod table;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use aquifer_functions::doctor::SecondProcess;
use aquifer_indexer::Error;
use aquifer_indexer::doctor::{DoctorReport, Examination, Judgement, Partner};
use aquifer_indexer::mount::RootFolder;
use clap::Args;

use self::peer::Peer;
use crate::place::Root;
use crate::terminal;

/// Check that the file system under a root folder does what an index needs
///
/// Works in a scratch folder of its own, which is removed; no index is touched. Ends with status 1 when an assumption
/// does not hold. To compare with what another machine sees, run it there with --listen, and here with --peer.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    #[command(flatten)]
    root: Root,
    /// Compare with another machine, on which `aquifer doctor --listen` runs: http://HOST:PORT
    #[arg(
        long,
        value_name = "URL",
        conflicts_with = "listen",
        requires = "token"
    )]
    peer: Option<String>,
    /// Be the other machine: carry out orders in scratch folders below the root, for an hour [default address:
    /// 127.0.0.1:8089]
    #[arg(long, value_name = "HOST:PORT", num_args = 0..=1, default_missing_value = listen::DEFAULT_ADDRESS)]
    listen: Option<String>,
    /// What both sides must know; --listen makes one up and prints it
    #[arg(long, env = "AQUIFER_DOCTOR_TOKEN", hide_env_values = true, value_parser = token)]
    token: Option<String>,
    /// Print JSON
    #[arg(long, conflicts_with = "listen")]
    json: bool,
}

/// The fewest characters of a token: with them it cannot be guessed.
const TOKEN_MIN: usize = 16;

fn token(text: &str) -> Result<String, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain && text.len() >= TOKEN_MIN {
        return Ok(text.to_owned());
    }
    Err(format!(
        "a token has at least {TOKEN_MIN} letters and digits, and nothing else"
    ))
}

impl Doctor {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let path = &self.root.root;
        let root = RootFolder::open(path, false)
            .map_err(Error::from)
            .context("cannot open the folder of --root (AQUIFER_ROOT)")?;
        if let Some(address) = &self.listen {
            listen::listen(root, address, self.token)?;
            return Ok(ExitCode::SUCCESS);
        }
        let peer = match (&self.peer, self.token) {
            (Some(url), Some(token)) => Some(Peer::new(url, &token)?),
            _ => None,
        };
        let report = examine(&root, path, peer.as_ref())?;
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &report)?;
            writeln!(out)?;
        } else {
            table::write(&mut out, &report)?;
        }
        Ok(verdict(&report))
    }
}

fn examine(root: &RootFolder, path: &Path, peer: Option<&Peer>) -> Result<DoctorReport> {
    let program = std::env::current_exe().context("cannot start a second process")?;
    let second = SecondProcess::start(&program, path)?;
    let mut examination = Examination::of(root);
    if let Some(peer) = peer {
        examination = examination.with_peer(peer as &dyn Partner);
    }
    Ok(examination.run(&second)?)
}

fn verdict(report: &DoctorReport) -> ExitCode {
    if let Some(error) = &report.left_behind {
        terminal::complain(&format!(
            "error: the scratch folder is still there; `aquifer gc` removes it later: {error}"
        ));
    }
    let failed: Vec<&str> = report
        .judged(Judgement::DoesNotHold)
        .map(|finding| finding.check)
        .collect();
    if !failed.is_empty() {
        terminal::complain(&format!(
            "error: {} does not do what an index needs: {}",
            report.root.display(),
            failed.join(", ")
        ));
    }
    if report.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
