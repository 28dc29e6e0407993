//! How requests come to a function and how its answers leave: any path, prefixes, packed answers, pings, near-misses.

use std::collections::BTreeSet;
use std::io::Read;

use aquifer_functions::lambda::front::Front;
use aquifer_functions::lambda::role::Role;
use aquifer_functions::lambda::tend::Tend;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use lambda_runtime::LambdaEvent;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::senders::{
    Asked, Sender, balancer, function_url, http_v1, http_v2, lattice_v1, lattice_v2, rest,
};
use crate::{Answer, LONG, Place, context, environment, invoke, no_sources};

fn front(place: &Place, role: Role, variables: &[(&str, &str)]) -> Front {
    Front::new(
        environment(&place.root, variables),
        role,
        no_sources(),
        None,
    )
}

async fn ask(front: &Front, sender: Sender, method: &'static str, uri: &str, body: &str) -> Answer {
    let mut asked = Asked::new(method, uri);
    asked.body = body.as_bytes().to_vec();
    Answer::of(&invoke(front, sender(&asked).to_string(), LONG).await)
}

#[tokio::test]
async fn a_function_answers_at_the_path_that_somebody_attached_it_to() {
    let place = Place::filled().await;
    let expected = place.plain("GET", "/search?query=coffee", "").await;
    let senders: [Sender; 6] = [
        http_v2,
        rest,
        function_url,
        balancer,
        lattice_v1,
        lattice_v2,
    ];
    for sender in senders {
        for path in [
            "/",
            "/docker-test",
            "/docker-test/",
            "/v1/any",
            "//search",
            "/search/",
        ] {
            let uri = format!("{path}?query=coffee");
            assert_eq!(
                ask(&place.search, sender, "GET", &uri, "").await,
                expected,
                "{path}"
            );
        }
        let posted = ask(
            &place.search,
            sender,
            "POST",
            "/docker-test",
            r#"{"query":"coffee"}"#,
        )
        .await;
        assert_eq!(posted, expected);
    }
    for sender in senders {
        for path in ["/", "/docker-test"] {
            let written = ask(
                &place.writer,
                sender,
                "POST",
                path,
                r#"{"unique_key":"new"}"#,
            )
            .await;
            assert_eq!(written.json()["accepted"], 1, "{path}: {written:?}");
        }
        let unread = ask(&place.writer, sender, "GET", "/docker-test", "").await;
        assert_eq!(unread.status, 404, "{unread:?}");
    }
    for path in [
        "/documents/none",
        "/indexes/default/serach",
        "/batches",
        "/search/x",
    ] {
        let answer = ask(&place.search, http_v2, "GET", path, "").await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    let unknown = ask(&place.search, http_v2, "GET", "/docker-test?qwery=x", "").await;
    assert_eq!(unknown.status, 400, "{unknown:?}");
}

#[tokio::test]
async fn a_path_that_is_a_route_is_the_functions_own_where_it_is_told_so() {
    let place = Place::filled().await;
    let search = front(&place, Role::Search, &[("AQUIFER_PATH", "stats/")]);
    let answer = ask(&search, http_v2, "GET", "/stats?q=coffee", "").await;
    assert_eq!(answer.json()["count"], 2, "{answer:?}");
    let answer = ask(&search, http_v2, "GET", "/indexes/default/stats", "").await;
    assert_eq!(answer.json()["documents"], 6, "{answer:?}");
}

#[tokio::test]
async fn addresses_have_the_stage_and_the_base_path_of_the_client() {
    let place = Place::filled().await;
    let check = async |front: &Front, sender: Sender, path: &str, prefix: &str| {
        let answer = ask(front, sender, "POST", path, r#"{"unique_key":"1"}"#).await;
        let url = answer.json()["status_url"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer:?}"))
            .to_owned();
        assert!(url.starts_with(&format!("{prefix}/batches/")), "{url}");
        assert_eq!(answer.location.as_deref(), Some(&*url));
        let asked = url.strip_prefix(prefix).unwrap();
        assert_eq!(
            ask(front, sender, "GET", asked, "").await.status,
            200,
            "{url}"
        );
    };
    let durable = "/documents?wait=durable";
    let writer = &place.writer;
    for (sender, prefix) in [
        (http_v2 as Sender, "/prod"),
        (http_v1, "/prod"),
        (rest, "/prod"),
        (function_url, ""),
        (balancer, ""),
        (lattice_v1, ""),
        (lattice_v2, ""),
    ] {
        check(writer, sender, durable, prefix).await;
    }
    let named = "/indexes/default/documents?wait=durable";
    check(writer, rest, named, "/prod/indexes/default").await;
    let based = front(&place, Role::Writer, &[("AQUIFER_BASE_PATH", "docs")]);
    let answer = ask(
        &based,
        balancer,
        "POST",
        "/docs/documents?wait=durable",
        r#"{"unique_key":"1"}"#,
    )
    .await;
    assert!(
        answer
            .location
            .as_ref()
            .unwrap()
            .starts_with("/docs/batches/"),
        "{answer:?}"
    );
    let put = ask(writer, http_v2, "PUT", "/indexes/new", "").await;
    assert_eq!(put.location.as_deref(), Some("/prod/indexes/new"));
    let job = ask(writer, http_v2, "POST", "/reindex", "").await;
    assert!(
        job.location.as_ref().unwrap().starts_with("/prod/jobs/"),
        "{job:?}"
    );
}

/// What a packed answer holds.
fn unpacked(payload: &Value) -> Value {
    assert_eq!(payload["isBase64Encoded"], true, "{payload}");
    let packed = STANDARD.decode(payload["body"].as_str().unwrap()).unwrap();
    let mut text = String::new();
    GzDecoder::new(&*packed).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn what_counts_is_the_size_of_the_packed_answer() {
    let place = Place::new();
    let words = "many words of a text that packs well ".repeat(20_000);
    for key in 0..10 {
        let document = json!({"unique_key": key.to_string(), "title": "large", "content": words});
        place
            .plain("POST", "/documents", document.to_string())
            .await;
    }
    let mut asked = Asked::new("GET", "/search?q=large");
    let plain = invoke(&place.search, http_v2(&asked).to_string(), LONG).await;
    assert_eq!(plain["statusCode"], 413, "7 MB do not travel");
    asked.headers.push(("Accept-Encoding", "gzip"));
    for (name, sender) in [
        ("HTTP 2.0", http_v2 as Sender),
        ("HTTP 1.0", http_v1),
        ("function URL", function_url),
        ("balancer", balancer),
        ("Lattice 1", lattice_v1),
        ("Lattice 2", lattice_v2),
    ] {
        let payload = invoke(&place.search, sender(&asked).to_string(), LONG).await;
        assert!(payload.to_string().len() < 200_000, "{name}");
        assert_eq!(
            unpacked(&payload)["result"].as_array().unwrap().len(),
            10,
            "{name}"
        );
        let headers = [&payload["headers"], &payload["multiValueHeaders"]];
        let encoding = headers
            .map(|headers| headers["content-encoding"].to_string())
            .join("");
        assert!(encoding.contains("gzip"), "{name}: {encoding}");
    }
    // A REST API hands base64 out as it is, unless somebody has said that it does not.
    let payload = invoke(&place.search, rest(&asked).to_string(), LONG).await;
    assert_eq!(payload["statusCode"], 413, "{payload}");
    let always = front(&place, Role::Search, &[("AQUIFER_COMPRESSION", "always")]);
    let payload = invoke(&always, rest(&asked).to_string(), LONG).await;
    assert_eq!(unpacked(&payload)["count"], 10);
    let never = front(&place, Role::Search, &[("AQUIFER_COMPRESSION", "never")]);
    let payload = invoke(&never, http_v2(&asked).to_string(), LONG).await;
    assert_eq!(payload["statusCode"], 413, "{payload}");
    let bare = invoke(&place.search, r#"{"query":"large","limit":1}"#, LONG).await;
    assert!(
        bare["body"].as_str().unwrap().starts_with("{\"count\":10"),
        "{bare}"
    );
}

#[tokio::test]
async fn lattice_gets_single_headers_and_a_description() {
    let place = Place::filled().await;
    for sender in [lattice_v1, lattice_v2] {
        let event = sender(&Asked::new("GET", "/search?q=coffee%20%26%20tea"));
        let payload = invoke(&place.search, event.to_string(), LONG).await;
        assert_eq!(payload["statusDescription"], "200 OK", "{payload}");
        assert_eq!(payload["isBase64Encoded"], false, "{payload}");
        assert_eq!(
            payload["headers"]["content-type"], "application/json",
            "{payload}"
        );
        assert_eq!(payload.as_object().unwrap().len(), 5, "{payload}");
    }
}

#[tokio::test]
async fn an_event_that_is_nearly_right_is_the_request_it_means() {
    let place = Place::filled().await;
    let expected = place.plain("GET", "/search?q=coffee", "").await;
    let mut nulls = rest(&Asked::new("GET", "/search?q=coffee"));
    nulls["isBase64Encoded"] = Value::Null;
    nulls["httpMethod"] = "".into();
    let mut bare_context = http_v2(&Asked::new("GET", "/search?q=coffee"));
    bare_context["requestContext"]["http"] = json!({});
    bare_context["version"] = json!(2.0);
    let by_hand =
        json!({"httpMethod": "GET", "path": "/search", "queryStringParameters": {"q": "coffee"}});
    let object = json!({"httpMethod": "POST", "path": "/search", "body": {"query": "coffee"}});
    for event in [nulls, bare_context, by_hand, object] {
        let answer = Answer::of(&invoke(&place.search, event.to_string(), LONG).await);
        assert_eq!(answer, expected, "{event}");
    }
}

#[tokio::test]
async fn pings_open_the_index_and_write_nothing() {
    let place = Place::filled().await;
    let tend = Tend::new(environment(&place.root, &[]), no_sources());
    for ping in [
        r#"{"warmer":true,"concurrency":2}"#,
        r#"{"source":"serverless-plugin-warmup"}"#,
    ] {
        for front in [&place.search, &place.writer] {
            let answer = invoke(front, ping, LONG).await;
            assert_eq!(
                answer,
                json!({"warm": true, "index": "default", "version": 2}),
                "{ping}"
            );
        }
        let payload = RawValue::from_string(ping.to_owned()).unwrap();
        let answer = tend
            .answer(LambdaEvent::new(payload, context(LONG)))
            .await
            .unwrap();
        assert!(answer.get().contains("\"warm\":true"), "{answer}");
    }
    assert_eq!(place.plain("GET", "/stats", "").await.json()["version"], 2);
    let empty = Place::new();
    let answer = invoke(&empty.search, r#"{"warmer":true}"#, LONG).await;
    assert_eq!(answer["version"], Value::Null, "{answer}");
}

#[tokio::test]
async fn a_root_that_is_missing_is_an_error_and_never_created() {
    let place = Place::new();
    let missing = place.root.path().join("mnt");
    let variables = [("AQUIFER_ROOT", missing.to_str().unwrap())];
    for role in [Role::Writer, Role::Search] {
        let front = Front::new(crate::environment_of(&variables), role, no_sources(), None);
        let (method, uri, body) = match role {
            Role::Writer => ("POST", "/documents", r#"{"unique_key":"1"}"#),
            Role::Search => ("GET", "/search", ""),
        };
        let answer = ask(&front, http_v2, method, uri, body).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(
            answer.body.contains("AQUIFER_ROOT") && answer.body.contains("mounted"),
            "{answer:?}"
        );
        assert!(
            !answer.body.contains(missing.to_str().unwrap()),
            "{answer:?}"
        );
        assert!(!missing.exists());
    }
    let tend = Tend::new(crate::environment_of(&variables), no_sources());
    let payload = RawValue::from_string("{}".to_owned()).unwrap();
    let error = tend
        .answer(LambdaEvent::new(payload, context(LONG)))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("AQUIFER_ROOT"), "{error}");
    assert!(!missing.exists());
}

#[tokio::test]
async fn only_the_indexes_that_are_listed_are_served_and_tended() {
    let place = Place::filled().await;
    for name in ["open", "secret"] {
        place.plain("PUT", &format!("/indexes/{name}"), "").await;
    }
    let variables = [("AQUIFER_INDEXES", "default, open")];
    let search = front(&place, Role::Search, &variables);
    let status = async |uri| ask(&search, http_v2, "GET", uri, "").await.status;
    assert_eq!(status("/indexes/open/search").await, 200);
    assert_eq!(
        status("/indexes/secret/search").await,
        StatusCode::NOT_FOUND.as_u16()
    );
    let listed = ask(&search, http_v2, "GET", "/indexes", "").await;
    assert_eq!(listed.body, r#"{"indexes":["default","open"]}"#);
    let tend = Tend::new(environment(&place.root, &variables), no_sources());
    let order = async |payload: &str| {
        let payload = RawValue::from_string(payload.to_owned()).unwrap();
        tend.answer(LambdaEvent::new(payload, context(LONG))).await
    };
    let report = order("{}").await.unwrap();
    let report: Value = serde_json::from_str(report.get()).unwrap();
    let names = report["indexes"].as_array().unwrap().iter();
    let names: BTreeSet<&str> = names
        .map(|index| index["index"].as_str().unwrap())
        .collect();
    assert_eq!(names, BTreeSet::from(["default", "open"]));
    let failed = order(r#"{"indexes":["secret"],"tasks":["merge"]}"#).await;
    let failed = failed.unwrap_err().to_string();
    assert!(failed.contains("no index `secret`"), "{failed}");
}
