//! Bare invocations: a payload that is the body of a request.

use serde_json::{Value, json};

use crate::{LONG, Place, invoke};

/// Everything but the time it took, and the score.
fn shown(answer: &Value) -> Value {
    let mut body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    body["took_ms"] = 0.into();
    for hit in body["result"].as_array_mut().into_iter().flatten() {
        assert!(hit["score"].is_number(), "{hit}");
        hit["score"] = 0.into();
    }
    let names: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(names, ["statusCode", "body"], "{answer}");
    json!({"statusCode": answer["statusCode"], "body": body})
}

#[tokio::test]
async fn a_search_is_the_payload_or_text_or_json_under_body() {
    let place = Place::new();
    let document = json!({"unique_key": "1", "lang": "en", "title": "the body"});
    place
        .plain("POST", "/documents", document.to_string())
        .await;
    let found = json!({"statusCode": 200, "body": {
        "count": 1,
        "result": [{"unique_key": "1", "lang": "en", "title": "the body", "score": 0}],
        "version": 2,
        "took_ms": 0,
    }});
    for payload in [
        r#"{"query":"body","lang":"en","tags":[]}"#,
        r#"{"body":"{\"query\": \"body\"}"}"#,
        r#"{"body":{"query":"body"}}"#,
        r#""{\"query\": \"body\"}""#,
        "{}",
        "null",
    ] {
        let answer = invoke(&place.search, payload, LONG).await;
        assert_eq!(shown(&answer), found, "{payload}");
    }
    let raw = invoke(&place.search, r#"{"body":"{\"query\": \"body\"}"}"#, LONG).await;
    let text = raw["body"].as_str().unwrap();
    assert!(text.starts_with(r#"{"count":1,"result":[{"#), "{text}");
}

#[tokio::test]
async fn a_body_for_the_writer_is_documents() {
    let place = Place::new();
    let document = json!({"unique_key": "1", "body": "a field like any other"});
    for (payload, created) in [
        (document.clone(), 1),
        (json!({"body": document.to_string()}), 0),
        (json!({"body": [document]}), 0),
        (json!([{"unique_key": "2"}, {"unique_key": "3"}]), 2),
    ] {
        let answer = invoke(&place.writer, payload.to_string(), LONG).await;
        assert_eq!(shown(&answer)["body"]["created"], created, "{payload}");
    }
}

#[tokio::test]
async fn what_goes_wrong_has_its_status_and_its_problem() {
    let place = Place::new();
    let check = async |payload: &str, status: u16, kind: &str| {
        let answer = invoke(&place.search, payload, LONG).await;
        let shown = shown(&answer);
        assert_eq!(shown["statusCode"], status, "{payload}: {shown}");
        assert_eq!(shown["body"]["type"], kind, "{payload}: {shown}");
    };
    check(r#"{"query":"x"}"#, 404, "/problems/not-found").await;
    place
        .plain("POST", "/documents", r#"{"unique_key":"1"}"#)
        .await;
    check(r#"{"qwery":"x"}"#, 400, "/problems/invalid-request").await;
    check(r#"{"body":"no json"}"#, 400, "/problems/invalid-request").await;
    check("7", 400, "/problems/invalid-request").await;
}
