//! Batches that are answered before they are visible.

use axum::http::StatusCode;
use insta::assert_snapshot;

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
    let early = service.get(&url).await;
    // It may have been applied in the meantime.
    let state = &early.json()["state"];
    assert!(state == "pending" || state == "applied", "{early}");
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
    assert_snapshot!(service.get("/indexes/books/batches/nonsense").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "a batch identity is two hexadecimal numbers of 16 digits, joined by a hyphen"
    }
    "#);
    let nobodys = service
        .get("/indexes/books/batches/7fffffffffffffff-0000000000000000")
        .await;
    assert_eq!(nobodys.status, StatusCode::NOT_FOUND, "{nobodys}");
    assert!(
        nobodys.body.contains("use the `batch` of a 202 answer"),
        "{nobodys}"
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
    let mut left = service.get("/search").await.keys();
    left.sort();
    assert_eq!(left, ["200", "l"]);
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
