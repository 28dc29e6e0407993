//! What a function is told by its environment, read once.

use std::path::PathBuf;
use std::time::Duration;

use aquifer_indexer::budget::Budget;
use aquifer_indexer::config::{Config, MIB};
use aquifer_indexer::{Error, Result};

use super::doors::Doors;
use super::feed::{KeyAttributes, Rules};
use super::metrics::Detail;
use crate::allocator;
use crate::duration::duration;
use crate::sources::ExternalSources;
use crate::variables::{MEMORY, SCRATCH};

/// Threads that wait for the file system: one for so much memory, since each takes its share of it for its stack and
/// for what it has read.
const BYTES_PER_THREAD: usize = 8 * MIB;
/// As many threads wait for the file system at least: a cold start reads some tens of files at once.
const IO_THREADS_MIN: usize = 16;

/// The settings of a function; the table in [`super`] says what each means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// `AQUIFER_ROOT`.
    pub root: PathBuf,
    /// `AQUIFER_INDEX`.
    pub index: String,
    /// `AQUIFER_REINDEX_FUNCTION`.
    pub reindex_function: Option<String>,
    /// `AQUIFER_SOURCES`, as [`crate::sources::ExternalSources::listed`] reads it.
    pub sources: String,
    /// How requests come and answers leave.
    pub doors: Doors,
    /// `AQUIFER_METRICS`.
    pub metrics: Detail,
    /// `AQUIFER_EVENT_VERSION`.
    pub event_version: Option<String>,
    /// `AQUIFER_DYNAMODB_KEY`.
    pub dynamodb_key: KeyAttributes,
    /// `AQUIFER_CACHE_MIB`, in bytes.
    pub cache_bytes: Option<usize>,
    /// `AQUIFER_MEMORY_MIB`, or the function's size, in bytes.
    pub memory_bytes: Option<u64>,
    /// `AQUIFER_SCRATCH_MIB`, in bytes.
    pub scratch_bytes: Option<u64>,
    /// Threads that wait for the file system at once.
    pub io_threads: usize,
    /// `AQUIFER_RETENTION`.
    pub retention: Duration,
    /// The function's own name, as Lambda gives it.
    pub function: String,
}

impl Environment {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// [`aquifer_indexer::ErrorKind::Invalid`], naming the variable and what it should hold.
    pub fn read() -> Result<Self> {
        Self::of(|name| std::env::var(name).ok())
    }

    /// Reads an environment in which `lookup` finds the variables. An empty one counts as absent: that is
    /// how templates leave one out.
    ///
    /// # Errors
    /// Like [`Self::read`].
    pub fn of(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let get = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let default = Config::default();
        let mib = |name: &str| {
            let text = get(name);
            text.map(|text| parse_mib(name, &text)).transpose()
        };
        let memory_bytes = match mib(MEMORY)? {
            Some(bytes) => Some(bytes),
            None => mib("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")?,
        };
        let io_threads = memory_bytes.map_or(default.io_threads, |bytes| {
            let threads = usize::try_from(bytes).unwrap_or(usize::MAX) / BYTES_PER_THREAD;
            threads.clamp(IO_THREADS_MIN, default.io_threads)
        });
        let root = get("AQUIFER_ROOT").ok_or_else(|| {
            Error::invalid(
                "AQUIFER_ROOT is not set: set it to the folder of the indexes, which is where \
                 the file system is mounted, /mnt/aquifer for instance",
            )
        })?;
        let dynamodb_key = match get("AQUIFER_DYNAMODB_KEY") {
            Some(text) => KeyAttributes::parse(&text)
                .map_err(|error| wrong("AQUIFER_DYNAMODB_KEY", &text, error.message()))?,
            None => KeyAttributes::default(),
        };
        let cache_bytes = mib("AQUIFER_CACHE_MIB")?;
        let retention = match get("AQUIFER_RETENTION") {
            Some(text) => duration(&text)
                .map_err(|error| wrong("AQUIFER_RETENTION", &text, &error.to_string()))?,
            None => default.retention,
        };
        let doors = Doors::of(get)?;
        let index = get("AQUIFER_INDEX");
        if let Some(name) = index.as_ref().filter(|name| !doors.served.includes(name)) {
            return Err(wrong(
                "AQUIFER_INDEX",
                name,
                "AQUIFER_INDEXES does not list it: add it there",
            ));
        }
        let metrics = match get("AQUIFER_METRICS") {
            Some(text) => text
                .parse()
                .map_err(|error: String| wrong("AQUIFER_METRICS", &text, &error))?,
            None => Detail::default(),
        };
        Ok(Self {
            root: root.into(),
            index: index.unwrap_or_else(|| "default".to_owned()),
            reindex_function: get("AQUIFER_REINDEX_FUNCTION"),
            sources: get("AQUIFER_SOURCES").unwrap_or_default(),
            doors,
            metrics,
            event_version: get("AQUIFER_EVENT_VERSION"),
            dynamodb_key,
            cache_bytes: cache_bytes.and_then(|bytes| usize::try_from(bytes).ok()),
            memory_bytes,
            scratch_bytes: mib(SCRATCH)?,
            io_threads,
            retention,
            function: get("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default(),
        })
    }

    /// How events are read.
    pub fn rules(&self) -> Rules {
        Rules {
            index: self.index.clone(),
            served: self.doors.served.clone(),
            version_field: self.event_version.clone(),
            key: self.dynamodb_key.clone(),
        }
    }

    /// The external sources that a reindex may read.
    ///
    /// # Errors
    /// [`aquifer_indexer::ErrorKind::Invalid`] for a list that names something else.
    pub fn external_sources(&self) -> Result<ExternalSources> {
        ExternalSources::listed(&self.root, &self.sources).map_err(|error| {
            let kind = error.kind();
            Error::new(kind, "AQUIFER_SOURCES cannot be read").because(error)
        })
    }

    /// How an index is opened here: nothing works on after an answer, since the process is frozen then.
    pub fn config(&self, read_only: bool) -> Config {
        let budget = Budget::of_process(self.memory_bytes, self.scratch_bytes);
        allocator::fit(budget.memory_bytes());
        let shares = Config::within(budget);
        Config {
            read_only,
            cache_bytes: self.cache_bytes.unwrap_or(shares.cache_bytes),
            retention: self.retention,
            io_threads: self.io_threads,
            after_answer: false,
            ..shares
        }
    }
}

fn parse_mib(name: &str, text: &str) -> Result<u64> {
    let mib: u64 = text
        .trim()
        .parse()
        .map_err(|error| wrong(name, text, &format!("write a number of MiB: {error}")))?;
    Ok(mib.saturating_mul(MIB as u64))
}

pub(super) fn wrong(name: &str, text: &str, how: &str) -> Error {
    Error::invalid(format!("{name} is {text:?}: {how}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Environment> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Environment::of(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn what_is_not_set_has_a_default() {
        let read = of(&[("AQUIFER_ROOT", "/mnt/a"), ("AQUIFER_INDEX", " ")]).unwrap();
        assert_eq!(read.root, PathBuf::from("/mnt/a"));
        assert_eq!(read.index, "default");
        assert_eq!(read.retention, Duration::from_secs(3600));
        assert_eq!(
            (read.doors.base_path.as_str(), read.sources.as_str()),
            ("", "")
        );
        assert_eq!((read.cache_bytes, read.memory_bytes), (None, None));
        assert!(!read.config(true).after_answer);
    }

    #[test]
    fn memory_and_lists_are_read() {
        let read = of(&[
            ("AQUIFER_ROOT", "/mnt/a"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "400"),
            ("AQUIFER_SOURCES", "s3://a/b,in/"),
            ("AQUIFER_BASE_PATH", "v1/docs/"),
            ("AQUIFER_RETENTION", "90s"),
        ]);
        let read = read.unwrap();
        let config = read.config(false);
        assert_eq!(config.budget.memory_bytes(), 400 * MIB as u64);
        assert_eq!(config.cache_bytes, config.budget.cache_bytes());
        assert!(config.cache_bytes < 100 * MIB, "{}", config.cache_bytes);
        assert_eq!(read.sources, "s3://a/b,in/");
        assert_eq!(read.doors.base_path, "/v1/docs");
        assert_eq!(read.retention, Duration::from_secs(90));
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        let root = ("AQUIFER_ROOT", "/mnt/a");
        for (name, value) in [
            ("AQUIFER_CACHE_MIB", "much"),
            ("AQUIFER_MEMORY_MIB", "1 GB"),
            ("AQUIFER_SCRATCH_MIB", "-1"),
            ("AQUIFER_RETENTION", "1d"),
            ("AQUIFER_CORS_ORIGINS", "www.example.com"),
            ("AQUIFER_COMPRESSION", "zip"),
            ("AQUIFER_CACHE_CONTROL", "no\ncache"),
            ("AQUIFER_METRICS", "some"),
            ("AQUIFER_DYNAMODB_KEY", "pk,sk,more"),
        ] {
            let error = of(&[root, (name, value)]).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains(&format!("{value:?}")),
                "{error}"
            );
        }
        let error = of(&[]).unwrap_err().to_string();
        assert!(error.contains("AQUIFER_ROOT"), "{error}");
        let unlisted = [root, ("AQUIFER_INDEX", "a"), ("AQUIFER_INDEXES", "b, c")];
        let error = of(&unlisted).unwrap_err().to_string();
        assert!(error.contains("AQUIFER_INDEXES"), "{error}");
    }
}
