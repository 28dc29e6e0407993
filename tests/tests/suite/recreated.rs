//! A server that is frozen, or killed, while it creates or deletes an index. Others delete the index, create it again
//! and fill it: what they have acknowledged stays, whatever the server does when it wakes up.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use aquifer_tests::{Answer, Client, Cluster, Server, Unanswered, eventually};
use serde_json::json;

/// How long a silent lock holder is waited for.
const OVERTAKE_AFTER: Duration = Duration::from_secs(1);
/// Bounds what must happen at all; how fast it happens is not tested.
const PATIENCE: Duration = Duration::from_secs(300);
/// The index that everybody wants.
const INDEX: &str = "/indexes/wanted";
/// Documents that are acknowledged by the new index.
const NEW: u64 = 20;

#[test]
fn sleeps_before_a_new_index_has_its_name() {
    sleeps("before-name");
}

#[test]
fn sleeps_before_its_deletion_exists() {
    sleeps("before-link");
}

#[test]
fn sleeps_before_its_deletion_is_marked() {
    sleeps("before-mark");
}

#[test]
fn sleeps_before_it_removes_the_files() {
    sleeps("before-remove");
}

#[test]
fn sleeps_before_it_frees_the_name() {
    sleeps("before-free");
}

#[test]
fn is_killed_before_a_new_index_has_its_name() {
    is_killed("before-name");
}

#[test]
fn is_killed_before_its_deletion_is_marked() {
    is_killed("before-mark");
}

#[test]
fn is_killed_before_it_removes_the_files() {
    is_killed("before-remove");
}

#[test]
fn is_killed_before_it_frees_the_name() {
    is_killed("before-free");
}

/// A server that has stopped, and what it was asked.
struct Sleeper {
    server: Server,
    asked: JoinHandle<Result<Answer, Unanswered>>,
}

/// Those who go on.
struct Scene {
    cluster: Cluster,
    other: Server,
    /// A reader that has the first index open.
    warm: Server,
}

impl Scene {
    fn new(step: &str) -> (Self, Sleeper) {
        let cluster = Cluster::new();
        let other = cluster.writer().overtake_after(OVERTAKE_AFTER).start();
        let sleeper = cluster.writer().overtake_after(OVERTAKE_AFTER);
        let sleeper = sleeper.maintenance_interval(Duration::ZERO);
        let mut server = sleeper.stop_at(step).start();
        let client = server.client();
        let warm = cluster.reader().start();
        let asked = if step == "before-name" {
            thread::spawn(move || client.try_put(INDEX))
        } else {
            other.create_index("wanted");
            post(&other, "old", 3);
            for server in [&server, &warm] {
                assert_eq!(count(server, "old"), 3);
            }
            thread::spawn(move || client.try_delete(INDEX))
        };
        server.wait_until_stopped();
        let scene = Self {
            cluster,
            other,
            warm,
        };
        (scene, Sleeper { server, asked })
    }

    /// The index is deleted, if it is still there, created again, and filled.
    #[track_caller]
    fn create_again(&self) {
        let deleted = self.other.try_delete(INDEX).unwrap();
        assert!([204, 404].contains(&deleted.status), "{deleted:?}");
        let created = self.other.try_put(INDEX).unwrap();
        assert_eq!(created.status, 201, "{created:?}");
        post(&self.other, "new", NEW);
    }

    #[track_caller]
    fn look(&self, when: &str) {
        let cold = self.cluster.reader().start();
        for server in [&self.other, &self.warm, &cold] {
            assert_eq!(
                (count(server, "new"), count(server, "old")),
                (NEW, 0),
                "{when}"
            );
        }
        cold.end();
    }

    fn end(self) {
        self.look("in the end");
        self.other.end();
        self.warm.end();
        let checked = self.cluster.run(&["check", "--index", "wanted"]);
        assert_eq!(checked.code, Some(0), "{}{}", checked.out, checked.err);
    }
}

#[track_caller]
fn post(client: &Client, owner: &str, documents: u64) {
    let keys = (0..documents).map(|number| format!("{owner}-{number}"));
    let documents: Vec<_> = keys
        .map(|key| json!({"unique_key": key, "owner": owner}))
        .collect();
    let path = format!("{INDEX}/documents");
    let answer = client.post(&path, &json!(documents).to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[track_caller]
fn count(client: &Client, owner: &str) -> u64 {
    let path = format!("{INDEX}/search");
    let filter = format!("owner:{owner}");
    let answer = client.try_get(&path, &[("filter", &filter), ("limit", "0")]);
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["count"].as_u64().unwrap()
}

fn sleeps(step: &str) {
    let (scene, Sleeper { server, asked }) = Scene::new(step);
    scene.create_again();
    scene.look("while the server sleeps");
    server.go_on();
    eventually("the server answers", PATIENCE, || {
        asked.is_finished().then_some(())
    });
    let answer = asked.join().unwrap().unwrap();
    println!("{step}: the server answers {}", answer.status);
    let honest: &[u16] = match step {
        "before-name" => &[200],
        // It deleted the first index, or found that it is gone.
        _ => &[204, 404],
    };
    // Having slept for longer than a request may take, it may say that it does not know.
    let honest = honest.contains(&answer.status) || answer.status >= 500;
    assert!(honest, "{step}: {answer:?}");
    scene.look("after the awakening");
    assert_eq!(count(&server, "new"), NEW, "{step}: the server itself");
    server.end();
    scene.end();
}

fn is_killed(step: &str) {
    let (scene, Sleeper { server, asked }) = Scene::new(step);
    server.kill();
    assert!(asked.join().unwrap().is_err(), "the dead has answered");
    scene.create_again();
    scene.end();
}
