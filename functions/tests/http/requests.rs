//! What holds for every request: its id, its deadline, its turn.

use std::time::{Duration, Instant};

use aquifer_functions::http::{Deadline, Settings};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use insta::assert_snapshot;

use crate::Service;

#[tokio::test]
async fn a_request_keeps_its_id_where_that_is_harmless() {
    let service = Service::new();
    let check = async |given: &str| {
        let request = Request::get("/health").header("x-request-id", given);
        let answer = service.request(request.body(Body::empty()).unwrap()).await;
        answer.header("x-request-id").to_owned()
    };
    assert_eq!(check("abc-123_x.y:z").await, "abc-123_x.y:z");
    for harmful in ["", "a b", "a\tb", "<x>", &"x".repeat(129)] {
        let made = check(harmful).await;
        assert_eq!(made.len(), 36, "{harmful:?} became {made:?}");
    }
    let missing = service.get("/nothing").await;
    assert_ne!(
        missing.header("x-request-id"),
        "",
        "a refused request has one too"
    );
}

#[tokio::test]
async fn the_service_is_healthy_before_it_has_an_index() {
    assert_snapshot!(Service::new().get("/health").await, @r#"
    200 OK
    content-type: application/json
    {
      "status": "ok",
      "version": "0.1.0",
      "read_only": false,
      "work": {
        "commits": 0,
        "batches": 0,
        "commit_us": 0,
        "fenced": 0,
        "refreshes": 0
      }
    }
    "#);
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_with_the_deadline() {
    let service = Service::with(Settings {
        deadline: Duration::from_millis(50),
        ..Settings::default()
    });
    let never = Body::from_stream(Never);
    assert_snapshot!(service.post("/documents", never).await, @r#"
    408 Request Timeout
    content-type: application/problem+json
    {
      "type": "/problems/request-timeout",
      "title": "The body did not arrive in time",
      "status": 408,
      "detail": "the body did not arrive before the request's deadline: send less at once"
    }
    "#);
}

#[tokio::test]
async fn an_earlier_deadline_of_the_front_door_wins() {
    let service = Service::new();
    let mut request = Request::post("/documents")
        .body(Body::from_stream(Never))
        .unwrap();
    request.extensions_mut().insert(Deadline(Instant::now()));
    assert_eq!(
        service.request(request).await.status,
        StatusCode::REQUEST_TIMEOUT
    );
}

#[tokio::test]
async fn slashes_too_many_are_forgiven_and_those_of_a_key_are_kept() {
    let service = Service::filled().await;
    let document = r#"[{"unique_key":"a//b/"},{"unique_key":"/"}]"#;
    service.post("//documents/", document).await;
    for path in [
        "/search/",
        "//search",
        "/indexes/default//search/?q=",
        "/indexes/default/search",
    ] {
        assert_eq!(service.get(path).await.json()["count"], 5, "{path}");
    }
    for (path, key) in [("/documents/a//b/", "a//b/"), ("//documents//", "/")] {
        assert_eq!(service.get(path).await.json()["unique_key"], key, "{path}");
    }
    assert_eq!(
        service.get("/documents/a/b/").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(service.get("/health/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn parameters_that_others_add_break_no_search_and_mistakes_do() {
    let service = Service::filled().await;
    let added = "/search?q=coffee&utm_source=news&utm_campaign=x&fbclid=a&gclid=b&_=1700000000000";
    let answer = service.get(added).await;
    assert_eq!(answer.json()["count"], 2, "{answer}");
    let posted = service
        .post("/documents?_=1", r#"{"unique_key":"k"}"#)
        .await;
    assert_eq!(posted.status, StatusCode::OK, "{posted}");
    for unknown in ["lmit=1", "utm=1", "callback=x"] {
        let answer = service.get(&format!("/search?q=coffee&{unknown}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer}");
    }
}

#[tokio::test]
async fn a_failure_of_the_server_names_the_file_and_not_the_mount() {
    let service = Service::filled().await;
    let root = service.root.path().to_str().unwrap().to_owned();
    let away = service.root.path().with_extension("away");
    std::fs::rename(&root, &away).unwrap();
    let answer = service.get("/indexes").await;
    std::fs::rename(&away, &root).unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert!(answer.body.contains("(os error 2)"), "{answer}");
    assert!(!answer.body.contains(&root), "{answer}");

    let heads = service.root.path().join("default/manifests");
    for entry in std::fs::read_dir(heads).unwrap() {
        std::fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    std::fs::write(service.root.path().join("default/HEAD"), "damaged").unwrap();
    let other = Service::over(&service.root, Settings::default());
    let request = Request::get("/search").body(Body::empty()).unwrap();
    let answer = crate::answer(&other, request).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{answer}");
    assert!(
        answer.body.contains("manifests/") || answer.body.contains("HEAD"),
        "{answer}"
    );
    assert!(!answer.body.contains(&root), "{answer}");
}

/// A stream that never has anything.
struct Never;

impl futures_lite::Stream for Never {
    type Item = Result<Vec<u8>, std::io::Error>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Pending
    }
}
