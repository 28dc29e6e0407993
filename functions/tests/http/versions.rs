//! Waiting for a version.

use std::time::Duration;

use aquifer_functions::http::limits::{MAX_VERSION_WAITERS, MAX_VERSIONS_AHEAD};
use tokio::task::{JoinHandle, yield_now};

use super::*;

/// Requests that wait while others must be answered.
const WAITERS: usize = 50;

async fn version(service: &Service) -> u64 {
    service.get("/stats").await.json()["version"]
        .as_u64()
        .unwrap()
}

fn waiting(service: &Service, path: String) -> JoinHandle<Answer> {
    let router = service.router.clone();
    tokio::spawn(async move {
        let request = Request::builder().uri(path);
        answer(&router, request.body(Body::empty()).unwrap()).await
    })
}

/// One turn for searches and one for reads: whoever waits in a turn would block all others.
fn narrow() -> Settings {
    Settings {
        concurrent_reads: 1,
        concurrent_searches: 1,
        queue: 4 * MAX_VERSION_WAITERS,
        ..Settings::default()
    }
}

#[tokio::test]
async fn who_waits_for_a_version_holds_no_turn_and_is_answered_when_it_comes() {
    let service = Service::with(narrow());
    service.post("/documents", r#"{"unique_key":"a"}"#).await;
    let next = version(&service).await + 1;
    let waiters: Vec<_> = (0..WAITERS)
        .map(|n| {
            let path = if n % 2 == 0 {
                "/search"
            } else {
                "/documents/a"
            };
            waiting(&service, format!("{path}?min_version={next}"))
        })
        .collect();
    for _ in 0..20 {
        let answer = service.get("/search").await;
        assert_eq!(answer.status, StatusCode::OK, "{answer}");
    }
    let ended = waiters.iter().filter(|waiter| waiter.is_finished()).count();
    assert_eq!(ended, 0, "nothing has been posted");
    service.post("/documents", r#"{"unique_key":"b"}"#).await;
    for waiter in waiters {
        let answer = waiter.await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{answer}");
    }
}

#[tokio::test]
async fn a_version_that_is_far_ahead_is_a_conflict_at_once() {
    let service = Service::filled().await;
    let far = version(&service).await + MAX_VERSIONS_AHEAD + 1;
    for path in ["/search", "/documents/418"] {
        for min_version in [far, u64::MAX] {
            let answer = service
                .get(&format!("{path}?min_version={min_version}"))
                .await;
            assert_eq!(answer.status, StatusCode::CONFLICT, "{answer}");
            assert!(answer.body.contains("created anew"), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_version_that_does_not_come_is_answered_with_the_newest_one() {
    let service = Service::new();
    service.put("/indexes/x", "{}").await;
    let hasty = Settings {
        deadline: Duration::from_millis(300),
        ..Settings::default()
    };
    let hasty = Service::over(&service.root, hasty);
    for path in ["/indexes/x/search", "/indexes/x/documents/a"] {
        let request = Request::builder().uri(format!("{path}?min_version=900"));
        let answer = answer(&hasty, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
        assert!(answer.body.contains("version 900"), "{answer}");
        assert!(answer.body.contains("created anew"), "{answer}");
        assert_eq!(answer.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn so_many_may_wait_and_who_goes_makes_room() {
    let service = Service::with(narrow());
    service.post("/documents", r#"{"unique_key":"a"}"#).await;
    let next = version(&service).await + 1;
    let path = format!("/search?min_version={next}");
    let waiters: Vec<_> = (0..MAX_VERSION_WAITERS)
        .map(|_| waiting(&service, path.clone()))
        .collect();
    // Everybody who came before this one, in the one turn there is, has begun to wait when it is answered.
    let refused = loop {
        let one = waiting(&service, path.clone());
        let checked = service.get("/search").await;
        assert_eq!(checked.status, StatusCode::OK, "{checked}");
        yield_now().await;
        if one.is_finished() {
            break one.await.unwrap();
        }
        one.abort();
    };
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused}");
    assert!(refused.body.contains("wait for a version"), "{refused}");
    for waiter in &waiters {
        waiter.abort();
    }
    for waiter in waiters {
        assert!(waiter.await.is_err(), "it was aborted");
    }
    let again = waiting(&service, path);
    service.post("/documents", r#"{"unique_key":"b"}"#).await;
    let again = again.await.unwrap();
    assert_eq!(again.status, StatusCode::OK, "{again}");
}

#[tokio::test]
async fn an_index_that_is_created_anew_is_waited_for_by_its_own_versions() {
    let service = Service::new();
    service.put("/indexes/x", "{}").await;
    let post = |key: &str| format!(r#"{{"unique_key":"{key}"}}"#);
    for key in ["a", "b", "c"] {
        service.post("/indexes/x/documents", post(key)).await;
    }
    let stats = service.get("/indexes/x/stats").await.json();
    let old = stats["version"].as_u64().unwrap();
    service.delete("/indexes/x").await;
    service.put("/indexes/x", "{}").await;
    let waiter = waiting(&service, format!("/indexes/x/search?min_version={old}"));
    // Its own versions count, not those of the index before it.
    for key in ["d", "e", "f", "g"] {
        service.post("/indexes/x/documents", post(key)).await;
    }
    let answer = waiter.await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{answer}");
    assert!(
        answer.json()["version"].as_u64().unwrap() >= old,
        "{answer}"
    );
}
