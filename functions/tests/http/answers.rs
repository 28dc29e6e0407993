//! How answers travel: packed, and asked for again.

use std::io::Read;

use aquifer_functions::http::limits::MIN_PACKED_BYTES;
use aquifer_functions::http::{ServedIndexes, Settings};
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use flate2::read::GzDecoder;
use tower::ServiceExt;

use crate::Service;

/// What is answered to these headers: status, headers and the bytes as they travel.
async fn travelled(
    service: &Service,
    path: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = service
        .router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    (
        parts.status,
        parts.headers,
        to_bytes(body, usize::MAX).await.unwrap().to_vec(),
    )
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut text).unwrap();
    text
}

fn without_time(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.split("\"took_ms\"").next().unwrap().to_owned()
}

const GZIP: (&str, &str) = ("accept-encoding", "br, gzip;q=0.8");

#[tokio::test]
async fn a_long_answer_is_packed_for_who_unpacks_it() {
    let service = Service::filled().await;
    let long = serde_json::json!({"unique_key": "long", "title": "long", "content": "word ".repeat(60_000)});
    service.post("/documents", long.to_string()).await;
    for path in ["/search?q=long", "/documents/long"] {
        let (status, headers, plain) = travelled(&service, path, &[]).await;
        assert_eq!(status, StatusCode::OK);
        assert!(!headers.contains_key("content-encoding"), "{headers:?}");
        assert_eq!(headers["vary"], "accept-encoding", "{headers:?}");
        let (status, headers, packed) = travelled(&service, path, &[GZIP]).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["content-encoding"], "gzip", "{headers:?}");
        assert_eq!(headers["vary"], "accept-encoding", "{headers:?}");
        assert!(
            packed.len() * 3 < plain.len(),
            "{} of {}",
            packed.len(),
            plain.len()
        );
        assert_eq!(without_time(&unpacked(&packed)), without_time(&plain));
        let (_, headers, refused) =
            travelled(&service, path, &[("accept-encoding", "gzip;q=0, *")]).await;
        assert!(!headers.contains_key("content-encoding"), "{headers:?}");
        assert_eq!(without_time(&refused), without_time(&plain));
    }
}

#[tokio::test]
async fn a_short_answer_stays_as_it_is() {
    let service = Service::filled().await;
    let (_, headers, bytes) = travelled(&service, "/search?limit=1", &[GZIP]).await;
    assert!((bytes.len() as u64) < MIN_PACKED_BYTES);
    assert!(
        !headers.contains_key("content-encoding") && !headers.contains_key("vary"),
        "{headers:?}"
    );
    // Nothing is left that could be asked for.
    let (status, headers, _) =
        travelled(&service, "/search", &[("accept-encoding", "identity;q=0")]).await;
    assert_eq!(status, StatusCode::OK, "{headers:?}");
}

#[tokio::test]
async fn a_search_that_has_not_changed_is_not_sent_again() {
    let service = Service::filled().await;
    let (status, headers, _) = travelled(&service, "/search?q=coffee", &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["cache-control"], "no-cache");
    let tag = headers["etag"].to_str().unwrap().to_owned();
    for same in [
        "/search?q=coffee",
        "/search?query=coffee&utm_source=x",
        "/search?q=coffee&min_version=1",
    ] {
        let (status, headers, body) = travelled(&service, same, &[("if-none-match", &tag)]).await;
        assert_eq!(status, StatusCode::NOT_MODIFIED, "{same}");
        assert_eq!((headers["etag"].to_str().unwrap(), body.len()), (&*tag, 0));
        assert_eq!(headers["cache-control"], "no-cache");
    }
    let (status, headers, _) =
        travelled(&service, "/search?q=teapot", &[("if-none-match", &tag)]).await;
    assert_eq!(status, StatusCode::OK, "another query");
    assert_ne!(headers["etag"], tag.as_str());
    service.post("/documents", r#"{"unique_key":"new"}"#).await;
    let (status, headers, _) =
        travelled(&service, "/search?q=coffee", &[("if-none-match", &tag)]).await;
    assert_eq!(status, StatusCode::OK, "another version");
    assert_ne!(headers["etag"], tag.as_str());
}

#[tokio::test]
async fn an_index_that_was_created_again_has_other_tags() {
    let service = Service::new();
    let tag = async || {
        service.put("/indexes/a", "").await;
        let (_, headers, _) = travelled(&service, "/indexes/a/search", &[]).await;
        headers["etag"].to_str().unwrap().to_owned()
    };
    let first = tag().await;
    assert_eq!(
        service.delete("/indexes/a").await.status,
        StatusCode::NO_CONTENT
    );
    let second = tag().await;
    assert_ne!(first, second);
}

#[tokio::test]
async fn what_caches_are_told_can_be_set() {
    let service = Service::with(Settings {
        cache_control: "public, max-age=60".parse().unwrap(),
        ..Settings::default()
    });
    service.post("/documents", r#"{"unique_key":"k"}"#).await;
    for path in ["/search", "/documents/k"] {
        let (_, headers, _) = travelled(&service, path, &[]).await;
        assert_eq!(headers["cache-control"], "public, max-age=60", "{path}");
    }
    for path in ["/documents/none", "/search?lmit=1", "/stats"] {
        let (_, headers, _) = travelled(&service, path, &[]).await;
        assert!(!headers.contains_key("cache-control"), "{path}");
    }
}

#[tokio::test]
async fn an_index_that_is_not_served_is_like_one_that_does_not_exist() {
    let all = Service::filled().await;
    for name in ["open", "secret"] {
        all.put(&format!("/indexes/{name}"), "").await;
    }
    let settings = Settings {
        served: ServedIndexes::listed("open, later"),
        ..Settings::default()
    };
    let some = Service::over(&all.root, settings);
    let get = async |path: &str| {
        crate::answer(&some, Request::get(path).body(Body::empty()).unwrap()).await
    };
    assert_eq!(get("/indexes").await.body, r#"{"indexes":["open"]}"#);
    assert_eq!(get("/indexes/open/search").await.status, StatusCode::OK);
    assert_eq!(
        get("/search").await.status,
        StatusCode::NOT_FOUND,
        "the default one is not listed"
    );
    for path in ["", "/search", "/documents/1", "/stats", "/jobs"] {
        let hidden = get(&format!("/indexes/secret{path}")).await;
        let missing = get(&format!("/indexes/missing{path}")).await;
        assert_eq!(hidden.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(
            hidden.body,
            missing.body.replace("missing", "secret"),
            "{path}"
        );
    }
    let request = |method: &str, path: &str| {
        Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(
        crate::answer(&some, request("DELETE", "/indexes/secret"))
            .await
            .status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        crate::answer(&some, request("PUT", "/indexes/other"))
            .await
            .status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        crate::answer(&some, request("PUT", "/indexes/later"))
            .await
            .status,
        StatusCode::CREATED
    );
    assert_eq!(all.get("/indexes/secret").await.status, StatusCode::OK);
}
