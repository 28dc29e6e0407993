//! A reindex: the index is built anew beside the one that is served, and swapped in with one manifest.
//!
//! A job is part of the manifests of its index, from the version that starts it to the one that swaps its
//! result in, so that there is one at a time, a checkpoint is a version like any other, and whoever
//! works on a job that somebody else has carried on finds out when it publishes.

/// Ended jobs that a manifest remembers.
pub const ENDED_JOBS_MAX: usize = 5;

mod source;
mod status;

pub use self::source::{Chunk, DocumentSource, NoSources, Refusal, Sources};
pub use self::status::{JobState, JobStatus, OnRefused, ReindexRequest};
