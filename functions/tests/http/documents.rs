//! Documents go in, come out as they went in, and go.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use insta::assert_snapshot;

use crate::{Service, gzip};

#[tokio::test]
async fn a_document_is_posted_found_and_posted_again() {
    let service = Service::new();
    let document = r#"{"unique_key":"418","title":"I am a teapot"}"#;
    assert_snapshot!(service.post("/documents", document).await, @r#"
    200 OK
    content-type: application/json
    {
      "version": 2,
      "accepted": 1,
      "created": 1,
      "updated": 0,
      "errors": [],
      "took_ms": "[ms]"
    }
    "#);
    assert_eq!(service.get("/search?q=teapot").await.keys(), ["418"]);
    let again = service.post("/documents", document).await;
    assert_eq!(
        (&again.json()["created"], &again.json()["updated"]),
        (&0.into(), &1.into())
    );
}

#[tokio::test]
async fn every_shape_of_a_body_is_understood() {
    let service = Service::new();
    let check = async |body: &str, accepted: usize| {
        let answer = service.post("/documents", body.to_owned()).await;
        assert_eq!(answer.status, StatusCode::OK, "{body}: {answer}");
        assert_eq!(answer.json()["accepted"], accepted, "{body}");
    };
    check(r#"{"unique_key":"a"}"#, 1).await;
    check(r#"[{"unique_key":"b"},{"unique_key":"c"}]"#, 2).await;
    check(
        r#"{"documents":[{"unique_key":"d"},{"unique_key":"e"}]}"#,
        2,
    )
    .await;
    check("{\"unique_key\":\"f\"}\n\n{\"unique_key\":\"g\"}\n", 2).await;
    assert_eq!(service.get("/search").await.json()["count"], 7);
}

#[tokio::test]
async fn a_packed_body_is_unpacked() {
    let service = Service::new();
    let request = Request::post("/documents")
        .header("content-encoding", "gzip")
        .body(Body::from(gzip(br#"{"unique_key":"packed"}"#)))
        .unwrap();
    assert_eq!(service.request(request).await.status, StatusCode::OK);
    assert_eq!(
        service.get("/documents/packed").await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_document_comes_out_byte_for_byte() {
    let service = Service::new();
    let document = "{ \"unique_key\": \"k\",\n  \"n\": 1.50, \"u\": \"\\u00e4\", \"score\": 7 }";
    service.post("/documents", document).await;
    let answer = service.get("/documents/k").await;
    assert_eq!(answer.body, document);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_ne!(answer.header("aquifer-version"), "");
    let head = service.send("HEAD", "/documents/k", Body::empty()).await;
    assert_eq!((head.status, &*head.body), (StatusCode::OK, ""));
}

#[tokio::test]
async fn any_key_can_be_named_in_a_path() {
    let service = Service::new();
    let check = async |key: &str, path: &str| {
        let document = serde_json::json!({ "unique_key": key }).to_string();
        let posted = service.post("/documents", document.clone()).await;
        assert_eq!(posted.status, StatusCode::OK, "{posted}");
        for prefix in ["", "/indexes/default"] {
            let answer = service.get(&format!("{prefix}/documents/{path}")).await;
            assert_eq!(answer.body, document, "{path}");
        }
        let deleted = service.delete(&format!("/documents/{path}")).await;
        assert_eq!(deleted.status, StatusCode::OK, "{path}: {deleted}");
    };
    check("docs/http/418.json", "docs/http/418.json").await;
    check("docs/http/418.json", "docs%2Fhttp%2f418.json").await;
    check("/a//b/", "/a//b/").await;
    check("a b?c#d%", "a%20b%3Fc%23d%25").await;
    check(
        "ティーポット",
        "%E3%83%86%E3%82%A3%E3%83%BC%E3%83%9D%E3%83%83%E3%83%88",
    )
    .await;
    check("delete", "delete").await;
    check("a+b", "a+b").await;
}

#[tokio::test]
async fn what_is_wrong_with_some_documents_does_not_stop_the_others() {
    let service = Service::new();
    let body = "{\"unique_key\":\"good\"}\n{\"unique_key\":\"bad\",\"updated_at\":\"yesterday\"}\n\
                {\"title\":\"no key\"}\n{\"unique_key\":\n";
    assert_snapshot!(service.post("/documents", body).await, @r#"
    207 Multi-Status
    content-type: application/json
    {
      "version": 2,
      "accepted": 1,
      "created": 1,
      "updated": 0,
      "errors": [
        {
          "position": 1,
          "unique_key": "bad",
          "type": "invalid_date",
          "detail": "the field `updated_at` is \"yesterday\", which is not a date of RFC 3339: write it like \"2024-05-17T09:30:00Z\" or \"2024-05-17\" (from 1678 to 2261)"
        },
        {
          "position": 2,
          "unique_key": null,
          "type": "missing_unique_key",
          "detail": "`unique_key` is missing: give the document a string that identifies it"
        },
        {
          "position": 3,
          "unique_key": null,
          "type": "invalid_json",
          "detail": "the document is not valid JSON: EOF while parsing a value at line 4 column 14"
        }
      ],
      "took_ms": "[ms]"
    }
    "#);
    assert_eq!(service.get("/search").await.keys(), ["good"]);
}

#[tokio::test]
async fn when_all_are_refused_the_status_says_why() {
    let service = Service::new();
    assert_snapshot!(service.post("/documents", r#"{"title":"no key"}"#).await, @r#"
    422 Unprocessable Entity
    content-type: application/problem+json
    {
      "type": "/problems/documents-refused",
      "title": "Every document was refused",
      "status": 422,
      "detail": "`unique_key` is missing: give the document a string that identifies it",
      "errors": [
        {
          "position": 0,
          "unique_key": null,
          "type": "missing_unique_key",
          "detail": "`unique_key` is missing: give the document a string that identifies it"
        }
      ]
    }
    "#);
    assert_snapshot!(service.post("/documents", "[{}, {}]").await, @r#"
    422 Unprocessable Entity
    content-type: application/problem+json
    {
      "type": "/problems/documents-refused",
      "title": "Every document was refused",
      "status": 422,
      "detail": "none of the 2 documents was accepted; the first: `unique_key` is missing: give the document a string that identifies it",
      "errors": [
        {
          "position": 0,
          "unique_key": null,
          "type": "missing_unique_key",
          "detail": "`unique_key` is missing: give the document a string that identifies it"
        },
        {
          "position": 1,
          "unique_key": null,
          "type": "missing_unique_key",
          "detail": "`unique_key` is missing: give the document a string that identifies it"
        }
      ]
    }
    "#);
    assert_snapshot!(service.post("/documents", "{\"a\":1},\n").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the body is not valid JSON: trailing characters at line 1 column 8"
    }
    "#);
    assert_snapshot!(service.post("/documents", "{}x\n{\"\n").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "none of the 2 documents was accepted; the first: the document is not valid JSON: trailing characters at line 1 column 3",
      "errors": [
        {
          "position": 0,
          "unique_key": null,
          "type": "invalid_json",
          "detail": "the document is not valid JSON: trailing characters at line 1 column 3"
        },
        {
          "position": 1,
          "unique_key": null,
          "type": "invalid_json",
          "detail": "the document is not valid JSON: EOF while parsing a string at line 2 column 2"
        }
      ]
    }
    "#);
    let large = format!(
        r#"{{"unique_key":"k","content":"{}"}}"#,
        "x ".repeat(600_000)
    );
    let answer = service.post("/documents", large).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.json()["errors"][0]["type"], "too_large");
    assert_eq!(answer.json()["errors"][0]["position"], 0);
    assert_eq!(service.get("/search").await.json()["count"], 0);
}

#[tokio::test]
async fn one_document_is_deleted() {
    let service = Service::filled().await;
    assert_snapshot!(service.delete("/documents/418").await, @r#"
    200 OK
    content-type: application/json
    {
      "version": 3,
      "deleted": 1,
      "missing": 0,
      "errors": [],
      "took_ms": "[ms]"
    }
    "#);
    assert_snapshot!(service.delete("/documents/418").await, @r#"
    404 Not Found
    content-type: application/problem+json
    {
      "type": "/problems/not-found",
      "title": "There is no such thing",
      "status": 404,
      "detail": "the index \"default\" holds no document \"418\""
    }
    "#);
    assert_snapshot!(service.get("/documents/418").await, @r#"
    404 Not Found
    content-type: application/problem+json
    {
      "type": "/problems/not-found",
      "title": "There is no such thing",
      "status": 404,
      "detail": "the index \"default\" holds no document \"418\""
    }
    "#);
    assert_eq!(service.get("/search?q=teapot").await.json()["count"], 0);
}

#[tokio::test]
async fn a_delete_of_what_is_not_there_makes_no_version() {
    let service = Service::filled().await;
    for _ in 0..2 {
        let answer = service.delete("/documents/nobody").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer}");
        let answer = service.post("/documents/delete", r#"["x","y"]"#).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer}");
        assert_eq!(
            (&answer.json()["version"], &answer.json()["missing"]),
            (&2.into(), &2.into())
        );
    }
    assert_eq!(service.get("/stats").await.json()["version"], 2);
}

#[tokio::test]
async fn a_number_that_is_a_key_can_be_deleted_as_one() {
    let service = Service::new();
    service
        .post("/documents", r#"[{"unique_key":42},{"unique_key":7}]"#)
        .await;
    let answer = service
        .post("/documents/delete", r#"{"unique_keys":[42]}"#)
        .await;
    assert_eq!(answer.json()["deleted"], 1, "{answer}");
    let left = service.get("/search").await.json();
    assert_eq!(
        (&left["count"], &left["result"][0]["unique_key"]),
        (&1.into(), &7.into())
    );
}

#[tokio::test]
async fn a_key_that_no_document_may_have_is_refused() {
    let service = Service::filled().await;
    let long = "x".repeat(513);
    let keys = format!(r#"["418", "{long}", 1.0, "", null]"#);
    let answer = service.post("/documents/delete", keys).await;
    assert_eq!(answer.status, StatusCode::MULTI_STATUS, "{answer}");
    let answer = answer.json();
    assert_eq!(answer["deleted"], 1);
    let errors = answer["errors"].as_array().unwrap();
    let positions: Vec<_> = errors
        .iter()
        .map(|error| error["position"].as_u64().unwrap())
        .collect();
    assert_eq!(positions, [1, 2, 3, 4]);
    assert!(
        errors[0]["detail"]
            .as_str()
            .unwrap()
            .contains("the limit is 512"),
        "{answer}"
    );
    assert!(
        errors[1]["detail"]
            .as_str()
            .unwrap()
            .contains("not the number 1.0"),
        "{answer}"
    );
    let none = service.post("/documents/delete", r#"[""]"#).await;
    assert_eq!(none.status, StatusCode::UNPROCESSABLE_ENTITY, "{none}");
    let one = service.delete(&format!("/documents/{long}")).await;
    assert_eq!(one.status, StatusCode::BAD_REQUEST, "{one}");
    assert!(
        one.json()["detail"]
            .as_str()
            .unwrap()
            .contains("the limit is 512"),
        "{one}"
    );
}

#[tokio::test]
async fn a_number_is_quoted_as_it_was_sent() {
    let service = Service::new();
    for (body, expected) in [
        (r#"{"unique_key":1.0}"#, "not the number 1.0"),
        (
            "{\"unique_key\":\"a\"}\n{\"unique_key\":\"k\",\"n\":1e400}\n",
            "the number 1e400 is out of range at line 2 column 23",
        ),
        (
            r#"{"unique_key":123456789012345678901}"#,
            "not the number 123456789012345678901",
        ),
    ] {
        let answer = service.post("/documents", body).await;
        let detail = answer.json()["errors"][0]["detail"].clone();
        assert!(detail.as_str().unwrap().contains(expected), "{answer}");
    }
    let search = service.post("/search", r#"{"limit": 1e400}"#).await;
    assert!(
        search.json()["detail"]
            .as_str()
            .unwrap()
            .contains("the number 1e400 is out of range"),
        "{search}"
    );
}

#[tokio::test]
async fn many_documents_are_deleted() {
    let service = Service::filled().await;
    let keys = r#"{"unique_keys":["418","nobody"]}"#;
    assert_snapshot!(service.post("/documents/delete", keys).await, @r#"
    200 OK
    content-type: application/json
    {
      "version": 3,
      "deleted": 1,
      "missing": 1,
      "errors": [],
      "took_ms": "[ms]"
    }
    "#);
    let answer = service.post("/documents/delete", r#"["404"]"#).await;
    assert_eq!(answer.json()["deleted"], 1, "{answer}");
    assert_eq!(service.get("/search").await.keys(), ["200"]);
    assert_snapshot!(service.post("/documents/delete", r#"{"keys":["200"]}"#).await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the body cannot be read: unknown field `keys`, expected `unique_keys` at line 1 column 7"
    }
    "#);
    assert_snapshot!(service.post("/documents/delete", "[]").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the body names no key: name one at least"
    }
    "#);
}

#[tokio::test]
async fn the_last_document_of_a_key_counts() {
    let service = Service::new();
    let body = r#"[{"unique_key":"k","title":"first"},{"unique_key":"k","title":"second"}]"#;
    let answer = service.post("/documents", body).await;
    assert_eq!(answer.json()["accepted"], 2, "{answer}");
    let found = service.get("/search").await.json();
    assert_eq!(
        (&found["count"], &found["result"][0]["title"]),
        (&1.into(), &"second".into())
    );
}
