//! The same requests through every front door have the same answers, byte for byte but for times and names of batches.

use std::time::Duration;

use aquifer_tests::Cluster;
use aquifer_tests::local_lambda::{Front, LocalLambda, READS, Trio, WRITES};
use serde_json::{Value, json};
use ureq::Agent;

use crate::asked::{Asked, all};
use crate::{lambda, open};

/// Longer than any request may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Headers whose value the client acts on.
const COMPARED: [&str; 4] = ["content-type", "location", "allow", "retry-after"];

/// What a front door answered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Answer {
    /// As it would be without a stage, which is part of every address that it gives.
    fn without_prefix(mut self, prefix: &str) -> Self {
        for (name, value) in &mut self.headers {
            if *name == "location" {
                let inner = value.strip_prefix(prefix);
                *value = inner
                    .unwrap_or_else(|| panic!("{value} has no {prefix}"))
                    .to_owned();
            }
        }
        let address = format!("\"status_url\":\"{prefix}/");
        self.body = self.body.replace(&address, "\"status_url\":\"/");
        self
    }
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .allow_non_standard_methods(true)
        .timeout_global(Some(PATIENCE))
        .build();
    config.into()
}

fn over_http(agent: &Agent, url: &str, asked: &Asked) -> Answer {
    let uri = format!("{url}{}", asked.target);
    let mut request = ureq::http::Request::builder().method(asked.method).uri(uri);
    for (name, value) in asked.headers {
        request = request.header(*name, *value);
    }
    // A request without a body says so, where its method has one: otherwise the end of the body is sent separately, and
    // meets a connection that the answer has closed.
    let response = if asked.body.is_empty() && !["POST", "PUT"].contains(&asked.method) {
        agent.run(request.body(()).unwrap())
    } else {
        agent.run(request.body(asked.body.clone()).unwrap())
    };
    let mut response = response.unwrap_or_else(|error| panic!("{asked:?}: {error}"));
    let header = |name| {
        let value = response.headers().get(name)?;
        Some((name, value.to_str().unwrap().to_owned()))
    };
    let headers = COMPARED.into_iter().filter_map(header).collect();
    let status = response.status().as_u16();
    let body = response.body_mut().read_to_string().unwrap();
    Answer {
        status,
        headers,
        body: without_times(if asked.whole { &body } else { "" }),
    }
}

/// Replaces what differs from process to process: how long things took, what is cached, the names of batches.
fn without_times(body: &str) -> String {
    let mut plain = body.to_owned();
    for field in ["\"took_ms\":", "\"cache_bytes\":"] {
        let mut parts = plain.split(field);
        let first = parts.next().unwrap_or_default().to_owned();
        plain = parts.fold(first, |plain, part| {
            let rest = part.trim_start_matches(|digit: char| digit.is_ascii_digit());
            format!("{plain}{field}0{rest}")
        });
    }
    let batch = serde_json::from_str(body).ok().and_then(|body: Value| {
        let batch = body.get("batch")?.as_str()?;
        Some(batch.to_owned())
    });
    match batch {
        Some(batch) => plain.replace(&batch, "BATCH"),
        None => plain,
    }
}

/// What a server answers that is no function at all.
fn expected() -> Vec<Answer> {
    let cluster = Cluster::new();
    let server = cluster
        .writer()
        .maintenance_interval(Duration::ZERO)
        .start();
    let agent = agent();
    let answers = all()
        .iter()
        .map(|asked| over_http(&agent, server.url(), asked))
        .collect();
    server.end();
    answers
}

fn differences(got: impl Iterator<Item = (Asked, Answer, Answer)>) -> Vec<String> {
    got.filter(|(_, answer, expected)| answer != expected)
        .map(|(asked, answer, expected)| {
            let Asked { method, target, .. } = asked;
            format!("{method} {target}\n  is        {answer:?}\n  should be {expected:?}")
        })
        .collect()
}

/// Asks everything through one door, on a folder of its own.
#[track_caller]
fn check(front: Front, prefix: &str) {
    let cluster = Cluster::new();
    let Some(lambda) = lambda(&cluster, Trio::default()) else {
        return;
    };
    let url = format!("{}{prefix}", open(&lambda, front.clone()));
    let agent = agent();
    let asked = all().into_iter().zip(expected());
    let got = asked.map(|(asked, expected)| {
        let answer = over_http(&agent, &url, &asked).without_prefix(prefix);
        (asked, answer, expected)
    });
    let differ = differences(got);
    assert!(differ.is_empty(), "{front:?}:\n{}", differ.join("\n"));
    for name in [READS, WRITES] {
        let tally = lambda.tally(name);
        assert!(tally.invoked > 0 && tally.failed == 0, "{name}: {tally:?}");
    }
    cluster.check();
}

#[test]
fn through_an_http_api() {
    check(Front::HttpApi { stage: None }, "");
}

#[test]
fn through_an_http_api_with_a_stage() {
    let stage = Some("live".to_owned());
    check(Front::HttpApi { stage }, "/live");
}

#[test]
fn through_a_rest_api_with_a_stage() {
    let stage = "prod".to_owned();
    check(Front::RestApi { stage }, "/prod");
}

#[test]
fn through_a_function_url() {
    check(Front::FunctionUrl, "");
}

#[test]
fn through_a_load_balancer() {
    check(Front::Balancer { multi_value: true }, "");
}

/// What a bare invocation can say is said by one, everything else through a door.
#[test]
fn by_bare_invocations() {
    let cluster = Cluster::new();
    let Some(lambda) = lambda(&cluster, Trio::default()) else {
        return;
    };
    let url = open(&lambda, Front::HttpApi { stage: None });
    let agent = agent();
    let mut bare = 0;
    let asked = all().into_iter().zip(expected());
    let got = asked.map(|(asked, mut expected)| {
        let answer = match invoked(&lambda, &asked) {
            Some(answer) => {
                bare += 1;
                expected.headers.clear();
                answer
            }
            None => over_http(&agent, &url, &asked),
        };
        (asked, answer, expected)
    });
    let differ = differences(got);
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(bare > 8, "only {bare} were bare");
    cluster.check();
}

/// Makes a bare invocation of a request that is nothing but a JSON body: a search as the text of `body`, documents as
/// they are.
fn invoked(lambda: &LocalLambda, asked: &Asked) -> Option<Answer> {
    if asked.method != "POST" || asked.headers.len() != 1 {
        return None;
    }
    let text = std::str::from_utf8(&asked.body).ok()?;
    let _is_json: Value = serde_json::from_str(text).ok()?;
    let (function, payload) = match asked.target {
        "/search" => (READS, json!({"body": text}).to_string()),
        "/documents" => (WRITES, text.to_owned()),
        _ => return None,
    };
    let outcome = lambda.invoke(function, &payload).unwrap();
    if outcome.failed {
        // A payload without any document is no request to the writer.
        let error = String::from_utf8_lossy(&outcome.payload);
        assert!(error.contains("holds no document"), "{asked:?}: {error}");
        return None;
    }
    let answer: Value = serde_json::from_slice(&outcome.payload).unwrap();
    Some(Answer {
        status: answer["statusCode"].as_u64().unwrap().try_into().unwrap(),
        headers: Vec::new(),
        body: without_times(answer["body"].as_str().unwrap()),
    })
}
