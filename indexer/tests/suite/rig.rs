//! What the tests share: an index in a temporary folder, opened through any [`Mount`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aquifer_indexer::Result;
use aquifer_indexer::clock::{Clock, SystemClock};
use aquifer_indexer::config::Config;
use aquifer_indexer::document::Document;
use aquifer_indexer::format::manifest::ContainerId;
use aquifer_indexer::inbox::Inbox;
use aquifer_indexer::index::{Batch, Counts, Index, Operation, Outcome, Shared, Wait};
use aquifer_indexer::layout::{self, BatchId, ManifestName};
use aquifer_indexer::mapping::{Definition, IndexSchema};
use aquifer_indexer::mount::{Mount, PosixMount};
use aquifer_indexer::numbers::{DocCount, Version};
use aquifer_indexer::search::SearchRequest;
use aquifer_indexer::world::World;

/// A folder with an empty index in it.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self::of(&World::default())
    }

    /// An index that is created by a process in `world`.
    pub fn of(world: &World) -> Self {
        Self::created(&Definition::default(), world)
    }

    pub fn defined(definition: &Definition) -> Self {
        Self::created(definition, &World::default())
    }

    fn created(definition: &Definition, world: &World) -> Self {
        let folder = Self::empty();
        let mount = folder.mount();
        aquifer_indexer::writer::create(&*mount, definition, world).unwrap();
        folder
    }

    /// In memory where the system has room for files there, since these tests make thousands of them.
    fn empty() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
        Self(folder.unwrap())
    }

    /// The same files in another folder.
    pub fn copy(&self) -> Self {
        let copy = Self::empty();
        for file in self.files() {
            let to = copy.path().join(&file);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            let from = self.path().join(&file);
            match std::fs::read_link(&from) {
                Ok(text) => std::os::unix::fs::symlink(text, to).unwrap(),
                Err(_) => drop(std::fs::copy(from, to).unwrap()),
            }
        }
        for folder in layout::FOLDERS {
            std::fs::create_dir_all(copy.path().join(folder)).unwrap();
        }
        copy
    }

    /// The manifest of a version, relative to the folder.
    pub fn manifest(&self, version: Version) -> String {
        let link = self.path().join(layout::version_link(version));
        let name = std::fs::read_link(link).unwrap();
        format!("{}/{}", layout::MANIFESTS, name.display())
    }

    /// Every file and link, relative to the folder.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for folder in layout::FOLDERS.into_iter().chain(["."]) {
            for entry in std::fs::read_dir(self.path().join(folder)).unwrap() {
                let entry = entry.unwrap();
                if !entry.file_type().unwrap().is_dir() {
                    files.push(Path::new(folder).join(entry.file_name()));
                }
            }
        }
        files.sort();
        files
    }

    /// The names in one of its folders, in order.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let mut names = self.mount().list(folder).unwrap();
        names.sort();
        names
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

    /// A reader that has seen nothing yet.
    pub fn reader(&self) -> Index {
        self.open(&Config {
            read_only: true,
            ..config()
        })
    }

    /// Lays a batch into the inbox as an accepted request does, and leaves it there.
    pub fn lay(&self, mount: Arc<dyn Mount>, operations: Vec<Operation>) -> Result<BatchId> {
        self.lay_in(World::default(), mount, operations)
    }

    /// The same, by a process in `world`.
    pub fn lay_in(
        &self,
        world: World,
        mount: Arc<dyn Mount>,
        operations: Vec<Operation>,
    ) -> Result<BatchId> {
        let inbox = Inbox::new(mount, world);
        inbox.list()?;
        let id = inbox.next_id();
        inbox.put(id, &Batch { operations })?;
        Ok(id)
    }

    /// Every version on the mount keeps the rules, and every file is whole except HEAD. HEAD is a hint, and a crash may leave
    /// half of it.
    pub fn assert_rules(&self, at: &str) {
        let mut problems = self.reader().check().unwrap().problems;
        problems.retain(|problem| problem.file != layout::HEAD);
        assert!(problems.is_empty(), "{at}: {problems:#?}");
    }

    /// After two collections without retention only what the tip names is left.
    pub fn assert_swept(&self, index: &Index) {
        self.age_inbox();
        index.gc().unwrap();
        index.gc().unwrap();
        let snapshot = index.snapshot().unwrap();
        let body = &snapshot.manifest().body;
        let bundle = |id: &ContainerId| match id {
            ContainerId::Bundle(_) => Some(id.path()),
            ContainerId::Manifest(_) => None,
        };
        let named: BTreeSet<String> = body
            .containers
            .iter()
            .filter_map(|c| bundle(&c.id))
            .collect();
        let bundles = self.names(layout::BUNDLES);
        let there: BTreeSet<String> = bundles
            .iter()
            .map(|name| format!("bundles/{name}"))
            .collect();
        assert_eq!(
            there, named,
            "bundles on the mount, and those the tip names"
        );
        let needed = snapshot.manifest().files().len() - named.len();
        let names = self.names(layout::MANIFESTS);
        let (links, manifests): (Vec<_>, Vec<_>) = names
            .into_iter()
            .partition(|name| layout::parse_version_link(name).is_some());
        for kind in [&links, &manifests] {
            assert!(kind.len() <= needed + 2, "{kind:?} for {needed} containers");
        }
        for link in &links {
            let text = std::fs::read_link(self.path().join(layout::MANIFESTS).join(link)).unwrap();
            let text = text.to_str().unwrap().to_owned();
            assert!(
                manifests.contains(&text),
                "{link} leads to no manifest: {text}"
            );
        }
        for name in manifests {
            let name: ManifestName = name.parse().unwrap();
            let linked = std::fs::read_link(self.path().join(layout::version_link(name.version)));
            assert_eq!(linked.unwrap().to_str(), Some(&*name.to_string()));
        }
        assert_eq!(self.names(layout::INBOX), Vec::<String>::new());
        assert_eq!(self.names(layout::JOBS), Vec::<String>::new());
    }
}

impl Folder {
    /// Makes what lies in the inbox so old that what is not whole may be swept.
    fn age_inbox(&self) {
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        for name in self.names(layout::INBOX) {
            let path = self.path().join(layout::INBOX).join(name);
            std::fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
        }
    }
}

/// What an index holds: the content of each document by its key.
pub type Contents = BTreeMap<String, String>;

/// Everything a reader finds, and the version it found it in.
pub fn contents(index: &Index) -> Result<(Contents, Version)> {
    let request = SearchRequest {
        limit: 1000,
        ..SearchRequest::default()
    };
    let response = index.search(&request, soon())?;
    let mut contents = Contents::new();
    for hit in &response.hits {
        let source: serde_json::Value = serde_json::from_str(hit.source.get()).unwrap();
        let content = source["content"].as_str().unwrap().to_owned();
        let twice = contents.insert(hit.unique_key.clone(), content);
        assert_eq!(twice, None, "{} was found twice", hit.unique_key);
    }
    assert_eq!(response.count.get() as usize, contents.len());
    Ok((contents, response.version))
}

/// What a warm and a cold reader both see.
pub fn see(at: &str, folder: &Folder, warm: &Index) -> Contents {
    let read = |index: &Index| contents(index).unwrap_or_else(|error| panic!("{at}: {error}"));
    let (cold, warm) = (read(&folder.reader()), read(warm));
    assert_eq!(cold, warm, "{at}: a cold and a warm reader");
    cold.0
}

/// What operations make of contents.
pub fn applied(contents: &Contents, operations: &[Operation]) -> Contents {
    let mut contents = contents.clone();
    for operation in operations {
        match operation {
            Operation::Delete(key) => drop(contents.remove(key)),
            Operation::Upsert(document) => {
                let source: serde_json::Value = serde_json::from_str(document.source()).unwrap();
                let content = source["content"].as_str().unwrap().to_owned();
                contents.insert(document.unique_key().to_owned(), content);
            }
            Operation::Ordered(..) => panic!("what an event does depends on what is known"),
        }
    }
    contents
}

/// Words that hardly compress, so that few documents make a large segment.
pub fn wide(key: &str, words: u64) -> Operation {
    let mut state = key
        .bytes()
        .fold(7_u64, |state, byte| state * 31 + u64::from(byte));
    let mut text = String::new();
    for _ in 0..words {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("w{:x} ", state >> 36));
    }
    document(key, &text)
}

/// Settings for tests: everything unreferenced may be collected at once, nobody waits long.
pub fn config() -> Config {
    Config {
        retention: Duration::ZERO,
        overtake_after: Duration::from_millis(300),
        ..Config::default()
    }
}

/// A process for which no time passes, however busy the machine is.
pub fn timeless() -> Config {
    Config {
        world: World::at(Arc::new(Still(Instant::now()))),
        ..config()
    }
}

/// A monotonic clock that stands still.
#[derive(Debug)]
pub struct Still(pub Instant);

impl Clock for Still {
    fn now(&self) -> Instant {
        self.0
    }

    fn wall_ms(&self) -> u64 {
        SystemClock.wall_ms()
    }

    fn sleep(&self, pause: Duration) {
        SystemClock.sleep(pause);
    }
}

pub fn open(mount: Arc<dyn Mount>, config: &Config) -> Index {
    let shared = Arc::new(Shared::new(config));
    Index::open("test", mount, shared, config)
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
    Instant::now() + Duration::from_secs(300)
}

/// A number of documents.
pub fn docs(number: u64) -> DocCount {
    DocCount::new(number)
}

/// Posts and waits until it is visible.
pub fn post(index: &Index, operations: Vec<Operation>) -> Result<(Version, Counts)> {
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
    assert_eq!(response.count.get() as usize, response.hits.len());
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
