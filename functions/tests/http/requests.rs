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
      "read_only": false
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
