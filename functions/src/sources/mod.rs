//! External sources of a reindex: a folder, or the objects below a prefix of an S3 bucket.
//!
//! A source is a set of objects with names, read in the order of their names' bytes. Which of them hold documents,
//! and in which form, their names say (see [`Form`]). A file that is one document
//! without a `unique_key` gets its name in the source as one. The commands `import` and `create-index` read folders
//! as a source does.

mod address;
mod bucket;
mod copied;
mod folder;
mod objects;
mod position;
mod reading;
mod single;
mod walk;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use aquifer_indexer::reindex::{DocumentSource, Sources};
use aquifer_indexer::{Error, ErrorKind, Result};

use self::address::Address;
use self::bucket::Bucket;
pub use self::copied::copy;
pub use self::folder::Folder;
pub use self::objects::{Found, Page, Skipped};
use self::objects::{Objects, unreadable};
use self::single::Single;
use self::walk::Walk;
use crate::texts::Form;

/// Opens folders and S3 prefixes.
///
/// A source is named by `s3://bucket/prefix/`, by an absolute path, alone or as `file:///path`, or by a path that
/// begins at the root folder of the indexes, which means the same to every process, wherever it has mounted that
/// folder. Where S3 is, and the credentials for it, come from the usual `AWS_` environment variables.
#[derive(Clone)]
pub struct ExternalSources {
    root: PathBuf,
    /// What may be read; anything where there is no list.
    allowed: Option<Vec<Address>>,
    /// The `AWS_` variables.
    environment: Vec<(String, String)>,
}

impl fmt::Debug for ExternalSources {
    /// Leaves out the environment, which holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalSources")
            .field("root", &self.root)
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

/// The variables of this process that concern S3.
pub(crate) fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let variables = std::env::vars_os().filter_map(text);
    variables
        .filter(|(name, _)| name.starts_with("AWS_"))
        .collect()
}

impl ExternalSources {
    /// Any source: for an operator, whose own rights decide. `root` is the root folder of the indexes.
    pub fn any(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            allowed: None,
            environment: environment(),
        }
    }

    /// What lies at or below the sources in `list`, which stand between commas: for callers who must not read
    /// whatever this process can. An empty list allows none.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a list that names something else than sources.
    pub fn listed(root: &Path, list: &str) -> Result<Self> {
        let urls = list.split(',').map(str::trim).filter(|url| !url.is_empty());
        let allowed: Result<Vec<_>> = urls.map(|url| Address::parse(url, root)).collect();
        Ok(Self {
            root: root.to_owned(),
            allowed: Some(allowed?),
            environment: environment(),
        })
    }

    /// Reaches S3 as these `AWS_` variables say, instead of those of the process.
    #[must_use]
    pub fn with_environment(mut self, variables: &[(&str, &str)]) -> Self {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        self.environment = variables.iter().map(owned).collect();
        self
    }

    /// The documents of one object: of a version of it, or of the current one; none where it is gone. A document without a
    /// `unique_key` gets the name that it has below the source in the list, as a reindex of that source gives it. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the object lies below no source in the list, or its name promises no documents;
    /// [`ErrorKind::Unavailable`].
    pub fn open_object(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<Box<dyn DocumentSource>>> {
        let shown = format!("s3://{bucket}/{key}");
        let (address, above) = self.resolve(&shown)?;
        let prefix = match above.unwrap_or(&address) {
            Address::Bucket { prefix, .. } if above.is_some() => prefix.as_str(),
            _ => "",
        };
        let name = match key.strip_prefix(prefix).filter(|_| !prefix.is_empty()) {
            Some(below) => below.trim_start_matches('/'),
            None => key,
        };
        if Form::of(name).is_none() {
            return Err(unreadable(&shown, NO_FORM));
        }
        let bucket = Bucket::open(bucket, prefix, &self.environment)?;
        let single = Single::open(bucket, name, version)?;
        Ok(single.map(|single| {
            let walk = Walk::new(shown, Box::new(single));
            Box::new(walk) as Box<dyn DocumentSource>
        }))
    }

    /// The source that `url` names, and what of the list it lies below.
    fn resolve(&self, url: &str) -> Result<(Address, Option<&Address>)> {
        let address = Address::parse(url, &self.root)?;
        let Some(allowed) = &self.allowed else {
            return Ok((address, None));
        };
        match allowed.iter().find(|above| above.holds(&address)) {
            Some(above) => Ok((address, Some(above))),
            None => Err(Error::invalid(format!(
                "the source {url:?} may not be read here: {}",
                permitted(allowed)
            ))),
        }
    }
}

/// An object that no source of documents would hold.
const NO_FORM: &str = "objects with documents end in .json, .ndjson or .jsonl, or such a name with .gz or .zst: \
                       restrict the notification to these suffixes";

fn permitted(allowed: &[Address]) -> String {
    if allowed.is_empty() {
        return "no external sources are configured (AQUIFER_SOURCES)".to_owned();
    }
    let names: Vec<_> = allowed.iter().map(ToString::to_string).collect();
    format!(
        "AQUIFER_SOURCES allows what lies below {}",
        names.join(", ")
    )
}

impl Sources for ExternalSources {
    fn check(&self, url: &str) -> Result<()> {
        self.resolve(url).map(drop)
    }

    /// Opens a source. A job may have been started by somebody who may read more than this process: that is
    /// [`ErrorKind::Conflict`], so that the job stays for a process that may.
    fn open(&self, url: &str) -> Result<Box<dyn DocumentSource>> {
        let (address, above) = self
            .resolve(url)
            .map_err(|error| Error::new(ErrorKind::Conflict, error.message().to_owned()))?;
        let objects: Box<dyn Objects> = match &address {
            Address::Folder(path) => {
                let base = match above {
                    Some(Address::Folder(base)) => base,
                    _ => path,
                };
                Box::new(Folder::below(base, path)?)
            }
            Address::Bucket { bucket, prefix } => {
                Box::new(Bucket::open(bucket, prefix, &self.environment)?)
            }
        };
        Ok(Box::new(Walk::new(address.to_string(), objects)))
    }
}
