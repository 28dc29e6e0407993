//! One object of a bucket, for whoever knows its name.

use aquifer_indexer::Result;

use super::bucket::Bucket;
use super::objects::{Found, Objects, Opened, Page};

/// An object that has been opened.
pub(super) struct Single {
    bucket: Bucket,
    name: String,
    version: Option<String>,
    /// As it was found; taken by the first that reads it.
    opened: std::sync::Mutex<Option<Opened>>,
}

impl Single {
    /// Opens the object `name` of a prefix: one version of it, or the current one. `None` where it is gone.
    pub(super) fn open(bucket: Bucket, name: &str, version: Option<&str>) -> Result<Option<Self>> {
        let opened = bucket.open_version(name, version)?;
        Ok(opened.map(|opened| Self {
            bucket,
            name: name.to_owned(),
            version: version.map(str::to_owned),
            opened: Some(opened).into(),
        }))
    }
}

impl Objects for Single {
    fn list(&self, after: Option<&str>) -> Result<Page> {
        let found = Found {
            name: self.name.clone(),
            size: 0,
            problem: None,
        };
        Ok(Page {
            found: if after.is_none() {
                vec![found]
            } else {
                Vec::new()
            },
            skipped: Vec::new(),
            after: None,
        })
    }

    fn open(&self, name: &str) -> Result<Option<Opened>> {
        let mut opened = self
            .opened
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match opened.take() {
            Some(opened) => Ok(Some(opened)),
            None => self.bucket.open_version(name, self.version.as_deref()),
        }
    }
}
