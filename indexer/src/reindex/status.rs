//! What is asked of a reindex, and what is told about one.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Refusal;
use crate::mapping::Definition;

/// What to build.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReindexRequest {
    /// The mapping and settings of the new index; without one, those of the old.
    pub definition: Option<Definition>,
    /// The URL of an external source. Documents that it does not hold disappear, but for those that are
    /// posted while the job runs. Without one, the stored documents are read.
    pub source: Option<String>,
    /// What becomes of the job when a document is refused.
    pub on_refused: OnRefused,
}

/// What becomes of a job that meets a document that cannot be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRefused {
    /// The job fails, and the index stays as it was.
    #[default]
    Fail,
    /// The document is left out and counted.
    Skip,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Documents are being read and indexed.
    Building,
    /// What came meanwhile is being carried over.
    Replaying,
    /// Swapped in.
    Finished,
    /// Given up for the reason in `error`; the index is what it was.
    Failed,
    /// Cancelled; the index is what it was.
    Cancelled,
}

impl JobState {
    /// Whether somebody has to go on with it.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Building | Self::Replaying)
    }
}

/// What is known of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobStatus {
    /// Which.
    pub id: Uuid,
    /// Where it is.
    pub state: JobState,
    /// The external source, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Documents indexed so far.
    pub documents: u64,
    /// Documents, or for an external source bytes, there are in all, where that is known; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// How much of `total` has been read.
    pub done: u64,
    /// Documents that were posted or deleted meanwhile and carried over.
    pub replayed: u64,
    /// Documents that were left out.
    pub refused: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
    /// Checkpoints so far.
    pub checkpoints: u64,
    /// The version that started it.
    pub started_version: u64,
    /// The version that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_version: Option<u64>,
    /// When it was started, in milliseconds since 1970 by the clock of whoever started it; for people.
    pub started_ms: u64,
    /// When it was last carried on.
    pub updated_ms: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
