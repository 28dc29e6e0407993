//! A reindex: the index is built anew beside the one that is served, and swapped in with one manifest.
//!
//! A job is part of the manifests of its index, from the version that starts it to the one that swaps its
//! result in, so that there is one at a time, a checkpoint is a version like any other, and whoever
//! works on a job that somebody else has carried on finds out when it publishes. This module says what is
//! asked of a job and where documents come from; the writer does the work.

mod source;

use serde::{Deserialize, Serialize};

pub use self::source::{Chunk, DocumentSource, NoSources, Sourced, Sources};
pub use crate::format::job::{ENDED_JOBS_MAX, JobState, JobStatus, OnRefused, Refusal};
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
