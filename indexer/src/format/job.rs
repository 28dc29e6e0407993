//! A job that builds an index anew, as the manifests of the index carry it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::mapping::Definition;
use crate::numbers::{DocCount, Version};

/// Ended jobs that a manifest remembers.
pub const ENDED_JOBS_MAX: usize = 5;

/// A job that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// What is told about it.
    pub status: JobStatus,
    /// What becomes of it when a document is refused.
    pub on_refused: OnRefused,
    /// Mapping and settings of what is built.
    pub definition: Definition,
    /// The lineage of what is built.
    pub lineage: Uuid,
    /// How far the documents have been read.
    pub position: Position,
    /// What was touched in versions up to this one is in what is built.
    pub replayed_to: Version,
    /// What is built so far; none before the first checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointId>,
}

/// How far the documents of a job have been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// Nothing was read.
    Start,
    /// The stored documents with keys up to this one.
    Key(String),
    /// An external source up to here, in its own words.
    Source(String),
    /// Everything.
    End,
}

/// The identity of a file that says what a job has built: a manifest of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointId {
    /// Which checkpoint of the job, from 1.
    pub number: u64,
    /// What tells two attempts at it apart.
    pub nonce: Uuid,
    /// Length of the file in bytes.
    pub len: u64,
}

/// Something in a source that is no document, or one that the mapping does not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Where: an object and a line, or the key of a document.
    pub place: String,
    /// What is wrong.
    pub detail: String,
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
    pub documents: DocCount,
    /// Documents, or for an external source bytes, there are in all, where that is known; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// How much of `total` has been read.
    pub done: u64,
    /// Documents that were posted or deleted meanwhile and carried over.
    pub replayed: DocCount,
    /// Documents that were left out.
    pub refused: DocCount,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
    /// Checkpoints so far.
    pub checkpoints: u64,
    /// The version that started it.
    pub started_version: Version,
    /// The version that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_version: Option<Version>,
    /// When it was started, in milliseconds since 1970 by the clock of whoever started it; for people.
    pub started_ms: u64,
    /// When it was last carried on.
    pub updated_ms: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
