//! Where the reading of a source has come to, as text that outlives the process.

use aquifer_indexer::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// A place in a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The object that was read last.
    pub(super) object: String,
    /// What of it was read; none when all of it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) within: Option<Within>,
    /// Bytes of the objects that were read to their ends, as they lie there.
    pub(super) read_bytes: u64,
    /// Bytes of all, where a few listings told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) total_bytes: Option<u64>,
}

/// A place in an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Within {
    /// The version that was read.
    pub(super) version: String,
    /// Texts that were taken out of it, refused ones among them.
    pub(super) texts: u64,
}

impl Position {
    pub(super) fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            let told = format!("{text:?} is no position in a source: {error}");
            Error::new(ErrorKind::Internal, told)
        })
    }

    pub(super) fn write(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::internal(format!("a position has no text: {error}")))
    }
}
