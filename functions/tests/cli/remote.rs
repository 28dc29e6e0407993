//! `aquifer import --url`, against services that do not answer as Aquifer does, and against one that does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use serde_json::json;

use crate::serve::Server;
use crate::{Ended, Place, text, without_time};

/// What a service does with a request.
#[derive(Clone)]
enum Reply {
    /// Sends this.
    Bytes(String),
    /// Takes the request and never answers.
    Silence,
}

/// A service that gives these replies, one a connection, and then no more.
struct Fake {
    url: String,
    asked: Receiver<String>,
}

impl Fake {
    fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, asked) = channel();
        thread::spawn(move || {
            for reply in replies {
                let (stream, _) = listener.accept().unwrap();
                answer(stream, &reply, &tell);
            }
        });
        Self { url, asked }
    }

    fn requests(&self) -> Vec<String> {
        self.asked.try_iter().collect()
    }
}

/// Reads a request and replies.
fn answer(mut stream: TcpStream, reply: &Reply, tell: &Sender<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let header = header.trim().to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if header.is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    tell.send(first.trim().to_owned()).unwrap();
    match reply {
        Reply::Bytes(bytes) => stream.write_all(bytes.as_bytes()).unwrap(),
        // The connection stays open until the test ends.
        Reply::Silence => loop {
            thread::park();
        },
    }
}

fn reply(status: &str, headers: &str, body: &str) -> Reply {
    Reply::Bytes(format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    ))
}

fn accepted(documents: usize) -> Reply {
    let body = json!({"version": 1, "accepted": documents, "created": documents, "updated": 0, "errors": []});
    reply("200 OK", "", &body.to_string())
}

/// So many documents, one a line.
fn lines(count: usize) -> String {
    let line = |number| format!("{{\"unique_key\":\"{number}\"}}\n");
    (0..count).map(line).collect()
}

fn import(place: &Place, fake: &Fake) -> Ended {
    let arguments = ["import", "-", "--jobs", "1", "--url", &fake.url];
    place.run_with_input(&arguments, lines(3).as_bytes())
}

#[test]
fn an_answer_that_does_not_account_for_every_document_is_an_error() {
    let page = "<html>Welcome</html>";
    let few = json!({"accepted": 2, "created": 2, "updated": 0, "errors": []}).to_string();
    for (status, body, told) in [
        ("200 OK", page, "is it an Aquifer service?"),
        ("200 OK", page, "Welcome"),
        ("200 OK", "", "no reason given"),
        ("200 OK", "{}", "does not account for the documents"),
        ("202 Accepted", &few, "does not account for the documents"),
        (
            "207 Multi-Status",
            &few,
            "does not account for the documents",
        ),
        ("204 No Content", "", "does not account for the documents"),
    ] {
        let fake = Fake::start(vec![reply(status, "", body)]);
        let ended = import(&Place::new(), &fake);
        assert!(ended.out.starts_with("0 documents: "), "{ended:?}");
        let error = ended.failed();
        assert!(
            error.contains(told) && error.contains(status),
            "{status} {body}: {error}"
        );
        assert_eq!(fake.requests().len(), 1);
    }
}

#[test]
fn a_post_is_not_redirected() {
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
    ] {
        let elsewhere = accepted(3);
        let fake = Fake::start(vec![
            reply(status, "location: /elsewhere\r\n", ""),
            elsewhere,
        ]);
        let error = import(&Place::new(), &fake).failed();
        assert!(
            error.contains(status) && error.contains("\"/elsewhere\""),
            "{error}"
        );
        assert_eq!(fake.requests(), ["POST /documents HTTP/1.1"]);
    }
}

#[test]
fn an_attempt_that_fails_is_shown_and_made_again() {
    let busy = reply("503 Service Unavailable", "", r#"{"detail":"too much"}"#);
    let fake = Fake::start(vec![busy, Reply::Bytes(String::new()), accepted(3)]);
    let ended = import(&Place::new(), &fake);
    let shown: Vec<_> = ended.err.lines().collect();
    assert_eq!(shown.len(), 2, "{ended:?}");
    assert!(shown[0].contains("503 Service Unavailable: too much; trying again in "));
    assert!(shown[0].ends_with("8 attempts are left") && shown[1].ends_with("7 attempts are left"));
    let out = ended.succeeded();
    assert_eq!(
        without_time(&out),
        "3 documents: 3 created, 0 updated, 0 refused"
    );
}

#[test]
fn ctrl_c_reports_what_is_in_the_index() {
    let place = Place::new();
    let fake = Fake::start(vec![accepted(5_000), Reply::Silence]);
    let file = place.write("many.ndjson", lines(12_000));
    let child = place
        .command(&["import", text(&file), "--jobs", "1", "--url", &fake.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..2 {
        fake.asked.recv().unwrap();
    }
    let process = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &process])
            .status()
            .unwrap()
            .success()
    );
    let ended = Ended::new(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert_eq!(
        without_time(&ended.out),
        "5,000 documents: 5,000 created, 0 updated, 0 refused"
    );
    assert!(ended.err.starts_with("interrupted: "), "{ended:?}");
}

#[test]
fn ctrl_c_ends_an_import_that_waits_for_its_input() {
    let place = Place::new();
    let mut child = place
        .command(&["import", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // More than a pipe holds: it has been read from when this returns.
    input.write_all(lines(20_000).as_bytes()).unwrap();
    let process = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &process])
            .status()
            .unwrap()
            .success()
    );
    let ended = Ended::new(child.wait_with_output().unwrap());
    drop(input);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.out.starts_with("0 documents: 0 created"), "{ended:?}");
    assert!(ended.err.contains("import it again"), "{ended:?}");
}

#[test]
fn a_service_and_a_folder_count_and_report_the_same() {
    let place = Place::new();
    let service = Place::new();
    let server = Server::start(&service, &[]);
    let mixed = "{\"unique_key\":\"a\"}\n{\"unique_key\":\"a\"}\n{\"n\":1}\n{\"unique_key\":\n\n{\"unique_key\":\"b\",\"updated_at\":\"x\"}\n7\n";
    let pretty = "[{\"unique_key\":\"a\"},\n{\"unique_key\":\"c\",\n \"n\": 1e400}, {}]";
    let large = format!(
        "{{\"unique_key\":\"l\",\"content\":\"{}\"}}\n{{}}\n",
        "x".repeat(1 << 20)
    );
    for input in [
        mixed,
        pretty,
        "{\"n\":1}\n{\"n\":2}\n",
        "7\n8\n",
        "[7]",
        &large,
    ] {
        let local = place.run_with_input(&["import", "-"], input.as_bytes());
        let url = ["import", "-", "--url", server.url()];
        let remote = place.run_with_input(&url, input.as_bytes());
        assert_eq!(
            without_time(&local.out),
            without_time(&remote.out),
            "{input:.80}"
        );
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&local.err), sorted(&remote.err), "{input:.80}");
        assert_eq!(local.failed().is_empty(), remote.failed().is_empty());
    }
    let mut local = place.search(&[]);
    local.sort();
    assert_eq!(local, ["a"]);
    assert_eq!(server.get("/search")["count"], 1);
}
