//! A server keeps to its descriptors and threads, whatever the number of indexes, segments and requests; and what fails
//! in its maintenance keeps nothing else from being done.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use aquifer_indexer::config::Config;
use aquifer_indexer::document::Document;
use aquifer_indexer::index::{Aquifer, Batch, Index, Operation, Outcome, Wait};
use aquifer_indexer::mapping::Definition;
use aquifer_indexer::reindex::ReindexRequest;

use crate::Place;
use crate::serve::Server;

/// Threads that wait for files, as the library names and bounds them.
const IO_THREADS_MAX: usize = 64;
/// Threads that drain.
const DRAIN_THREADS_MAX: usize = 2;

/// Looks until `done`.
fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !done() {
        assert!(Instant::now() < end, "{what}: it does not come");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The program with a limit of open files.
fn limited(place: &Place, files: usize, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {files} && exec \"$@\"");
    command
        .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_aquifer")])
        .args(arguments)
        .current_dir(place.path("."))
        .env("AQUIFER_ROOT", place.path("root"))
        .env_remove("AQUIFER_SOURCES")
        .env_remove("PORT")
        .env("RUST_LOG", "info,aquifer::serve::maintenance=debug")
        .stdin(Stdio::null());
    command
}

fn serve(place: &Place, files: usize, arguments: &[&str]) -> (Server, PathBuf) {
    let log = place.path("server.log");
    let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
    let command = limited(place, files, &arguments);
    (Server::start_logging(command, &log), log)
}

/// The most of what a process had of each, looked at again and again while `work` is done.
#[derive(Debug, Default)]
struct Most {
    descriptors: AtomicUsize,
    io: AtomicUsize,
    drain: AtomicUsize,
    threads: AtomicUsize,
}

impl Most {
    fn look(&self, process: u32) {
        let entries = |what: &str| {
            let entries = fs::read_dir(format!("/proc/{process}/{what}"));
            entries.map_or_else(|_| Vec::new(), |entries| entries.flatten().collect())
        };
        let descriptors = entries("fd").len();
        self.descriptors.fetch_max(descriptors, Ordering::SeqCst);
        let tasks = entries("task").into_iter();
        let names: Vec<String> = tasks
            .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok())
            .map(|name| name.trim().to_owned())
            .collect();
        let named = |prefix: &str| names.iter().filter(|name| name.starts_with(prefix)).count();
        self.threads.fetch_max(names.len(), Ordering::SeqCst);
        self.io.fetch_max(named("aquifer-io"), Ordering::SeqCst);
        self.drain.fetch_max(named("drain"), Ordering::SeqCst);
    }

    fn while_doing<T>(process: u32, work: impl FnOnce() -> T) -> (T, Self) {
        let (most, ended) = (Self::default(), AtomicBool::new(false));
        let done = thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::SeqCst) {
                    most.look(process);
                    thread::sleep(Duration::from_millis(3));
                }
            });
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            ended.store(true, Ordering::SeqCst);
            done
        });
        match done {
            Ok(done) => (done, most),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    fn assert_threads(&self) {
        println!("at most {self:?}");
        assert!(self.io.load(Ordering::SeqCst) <= IO_THREADS_MAX, "{self:?}");
        assert!(
            self.drain.load(Ordering::SeqCst) <= DRAIN_THREADS_MAX,
            "{self:?}"
        );
    }
}

#[test]
fn hundreds_of_durable_posts_share_threads_and_commits() {
    const CLIENTS: usize = 16;
    const EACH: usize = 20;
    let place = Place::new();
    // Its log goes to a file: a pipe that nobody reads would stop it.
    let (server, _) = serve(&place, 1024, &[]);
    let before = server.get("/stats")["version"].as_u64().unwrap();
    let ((), most) = Most::while_doing(server.process(), || {
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let server = &server;
                scope.spawn(move || {
                    for number in 0..EACH {
                        let document = format!(r#"{{"unique_key":"{client}-{number}"}}"#);
                        let (status, answer) = server.post("/documents?wait=durable", &document);
                        assert_eq!(status, 202, "{answer}");
                    }
                });
            }
            // Meanwhile whoever waits is answered.
            for number in 0..5 {
                let document = format!(r#"{{"unique_key":"plain-{number}"}}"#);
                let (status, answer) = server.post("/documents", &document);
                assert_eq!(status, 200, "{answer}");
            }
        });
    });
    most.assert_threads();
    until("the inbox is empty", || server.get("/stats")["inbox"] == 0);
    assert_eq!(server.get("/search")["count"], CLIENTS * EACH + 5);
    let commits = server.get("/stats")["version"].as_u64().unwrap() - before;
    println!("{commits} commits for {} posts", CLIENTS * EACH + 5);
    assert!(commits <= (CLIENTS * EACH / 3) as u64, "{commits} commits");
}

/// Rounds of maintenance that the log tells of.
fn rounds(log: &Path) -> usize {
    let text = fs::read_to_string(log).unwrap();
    text.lines()
        .filter(|line| line.contains("\"collected\"") || line.contains("collected="))
        .count()
}

#[test]
fn six_hundred_indexes_are_served_with_128_descriptors_and_then_left_alone() {
    const INDEXES: usize = 600;
    const FILES: usize = 128;
    let place = Place::in_memory();
    let root = Aquifer::open(place.path("root"), Config::default()).unwrap();
    let names: Vec<String> = (0..INDEXES).map(|number| format!("i{number:03}")).collect();
    for name in &names {
        root.create_index(name, &Definition::default()).unwrap();
    }
    drop(root);
    let (server, log) = serve(&place, FILES, &["--maintenance-interval", "200ms"]);
    let (_, most) = Most::while_doing(server.process(), || {
        thread::scope(|scope| {
            for client in 0..6 {
                let (server, names) = (&server, &names);
                scope.spawn(move || {
                    for name in names.iter().skip(client).step_by(6) {
                        let found = server.get(&format!("/indexes/{name}/search"));
                        assert_eq!(found["count"], 0, "{name}: {found}");
                    }
                });
            }
        });
        for name in names.iter().step_by(60) {
            let path = format!("/indexes/{name}/documents");
            let (status, answer) = server.post(&path, r#"{"unique_key":"k"}"#);
            assert_eq!(status, 200, "{answer}");
        }
        let listed = server.get("/indexes");
        assert_eq!(listed["indexes"].as_array().unwrap().len(), INDEXES + 1);
        // Each is tidied twice: when it is seen first, and once more to be sure.
        until("all are tidied", || rounds(&log) >= 2 * (INDEXES + 1));
    });
    most.assert_threads();
    let short = fs::read_to_string(&log).unwrap();
    assert!(!short.contains("os error 24"), "descriptors ran out");
    // What was posted to is tidied a few times more, and then nothing is, though all are visited.
    thread::sleep(Duration::from_secs(3));
    let settled = rounds(&log);
    assert!(settled <= 2 * (INDEXES + 1) + 4 * 11, "{settled} rounds");
    let stamps = |name: &str| {
        let folder = place.path(&format!("root/{name}/jobs"));
        fs::metadata(folder).unwrap().modified().unwrap()
    };
    let before: Vec<SystemTime> = names.iter().map(|name| stamps(name)).collect();
    thread::sleep(Duration::from_secs(1));
    let after: Vec<SystemTime> = names.iter().map(|name| stamps(name)).collect();
    assert_eq!(before, after, "a file was made in an idle index");
    assert_eq!(rounds(&log), settled);
    assert_eq!(server.get("/indexes/i001/search")["count"], 0);
}

/// Documents of words that hardly compress.
fn wide(index: &Index, key: usize, words: u64) -> Operation {
    let mut state = key as u64 + 1;
    let mut text = String::new();
    for _ in 0..words {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("w{:x} ", state >> 40));
    }
    text.push_str("needle");
    let json = serde_json::json!({"unique_key": key.to_string(), "content": text}).to_string();
    Operation::Upsert(Document::parse(&json, &index.schema().unwrap()).unwrap())
}

fn fill(index: &Index, posts: usize, words: u64) {
    for key in 0..posts {
        let operations = vec![wide(index, key, words)];
        let end = Instant::now() + Duration::from_secs(120);
        let outcome = index.submit(Batch { operations }, Wait::Visible, end);
        assert!(matches!(outcome.unwrap(), Outcome::Applied { .. }));
    }
}

#[test]
fn everything_works_with_64_descriptors() {
    const FILES: usize = 64;
    const SEGMENTS: usize = 72;
    const OTHERS: usize = 6;
    let place = Place::in_memory();
    let root = Aquifer::open(place.path("root"), Config::default()).unwrap();
    let names: Vec<String> = (0..OTHERS)
        .map(|number| format!("other-{number}"))
        .collect();
    for (name, posts, words) in [("default", SEGMENTS, 24_000)]
        .into_iter()
        .chain(names.iter().map(|name| (name.as_str(), 6, 12_000)))
    {
        root.create_index(name, &Definition::default()).unwrap();
        fill(&root.index(name).unwrap(), posts, words);
    }
    let stats = root.index("default").unwrap().stats().unwrap();
    println!("{} segments in {} files", stats.segments, stats.containers);
    // More than stay open together.
    assert!(stats.containers > 10, "{stats:?}");
    drop(root);

    let (server, log) = serve(
        &place,
        FILES,
        &["--maintenance-interval", "1h", "--retention", "0s"],
    );
    let (_, most) = Most::while_doing(server.process(), || {
        thread::scope(|scope| {
            for client in 0..6_usize {
                let (server, names) = (&server, &names);
                scope.spawn(move || {
                    for turn in 0..4 {
                        let found = server.get("/search?q=needle&limit=100&fields=title");
                        assert!(
                            found["count"].as_u64().unwrap() >= SEGMENTS as u64,
                            "{found}"
                        );
                        let other = &names[(client + turn) % OTHERS];
                        let found = server.get(&format!("/indexes/{other}/search?q=needle"));
                        assert!(found["count"].as_u64().unwrap() >= 6, "{found}");
                        let document =
                            format!(r#"{{"unique_key":"{client}-{turn}","content":"needle"}}"#);
                        let (status, answer) = server.post("/documents", &document);
                        assert_eq!(status, 200, "{answer}");
                    }
                });
            }
        });
    });
    most.assert_threads();
    assert!(most.descriptors.load(Ordering::SeqCst) <= FILES);
    let (code, _) = server.stop();
    assert_eq!(code, Some(0), "{}", fs::read_to_string(&log).unwrap());

    let lines: String = (0..3000)
        .map(|number| format!("{{\"unique_key\":\"imported-{number}\",\"content\":\"needle\"}}\n"))
        .collect();
    let file = place.write("documents.ndjson", lines);
    let succeed = |arguments: &[&str]| {
        let output = limited(&place, FILES, arguments).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
    };
    succeed(&["import", file.to_str().unwrap()]);
    succeed(&["merge"]);
    succeed(&["reindex"]);
    succeed(&["gc", "--retention", "0s"]);
    succeed(&["check"]);
    succeed(&["search", "needle"]);
}

#[test]
fn what_fails_in_the_maintenance_of_an_index_keeps_nothing_else_from_being_done() {
    let place = Place::new();
    let root = Aquifer::open(place.path("root"), Config::default()).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(24 * 3600);
    let mut orphans = Vec::new();
    for name in ["a-bad", "b-good"] {
        root.create_index(name, &Definition::default()).unwrap();
        fill(&root.index(name).unwrap(), 2, 100);
        // What a crash has left.
        let orphan = place.path(&format!("root/{name}/bundles/7-{:032x}.bundle", 7));
        fs::write(&orphan, "nobody knows it").unwrap();
        let file = fs::File::options().write(true).open(&orphan).unwrap();
        file.set_modified(long_ago).unwrap();
        orphans.push(orphan);
    }
    // A job whose source this server may not read, so that every step of it fails.
    let request = ReindexRequest {
        source: Some("documents/".to_owned()),
        ..ReindexRequest::default()
    };
    let soon = Instant::now() + Duration::from_secs(60);
    let bad = root.index("a-bad").unwrap();
    bad.start_reindex(&request, soon).unwrap();
    drop((bad, root));
    let (server, log) = serve(&place, 1024, &["--maintenance-interval", "100ms"]);
    until("garbage is collected", || {
        orphans.iter().all(|orphan| !orphan.exists())
    });
    let failed = || -> Vec<String> {
        let log = fs::read_to_string(&log).unwrap();
        let failed = log
            .lines()
            .filter(|line| line.contains("maintenance failed"));
        failed.map(str::to_owned).collect()
    };
    until("the job's step fails", || !failed().is_empty());
    drop(server);
    for line in failed() {
        assert!(
            line.contains("a-bad") && line.contains("working on a job"),
            "{line}"
        );
    }
}
