//! `aquifer serve`, as a process.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use aquifer_indexer::layout;
use serde_json::Value;

use crate::{Place, text, without_time};

/// A server that is killed at the end, should the test forget it.
pub(crate) struct Server {
    child: Child,
    url: String,
}

impl Server {
    pub(crate) fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command =
            place.command(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
        Self::spawn(command.stderr(Stdio::piped()))
    }

    /// A server of `command`, which logs to a file.
    pub(crate) fn start_logging(mut command: Command, log: &Path) -> Self {
        Self::spawn(command.stderr(File::create(log).unwrap()))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.trim().strip_prefix("listening on ");
        let url = url
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .to_owned();
        Self { child, url }
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let mut answer = ureq::get(format!("{}{path}", self.url)).call().unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut answer = agent
            .post(format!("{}{path}", self.url))
            .send(body)
            .unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (
            answer.status().as_u16(),
            serde_json::from_str(&text).unwrap(),
        )
    }

    /// Asks it to stop, and gives its status and its log.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        let process = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &process])
                .status()
                .unwrap()
                .success()
        );
        let status = self.child.wait().unwrap();
        let mut log = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut log).unwrap();
        }
        (status.code(), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_server_answers_logs_and_stops() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    assert_eq!(server.get("/search")["count"], 0);
    let document = r#"{"unique_key":"418","title":"teapot","tags":["joke"]}"#;
    let (status, posted) = server.post("/documents", document);
    assert_eq!((status, &posted["created"]), (200, &1.into()));
    assert_eq!(
        server.get("/search?q=teapot&tag=joke")["result"][0]["unique_key"],
        "418"
    );
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let post = lines.iter().find(|line| line["span"]["method"] == "POST");
    let post = post.unwrap_or_else(|| panic!("{log}"));
    assert_eq!(post["status"], 200, "{post}");
    assert_eq!(post["span"]["path"], "/documents", "{post}");
    assert_eq!(post["span"]["index"], "default", "{post}");
    assert_eq!(post["span"]["documents"], 1, "{post}");
    assert!(
        post["took_ms"].is_u64() && post["span"]["request_id"].is_string(),
        "{post}"
    );
    assert_eq!(place.search(&["teapot"]), ["418"]);
}

#[test]
fn a_read_only_server_beside_it_sees_everything_and_refuses_writes() {
    let place = Place::new();
    let writer = Server::start(&place, &[]);
    let reader = Server::start(&place, &["--read-only"]);
    for number in 0..3 {
        let (status, _) = writer.post("/documents", &format!(r#"{{"unique_key":"{number}"}}"#));
        assert_eq!(status, 200);
        assert_eq!(reader.get("/search")["count"], number + 1);
    }
    let (status, problem) = reader.post("/documents", r#"{"unique_key":"4"}"#);
    assert_eq!(
        (status, &problem["type"]),
        (403, &"/problems/read-only".into())
    );
}

#[test]
fn an_accepted_batch_is_applied_by_itself() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let (status, accepted) = server.post("/documents?wait=durable", r#"{"unique_key":"k"}"#);
    assert_eq!(status, 202, "{accepted}");
    let url = accepted["status_url"].as_str().unwrap();
    while server.get(url)["state"] != "applied" {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(server.get("/search")["count"], 1);
}

#[test]
fn documents_are_imported_over_http() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let line = |number| format!("{{\"unique_key\":\"{number}\",\"title\":\"number {number}\"}}\n");
    let mut lines: String = (0..12_000).map(line).collect();
    lines.push_str("\n{\"title\":\"no key\"}\n");
    let file = place.write("many.ndjson", lines);
    let ended = place.run(&["import", text(&file), "--url", &server.url]);
    let expected = "12,001 documents: 12,000 created, 0 updated, 1 refused";
    assert_eq!(without_time(&ended.out), expected, "{ended:?}");
    let place_of_it = format!("{}:12002: ", text(&file));
    assert!(ended.failed().starts_with(&place_of_it));
    assert_eq!(server.get("/search")["count"], 12_000);
    let error = place
        .run(&["import", text(&file), "--url", &server.url, "--index", "no"])
        .failed();
    assert!(error.contains("404"), "{error}");
}

/// Many clients look for the answer only when they have sent everything.
#[test]
fn a_client_that_sends_too_much_sees_the_answer() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let address = server.url.trim_start_matches("http://");
    let body = vec![b' '; 30 * 1024 * 1024];
    for length in [
        format!("content-length: {}\r\n", body.len()),
        "transfer-encoding: chunked\r\n".to_owned(),
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "POST /documents HTTP/1.1\r\nhost: localhost\r\n{length}\r\n"
        )
        .unwrap();
        if length.starts_with('t') {
            write!(stream, "{:x}\r\n", body.len()).unwrap();
        }
        stream.write_all(&body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 "), "{length}: {answer}");
        assert!(answer.contains("/problems/too-large"), "{answer}");
    }
}

#[test]
fn a_port_that_is_taken_is_an_error_that_says_what_to_do() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let address = server.address();
    let error = place.run(&["serve", "--listen", address]).failed();
    assert!(error.contains("--listen"), "{error}");
}

#[test]
fn the_environment_may_name_the_port() {
    let place = Place::new();
    let mut child = place
        .command(&["serve"])
        .env("PORT", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("listening on http://0.0.0.0:"), "{line:?}");
}

#[test]
fn only_the_default_folder_is_created_unless_it_is_asked_for() {
    let place = Place::new();
    let missing = place.path("mnt/typo");
    let run = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        crate::Ended::new(command.env("AQUIFER_ROOT", &missing).output().unwrap())
    };
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["serve", "--listen", "127.0.0.1:0", "--read-only"],
        &["gc"],
        &["merge"],
        &["reindex"],
        &["stats"],
        &["search", "x"],
    ] {
        let error = run(arguments).failed();
        for part in ["AQUIFER_ROOT", text(&missing), "mount the file system"] {
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
        assert!(!missing.exists(), "{arguments:?}");
    }
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0", "--create-root"]);
    command.env("AQUIFER_ROOT", &missing);
    let server = Server::start_logging(command, &place.path("log"));
    assert_eq!(server.get("/search")["count"], 0);
    assert!(missing.exists());
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env_remove("AQUIFER_ROOT");
    let server = Server::start_logging(command, &place.path("log"));
    assert_eq!(server.get("/search")["count"], 0);
    assert!(place.path("data").exists());
}

#[test]
fn a_round_of_maintenance_and_a_request_that_is_none_leave_a_line() {
    use std::io::Write;
    let place = Place::new();
    let stranded = stranded(&place.path("root"));
    let log = place.path("log");
    let command = place.command(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--maintenance-interval",
        "50ms",
    ]);
    let server = Server::start_logging(command, &log);
    let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"no request at all\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let logged = |message: &str| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(300);
        while std::time::Instant::now() < deadline {
            let text = std::fs::read_to_string(&log).unwrap();
            let lines = text.lines();
            let mut lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(line) = lines.find(|line| line["message"] == message) {
                return line;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("the log does not say {message:?}")
    };
    let line = logged("maintained");
    assert_eq!(
        (&line["level"], &line["span"]["index"]),
        (&"INFO".into(), &"default".into()),
        "{line}"
    );
    assert!(
        line["files_removed"].is_u64() && line["merges"].is_u64() && line["took_ms"].is_u64(),
        "{line}"
    );
    logged("refused a request that is not HTTP");
    assert_eq!(logged("swept the root folder")["removed"], 1);
    assert!(!stranded.exists());
}

#[test]
fn collecting_garbage_removes_what_killed_processes_left_in_the_root() {
    let place = Place::new();
    place.write("folder/a.ndjson", "{\"unique_key\":\"a\"}\n");
    let folder = place.path("folder");
    place.run(&["import", text(&folder)]).succeeded();
    let stranded = stranded(&place.path("root"));
    place.run(&["gc"]).succeeded();
    assert!(!stranded.exists());
    place.run(&["check"]).succeeded();
}

/// What a process leaves that was killed a day ago while it created an index.
fn stranded(root: &Path) -> PathBuf {
    let folder = root.join(layout::new_folder("other", uuid::Uuid::from_u128(7)));
    std::fs::create_dir_all(&folder).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(24 * 3600);
    File::open(&folder).unwrap().set_modified(long_ago).unwrap();
    folder
}
