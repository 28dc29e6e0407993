//! Indexes are created, described, kept apart, and deleted.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use insta::assert_snapshot;
use serde_json::json;

use crate::{Service, answer};

const STRICT: &str = r#"{"mapping":{"dynamic":"strict","fields":{"isbn":{"type":"keyword"}}}}"#;

#[tokio::test]
async fn an_index_is_created_once() {
    let service = Service::new();
    assert_snapshot!(service.put("/indexes/books", STRICT).await, @r#"
    201 Created
    content-type: application/json
    location: /indexes/books
    {
      "name": "books",
      "created": true
    }
    "#);
    assert_snapshot!(service.put("/indexes/books", STRICT).await, @r#"
    200 OK
    content-type: application/json
    location: /indexes/books
    {
      "name": "books",
      "created": false
    }
    "#);
    assert_snapshot!(service.put("/indexes/books", "").await, @r#"
    409 Conflict
    content-type: application/problem+json
    {
      "type": "/problems/conflict",
      "title": "The request contradicts what exists",
      "status": 409,
      "detail": "the index `books` exists with another definition, and a definition cannot be changed: create a new index and send the documents to it, or delete this one"
    }
    "#);
    assert_eq!(
        service.put("/indexes/papers", "{}").await.status,
        StatusCode::CREATED
    );
    assert_snapshot!(service.get("/indexes").await, @r#"
    200 OK
    content-type: application/json
    {
      "indexes": [
        "books",
        "papers"
      ]
    }
    "#);
}

#[tokio::test]
async fn a_definition_takes_effect() {
    let service = Service::new();
    service.put("/indexes/books", STRICT).await;
    let body = r#"[{"unique_key":"a","isbn":"1"},{"unique_key":"b","colour":"red"}]"#;
    let answer = service.post("/indexes/books/documents", body).await;
    assert_eq!(answer.status, StatusCode::MULTI_STATUS, "{answer}");
    assert_eq!(
        answer.json()["errors"][0]["type"],
        "unknown_field",
        "{answer}"
    );
    let found = service.get("/indexes/books/search?q=isbn:1").await;
    assert_eq!(found.keys(), ["a"]);
}

#[tokio::test]
async fn an_index_describes_itself() {
    let service = Service::new();
    service.put("/indexes/books", STRICT).await;
    service
        .post("/indexes/books/documents", r#"{"unique_key":"a"}"#)
        .await;
    let answer = service.get("/indexes/books").await.json();
    assert_eq!(answer["name"], "books");
    assert_eq!(answer["definition"]["mapping"]["dynamic"], "strict");
    assert_eq!(
        answer["definition"]["mapping"]["fields"]["isbn"],
        json!({"type": "keyword"})
    );
    assert_eq!(answer["stats"]["documents"], 1, "{answer}");
    let stats = service.get("/indexes/books/stats").await.json();
    assert_eq!(stats["documents"], 1, "{stats}");
}

#[tokio::test]
async fn indexes_are_apart() {
    let service = Service::filled().await;
    service.put("/indexes/books", "").await;
    let posted = service
        .post("/indexes/books/documents", r#"{"unique_key":"b/1"}"#)
        .await;
    assert_eq!(posted.status, StatusCode::OK, "{posted}");
    assert_eq!(service.get("/indexes/books/search").await.keys(), ["b/1"]);
    assert_eq!(
        service.get("/indexes/books/documents/b/1").await.status,
        StatusCode::OK
    );
    assert_eq!(
        service.get("/documents/b/1").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        service.get("/indexes/default/search").await.json()["count"],
        3
    );
    let keys = r#"["b/1"]"#;
    let deleted = service.post("/indexes/books/documents/delete", keys).await;
    assert_eq!(deleted.json()["deleted"], 1, "{deleted}");
}

#[tokio::test]
async fn an_index_is_deleted() {
    let service = Service::new();
    service.put("/indexes/books", "").await;
    assert_snapshot!(service.delete("/indexes/books").await, @"204 No Content");
    assert_eq!(
        service.get("/indexes/books").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        service.delete("/indexes/books").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(service.get("/indexes").await.json()["indexes"], json!([]));
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let service = Service::new();
    for path in ["/search", "/stats", "/documents/k", "/batches/b", ""] {
        let answer = service.get(&format!("/indexes/nowhere{path}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {answer}");
        assert_eq!(answer.json()["type"], "/problems/not-found", "{path}");
        let advice = "create it with PUT /indexes/nowhere or `aquifer create-index`";
        assert!(answer.body.contains(advice), "{path}: {answer}");
    }
    let posted = service
        .post("/indexes/nowhere/documents", r#"{"unique_key":"k"}"#)
        .await;
    assert_eq!(posted.status, StatusCode::NOT_FOUND, "{posted}");
}

#[tokio::test]
async fn a_wrong_name_or_definition_is_refused() {
    let service = Service::new();
    assert_eq!(
        service.put("/indexes/No%20Name", "").await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        service.put("/indexes/..", "").await.status,
        StatusCode::BAD_REQUEST
    );
    assert_snapshot!(service.put("/indexes/books", r#"{"mappings":{}}"#).await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the body cannot be read: unknown field `mappings`, expected one of `mapping`, `languages`, `default_language`, `force_language` at line 1 column 11"
    }
    "#);
    let unknown = r#"{"mapping":{"fields":{"a":{"type":"string"}}}}"#;
    assert_snapshot!(service.put("/indexes/books", unknown).await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the body cannot be read: unknown variant `string`, expected one of `text`, `keyword`, `integer`, `float`, `boolean`, `date`, `object` at line 1 column 42"
    }
    "#);
    assert_eq!(service.get("/indexes").await.json()["indexes"], json!([]));
}

/// A process that had the index open before it was deleted, and created again by another, finds the new one at once.
#[tokio::test]
async fn an_index_that_was_created_again_is_found_by_who_knew_the_earlier_one() {
    let service = Service::filled().await;
    let reader = service.reader();
    let ask = |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        answer(&reader, request)
    };
    for path in ["/search?q=coffee", "/documents/418", "/stats"] {
        assert_eq!(ask(path).await.status, StatusCode::OK);
        assert!(service.delete("/indexes/default").await.status.is_success());
        let gone = ask(path).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND, "{gone}");
        let filled = service.post("/documents", r#"{"unique_key":"418"}"#).await;
        assert_eq!(filled.status, StatusCode::OK, "{filled}");
        assert_eq!(ask(path).await.status, StatusCode::OK);
        // Deleted and created between two requests.
        assert!(service.delete("/indexes/default").await.status.is_success());
        let filled = service.post("/documents", r#"{"unique_key":"418"}"#).await;
        assert_eq!(filled.status, StatusCode::OK, "{filled}");
        let found = ask(path).await;
        assert_eq!(found.status, StatusCode::OK, "{path}: {found}");
    }
}
