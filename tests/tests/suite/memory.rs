//! The programs and the functions within 128, 256 and 512 MiB, enforced, on the real documents.
//!
//! The limits are those of a function. What is asserted is that nothing is killed and that the work is done; the most
//! that was used is printed.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use aquifer_tests::local_lambda::{Front, LocalLambda, REINDEX, Refused, Routes, Trio, fetched};
use aquifer_tests::{Client, Cluster, Confined, eventually, within};
use serde_json::{Value, json};

/// Documents where there are no real ones.
const MADE_UP: usize = 60_000;
const WORDS: usize = 120;
/// Documents that are imported at once: each import leaves segments of its own.
const PART: usize = 9_000;
/// Searches that a reader answers.
const SEARCHES: usize = 300;
/// Batches that a writer takes, and their bytes.
const BATCHES: usize = 10;
const BATCH_BYTES: usize = 4_500_000;
const LARGE_BATCH_BYTES: usize = 5_800_000;
/// Invocations in which a job has to end.
const INVOCATIONS: usize = 20;
/// Bounds what must happen at all.
const PATIENCE: Duration = Duration::from_secs(300);

/// The documents as NDJSON, one a line.
fn documents() -> &'static Path {
    static FILE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = FILE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        if let Some(data) = std::env::var_os("AQUIFER_TEST_DATA") {
            return (folder, PathBuf::from(data).join("en.ndjson.zst"));
        }
        println!("AQUIFER_TEST_DATA is not set: {MADE_UP} made-up documents instead of real ones");
        let path = folder.path().join("documents.ndjson");
        std::fs::write(&path, (0..MADE_UP).map(made_up).collect::<String>()).unwrap();
        (folder, path)
    });
    path
}

fn made_up(number: usize) -> String {
    let mut text = String::new();
    for word in 0..WORDS {
        let rank = (number * 7919 + word * word * 31) % (1 << (word % 16));
        write!(text, "word{rank} ").unwrap();
    }
    let key = format!("made-up-{number}");
    json!({"unique_key": key, "lang": "en", "title": key, "content": text}).to_string() + "\n"
}

fn lines() -> impl Iterator<Item = String> {
    let file = std::fs::File::open(documents()).unwrap();
    let reader: Box<dyn std::io::Read> = match documents().extension() {
        Some(extension) if extension == "zst" => Box::new(zstd::Decoder::new(file).unwrap()),
        _ => Box::new(file),
    };
    BufReader::new(reader).lines().map(|line| line.unwrap())
}

/// The index of all documents, in one segment or more for each part that was imported; made once.
fn imported() -> &'static Cluster {
    static IMPORTED: OnceLock<Cluster> = OnceLock::new();
    IMPORTED.get_or_init(|| {
        let cluster = Cluster::new();
        std::fs::create_dir_all(cluster.scratch()).unwrap();
        let path = cluster.scratch().join("part.ndjson");
        let mut lines = lines().peekable();
        while lines.peek().is_some() {
            let part: Vec<String> = lines.by_ref().take(PART).collect();
            std::fs::write(&path, part.join("\n")).unwrap();
            let ended = cluster.run(&["import", &path.display().to_string()]);
            assert_eq!(ended.code, Some(0), "{ended:?}");
        }
        assert!(segments(&cluster) >= 4, "there is something to merge");
        cluster
    })
}

/// A cluster with that index.
fn cluster() -> Cluster {
    let cluster = Cluster::new();
    let copied = Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .arg(imported().root().join("."))
        .arg(cluster.root())
        .status();
    assert!(copied.unwrap().success());
    cluster
}

/// The functions on the folder of a cluster, each within the limit; without the emulator there is nothing to run them.
fn functions(cluster: &Cluster, confined: &Confined, mib: u32, trio: Trio) -> Option<LocalLambda> {
    std::fs::create_dir_all(cluster.root()).unwrap();
    let emulator = match fetched() {
        Ok(emulator) => emulator,
        Err(missing) => {
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            println!("the functions cannot be run here, the program does it instead: {missing}");
            return None;
        }
    };
    let specs = trio
        .specs(&cluster.root(), &cluster.logs())
        .map(|mut spec| {
            spec.program = confined.program(&spec.program);
            spec.memory_mib = mib;
            spec
        });
    let pause = trio.retry_pause;
    Some(LocalLambda::start(&emulator, specs.into(), pause))
}

fn door(lambda: &LocalLambda) -> Client {
    let routes: Routes = Trio::routes();
    let free = "127.0.0.1:0".parse().unwrap();
    let front = Front::HttpApi { stage: None };
    Client::new(&lambda.open(front, routes, free).unwrap())
}

/// Nothing was killed; prints the most that was used.
#[track_caller]
fn check_limit(confined: &Confined, mib: u32, what: &str) {
    let peak = confined.peak_bytes().map(|bytes| bytes >> 20);
    println!("{what} in {mib} MiB: {peak:?} MiB at the most");
    assert_eq!(confined.kills(), 0, "{what} was killed in {mib} MiB");
}

fn segments(cluster: &Cluster) -> u64 {
    let stats = cluster.run(&["stats", "--json"]);
    let stats: Value = serde_json::from_str(&stats.out).unwrap();
    stats["segments"].as_u64().unwrap()
}

fn count(cluster: &Cluster) -> u64 {
    let stats = cluster.run(&["stats", "--json"]);
    let stats: Value = serde_json::from_str(&stats.out).unwrap();
    stats["documents"].as_u64().unwrap()
}

fn check_search(mib: u32) {
    let cluster = cluster();
    let confined = Confined::new(mib.into());
    let Some(lambda) = functions(&cluster, &confined, mib, Trio::default()) else {
        return check_search_of_a_server(cluster, &confined, mib);
    };
    search_much(&door(&lambda));
    assert_eq!(lambda.tally(aquifer_tests::local_lambda::READS).failed, 0);
    check_limit(&confined, mib, "the search function");
}

fn check_search_of_a_server(mut cluster: Cluster, confined: &Confined, mib: u32) {
    cluster.confine(confined);
    cluster.set_variable("AQUIFER_MEMORY_MIB", &mib.to_string());
    let server = cluster.reader().start();
    search_much(&server.client());
    server.end();
    check_limit(confined, mib, "a reader");
}

fn search_much(client: &Client) {
    let titles = lines().step_by(97).filter_map(|line| {
        let document: Value = serde_json::from_str(&line).ok()?;
        Some(document["title"].as_str()?.to_owned())
    });
    let mut found = 0;
    for title in titles.take(SEARCHES) {
        let words: Vec<&str> = title.split_whitespace().take(4).collect();
        let words = words.join(" ").replace(|c: char| !c.is_alphanumeric(), " ");
        let answer = client.search(&[("q", words.trim()), ("limit", "10")]);
        found += answer["count"].as_u64().unwrap_or(0);
    }
    assert!(found > 0, "nothing was ever found");
}

fn check_writer(mib: u32) {
    let mut cluster = Cluster::new();
    let confined = Confined::new(mib.into());
    match functions(&cluster, &confined, mib, Trio::default()) {
        Some(lambda) => {
            post_much(&door(&lambda));
            assert_eq!(lambda.tally(aquifer_tests::local_lambda::WRITES).failed, 0);
        }
        None => {
            cluster.confine(&confined);
            cluster.set_variable("AQUIFER_MEMORY_MIB", &mib.to_string());
            let server = cluster.writer().start();
            post_much(&server.client());
            server.end();
            cluster.set_free();
        }
    }
    check_limit(&confined, mib, "the writer");
    cluster.check();
}

/// Batches of 4.5 MB and, last, of nearly 6.
fn post_much(client: &Client) {
    let mut lines = lines();
    for batch in 0..BATCHES {
        let large = batch + 2 >= BATCHES;
        let bytes = if large {
            LARGE_BATCH_BYTES
        } else {
            BATCH_BYTES
        };
        let mut body = String::from("[");
        while body.len() < bytes {
            // They end where the documents do: posted again, they are replaced.
            let Some(line) = lines.next() else { break };
            if body.len() > 1 {
                body.push(',');
            }
            body.push_str(&line);
        }
        body.push(']');
        let answer = client.post("/documents", &body);
        assert_eq!(answer.status, 200, "batch {batch}: {}", answer.text);
    }
}

fn check_schedule(mib: u32) {
    let mut cluster = cluster();
    let (before, documents) = (segments(&cluster), count(&cluster));
    let confined = Confined::new(mib.into());
    match functions(&cluster, &confined, mib, Trio::default()) {
        Some(lambda) => {
            for task in ["merge", "compact"] {
                invoke(&lambda, &json!({"indexes": ["default"], "tasks": [task]}));
            }
        }
        None => {
            cluster.confine(&confined);
            cluster.set_variable("AQUIFER_MEMORY_MIB", &mib.to_string());
            let ended = cluster.run(&["merge"]);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            cluster.set_free();
        }
    }
    check_limit(&confined, mib, "a schedule");
    let after = segments(&cluster);
    assert!(
        after == 1 || after < before,
        "{before} segments, then {after}"
    );
    assert_eq!(count(&cluster), documents);
    cluster.check();
}

#[track_caller]
fn invoke(lambda: &LocalLambda, order: &Value) -> Value {
    let order_text = order.to_string();
    let outcome = eventually("the order is taken", PATIENCE, || {
        match lambda.invoke(REINDEX, &order_text) {
            // The writer hands work over, and there is one environment.
            Err(Refused::Throttled) => None,
            outcome => Some(outcome.unwrap()),
        }
    });
    let text = String::from_utf8_lossy(&outcome.payload).into_owned();
    assert!(!outcome.failed, "{order}: {text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    for index in report["indexes"].as_array().unwrap() {
        assert!(index["failed"].is_null(), "{report}");
    }
    report
}

fn check_job(mib: u32) {
    let mut cluster = cluster();
    let documents = count(&cluster);
    let live = cluster.usage().1;
    let confined = Confined::new(mib.into());
    match functions(&cluster, &confined, mib, Trio::default()) {
        Some(lambda) => {
            let order = json!({"indexes": ["default"], "tasks": ["reindex"], "reindex": {}});
            let mut report = invoke(&lambda, &order);
            let ended = |report: &Value| report["indexes"][0]["job"]["state"] == "finished";
            let on = json!({"indexes": ["default"], "tasks": ["reindex"]});
            for _ in 0..INVOCATIONS {
                if ended(&report) {
                    break;
                }
                report = invoke(&lambda, &on);
            }
            let jobs = || cluster.run(&["reindex", "--status", "--json"]).out;
            let finished = within(PATIENCE, || jobs().contains("finished").then_some(()));
            assert!(finished.is_some(), "{report}");
        }
        None => {
            cluster.confine(&confined);
            cluster.set_variable("AQUIFER_MEMORY_MIB", &mib.to_string());
            let ended = cluster.run(&["reindex"]);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            cluster.set_free();
        }
    }
    check_limit(&confined, mib, "a job");
    assert_eq!(count(&cluster), documents);
    // The earlier lineage is kept for its readers; of the job's own steps nothing is left but the result.
    let after = cluster.usage().1;
    assert!(after < live * 5 / 2, "{live} bytes before, then {after}");
    cluster.check();
}

macro_rules! within_sizes {
    ($($name:ident: $check:ident($mib:literal);)*) => {
        $(#[test] fn $name() { $check($mib); })*
    };
}

within_sizes! {
    searches_in_128_mib: check_search(128);
    searches_in_256_mib: check_search(256);
    searches_in_512_mib: check_search(512);
    a_writer_in_128_mib: check_writer(128);
    a_writer_in_256_mib: check_writer(256);
    a_writer_in_512_mib: check_writer(512);
    a_schedule_in_128_mib: check_schedule(128);
    a_schedule_in_256_mib: check_schedule(256);
    a_schedule_in_512_mib: check_schedule(512);
    a_job_in_128_mib: check_job(128);
    a_job_in_256_mib: check_job(256);
    a_job_in_512_mib: check_job(512);
}

/// Every function does its work with 64 open files: a thousand are what Lambda allows, which no test could use up.
#[test]
fn functions_with_64_descriptors() {
    let cluster = cluster();
    let documents = count(&cluster);
    let confined = Confined::new(512).with_descriptors(64);
    let Some(lambda) = functions(&cluster, &confined, 512, Trio::default()) else {
        println!("what the program does with 64 descriptors is tested with the command line");
        return;
    };
    let client = door(&lambda);
    search_much(&client);
    // They replace documents that are there.
    post_much(&client);
    let tasks = ["drain", "merge", "compact", "collect", "verify"];
    invoke(&lambda, &json!({"indexes": ["default"], "tasks": tasks}));
    search_much(&client);
    for name in [
        aquifer_tests::local_lambda::READS,
        aquifer_tests::local_lambda::WRITES,
        REINDEX,
    ] {
        assert_eq!(lambda.tally(name).failed, 0, "{name}");
    }
    assert_eq!(count(&cluster), documents);
    cluster.check();
}

/// With little scratch disk a merge goes through the index's folder, and leaves nothing there.
#[test]
fn a_merge_with_64_mib_of_scratch_disk() {
    check_scratch("64");
}

/// With next to none it does as well.
#[test]
fn a_merge_with_1_mib_of_scratch_disk() {
    check_scratch("1");
}

fn check_scratch(mib: &str) {
    let mut cluster = cluster();
    let documents = count(&cluster);
    let confined = Confined::new(256);
    cluster.confine(&confined);
    cluster.set_variable("AQUIFER_MEMORY_MIB", "256");
    cluster.set_variable("AQUIFER_SCRATCH_MIB", mib);
    let temporary = cluster.scratch();
    std::fs::create_dir_all(&temporary).unwrap();
    cluster.set_variable("TMPDIR", &temporary.display().to_string());
    let ended = cluster.run(&["merge"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    cluster.set_free();
    check_limit(&confined, 256, "a merge with little scratch disk");
    assert!(segments(&cluster) <= 3);
    assert_eq!(count(&cluster), documents);
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0);
    if cluster.index().join("scratch").is_dir() {
        assert_eq!(cluster.names("scratch"), Vec::<String>::new());
    }
    cluster.check();
}

/// A merge that is killed leaves no scratch file, and the next is of half its size.
#[test]
fn a_merge_that_was_killed_leaves_nothing_and_is_made_smaller() {
    let mut cluster = cluster();
    let temporary = cluster.scratch();
    std::fs::create_dir_all(&temporary).unwrap();
    cluster.set_variable("TMPDIR", &temporary.display().to_string());
    cluster.set_variable("AQUIFER_MEMORY_MIB", "256");
    cluster.set_variable("RUST_LOG", "info");
    let mut merge = cluster.start(&["merge", "--stop-at", "before-bundle"]);
    let attempts = || {
        let names = std::fs::read_dir(cluster.index().join("attempts"));
        names.map_or(0, Iterator::count)
    };
    assert!(within(PATIENCE, || (attempts() == 1).then_some(())).is_some());
    merge.kill().unwrap();
    merge.wait().unwrap();
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    assert_eq!(attempts(), 1, "it is written down");
    let ended = cluster.run(&["merge"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("was killed before"), "{ended:?}");
    assert_eq!(attempts(), 1, "until it is a day old");
    cluster.check();
}
