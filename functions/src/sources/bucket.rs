//! The objects below a prefix of an S3 bucket.
//!
//! An object is read in parts, each a request of its own that says which version it wants: a request is
//! short however large the object is, and no connection has to survive the time between two of them.

use std::io::{self, Cursor, Read};
use std::sync::{Arc, LazyLock};

use aquifer_indexer::{Error, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore,
    RetryConfig,
};
use tokio::runtime::{Builder, Runtime};

use super::objects::{Failed, Found, Objects, Opened, Page, Skipped, unavailable, unreadable};
use crate::texts::{Form, NO_ENDING};

/// Bytes of an object that one request asks for, and that are held of it.
const PART_BYTES: u64 = 8 * 1024 * 1024;

/// Names in a page: as many as S3 gives at once.
const PAGE_NAMES: usize = 1_000;

/// Objects that are listed at once: their names take some 20 MB.
const LISTED_MOST: usize = 100_000;

/// Small objects that are asked for at once.
const TOGETHER: usize = 16;

/// How long a request may take, its answer included. A part at 150 KB/s is still in time.
const REQUEST_TIMEOUT: &str = "60s";
/// How long a connection may take to come about.
const CONNECT_TIMEOUT: &str = "5s";
/// How often a request is tried again that may succeed then, and for how long.
const RETRIES: usize = 5;
const RETRY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// Requests run on whatever thread asks for them; it starts none of its own but for names to be resolved.
static RUNTIME: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build());

/// A prefix of a bucket.
pub(super) struct Bucket {
    store: Arc<AmazonS3>,
    prefix: Option<Path>,
    shown: String,
}

impl Bucket {
    /// Takes endpoint, region and credentials from the `AWS_` variables in `environment`; makes no request.
    pub(super) fn open(
        bucket: &str,
        prefix: &str,
        environment: &[(String, String)],
    ) -> Result<Self> {
        let shown = format!("s3://{bucket}/{prefix}");
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES,
            retry_timeout: RETRY_TIMEOUT,
        };
        let setting = AmazonS3ConfigKey::Client;
        let mut builder = AmazonS3Builder::new();
        for (name, value) in environment {
            if let Ok(key) = name.to_ascii_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        let store = builder
            .with_config(setting(ClientConfigKey::Timeout), REQUEST_TIMEOUT)
            .with_config(setting(ClientConfigKey::ConnectTimeout), CONNECT_TIMEOUT)
            .with_bucket_name(bucket)
            .with_retry(retry)
            .build()
            .map_err(|error| unreadable(&shown, &error.to_string()))?;
        let prefix = match prefix {
            "" => None,
            prefix => Some(path(&shown, prefix)?),
        };
        Ok(Self {
            store: Arc::new(store),
            prefix,
            shown,
        })
    }

    fn path(&self, name: &str) -> Result<Path> {
        match &self.prefix {
            Some(prefix) => path(&self.shown, &format!("{prefix}/{name}")),
            None => path(&self.shown, name),
        }
    }

    /// The name in this source of what a listing gave.
    fn name(&self, location: &Path) -> String {
        let whole = location.as_ref();
        let own = self.prefix.as_ref().and_then(|prefix| {
            let rest = whole.strip_prefix(prefix.as_ref())?;
            rest.strip_prefix('/')
        });
        own.unwrap_or(whole).to_owned()
    }

    /// All objects with their sizes, whatever they hold.
    pub(super) fn list_all(&self) -> Result<Vec<(String, u64)>> {
        let listed: Vec<ObjectMeta> = runtime(&self.shown)?
            .block_on(
                self.store
                    .list(self.prefix.as_ref())
                    .take(LISTED_MOST + 1)
                    .try_collect(),
            )
            .map_err(|error| failure(&self.shown, error))?;
        if listed.len() > LISTED_MOST {
            return Err(unreadable(
                &self.shown,
                &format!("it has more than {LISTED_MOST} objects: name a longer prefix"),
            ));
        }
        let object = |object: &ObjectMeta| (self.name(&object.location), object.size);
        Ok(listed.iter().map(object).collect())
    }

    /// Opens one version of an object, or the current one; none where it is gone.
    pub(super) fn open_version(&self, name: &str, version: Option<&str>) -> Result<Option<Opened>> {
        runtime(&self.shown)?.block_on(self.first_part(name, version, 0))
    }

    /// Asks for the first part of an object of which a listing told that it is not empty.
    async fn first_part(
        &self,
        name: &str,
        version_id: Option<&str>,
        size: u64,
    ) -> Result<Option<Opened>> {
        let path = self.path(name)?;
        let mut part = Part {
            store: Arc::clone(&self.store),
            path,
            shown: format!("{}/{name}", self.shown.trim_end_matches('/')),
            version_id: version_id.map(str::to_owned),
            version: String::new(),
            tag: None,
            size,
            at: 0,
            bytes: Box::new(io::empty()),
        };
        // A range of an empty object is an error.
        let begun = match size {
            0 => part.look().await,
            _ => part.get().await,
        };
        match begun {
            Ok(()) => Ok(Some(Opened {
                version: part.version.clone(),
                bytes: Box::new(part),
            })),
            Err(Failed::Gone | Failed::Changed) => Ok(None),
            Err(Failed::Source(error)) => Err(error),
        }
    }
}

impl Objects for Bucket {
    fn list(&self, after: Option<&str>) -> Result<Page> {
        let prefix = self.prefix.as_ref();
        let listing = match after {
            Some(after) => self.store.list_with_offset(prefix, &self.path(after)?),
            None => self.store.list(prefix),
        };
        let listed: Vec<ObjectMeta> = runtime(&self.shown)?
            .block_on(listing.take(PAGE_NAMES).try_collect())
            .map_err(|error| failure(&self.shown, error))?;
        let mut page = Page::default();
        if listed.len() == PAGE_NAMES {
            page.after = listed.last().map(|last| self.name(&last.location));
        }
        for object in listed {
            let name = self.name(&object.location);
            if Form::of(&name).is_none() {
                let why = NO_ENDING;
                page.skipped.push(Skipped { name, why });
                continue;
            }
            page.found.push(Found {
                name,
                size: object.size,
                problem: None,
            });
        }
        Ok(page)
    }

    fn open(&self, name: &str) -> Result<Option<Opened>> {
        self.open_version(name, None)
    }

    fn open_all(&self, found: &[Found]) -> Result<Vec<Option<Opened>>> {
        let parts = stream::iter(found)
            .map(|found| self.first_part(&found.name, None, found.size))
            .buffered(TOGETHER)
            .try_collect();
        runtime(&self.shown)?.block_on(parts)
    }
}

/// What of an object has been asked for.
struct Part {
    store: Arc<AmazonS3>,
    path: Path,
    shown: String,
    /// The version that was asked for by its name; the current one without.
    version_id: Option<String>,
    version: String,
    tag: Option<String>,
    size: u64,
    at: u64,
    bytes: Box<dyn Read + Send>,
}

impl Part {
    /// Learns the size, and gets the first part if there is one.
    async fn look(&mut self) -> Result<(), Failed> {
        let options = GetOptions {
            head: true,
            version: self.version_id.clone(),
            ..GetOptions::default()
        };
        let looked = self.store.get_opts(&self.path, options).await;
        let meta = looked.map_err(|error| self.failed(error))?.meta;
        if meta.size == 0 {
            self.version = version(&meta);
            return Ok(());
        }
        self.size = meta.size;
        self.get().await
    }

    /// Gets the part that begins at `self.at`.
    async fn get(&mut self) -> Result<(), Failed> {
        let end = self.size.min(self.at.saturating_add(PART_BYTES));
        let options = GetOptions {
            range: Some(GetRange::Bounded(self.at..end)),
            if_match: self.tag.clone(),
            version: self.version_id.clone(),
            ..GetOptions::default()
        };
        let got: GetResult = self
            .store
            .get_opts(&self.path, options)
            .await
            .map_err(|error| self.failed(error))?;
        let version = version(&got.meta);
        if self.at == 0 {
            self.version = version;
            self.tag = got.meta.e_tag.clone();
            self.size = got.meta.size;
        } else if version != self.version {
            return Err(Failed::Changed);
        }
        let bytes = got.bytes().await.map_err(|error| self.failed(error))?;
        self.at = self.at.saturating_add(bytes.len() as u64);
        self.bytes = Box::new(Cursor::new(bytes));
        Ok(())
    }

    fn failed(&self, error: object_store::Error) -> Failed {
        match error {
            object_store::Error::NotFound { .. } => Failed::Gone,
            object_store::Error::Precondition { .. } => Failed::Changed,
            error => Failed::Source(failure(&self.shown, error)),
        }
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.bytes.read(buffer)?;
            if read > 0 || buffer.is_empty() || self.at >= self.size {
                return Ok(read);
            }
            let before = self.at;
            runtime(&self.shown)
                .map_err(Failed::Source)
                .and_then(|runtime| runtime.block_on(self.get()))
                .map_err(Failed::into_io)?;
            if self.at == before {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Every version of an object has a tag of its own; where a server gives none, size and time have to do.
fn version(meta: &ObjectMeta) -> String {
    match &meta.e_tag {
        Some(tag) => tag.clone(),
        None => format!("{}-{}", meta.size, meta.last_modified.timestamp_micros()),
    }
}

fn path(shown: &str, text: &str) -> Result<Path> {
    Path::parse(text).map_err(|error| unreadable(shown, &format!("{text:?} is no name: {error}")))
}

fn runtime(shown: &str) -> Result<&'static Runtime> {
    RUNTIME
        .as_ref()
        .map_err(|error| unavailable(shown, format!("requests cannot be made: {error}")))
}

/// What the next attempt will not get past is said to be a wrong request.
fn failure(shown: &str, error: object_store::Error) -> Error {
    const NO_BUCKET: &str = "there is no such bucket";
    const DENIED: &str = "S3 refuses the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role that \
                          this runs with), or they do not permit s3:ListBucket and s3:GetObject there";
    let text = error.to_string();
    // What a listing fails for has no kind of its own.
    let status = |code: &str| text.contains(&format!("status code: {code}"));
    let refused = match &error {
        object_store::Error::NotFound { .. } => NO_BUCKET,
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => DENIED,
        object_store::Error::InvalidPath { .. } => {
            "an object there has a name with an empty part, or with `.` or `..` as one"
        }
        object_store::Error::Generic { .. } if status("404") => NO_BUCKET,
        object_store::Error::Generic { .. } if status("403") || status("401") => DENIED,
        _ => return unavailable(shown, error),
    };
    unreadable(shown, &format!("{refused} ({text})"))
}
