//! A writer that is frozen inside a commit, or killed there: the others go on, and when it wakes up it can
//! neither take back what they have acknowledged nor lie about its own.

use std::collections::BTreeSet;
use std::fs;
use std::mem;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use aquifer_tests::{Answer, Client, Cluster, Launch, Server, Unanswered, eventually};
use serde_json::json;

/// How long a silent lock holder is waited for.
const OVERTAKE_AFTER: Duration = Duration::from_secs(1);
/// Short, so that what the sleeper began with is collected while it sleeps.
const RETENTION: Duration = Duration::from_secs(1);
const MAINTENANCE_INTERVAL: Duration = Duration::from_millis(250);
/// Bounds what must happen at all; how fast it happens is not tested.
const PATIENCE: Duration = Duration::from_secs(300);
/// Documents there before; with their text they fill a bundle of their own.
const BASE: u64 = 500;
/// Documents of the sleeper's batch, which fills a bundle too.
const SLEEPERS: u64 = 300;

#[test]
fn sleeps_before_its_bundle() {
    sleeps("before-bundle");
}

#[test]
fn sleeps_before_its_version_exists() {
    sleeps("before-link");
}

#[test]
fn sleeps_before_its_version_is_marked() {
    sleeps("before-mark");
}

#[test]
fn sleeps_before_head() {
    sleeps("before-head");
}

#[test]
fn is_killed_before_its_bundle() {
    is_killed("before-bundle");
}

#[test]
fn is_killed_before_its_version_exists() {
    is_killed("before-link");
}

#[test]
fn is_killed_before_its_version_is_marked() {
    is_killed("before-mark");
}

#[test]
fn is_killed_before_head() {
    is_killed("before-head");
}

/// What has been acknowledged, by owner.
#[derive(Default)]
struct Acknowledged {
    base: u64,
    others: u64,
    /// What the sleeper's readers must find, once that is known.
    sleepers: Option<u64>,
}

impl Acknowledged {
    /// Expects that `client` finds all of it, and nothing else.
    #[track_caller]
    fn seen_by(&self, who: &str, client: &Client) {
        assert_eq!(count(client, "base"), self.base, "{who}");
        assert_eq!(count(client, "other"), self.others, "{who}");
        let found = count(client, "sleeper");
        match self.sleepers {
            Some(expected) => assert_eq!(found, expected, "{who}"),
            None => assert!(
                [0, SLEEPERS].contains(&found),
                "{who}: half a batch, {found}"
            ),
        }
    }
}

#[track_caller]
fn count(client: &Client, owner: &str) -> u64 {
    let filter = format!("owner:{owner}");
    let answer = client.search(&[("filter", &filter), ("limit", "0")]);
    answer["count"].as_u64().unwrap()
}

/// A batch of documents whose text hardly shrinks.
fn batch(owner: &str, keys: std::ops::Range<u64>) -> String {
    let mut random = fastrand::Rng::with_seed(418);
    let documents: Vec<_> = keys
        .map(|number| {
            let mut word = || -> String { (0..8).map(|_| random.alphanumeric()).collect() };
            let words: Vec<String> = (0..60).map(|_| word()).collect();
            let key = format!("{owner}-{number}");
            json!({"unique_key": key, "owner": owner, "content": words.join(" ")})
        })
        .collect();
    json!(documents).to_string()
}

#[track_caller]
fn post(client: &Client, body: &str) {
    let answer = client.post("/documents", body);
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn quick(launch: Launch<'_>) -> Launch<'_> {
    launch.overtake_after(OVERTAKE_AFTER).retention(RETENTION)
}

fn next_writer(cluster: &Cluster) -> Server {
    let writer = quick(cluster.writer());
    writer.maintenance_interval(MAINTENANCE_INTERVAL).start()
}

/// A file of the index: its folder and its name, which is not used twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct File(&'static str, String);

impl File {
    fn is_manifest(&self) -> bool {
        self.0 == "manifests"
    }

    /// Whether it makes a manifest a version.
    fn is_link(&self) -> bool {
        self.is_manifest() && !self.1.contains('-')
    }
}

fn files(cluster: &Cluster) -> BTreeSet<File> {
    let of = |folder| {
        let names = cluster.names(folder).into_iter();
        names.map(move |name| File(folder, name))
    };
    let folders = ["manifests", "bundles"];
    folders.into_iter().flat_map(of).collect()
}

/// A writer in the middle of a commit, and its client.
struct Sleeper {
    server: Server,
    asked: JoinHandle<Result<Answer, Unanswered>>,
}

/// Those who go on: another writer, and a reader that was there before.
struct Scene {
    cluster: Cluster,
    other: Server,
    warm: Server,
    acknowledged: Acknowledged,
    /// What must be collected in the end: what the sleeper knows, and what it made for nothing.
    garbage: BTreeSet<File>,
}

impl Scene {
    fn new(step: &str) -> (Self, Sleeper) {
        let cluster = Cluster::new();
        let other = next_writer(&cluster);
        post(&other, &batch("base", 0..BASE));
        let acknowledged = Acknowledged {
            base: BASE,
            ..Acknowledged::default()
        };
        let warm = cluster.reader().start();
        acknowledged.seen_by("a reader before", &warm);
        let before = files(&cluster);

        // It does nothing by itself, so that it stops in the commit that it is asked for.
        let sleeper = quick(cluster.writer()).maintenance_interval(Duration::ZERO);
        let mut server = sleeper.stop_at(step).start();
        let client = server.client();
        let body = batch("sleeper", 0..SLEEPERS);
        let asked = thread::spawn(move || client.try_post("/documents", &body));
        server.wait_until_stopped();
        let left: BTreeSet<File> = files(&cluster).difference(&before).cloned().collect();
        println!("{step}: it has left {left:?}");

        // A version that exists is part of the history, whoever made it.
        let published = left.iter().any(File::is_link);
        assert_eq!(published, ["before-mark", "before-head"].contains(&step));
        let mut garbage = if published { BTreeSet::new() } else { left };
        garbage.extend(before.into_iter().filter(File::is_manifest));
        let scene = Self {
            cluster,
            other,
            warm,
            acknowledged,
            garbage,
        };
        (scene, Sleeper { server, asked })
    }

    /// Everybody finds what was acknowledged: the reader that was there before, one that starts now,
    /// and the other writer.
    #[track_caller]
    fn look(&self, when: &str) {
        let sees = |who: &str, client: &Client| {
            self.acknowledged.seen_by(&format!("{who} {when}"), client);
        };
        sees("the warm reader", &self.warm);
        sees("a cold reader", &self.cluster.reader().start());
        sees("the other writer", &self.other);
    }

    /// The other writer adds a document and takes away one that was there before.
    #[track_caller]
    fn go_on(&mut self) {
        let number = self.acknowledged.others;
        self.add(&self.other.client());
        let body = json!([format!("base-{number}")]).to_string();
        let answer = self.other.post("/documents/delete", &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["deleted"], 1, "{answer:?}");
        self.acknowledged.base -= 1;
        self.acknowledged.seen_by("the warm reader", &self.warm);
    }

    #[track_caller]
    fn add(&mut self, writer: &Client) {
        let number = self.acknowledged.others;
        post(writer, &batch("other", number..number + 1));
        self.acknowledged.others += 1;
    }

    /// The others go on until the garbage is gone.
    #[track_caller]
    fn go_on_until_it_is_collected(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let there = files(&self.cluster);
            let there: Vec<_> = there.intersection(&self.garbage).collect();
            if there.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "is not collected: {there:?}");
            if self.acknowledged.base > 1 {
                self.go_on();
            }
            thread::sleep(MAINTENANCE_INTERVAL / 2);
        }
    }

    #[track_caller]
    fn end(self) {
        self.other.end();
        self.warm.end();
        self.cluster.check();
    }
}

fn sleeps(step: &str) {
    let (mut scene, Sleeper { server, asked }) = Scene::new(step);
    scene.go_on();
    scene.look("while the first writer sleeps");
    scene.go_on_until_it_is_collected();
    scene.look("before the awakening");

    server.go_on();
    eventually("the sleeper's client is answered", PATIENCE, || {
        let warm = "the warm reader at the awakening";
        scene.acknowledged.seen_by(warm, &scene.warm);
        asked.is_finished().then_some(())
    });
    // What the sleeper wrote last must not mislead those who start now.
    scene.look("after the awakening");
    let answer = asked.join().unwrap();
    let answer = answer.unwrap_or_else(|error| panic!("the sleeper did not answer: {error:?}"));
    println!("{step}: the client was answered {}", answer.status);
    match answer.status {
        200 => scene.acknowledged.sleepers = Some(SLEEPERS),
        202 => {
            let url = answer.body["status_url"].as_str().unwrap();
            eventually("the sleeper's batch is applied", PATIENCE, || {
                (scene.other.get(url).body["state"] == "applied").then_some(())
            });
            scene.acknowledged.sleepers = Some(SLEEPERS);
        }
        status => assert!(status >= 400, "{answer:?}"),
    }
    scene.acknowledged.seen_by("the sleeper", &server);

    scene.add(&server.client());
    // Whether the batch went in is settled with the next version.
    scene.acknowledged.sleepers = Some(count(&server, "sleeper"));
    scene.look("after the sleeper's next commit");
    scene.add(&scene.other.client());
    scene.look("after the other's next commit");
    scene.acknowledged.seen_by("the sleeper", &server);
    server.end();
    scene.end();
}

fn is_killed(step: &str) {
    let (mut scene, Sleeper { server, asked }) = Scene::new(step);
    server.kill();
    let answer = asked.join().unwrap();
    assert!(answer.is_err(), "the dead has answered: {answer:?}");
    scene.look("after the death");

    // One that knows nothing of what went before.
    let next = next_writer(&scene.cluster);
    mem::replace(&mut scene.other, next).end();
    scene.go_on();
    scene.acknowledged.sleepers = Some(count(&scene.other, "sleeper"));
    scene.look("after the next writer's first commit");
    scene.go_on_until_it_is_collected();
    scene.look("after all");
    scene.end();
}

/// A batch that was only made durable, and a writer that is killed at `step` of its commit.
fn dies_with_a_batch(step: &str) -> Cluster {
    let cluster = Cluster::new();
    let writer = quick(cluster.writer()).maintenance_interval(Duration::ZERO);
    let mut writer = writer.stop_at(step).start();
    let answer = writer.post("/documents?wait=durable", &batch("sleeper", 0..SLEEPERS));
    assert_eq!(answer.status, 202, "{answer:?}");
    writer.wait_until_stopped();
    writer.kill();
    assert_eq!(cluster.names("inbox").len(), 1);
    cluster
}

/// Nobody posts any more, so that only the upkeep can do it.
#[track_caller]
fn upkeep_empties_the_inbox(cluster: &Cluster, found: u64) {
    let writer = next_writer(cluster);
    eventually("the inbox is empty", PATIENCE, || {
        cluster.names("inbox").is_empty().then_some(())
    });
    assert_eq!(count(&writer, "sleeper"), found);
    writer.end();
    cluster.check();
}

#[test]
fn a_batch_that_was_not_applied_is_applied_by_the_next_writer() {
    let cluster = dies_with_a_batch("before-bundle");
    upkeep_empties_the_inbox(&cluster, SLEEPERS);
}

#[test]
fn a_batch_that_was_applied_and_not_removed_is_removed_by_the_next_writer() {
    let cluster = dies_with_a_batch("before-head");
    upkeep_empties_the_inbox(&cluster, SLEEPERS);
}

#[test]
fn a_batch_that_was_never_whole_is_in_nobodys_way() {
    let cluster = dies_with_a_batch("before-bundle");
    let name = &cluster.names("inbox")[0];
    let path = cluster.index().join("inbox").join(name);
    let file = fs::File::options().write(true).open(path);
    file.unwrap().set_len(1000).unwrap();
    cluster.age_inbox();
    upkeep_empties_the_inbox(&cluster, 0);
}
