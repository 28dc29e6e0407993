//! Bounds: the time of an invocation, and the size of an answer.

use std::time::Duration;

use aquifer_functions::lambda::answer::{ANSWER_BYTES_MAX, BALANCER_ANSWER_BYTES_MAX};
use aquifer_functions::lambda::environment::Environment;
use aquifer_functions::lambda::front::Front;
use aquifer_functions::lambda::role::Role;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::senders::{Asked, balancer, http_v2, rest};
use crate::{Answer, LONG, Place, invoke, no_sources};

/// Documents whose text doubles where it stands in a JSON string.
async fn large(place: &Place, count: usize) {
    for at in 0..count {
        let text = "\"".repeat(450_000);
        let document = json!({"unique_key": at.to_string(), "title": "large", "blob": {"t": text}});
        let answer = place
            .plain("POST", "/documents", document.to_string())
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

async fn check_too_large(place: &Place, payload: String, limit: usize) {
    let answer = invoke(&place.search, payload, LONG).await;
    assert!(answer.to_string().len() < 1000);
    let answer = Answer::of(&answer);
    let problem = answer.json();
    assert_eq!(answer.status, 413, "{problem}");
    assert_eq!(problem["type"], "/problems/answer-too-large", "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&limit.to_string()), "{detail}");
    assert!(detail.contains("limit and offset"), "{detail}");
}

#[tokio::test]
async fn an_answer_that_does_not_travel_says_to_ask_for_less() {
    let place = Place::new();
    large(&place, 4).await;
    let all = Asked::new("GET", "/search?q=large");
    check_too_large(&place, http_v2(&all).to_string(), ANSWER_BYTES_MAX).await;
    check_too_large(&place, rest(&all).to_string(), ANSWER_BYTES_MAX).await;
    check_too_large(
        &place,
        json!({"query": "large"}).to_string(),
        ANSWER_BYTES_MAX,
    )
    .await;
    let one = Asked::new("GET", "/search?q=large&limit=1");
    check_too_large(
        &place,
        balancer(&one).to_string(),
        BALANCER_ANSWER_BYTES_MAX,
    )
    .await;
    let fits = invoke(&place.search, http_v2(&one).to_string(), LONG).await;
    assert_eq!(fits["statusCode"], 200);
    let few = Asked::new("GET", "/search?q=large&fields=unique_key");
    let fits = Answer::of(&invoke(&place.search, balancer(&few).to_string(), LONG).await);
    assert_eq!(fits.json()["count"], 4, "{fits:?}");
}

#[tokio::test]
async fn the_deadline_of_the_invocation_ends_a_wait() {
    let place = Place::filled().await;
    let future = Asked::new("GET", "/search?min_version=1000");
    let event = http_v2(&future).to_string();
    // The router alone would wait for 25 seconds.
    let waited = timeout(
        Duration::from_secs(20),
        invoke(&place.search, event, Duration::from_millis(400)),
    );
    let answer = Answer::of(&waited.await.unwrap());
    assert_eq!(answer.status, 503, "{answer:?}");
    let problem: Value = answer.json();
    assert_eq!(problem["type"], "/problems/busy", "{problem}");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told_and_tried_again() {
    let place = Place::filled().await;
    let path = place.root.path().join("later");
    let root = path.to_str().unwrap().to_owned();
    let lookup = |name: &str| (name == "AQUIFER_ROOT").then(|| root.clone());
    let environment = Environment::of(lookup).unwrap();
    let front = Front::new(environment, Role::Search, no_sources(), None);
    let event = http_v2(&Asked::new("GET", "/indexes")).to_string();
    let answer = Answer::of(&invoke(&front, event.clone(), LONG).await);
    assert_eq!(answer.status, 503, "{answer:?}");
    std::fs::create_dir(&path).unwrap();
    let answer = Answer::of(&invoke(&front, event, LONG).await);
    assert_eq!(answer.body, r#"{"indexes":[]}"#);
}
