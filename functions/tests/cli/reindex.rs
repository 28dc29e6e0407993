//! `aquifer reindex`, and a server that works on jobs.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::serve::Server;
use crate::{Place, text};

/// How long a test waits for what another process does.
const PATIENCE: Duration = Duration::from_secs(300);

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// An index with a document of its own.
fn filled() -> Place {
    let place = Place::new();
    let line = b"{\"unique_key\":\"old\",\"title\":\"Old\"}";
    place.run_with_input(&["import", "-"], line).succeeded();
    place
}

/// So many documents, one a line.
fn lines(count: usize) -> String {
    let line =
        |number| format!("{{\"unique_key\":\"k{number:05}\",\"title\":\"number {number}\"}}\n");
    (0..count).map(line).collect()
}

#[test]
fn an_index_is_built_anew_from_what_it_holds() {
    let place = filled();
    let definition = place.write("definition.json", r#"{"default_language": "ja"}"#);
    let ended = place.run(&["reindex", "--definition", text(&definition), "--json"]);
    assert!(ended.err.contains("started the job"), "{ended:?}");
    let status = json(&ended.succeeded());
    assert_eq!(
        (&status["state"], &status["documents"]),
        (&"finished".into(), &1.into())
    );
    assert_eq!(place.search(&["old"]), ["old"]);
    let jobs = json(&place.run(&["reindex", "--status", "--json"]).succeeded());
    assert_eq!(jobs["jobs"], serde_json::json!([status]));
    let id = status["id"].as_str().unwrap();
    let shown = place.run(&["reindex", "--status", id]).succeeded();
    assert!(shown.contains("finished"), "{shown}");
}

#[test]
fn a_source_replaces_what_the_index_holds() {
    let place = filled();
    place.write("folder/a.ndjson", lines(3));
    place.write(
        "folder/deep/one.json",
        r#"{"$schema": "x", "title": "One"}"#,
    );
    let folder = place.path("folder");
    place
        .run(&["reindex", "--source", text(&folder)])
        .succeeded();
    let mut keys = place.search(&[]);
    keys.sort();
    assert_eq!(keys, ["deep/one.json", "k00000", "k00001", "k00002"]);
    // By its path in the root folder, whatever the current folder is.
    place.write("root/_sources/b.jsonl", lines(1));
    place.run(&["reindex", "--source", "_sources"]).succeeded();
    assert_eq!(place.search(&[]), ["k00000"]);
    place.run(&["check"]).succeeded();
}

#[test]
fn a_job_that_fails_leaves_the_index_as_it_was() {
    let place = filled();
    place.write(
        "folder/a.ndjson",
        "{\"unique_key\":\"a\"}\n{\"no\":\"key\"}\n{\"unique_key\":\"c\",\"title\":{}}\n",
    );
    let folder = place.path("folder");
    let ended = place.run(&["reindex", "--source", text(&folder)]);
    assert!(ended.out.contains("failed"), "{ended:?}");
    let told = ended.failed();
    assert!(told.contains("the index stays as it was"), "{told}");
    assert!(told.contains("unique_key"), "{told}");
    assert_eq!(place.search(&[]), ["old"]);
    let missing = place.run(&["reindex", "--source", text(&place.path("missing"))]);
    assert!(missing.failed().contains("no such folder"));
    assert_eq!(place.search(&[]), ["old"]);
    let skipped = place.run(&[
        "reindex",
        "--source",
        text(&folder),
        "--skip-refused",
        "--json",
    ]);
    let status = json(&skipped.succeeded());
    assert_eq!(
        (&status["documents"], &status["refused"]),
        (&1.into(), &2.into())
    );
    let places = &status["refusals"];
    assert_eq!(places[0]["place"], "a.ndjson:2", "{places}");
    assert_eq!(places[1]["place"], "a.ndjson:3, document \"c\"", "{places}");
    assert_eq!(place.search(&[]), ["a"]);
    let wrong = place.run(&["reindex", "--source", "ftp://x/y"]).failed();
    assert!(wrong.contains("s3://BUCKET/PREFIX/"), "{wrong}");
}

#[test]
fn a_job_can_be_left_carried_on_and_cancelled() {
    let place = filled();
    place.write("folder/a.ndjson", lines(3));
    let folder = place.path("folder");
    let source = ["reindex", "--source", text(&folder), "--json"];
    let ended = place.run(&[&source[..], &["--within", "0"]].concat());
    assert!(ended.err.contains("`aquifer reindex` goes on"), "{ended:?}");
    let left = json(&ended.succeeded());
    assert_eq!(left["state"], "building");
    // Another source is another wish.
    let other = place.path("root");
    let told = place.run(&["reindex", "--source", text(&other)]).failed();
    assert!(told.contains("is running"), "{told}");
    let ended = place.run(&["reindex", "--json"]);
    assert!(ended.err.contains("which is running"), "{ended:?}");
    let finished = json(&ended.succeeded());
    assert_eq!(
        (&finished["id"], &finished["state"]),
        (&left["id"], &"finished".into())
    );
    let left = json(
        &place
            .run(&[&source[..], &["--within", "0"]].concat())
            .succeeded(),
    );
    let id = left["id"].as_str().unwrap();
    let cancelled = json(
        &place
            .run(&["reindex", "--cancel", id, "--json"])
            .succeeded(),
    );
    assert_eq!(cancelled["state"], "cancelled");
    let mut keys = place.search(&[]);
    keys.sort();
    assert_eq!(keys, ["k00000", "k00001", "k00002"]);
}

#[test]
fn ctrl_c_leaves_a_job_to_the_next() {
    let place = filled();
    place.write("folder/a.ndjson", lines(2_000));
    let folder = place.path("folder");
    // It stops itself in the middle of its first step, so that the signal finds it at work.
    let mut child = place
        .command(&[
            "reindex",
            "--source",
            text(&folder),
            "--stop-at",
            "before-bundle",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("started the job") {
        line.clear();
        assert!(err.read_line(&mut line).unwrap() > 0, "it ended: {child:?}");
    }
    let process = child.id().to_string();
    let signal = |name: &str| {
        let status = Command::new("kill").args([name, &process]).status();
        assert!(status.unwrap().success());
    };
    wait_until("it has stopped", || {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        status
            .lines()
            .any(|line| line.starts_with("State:") && line.contains("stopped"))
    });
    signal("-INT");
    signal("-CONT");
    let status = child.wait().unwrap();
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert_eq!(status.code(), Some(130), "{rest}");
    assert!(rest.contains("goes on from its last checkpoint"), "{rest}");
    assert_eq!(place.search(&[]), ["old"]);
    place.run(&["reindex"]).succeeded();
    let found = json(&place.run(&["search", "--json", "--limit", "1"]).succeeded());
    assert_eq!(found["count"], 2_000);
}

#[test]
fn a_server_works_on_the_jobs_of_its_indexes_at_once() {
    let place = filled();
    place.write("root/_sources/a.ndjson", lines(100));
    // Without the usual rounds: what is asked for is done all the same.
    let arguments = ["--maintenance-interval", "0", "--sources", "_sources"];
    let server = Server::start(&place, &arguments);
    let (status, refused) = server.post("/reindex", r#"{"source": "/etc"}"#);
    assert_eq!(status, 400, "{refused}");
    let (status, started) = server.post("/reindex", r#"{"source": "_sources"}"#);
    assert_eq!(status, 202, "{started}");
    let url = started["status_url"].as_str().unwrap();
    wait_until("the job has finished", || {
        let job = server.get(url);
        assert!(job["error"].is_null(), "{job}");
        job["state"] == "finished"
    });
    assert_eq!(server.get("/search?limit=0")["count"], 100);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("a job has ended"), "{log}");
}

#[test]
fn a_server_takes_up_a_job_that_somebody_has_left() {
    let place = filled();
    place.write("folder/a.ndjson", lines(3));
    let folder = place.path("folder");
    let left = place.run(&[
        "reindex",
        "--source",
        text(&folder),
        "--within",
        "0",
        "--json",
    ]);
    let id = json(&left.succeeded())["id"].as_str().unwrap().to_owned();
    let folder = text(&folder);
    let server = Server::start(
        &place,
        &["--maintenance-interval", "100ms", "--sources", folder],
    );
    wait_until("the job has finished", || {
        server.get(&format!("/jobs/{id}"))["state"] == "finished"
    });
    assert_eq!(server.get("/search?limit=0")["count"], 3);
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
