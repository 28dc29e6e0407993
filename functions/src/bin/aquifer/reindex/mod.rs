//! `aquifer reindex`.

mod bar;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aquifer_functions::sources::ExternalSources;
use aquifer_indexer::ErrorKind;
use aquifer_indexer::index::Index;
use aquifer_indexer::reindex::{JobState, JobStatus, OnRefused, ReindexRequest, Sources};
use clap::Args;
use uuid::Uuid;

use crate::place::Place;
use crate::report;
use crate::resources::Resources;
use crate::terminal::complain;

/// How long starting and cancelling wait for other writers.
const PATIENCE: Duration = Duration::from_secs(60);

/// Build an index anew while it goes on serving and taking documents
///
/// From the documents that it holds, or from --source: documents that are not there disappear then, but for those that
/// are posted meanwhile. If a job runs already, works on that one. Ctrl-C leaves the job at its last
/// checkpoint, and whoever runs this again goes on from there. The status is 1 when the job fails.
#[derive(Args, Debug)]
pub(crate) struct Reindex {
    #[command(flatten)]
    place: Place,
    /// A JSON file with the mapping and the settings that the index shall have from then on
    #[arg(long, value_name = "FILE")]
    definition: Option<PathBuf>,
    /// Read documents from there: a folder, by its absolute path or its path in the root folder, or s3://BUCKET/PREFIX/
    #[arg(long, value_name = "URL")]
    source: Option<String>,
    /// Leave out documents that are refused; without this the job fails, and the index stays as it was
    #[arg(long)]
    skip_refused: bool,
    /// Begin no further step after so many seconds
    #[arg(long, value_name = "SECONDS")]
    within: Option<u64>,
    /// Only show the jobs that are known, or one
    #[arg(long, value_name = "JOB", num_args = 0..=1, conflicts_with_all = ["cancel", "definition", "source"])]
    status: Option<Option<Uuid>>,
    /// Only cancel a job
    #[arg(long, value_name = "JOB", conflicts_with_all = ["definition", "source"])]
    cancel: Option<Uuid>,
    #[command(flatten)]
    resources: Resources,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Reindex {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if let Some(which) = self.status {
            let index = self.place.read()?;
            match which {
                Some(id) => report::print(&index.job(id)?, self.json)?,
                None => report::print(&serde_json::json!({ "jobs": index.jobs()? }), self.json)?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        let index = self.place.change(self.resources.config())?;
        if let Some(id) = self.cancel {
            let status = index.cancel_job(id, Instant::now() + PATIENCE)?;
            report::print(&status, self.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let sources = ExternalSources::any(&self.place.root.root);
        let begun = self.begin(&index, &sources)?;
        let within = self.within.map(Duration::from_secs);
        let until = within.and_then(|within| Instant::now().checked_add(within));
        let Some(status) = work::to_the_end(index, sources, begun, until)? else {
            complain(&format!(
                "stopped: the job {} goes on from its last checkpoint with `aquifer reindex`",
                self.named()
            ));
            return Ok(ExitCode::from(INTERRUPTED));
        };
        self.tell(&status)
    }

    /// Starts a job, or finds the one that runs.
    fn begin(&self, index: &Index, sources: &ExternalSources) -> Result<JobStatus> {
        let request = self.request()?;
        if let Some(url) = &request.source {
            sources.check(url)?;
        }
        match index.start_reindex(&request, Instant::now() + PATIENCE) {
            Ok(started) => {
                complain(&format!("started the job {}", started.id));
                Ok(started)
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let mut jobs = index.jobs()?.into_iter();
                let running = jobs.find(|job| job.state.is_running());
                let wanted = |job: &JobStatus| {
                    request == ReindexRequest::default() || job.source == request.source
                };
                let running = running.filter(wanted).ok_or(error)?;
                complain(&format!(
                    "working on the job {}, which is running: it builds what was asked when it was started",
                    running.id
                ));
                Ok(running)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn request(&self) -> Result<ReindexRequest> {
        let definition = match &self.definition {
            Some(path) => {
                let cannot = || format!("cannot read the definition {}", path.display());
                let text = std::fs::read_to_string(path).with_context(cannot)?;
                Some(serde_json::from_str(&text).with_context(cannot)?)
            }
            None => None,
        };
        Ok(ReindexRequest {
            definition,
            source: self.source.clone(),
            on_refused: if self.skip_refused {
                OnRefused::Skip
            } else {
                OnRefused::Fail
            },
        })
    }

    fn tell(&self, status: &JobStatus) -> Result<ExitCode> {
        report::print(status, self.json)?;
        match status.state {
            JobState::Finished => Ok(ExitCode::SUCCESS),
            JobState::Building | JobState::Replaying => {
                complain("not finished: `aquifer reindex` goes on from the last checkpoint");
                Ok(ExitCode::SUCCESS)
            }
            JobState::Failed | JobState::Cancelled => {
                let why = status.error.as_deref().unwrap_or("it was cancelled");
                complain(&format!("error: the index stays as it was: {why}"));
                Ok(ExitCode::FAILURE)
            }
        }
    }

    fn named(&self) -> String {
        format!("of the index {}", self.place.index)
    }
}

/// The status of a program that Ctrl-C has ended, as shells have it.
const INTERRUPTED: u8 = 130;
