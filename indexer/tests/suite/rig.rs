//! What the tests share: an index in a temporary folder, opened through any [`Mount`].

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aquifer_indexer::Result;
use aquifer_indexer::clock::SystemClock;
use aquifer_indexer::config::Config;
use aquifer_indexer::document::Document;
use aquifer_indexer::index::{Batch, Counts, Index, Operation, Outcome, Wait};
use aquifer_indexer::mapping::{Definition, IndexSchema};
use aquifer_indexer::mount::{Mount, PosixMount};
use aquifer_indexer::search::SearchRequest;
use aquifer_indexer::snapshot::cache::RangeCache;

/// A folder with an empty index in it.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let mount = folder.mount();
        aquifer_indexer::writer::create(&*mount, &Definition::default(), &SystemClock).unwrap();
        folder
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn mount(&self) -> Arc<dyn Mount> {
        Arc::new(PosixMount::open(self.0.path()).unwrap())
    }

    /// A process of its own, as far as the index is concerned.
    pub fn open(&self, config: &Config) -> Index {
        open(self.mount(), config)
    }
}

/// Settings for tests: everything unreferenced may be collected at once, nobody waits long.
pub fn config() -> Config {
    Config {
        retention: Duration::ZERO,
        overtake_after: Duration::from_millis(300),
        ..Config::default()
    }
}

pub fn open(mount: Arc<dyn Mount>, config: &Config) -> Index {
    let cache = Arc::new(RangeCache::new(config.cache_bytes));
    Index::open("test", mount, cache, Arc::new(SystemClock), config)
}

pub fn schema() -> IndexSchema {
    IndexSchema::compile(&Definition::default()).unwrap()
}

/// A document whose content is `text`.
pub fn document(key: &str, text: &str) -> Operation {
    let json = serde_json::json!({"unique_key": key, "lang": "en", "content": text}).to_string();
    Operation::Upsert(Document::parse(&json, &schema()).unwrap())
}

pub fn delete(key: &str) -> Operation {
    Operation::Delete(key.into())
}

pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Posts and waits until it is visible.
pub fn post(index: &Index, operations: Vec<Operation>) -> Result<(u64, Counts)> {
    match index.submit(Batch { operations }, Wait::Visible, soon())? {
        Outcome::Applied { version, counts } => Ok((version, counts)),
        Outcome::Durable { batch } => panic!("{batch} is only durable"),
    }
}

/// The keys that a query finds, sorted.
pub fn search(index: &Index, query: &str) -> Result<Vec<String>> {
    let request = SearchRequest {
        query: query.into(),
        limit: 1000,
        ..SearchRequest::default()
    };
    let response = index.search(&request, soon())?;
    assert_eq!(response.count as usize, response.hits.len());
    let mut keys: Vec<_> = response
        .hits
        .into_iter()
        .map(|hit| hit.unique_key)
        .collect();
    keys.sort();
    Ok(keys)
}

/// `check` finds nothing wrong.
pub fn assert_clean(index: &Index) {
    let report = index.check().unwrap();
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
}
