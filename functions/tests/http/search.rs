//! Searches, and the shape of their answers.

use axum::http::StatusCode;
use insta::assert_snapshot;

use crate::Service;

#[tokio::test]
async fn the_best_comes_first_with_its_score() {
    let service = Service::filled().await;
    assert_snapshot!(service.get("/search?q=coffee&tag=joke").await, @r#"
    200 OK
    content-type: application/json
    {
      "count": 1,
      "result": [
        {
          "unique_key": "418",
          "lang": "en",
          "title": "418 I am a teapot",
          "tags": [
            "418",
            "joke"
          ],
          "content": "The server refuses to brew coffee with a teapot.",
          "score": "[score]"
        }
      ],
      "version": 2,
      "took_ms": "[ms]"
    }
    "#);
    assert_eq!(
        service.get("/search?q=coffee+teapot").await.keys(),
        ["418", "404"]
    );
    assert_eq!(
        service
            .get("/search?query=coffee+teapot&operator=and")
            .await
            .keys(),
        ["418"]
    );
    assert_eq!(
        service.get("/search?tag=joke&tag=418").await.keys(),
        ["418"]
    );
    assert_eq!(
        service.get("/search?tag=joke&tag=404").await.json()["count"],
        0
    );
}

#[tokio::test]
async fn what_else_was_asked_for_stands_beside_the_document() {
    let service = Service::filled().await;
    let path = "/search?q=coffee&filter=tags:404&sort=updated_at:desc&highlight=true&fields=title";
    assert_snapshot!(service.get(path).await, @r#"
    200 OK
    content-type: application/json
    {
      "count": 1,
      "result": [
        {
          "title": "404 Not Found",
          "score": null,
          "highlight": {
            "content": [
              "The server cannot find the <em>coffee</em>."
            ]
          },
          "sort": [
            "2024-05-01T00:00:00Z"
          ]
        }
      ],
      "version": 2,
      "took_ms": "[ms]"
    }
    "#);
}

#[tokio::test]
async fn results_are_sorted_and_paged() {
    let service = Service::filled().await;
    let check = async |parameters: &str, keys: &[&str]| {
        let answer = service.get(&format!("/search?{parameters}")).await;
        assert_eq!(answer.keys(), keys, "{parameters}: {answer}");
        assert_eq!(answer.json()["count"], 3, "{parameters}");
    };
    check("sort=updated_at:desc", &["200", "404", "418"]).await;
    check("sort=updated_at", &["404", "200", "418"]).await;
    check("sort=updated_at:desc&limit=1", &["200"]).await;
    check("sort=updated_at:desc&limit=1&offset=1", &["404"]).await;
    check("sort=updated_at:desc&limit=0", &[]).await;
}

#[tokio::test]
async fn a_search_can_be_posted() {
    let service = Service::filled().await;
    let check = async |body: &'static str, keys: &[&str]| {
        let answer = service.post("/search", body).await;
        assert_eq!(answer.keys(), keys, "{body}: {answer}");
    };
    check(r#"{"query":"teapot"}"#, &["418"]).await;
    check(r#"{"tags":"404"}"#, &["404"]).await;
    check(r#"{"sort":["updated_at:desc"],"limit":1}"#, &["200"]).await;
    check(
        r#"{"query":"coffee","filter":["tags:404"],"lang":"en"}"#,
        &["404"],
    )
    .await;
    assert_eq!(service.post("/search", "").await.json()["count"], 3);
    assert_eq!(service.post("/search", "{}").await.json()["count"], 3);
}

#[tokio::test]
async fn a_documents_own_score_gives_way_to_the_searchs() {
    let service = Service::new();
    service
        .post(
            "/documents",
            r#"{"unique_key":"k","score":"mine","sort":"mine"}"#,
        )
        .await;
    let answer = service.get("/search?sort=updated_at").await;
    assert_eq!(
        answer.body.matches("\"score\"").count(),
        1,
        "{}",
        answer.body
    );
    assert!(!answer.body.contains("mine"), "{}", answer.body);
    let plain = service.get("/search").await;
    assert_eq!(plain.json()["result"][0]["sort"], "mine");
}

#[tokio::test]
async fn odd_punctuation_is_never_an_error() {
    let service = Service::filled().await;
    for query in [
        "%22", "((", "%3A", "-", "a+OR", "%5B+TO", "*", "title%3A", "%00", "%FF",
    ] {
        let answer = service.get(&format!("/search?q={query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {answer}");
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_what_can() {
    let service = Service::filled().await;
    assert_snapshot!(service.get("/search?qq=a").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the parameter \"qq\" is not known: use q, query, operator, lang, language, tag, filter, sort, limit, offset, fields, highlight, min_version"
    }
    "#);
    assert_snapshot!(service.get("/search?q=a&query=b").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the parameter q or query is given more than once: give it once"
    }
    "#);
    assert_snapshot!(service.get("/search?limit=ten").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the parameter limit should be a number of results, not \"ten\": invalid digit found in string"
    }
    "#);
    assert_snapshot!(service.get("/search?limit=100000").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "`limit` is 100000 and may be at most 1000"
    }
    "#);
    assert_snapshot!(service.get("/search?operator=xor").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the parameter operator should be or (any word may match) or and (all must), not \"xor\": `operator` is `xor` and must be `or` or `and`"
    }
    "#);
    assert_snapshot!(service.get("/search?highlight=maybe").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the parameter highlight should be true or false, not \"maybe\""
    }
    "#);
    assert_snapshot!(service.get("/search?sort=updated_at:down").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "`sort` has the order `down`: write `updated_at:asc` or `updated_at:desc`"
    }
    "#);
    assert_snapshot!(service.post("/search", r#"{"querry":"a"}"#).await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the body cannot be read: unknown field `querry`, expected one of `q`, `query`, `operator`, `lang`, `tags`, `filter`, `sort`, `limit`, `offset`, `fields`, `highlight`, `min_version` at line 1 column 9"
    }
    "#);
    assert_snapshot!(service.post("/search", "{\"query\":\n}").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the body cannot be read: expected value at line 2 column 1"
    }
    "#);
    assert_snapshot!(service.post("/search?q=a", "").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the parameter \"q\" is not known: none is understood here"
    }
    "#);
    let long = format!("/search?q={}", "a+".repeat(4000));
    assert_eq!(service.get(&long).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_search_sees_the_version_that_a_write_answered() {
    let service = Service::filled().await;
    let posted = service
        .post("/documents", r#"{"unique_key":"new"}"#)
        .await
        .json();
    let version = posted["version"].as_u64().unwrap();
    let found = service
        .get(&format!("/search?min_version={version}"))
        .await
        .json();
    assert_eq!(found["count"], 4);
    assert!(found["version"].as_u64().unwrap() >= version);
}
