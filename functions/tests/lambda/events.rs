//! One request through every sender: the answer is that of the router, byte for byte.

use aquifer_functions::lambda::front::Front;
use aquifer_functions::lambda::role::Role;
use axum::http::Request;
use serde_json::json;

use crate::senders::{Asked, SENDERS, Sender, balancer, http_v2, rest};
use crate::{Answer, LONG, Place, environment, invoke, no_sources};

/// What is asked of a filled place; the last may not come through an HTTP API, which cuts it off.
const QUESTIONS: &[&str] = &[
    "GET /documents/a%2Fb%20c",
    "GET /documents/a/b%20c",
    "GET /documents/%E6%97%A5%E6%9C%AC%E8%AA%9E",
    "GET /documents/100%25",
    "GET /documents/50%2525",
    "GET /documents/plus+sign",
    "GET /documents/none",
    "GET /search",
    "GET /search?q=coffee+tea",
    "GET /search?q=coffee%20%26%20tea&limit=1",
    "GET /search?q=%2Bcoffee+-tea",
    "GET /search?q=a%2Bb%3Dc",
    "GET /search?q=%E8%AA%8D%E8%A8%BC&highlight=true",
    "GET /search?tag=x&tag=y+z",
    "GET /search?tag=a%2Bb",
    "GET /search?tag=%E5%B7%A5&fields=unique_key,tags&sort=unique_key:desc",
    "GET /search?q=100%25",
    "GET /search?lmit=1",
    "GET /search?q=a&q=b",
    "GET /indexes",
    "GET /indexes/default/search?q=coffee",
    "GET /indexes/none/search?q=coffee",
    "GET /nothing/here",
    // `GET /health` reports what the process itself has done.
    "GET /health/ready",
    "HEAD /documents/100%25",
    "OPTIONS /search",
    "PUT /documents",
    "POST /search",
];

fn asked(question: &'static str) -> Asked {
    let (method, uri) = question.split_once(' ').unwrap();
    Asked::new(method, uri)
}

async fn check(place: &Place, name: &str, sender: Sender, asked: &Asked) {
    let expected = place
        .plain(asked.method, &asked.uri(), asked.body.clone())
        .await;
    let event = sender(asked);
    let payload = invoke(&place.writer, event.to_string(), LONG).await;
    assert_eq!(Answer::of(&payload), expected, "{name}: {asked:?}\n{event}");
    assert_eq!(payload["isBase64Encoded"], false, "{payload}");
}

#[tokio::test]
async fn every_sender_gets_the_answer_of_the_router() {
    let place = Place::filled().await;
    for question in QUESTIONS {
        for (name, sender) in SENDERS {
            check(&place, name, sender, &asked(question)).await;
        }
    }
}

#[tokio::test]
async fn what_an_http_api_cuts_off_comes_through_the_others() {
    let place = Place::filled().await;
    let question = asked("GET /documents/q%3Fx%23y");
    for (name, sender) in SENDERS {
        if !name.starts_with("HTTP 1") {
            check(&place, name, sender, &question).await;
        }
    }
}

#[tokio::test]
async fn a_balancer_with_single_values_passes_single_values_on() {
    let place = Place::filled().await;
    for question in [
        "GET /search?q=coffee+%26+tea&tag=x",
        "GET /documents/a%2Fb%20c",
    ] {
        check(&place, "balancer", balancer, &asked(question)).await;
    }
    let event = balancer(&asked("GET /health"));
    let payload = invoke(&place.search, event.to_string(), LONG).await;
    assert_eq!(payload["statusDescription"], "200 OK", "{payload}");
    assert!(payload["headers"]["content-type"].is_string(), "{payload}");
    assert_eq!(payload["multiValueHeaders"], json!({}), "{payload}");
}

#[tokio::test]
async fn documents_are_posted_replaced_and_deleted_through_every_sender() {
    let place = Place::new();
    for (at, (name, sender)) in SENDERS.iter().enumerate() {
        let key = format!("k {at}/日本");
        let mut post = Asked::new("POST", "/documents?wait=visible");
        post.body = json!({"unique_key": key, "title": "brew"})
            .to_string()
            .into_bytes();
        let posted = Answer::of(&invoke(&place.writer, sender(&post).to_string(), LONG).await);
        assert_eq!(posted.json()["created"], 1, "{name}: {posted:?}");
        let found = place.plain("GET", "/search?q=brew", "").await;
        assert_eq!(
            found.json()["result"][0]["unique_key"],
            key.as_str(),
            "{name}"
        );
        let mut many = Asked::new("POST", "/documents/delete");
        many.body = json!([key]).to_string().into_bytes();
        let event = sender(&many).to_string();
        let deleted = Answer::of(&invoke(&place.writer, event.clone(), LONG).await);
        assert_eq!(deleted.json()["deleted"], 1, "{name}: {deleted:?}");
        let refused = Answer::of(&invoke(&place.search, event, LONG).await);
        assert_eq!(refused.status, 403, "{name}: {refused:?}");
    }
}

#[tokio::test]
async fn a_stage_may_be_named_like_a_route_and_a_domain_have_a_base_path() {
    let place = Place::filled().await;
    let mut event = rest(&asked("GET /documents/100%25"));
    event["requestContext"]["stage"] = "documents".into();
    event["requestContext"]["path"] = "/documents/documents/100%25".into();
    let answer = Answer::of(&invoke(&place.search, event.to_string(), LONG).await);
    assert_eq!(answer.status, 200, "{answer:?}");

    let variables = [("AQUIFER_BASE_PATH", "docs/v1")];
    let based = Front::new(
        environment(&place.root, &variables),
        Role::Search,
        no_sources(),
        None,
    );
    for path in [
        "/docs/v1/documents/100%",
        "/prod/docs/v1/documents/100%",
        "/prod/documents/100%",
    ] {
        let mut event = http_v2(&asked("GET /"));
        event["rawPath"] = path.into();
        let answer = Answer::of(&invoke(&based, event.to_string(), LONG).await);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn headers_are_answered_once_in_the_shape_of_the_sender() {
    let place = Place::filled().await;
    let question = asked("GET /documents/100%25");
    let v1 = invoke(&place.search, rest(&question).to_string(), LONG).await;
    assert_eq!(
        v1["multiValueHeaders"]["aquifer-version"],
        json!(["2"]),
        "{v1}"
    );
    assert_eq!(v1["headers"], json!({}), "{v1}");
    let v2 = invoke(&place.search, http_v2(&question).to_string(), LONG).await;
    assert_eq!(v2["headers"]["aquifer-version"], "2", "{v2}");
    assert_eq!(v2["headers"]["x-request-id"], "invocation-1", "{v2}");
    let mut named = question;
    named.headers.push(("X-Request-Id", "mine"));
    let v2 = invoke(&place.search, http_v2(&named).to_string(), LONG).await;
    assert_eq!(v2["headers"]["x-request-id"], "mine", "{v2}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_not_fatal() {
    let place = Place::filled().await;
    let mut odd = asked("GET /health");
    odd.headers = vec![
        ("Host", "no host!"),
        ("X-Name", "Zoë"),
        ("bad name", "x"),
        ("X-N", "a\nb"),
    ];
    for (name, sender) in SENDERS {
        let answer = Answer::of(&invoke(&place.search, sender(&odd).to_string(), LONG).await);
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
    }
    let mut event = http_v2(&asked("GET /search"));
    event["rawQueryString"] = "q=coffee tea \"x\" <日本>".into();
    let answer = Answer::of(&invoke(&place.search, event.to_string(), LONG).await);
    assert_eq!(answer.status, 200, "{answer:?}");
    event["requestContext"]["http"]["method"] = "G E T".into();
    let answer = Answer::of(&invoke(&place.search, event.to_string(), LONG).await);
    assert_eq!(answer.status, 405, "{answer:?}");
}

/// Where nothing is odd, `lambda_http` reads the same request out of an event.
#[tokio::test]
async fn ordinary_events_are_read_as_lambda_http_reads_them() {
    let place = Place::filled().await;
    for question in [
        "GET /documents/plus+sign",
        "GET /search?q=coffee&tag=x&limit=2",
    ] {
        for (name, sender) in SENDERS {
            if name.starts_with("Lattice") {
                continue;
            }
            let asked = asked(question);
            let event = sender(&asked).to_string();
            let theirs = lambda_http::request::from_str(&event).unwrap();
            let path = theirs.uri().path();
            let path = path.strip_prefix("/prod").unwrap_or(path);
            let uri = format!("{path}?{}", theirs.uri().query().unwrap_or_default());
            let request: Request<()> = Request::get(uri).body(()).unwrap();
            let target = request.uri().to_string();
            let theirs = place.plain(asked.method, &target, "").await;
            let ours = Answer::of(&invoke(&place.search, event, LONG).await);
            assert_eq!(ours, theirs, "{name}: {question}");
        }
    }
}
