//! Limits, and what is answered where nothing else can be.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use insta::assert_snapshot;

use crate::{Service, answer, gzip};

#[tokio::test]
async fn a_body_has_a_limit_packed_and_unpacked() {
    let service = Service::new();
    let large = "x".repeat(6 * 1024 * 1024 + 1);
    assert_snapshot!(service.post("/documents", large.clone()).await, @r#"
    413 Payload Too Large
    content-type: application/problem+json
    {
      "type": "/problems/too-large",
      "title": "The request exceeds a limit",
      "status": 413,
      "detail": "the body is longer than 6291456 bytes: send it in parts, or packed with gzip"
    }
    "#);
    let announced = Request::post("/documents")
        .header("content-length", "7000000")
        .body(Body::empty())
        .unwrap();
    assert_eq!(
        service.request(announced).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let bomb = Request::post("/documents")
        .header("content-encoding", "gzip")
        .body(Body::from(gzip(&vec![b' '; 64 * 1024 * 1024])))
        .unwrap();
    assert_snapshot!(service.request(bomb).await, @r#"
    413 Payload Too Large
    content-type: application/problem+json
    {
      "type": "/problems/too-large",
      "title": "The request exceeds a limit",
      "status": 413,
      "detail": "the body unpacks to more than 16777216 bytes: send it in parts"
    }
    "#);
}

#[tokio::test]
async fn an_encoding_must_be_known_and_true() {
    let service = Service::new();
    let packed = |encoding: &str| {
        Request::post("/documents")
            .header("content-encoding", encoding)
            .body(Body::from(r#"{"unique_key":"k"}"#))
            .unwrap()
    };
    assert_snapshot!(service.request(packed("br")).await, @r#"
    415 Unsupported Media Type
    content-type: application/problem+json
    {
      "type": "/problems/unsupported-encoding",
      "title": "The content encoding is not understood",
      "status": 415,
      "detail": "the content-encoding \"br\" is not understood: use gzip, or identity"
    }
    "#);
    assert_snapshot!(service.request(packed("gzip")).await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the body is not the gzip that its content-encoding promises: invalid gzip header"
    }
    "#);
    for encoding in ["identity", "Identity", "none", " "] {
        let answer = service.request(packed(encoding)).await;
        assert_eq!(answer.status, StatusCode::OK, "{encoding}: {answer}");
    }
    for encoding in ["gzip", "GZIP", "X-Gzip"] {
        let request = Request::post("/documents")
            .header("content-encoding", encoding)
            .body(Body::from(gzip(br#"{"unique_key":"k"}"#)));
        let answer = service.request(request.unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{encoding}: {answer}");
    }
}

#[tokio::test]
async fn too_many_documents_or_keys_are_refused() {
    let service = Service::new();
    let documents = "{\"unique_key\":\"k\"}\n".repeat(10_001);
    assert_snapshot!(service.post("/documents", documents).await, @r#"
    413 Payload Too Large
    content-type: application/problem+json
    {
      "type": "/problems/too-large",
      "title": "The request exceeds a limit",
      "status": 413,
      "detail": "the body has 10001 documents and the limit is 10000: send them in several requests"
    }
    "#);
    let keys = serde_json::to_string(&vec!["k"; 10_001]).unwrap();
    service.post("/documents", r#"{"unique_key":"k"}"#).await;
    assert_snapshot!(service.post("/documents/delete", keys).await, @r#"
    413 Payload Too Large
    content-type: application/problem+json
    {
      "type": "/problems/too-large",
      "title": "The request exceeds a limit",
      "status": 413,
      "detail": "the body names 10001 keys, and a batch holds 10000: send it in parts"
    }
    "#);
}

#[tokio::test]
async fn an_empty_or_odd_body_is_refused() {
    let service = Service::new();
    for body in [
        "",
        " \n",
        "[]",
        r#"{"documents":[]}"#,
        "hello",
        "7",
        "\u{0}",
    ] {
        let answer = service.post("/documents", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body:?}: {answer}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let answer = service.post("/documents", vec![b'{', 0xff, b'}']).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer}");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let service = Service::new();
    assert_snapshot!(service.get("/nothing/here").await, @r#"
    404 Not Found
    content-type: application/problem+json
    {
      "type": "/problems/not-found",
      "title": "There is no such thing",
      "status": 404,
      "detail": "nothing is at \"/nothing/here\": there are /documents, /search, /stats, /batches, /reindex, /jobs, /indexes and /health"
    }
    "#);
    assert_snapshot!(service.put("/search", "").await, @r#"
    405 Method Not Allowed
    content-type: application/problem+json
    allow: GET,HEAD,POST
    {
      "type": "/problems/method-not-allowed",
      "title": "The method does not apply here",
      "status": 405,
      "detail": "PUT does not apply to \"/search\": the header Allow says what does"
    }
    "#);
    assert_snapshot!(service.get("/documents").await, @r#"
    405 Method Not Allowed
    content-type: application/problem+json
    allow: POST
    {
      "type": "/problems/method-not-allowed",
      "title": "The method does not apply here",
      "status": 405,
      "detail": "GET does not apply to \"/documents\": the header Allow says what does"
    }
    "#);
    assert_snapshot!(service.send("OPTIONS", "/documents/k", Body::empty()).await, @"
    204 No Content
    allow: GET,HEAD,DELETE
    ");
    assert_snapshot!(service.get("/documents/%FF").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the path is not percent-encoded UTF-8: Invalid UTF-8 in `unique_key`"
    }
    "#);
    assert_snapshot!(service.post("/documents?wiat=durable", "{}").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the parameter \"wiat\" is not known: use wait"
    }
    "#);
}

#[tokio::test]
async fn a_reader_refuses_to_write_and_answers_everything_else() {
    let service = Service::filled().await;
    let reader = service.reader();
    let request = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path);
        request.body(Body::from(r#"{"unique_key":"k"}"#)).unwrap()
    };
    assert_snapshot!(answer(&reader, request("POST", "/documents")).await, @r#"
    403 Forbidden
    content-type: application/problem+json
    {
      "type": "/problems/read-only",
      "title": "This server only reads",
      "status": 403,
      "detail": "this server was started with --read-only: send the request to one that writes"
    }
    "#);
    for (method, path) in [
        ("DELETE", "/documents/418"),
        ("POST", "/documents/delete"),
        ("PUT", "/indexes/books"),
        ("DELETE", "/indexes/default"),
    ] {
        let answer = answer(&reader, request(method, path)).await;
        assert_eq!(
            answer.status,
            StatusCode::FORBIDDEN,
            "{method} {path}: {answer}"
        );
    }
    for path in [
        "/documents/418",
        "/search?q=teapot",
        "/stats",
        "/indexes",
        "/health",
    ] {
        let answer = answer(&reader, request("GET", path)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer}");
    }
}

#[tokio::test]
async fn an_array_is_no_object() {
    let service = Service::new();
    for (method, path) in [
        ("POST", "/search"),
        ("POST", "/reindex"),
        ("PUT", "/indexes/books"),
    ] {
        for body in ["[]", " [\"a\"]", "[[]]"] {
            let told = service.send(method, path, Body::from(body)).await;
            assert_eq!(
                told.status,
                StatusCode::BAD_REQUEST,
                "{path} {body}: {told}"
            );
            assert!(told.body.contains("a JSON object is expected"), "{told}");
        }
    }
}
