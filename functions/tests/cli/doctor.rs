//! `aquifer doctor` on a local disk: alone, with a peer, with a peer that sees something else, and with strangers.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use aquifer_functions::doctor::Reply;
use aquifer_indexer::doctor::{Performer, Yield};
use aquifer_indexer::mount::RootFolder;
use axum::Router;
use axum::body::Bytes;
use axum::response::Json;
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{Ended, Place};

const TOKEN: &str = "0123456789abcdef";

/// The program as the other machine, on a free port.
struct Listening {
    child: Child,
    url: String,
    command: String,
}

impl Listening {
    fn start(place: &Place) -> Self {
        let mut child = place
            .command(&["doctor", "--listen", "127.0.0.1:0"])
            .env("AQUIFER_DOCTOR_TOKEN", TOKEN)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let lines: Vec<String> = out.lines().take(3).map(Result::unwrap).collect();
        let url = lines[0].strip_prefix("listening on ").unwrap().to_owned();
        Self {
            child,
            url,
            command: lines[2].clone(),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Examines together with the peer at `url`.
fn with_peer(place: &Place, url: &str, token: &str) -> Ended {
    let mut command = place.command(&["doctor", "--json", "--peer", url]);
    Ended::new(command.env("AQUIFER_DOCTOR_TOKEN", token).output().unwrap())
}

#[track_caller]
fn check_nothing_is_left(place: &Place) {
    let left: Vec<_> = fs::read_dir(place.path("root")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_local_disk_is_well_in_one_line_for_each_assumption() {
    let place = Place::new();
    let shown = place.run(&["doctor"]).succeeded();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        lines[1].contains("another process of this machine"),
        "{shown}"
    );
    let held = lines.iter().filter(|line| line.starts_with("holds  "));
    assert!(held.count() >= 15, "{shown}");
    assert!(shown.contains("0 do not hold"), "{shown}");
    assert!(shown.contains("\nfsync "), "{shown}");
    check_nothing_is_left(&place);
}

#[test]
fn a_program_reads_the_same_as_json() {
    let place = Place::new();
    let report: Value =
        serde_json::from_str(&place.run(&["doctor", "--json"]).succeeded()).unwrap();
    let findings = report["findings"].as_array().unwrap();
    for finding in findings {
        assert_ne!(finding["judgement"], "does_not_hold", "{finding}");
        assert!(finding["assumed"].is_string() && finding["seen"].is_string());
    }
    let checked = findings.iter().map(|finding| &finding["check"]);
    assert!(checked.into_iter().any(|check| check == "coherent-page"));
    assert!(report["mount"]["kind"].is_string(), "{report}");
    assert!(report["latencies"][0]["p50_us"].is_u64(), "{report}");
    assert_eq!(report["seen_from"], "another process of this machine");
}

#[test]
fn a_peer_takes_the_place_of_the_second_process() {
    let place = Place::new();
    let peer = Listening::start(&place);
    let own = format!("AQUIFER_DOCTOR_TOKEN={TOKEN} aquifer doctor");
    assert!(peer.command.contains(&own) && peer.command.contains(&peer.url));
    for _ in 0..2 {
        let report: Value =
            serde_json::from_str(&with_peer(&place, &peer.url, TOKEN).succeeded()).unwrap();
        assert_eq!(report["other_machine"], true);
        let seen_from = report["seen_from"].as_str().unwrap();
        assert!(seen_from.contains(&peer.url), "{seen_from}");
        check_nothing_is_left(&place);
    }
}

#[test]
fn nobody_makes_a_peer_write_who_does_not_know_its_token() {
    let place = Place::new();
    let peer = Listening::start(&place);
    let refused = with_peer(&place, &peer.url, "fedcba9876543210").failed();
    assert!(refused.contains("refuses the token"), "{refused}");
    let missing = place.run(&["doctor", "--peer", &peer.url]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.err.contains("--token"), "{missing:?}");
    let guessable = with_peer(&place, &peer.url, "guess");
    assert!(guessable.err.contains("at least 16"), "{guessable:?}");
    check_nothing_is_left(&place);
}

#[test]
fn a_peer_on_another_folder_is_noticed() {
    let (place, other) = (Place::new(), Place::new());
    let peer = Listening::start(&other);
    let refused = with_peer(&place, &peer.url, TOKEN).failed();
    assert!(
        refused.contains("must have mounted the same export"),
        "{refused}"
    );
    check_nothing_is_left(&place);
    check_nothing_is_left(&other);
}

#[test]
fn an_address_without_a_peer_and_a_missing_root_are_explained() {
    let place = Place::new();
    let refused = with_peer(&place, "http://127.0.0.1:1", TOKEN).failed();
    assert!(refused.contains("--listen` runs there"), "{refused}");
    let refused = with_peer(&place, "127.0.0.1:1", TOKEN).failed();
    assert!(refused.contains("http://HOST:PORT"), "{refused}");
    check_nothing_is_left(&place);
    let refused = place.run(&["doctor", "--root", "nowhere"]).failed();
    assert!(
        refused.contains("nowhere") && refused.contains("--root"),
        "{refused}"
    );
}

/// A machine on which locks exclude nobody else: every lock is taken there.
async fn lockless(root: RootFolder) -> String {
    let performer = Arc::new(Mutex::new(Performer::new(root)));
    let answer = move |order: Bytes| {
        let performer = Arc::clone(&performer);
        async move {
            let reply = Reply::to(&order, &mut performer.lock().unwrap());
            Json(match reply {
                Reply::Done(Ok(Yield::Taken(_))) => Reply::Done(Ok(Yield::Taken(true))),
                reply => reply,
            })
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assumption_that_does_not_hold_is_named_with_advice_and_fails_the_command() {
    let place = Place::new();
    let root = RootFolder::open(&place.path("root"), false).unwrap();
    let url = lockless(root).await;
    let ended = with_peer(&place, &url, TOKEN);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let failed: Vec<&Value> = findings
        .iter()
        .filter(|finding| finding["judgement"] == "does_not_hold")
        .collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0]["check"], "lock");
    assert!(failed[0]["advice"].is_string());
    let error = ended.failed();
    assert!(
        error.contains("does not do what an index needs: lock"),
        "{error}"
    );

    let mut command = place.command(&["doctor", "--peer", &url, "--token", TOKEN]);
    let ended = Ended::new(command.output().unwrap());
    let line = ended
        .out
        .lines()
        .find(|line| line.starts_with("does not hold"));
    let line = line.unwrap();
    assert!(
        line.contains("the partner got it too") && line.contains("run one writer"),
        "{line}"
    );
    ended.failed();
    check_nothing_is_left(&place);
}
