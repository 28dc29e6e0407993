//! What web pages reach of a server on this machine: over raw sockets, and from a real browser.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::Place;
use crate::serve::Server;

/// For what a busy machine does.
const PATIENCE: Duration = Duration::from_secs(300);

/// Sends one request as it stands and reads the whole answer.
fn ask(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn post(host: &str, headers: &str) -> String {
    let body = r#"{"unique_key":"planted"}"#;
    format!(
        "POST /documents HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[track_caller]
fn check(server: &Server, request: &str, status: u16) -> String {
    let answer = ask(server, request);
    let expected = format!("HTTP/1.1 {status} ");
    assert!(answer.starts_with(&expected), "{request}\n{answer}");
    answer
}

#[test]
fn a_page_plants_nothing_in_a_server_on_the_loopback_address() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let page = "origin: https://evil.example\r\nsec-fetch-site: cross-site\r\n";
    for kind in [
        "text/plain",
        "text/plain;charset=UTF-8",
        "application/x-www-form-urlencoded",
    ] {
        let headers = format!("{page}content-type: {kind}\r\n");
        let answer = check(&server, &post("127.0.0.1", &headers), 415);
        assert!(answer.contains("/problems/foreign-page"), "{answer}");
    }
    check(&server, &post("127.0.0.1", page), 415);
    assert_eq!(server.get("/search")["count"], 0);
    // The programs of people send no origin.
    check(
        &server,
        &post(
            "127.0.0.1",
            "content-type: application/x-www-form-urlencoded\r\n",
        ),
        200,
    );
    check(&server, &post("127.0.0.1", ""), 200);
    let (_, log) = server.stop();
    assert!(log.contains("foreign-page"), "{log}");
}

#[test]
fn a_name_that_points_here_is_not_answered_unless_it_is_allowed() {
    let place = Place::new();
    let request = |method: &str, host: &str| {
        format!("{method} /indexes/default HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
    };
    let server = Server::start(&place, &[]);
    for host in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "192.168.0.1",
    ] {
        for method in ["GET", "DELETE"] {
            check(&server, &request(method, host), 421);
        }
    }
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1:8080",
        "127.1.2.3",
        "[::1]",
        "[::1]:8080",
    ] {
        check(&server, &request("GET", host), 200);
    }
    server.stop();

    let mut command = place.command(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--allowed-host",
        "search.test",
    ]);
    command.env("AQUIFER_CORS_ORIGINS", "https://www.test");
    let server = Server::start_logging(command, &place.path("log"));
    check(&server, &request("GET", "search.test:8080"), 200);
    check(&server, &request("GET", "evil.example"), 421);
    let preflight = "OPTIONS /documents HTTP/1.1\r\nhost: search.test\r\norigin: https://www.test\r\n\
                     access-control-request-method: POST\r\nconnection: close\r\n\r\n";
    let answer = check(&server, preflight, 200);
    assert!(
        answer.contains("access-control-allow-origin: https://www.test"),
        "{answer}"
    );
}

#[test]
fn what_is_set_wrongly_is_told() {
    let place = Place::new();
    for (arguments, expected) in [
        (["--allowed-host", "http://x"], "without a scheme"),
        (
            ["--cors-origin", "www.example.com"],
            "https://www.example.com",
        ),
    ] {
        let ended =
            place.run(&[&["serve", "--listen", "127.0.0.1:0"][..], &arguments[..]].concat());
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains(expected), "{ended:?}");
    }
}

#[test]
fn a_variable_that_is_empty_sets_nothing() {
    let place = Place::new();
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
    for name in [
        "AQUIFER_ALLOWED_HOSTS",
        "AQUIFER_CORS_ORIGINS",
        "AQUIFER_CACHE_CONTROL",
    ] {
        command.env(name, "");
    }
    let server = Server::start_logging(command, &place.path("log"));
    let search =
        |host: &str| format!("GET /search HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    check(&server, &search("evil.example"), 421);
    let answer = check(&server, &search("localhost"), 200);
    assert!(answer.contains("cache-control: no-cache"), "{answer}");
}

/// What a page tries, and then writes into itself. `PORT` is the server's.
const PAGE: &str = r#"<!doctype html><title>page</title><body><iframe name=frame></iframe>
<form id=form method=post enctype=text/plain target=frame action="http://127.0.0.1:PORT/documents">
<input name='{"unique_key":"form","x":"' value='"}'></form>
<script>
const document1 = JSON.stringify({unique_key: "fetch"});
const attempt = async (name, url, options) => {
  try { const answer = await fetch(url, options); return name + "=" + answer.type + answer.status; }
  catch (error) { return name + "=failed"; }
};
(async () => {
  const server = "http://127.0.0.1:PORT";
  // What a form is refused with is not shown, so that nothing may be loaded.
  const framed = new Promise(done => document.querySelector("iframe").addEventListener("load", done));
  const patience = new Promise(done => setTimeout(done, 5000));
  document.getElementById("form").submit();
  await Promise.race([framed, patience]);
  const text = {method: "POST", body: document1, headers: {"content-type": "text/plain"}};
  const json = {method: "POST", body: document1, headers: {"content-type": "application/json"}};
  const said = [
    await attempt("nocors", server + "/documents", {...text, mode: "no-cors"}),
    await attempt("cors", server + "/documents", text),
    await attempt("json", server + "/documents", json),
    await attempt("delete", server + "/indexes/default", {method: "DELETE"}),
    await attempt("read", server + "/search", {}),
    await attempt("rebound", "http://rebound.test:PORT/search", {}),
  ];
  document.title = "done";
  document.body.textContent = "said " + said.join(" ") + " end";
})();
</script>"#;

/// The browser, where there is one.
fn chromium() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let places = env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    let found = places.into_iter().find(|program| program.is_file());
    if found.is_none() {
        eprintln!(
            "SKIPPED: Chromium is missing (apt-get install chromium): what a real browser sends is not tested"
        );
    }
    found
}

/// Serves a page to every connection, from a port of its own.
fn serve_page(page: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            // Whatever it asks for, it gets the page; it may have gone already.
            drop(stream.read(&mut request));
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
                page.len()
            );
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    port
}

/// What the page at `evil.test` says after its attempts.
fn browse(place: &Place, chromium: &PathBuf, server: &Server) -> String {
    let (_, port) = server.address().rsplit_once(':').unwrap();
    let page = serve_page(PAGE.replace("PORT", port));
    let profile = place.path("profile");
    fs::create_dir_all(&profile).unwrap();
    let output = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--dump-dom",
        ])
        // A machine without a network says so to the browser, which then asks for nothing.
        .args([
            "--host-resolver-rules=MAP *.test 127.0.0.1",
            "--no-proxy-server",
            "--timeout=120000",
        ])
        // Newer ones ask the user before a page reaches this machine; nobody is there to answer.
        .args(["--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args([
            "--virtual-time-budget=60000",
            &format!("http://evil.test:{page}/"),
        ])
        .env("HOME", place.folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = dom
        .split("said ")
        .nth(1)
        .and_then(|rest| rest.split(" end").next());
    let errors = String::from_utf8_lossy(&output.stderr);
    said.unwrap_or_else(|| panic!("the page said nothing: {dom}\n{errors}"))
        .to_owned()
}

#[test]
fn a_real_browser_lets_no_page_write_or_read() {
    let Some(chromium) = chromium() else { return };
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let said = browse(&place, &chromium, &server);
    let expected =
        "nocors=opaque0 cors=failed json=failed delete=failed read=failed rebound=failed";
    assert_eq!(said, expected);
    assert_eq!(server.get("/search")["count"], 0);
    let (_, log) = server.stop();
    // They did reach the server: the form, and the two requests that need no permission.
    assert_eq!(log.matches("/problems/foreign-page").count(), 3, "{log}");
    assert!(log.contains("/problems/misdirected"), "{log}");
}

#[test]
fn a_real_browser_lets_an_allowed_page_do_both() {
    let Some(chromium) = chromium() else { return };
    let place = Place::new();
    let server = Server::start(&place, &["--cors-origin", "*"]);
    let said = browse(&place, &chromium, &server);
    let expected =
        "nocors=opaque0 cors=cors200 json=cors200 delete=cors204 read=cors404 rebound=failed";
    assert_eq!(said, expected);
}
