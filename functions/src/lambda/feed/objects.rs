//! Where the objects that events name are read.

use aquifer_indexer::reindex::DocumentSource;
use aquifer_indexer::{Error, Result};

use crate::sources::ExternalSources;

/// Opens objects by their names.
pub trait ObjectReader: Send + Sync {
    /// The documents of an object: of one version of it, or of the current one. `None` where it is gone. Blocks.
    ///
    /// # Errors
    /// [`aquifer_indexer::ErrorKind::Invalid`] where it may not be read or holds no documents;
    /// [`aquifer_indexer::ErrorKind::Unavailable`].
    fn open(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<Box<dyn DocumentSource>>>;
}

impl ObjectReader for ExternalSources {
    fn open(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<Box<dyn DocumentSource>>> {
        self.open_object(bucket, key, version)
    }
}

/// A function that reads no objects.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObjectReader;

impl ObjectReader for NoObjectReader {
    fn open(
        &self,
        bucket: &str,
        key: &str,
        _version: Option<&str>,
    ) -> Result<Option<Box<dyn DocumentSource>>> {
        Err(Error::invalid(format!(
            "s3://{bucket}/{key} cannot be read: this function reads no objects"
        )))
    }
}
