//! What the stories share: documents with an owner, and who must find how many of them.

use aquifer_tests::Client;
use aquifer_tests::lab::Machine;
use serde_json::json;

/// Documents with keys `OWNER-NUMBER`, and text that hardly shrinks: some hundred of them fill a bundle of their own.
pub(crate) fn batch(owner: &str, numbers: std::ops::Range<u64>) -> String {
    let mut random = fastrand::Rng::with_seed(numbers.start);
    let documents: Vec<_> = numbers
        .map(|number| {
            let mut word = || -> String { (0..8).map(|_| random.alphanumeric()).collect() };
            let words: Vec<String> = (0..40).map(|_| word()).collect();
            let key = format!("{owner}-{number}");
            json!({"unique_key": key, "owner": owner, "content": words.join(" ")})
        })
        .collect();
    json!(documents).to_string()
}

/// A client's view of one index.
#[derive(Clone, Debug)]
pub(crate) struct View {
    client: Client,
    index: String,
}

impl View {
    pub(crate) fn new(client: &Client, index: &str) -> Self {
        Self {
            client: client.clone(),
            index: index.to_owned(),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn path(&self, path: &str) -> String {
        format!("/indexes/{}{path}", self.index)
    }

    /// Posts, and expects that it was applied; gives the version.
    #[track_caller]
    pub(crate) fn post(&self, body: &str) -> u64 {
        let posted = self.client.post(&self.path("/documents"), body);
        assert_eq!(posted.status, 200, "{posted:?}");
        posted.body["version"].as_u64().unwrap()
    }

    /// How many documents of this owner it finds.
    #[track_caller]
    pub(crate) fn count(&self, owner: &str) -> u64 {
        let filter = format!("owner%3A{owner}");
        let path = self.path(&format!("/search?limit=0&filter={filter}"));
        let found = self.client.get(&path);
        assert_eq!(found.status, 200, "{found:?}");
        found.body["count"].as_u64().unwrap()
    }

    /// The version it serves.
    #[track_caller]
    pub(crate) fn version(&self) -> u64 {
        let stats = self.client.get(&self.path("/stats"));
        assert_eq!(stats.status, 200, "{stats:?}");
        stats.body["version"].as_u64().unwrap()
    }
}

/// What a writer has done so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// Versions that it has published.
    pub(crate) commits: u64,
    /// Versions that it has built for nothing, because another writer was first.
    pub(crate) fenced: u64,
}

impl Work {
    #[track_caller]
    pub(crate) fn of(writer: &Client) -> Self {
        let health = writer.get("/health").body;
        let count = |name: &str| health["work"][name].as_u64().unwrap();
        Self {
            commits: count("commits"),
            fenced: count("fenced"),
        }
    }

    /// What was added to what was done `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            commits: self.commits - before.commits,
            fenced: self.fenced - before.fenced,
        }
    }
}

/// A document that a process of its own adds before an index is checked.
const LAST: &str = r#"{"unique_key": "last"}"#;

/// Expects that `aquifer check` finds nothing wrong with an index. Where there are no locks, several writers may have
/// overwritten HEAD at once. It is only a hint, which the next commit of another process repairs.
#[track_caller]
pub(crate) fn check(machine: &Machine, index: &str) {
    if !machine.has_locks() {
        let add = format!("echo '{LAST}' > /run/last.json");
        machine.run(&["sh", "-c", &add]);
        let (code, out, err) = machine.aquifer(&["import", "/run/last.json", "--index", index]);
        assert_eq!(code, Some(0), "{index}: {out}{err}");
    }
    let (code, out, err) = machine.aquifer(&["check", "--index", index]);
    assert_eq!(code, Some(0), "{index}: {out}{err}");
}
