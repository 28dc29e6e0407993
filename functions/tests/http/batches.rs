//! Batches that are answered before they are visible.

use aquifer_functions::http::Settings;
use axum::http::StatusCode;
use insta::assert_snapshot;
use tokio::sync::mpsc;

use crate::Service;

/// The answer with the batch's id, which differs from run to run, taken out.
fn without_id(answer: &crate::Answer) -> String {
    let json = answer.json();
    let id = json["batch"].as_str().unwrap_or_else(|| panic!("{answer}"));
    answer.to_string().replace(id, "[id]")
}

#[tokio::test]
async fn a_durable_batch_can_be_followed() {
    let service = Service::new();
    let answer = service
        .post("/documents?wait=durable", r#"{"unique_key":"k"}"#)
        .await;
    assert_snapshot!(without_id(&answer), @r#"
    202 Accepted
    content-type: application/json
    location: /batches/[id]
    {
      "batch": "[id]",
      "status_url": "/batches/[id]",
      "accepted": 1,
      "errors": [],
      "took_ms": "[ms]"
    }
    "#);
    let url = answer.header("location").to_owned();
    assert_eq!(answer.json()["status_url"], url.as_str());
    let pending = service.get(&url).await;
    assert_eq!(pending.json()["state"], "pending", "{pending}");
    assert_eq!(
        service
            .post("/documents", r#"{"unique_key":"l"}"#)
            .await
            .status,
        StatusCode::OK
    );
    let applied = service.get(&url).await;
    assert_eq!(applied.json()["state"], "applied", "{applied}");
    assert_eq!(service.get("/search").await.json()["count"], 2);
}

#[tokio::test]
async fn the_status_of_a_batch_belongs_to_its_index() {
    let service = Service::new();
    service.put("/indexes/books", "").await;
    let body = "{\"unique_key\":\"k\"}\n{}\n";
    let answer = service
        .post("/indexes/books/documents?wait=durable", body)
        .await;
    assert_snapshot!(without_id(&answer), @r#"
    207 Multi-Status
    content-type: application/json
    location: /indexes/books/batches/[id]
    {
      "batch": "[id]",
      "status_url": "/indexes/books/batches/[id]",
      "accepted": 1,
      "errors": [
        {
          "position": 1,
          "unique_key": null,
          "type": "missing_unique_key",
          "detail": "`unique_key` is missing: give the document a string that identifies it"
        }
      ],
      "took_ms": "[ms]"
    }
    "#);
    let url = answer.header("location").to_owned();
    assert_eq!(service.get(&url).await.status, StatusCode::OK);
    assert_eq!(
        service.get("/batches/nonsense").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn deletes_can_be_durable_only_too() {
    let service = Service::filled().await;
    let answer = service.delete("/documents/418?wait=durable").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer}");
    let answer = service
        .post("/documents/delete?wait=durable", r#"["404"]"#)
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer}");
    service.post("/documents", r#"{"unique_key":"l"}"#).await;
    assert_eq!(
        service.get("/search?sort=unique_key").await.keys(),
        ["200", "l"]
    );
}

#[tokio::test]
async fn somebody_is_told_that_a_batch_waits() {
    let (accepted, mut told) = mpsc::channel(1);
    let service = Service::with(Settings {
        accepted: Some(accepted),
        ..Settings::default()
    });
    service.post("/documents", r#"{"unique_key":"k"}"#).await;
    assert!(
        told.try_recv().is_err(),
        "an applied batch waits for nobody"
    );
    service
        .post("/documents?wait=durable", r#"{"unique_key":"k"}"#)
        .await;
    assert_eq!(told.try_recv().unwrap(), "default");
    for _ in 0..3 {
        let answer = service
            .post("/documents?wait=durable", r#"{"unique_key":"k"}"#)
            .await;
        assert_eq!(
            answer.status,
            StatusCode::ACCEPTED,
            "a full channel is no reason to fail"
        );
    }
}

#[tokio::test]
async fn an_unknown_way_to_wait_is_refused() {
    let service = Service::new();
    assert_snapshot!(service.post("/documents?wait=long", r#"{"unique_key":"k"}"#).await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the parameter wait should be visible or durable, not \"long\""
    }
    "#);
}
