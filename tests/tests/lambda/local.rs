//! What a developer asks of the local Lambda: invocations as the emulator alone takes them, and the limits of a door.

use aquifer_tests::Cluster;
use aquifer_tests::local_lambda::{Front, READS, Trio};
use serde_json::Value;
use ureq::Agent;

use crate::{lambda, open};

fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .build();
    config.into()
}

#[test]
fn the_emulators_own_address_reaches_the_search() {
    let cluster = Cluster::new();
    let Some(lambda) = lambda(&cluster, Trio::default()) else {
        return;
    };
    let url = open(&lambda, Front::HttpApi { stage: None });
    let agent = agent();
    let posted = agent
        .post(format!("{url}/documents"))
        .content_type("application/json")
        .send(r#"{"unique_key":"1","title":"the body"}"#);
    assert_eq!(posted.unwrap().status(), 200);
    let invocations = "/2015-03-31/functions/function/invocations";
    for address in [
        format!("{url}{invocations}"),
        format!("{}{invocations}", lambda.endpoint()),
    ] {
        let asked = agent
            .post(&address)
            .send(r#"{"body":"{\"query\": \"body\"}"}"#);
        let fetched = agent.get(&address).call();
        for answer in [asked, fetched] {
            let text = answer.unwrap().body_mut().read_to_string().unwrap();
            let answer: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(answer["statusCode"], 200, "{answer}");
            assert!(
                answer["body"]
                    .as_str()
                    .unwrap()
                    .starts_with("{\"count\":1,"),
                "{answer}"
            );
        }
    }
    assert_eq!(lambda.tally(READS).failed, 0);
}

#[test]
fn a_load_balancer_passes_a_megabyte_on() {
    let cluster = Cluster::new();
    let Some(lambda) = lambda(&cluster, Trio::default()) else {
        return;
    };
    let url = open(&lambda, Front::Balancer { multi_value: true });
    let other = open(&lambda, Front::FunctionUrl);
    let post = |url: &str, bytes: usize| {
        let document = |key| {
            format!(
                r#"{{"unique_key":"{key}","title":"{}"}}"#,
                "x ".repeat(5000)
            )
        };
        let documents: Vec<String> = (0..bytes / 10_000).map(document).collect();
        let request = agent().post(format!("{url}/documents"));
        let body = format!("[{}]", documents.join(","));
        let answer = request.content_type("application/json").send(&body);
        answer.unwrap().status().as_u16()
    };
    assert_eq!(post(&url, 900_000), 200);
    assert_eq!(post(&url, 1_100_000), 413);
    assert_eq!(post(&other, 1_100_000), 200);
}
