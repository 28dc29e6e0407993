//! What web pages may ask: forms are refused, and allowed pages share answers.

use aquifer_functions::http::{AllowedHosts, AllowedOrigins, Settings};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use insta::assert_snapshot;

use crate::{Answer, Service};

const DOCUMENT: &str = r#"{"unique_key":"1","title":"planted"}"#;

fn sharing(origins: &str) -> Service {
    Service::with(Settings {
        origins: AllowedOrigins::listed(origins).unwrap(),
        ..Settings::default()
    })
}

/// A request to `localhost:8080` with these headers.
async fn ask(service: &Service, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost:8080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    service
        .request(request.body(Body::from(DOCUMENT)).unwrap())
        .await
}

#[tokio::test]
async fn a_form_of_another_page_writes_nothing() {
    let service = Service::new();
    let page = ("origin", "https://evil.example");
    for path in [
        "/documents",
        "/documents/delete",
        "/reindex",
        "/indexes/default/documents",
    ] {
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b",
        ] {
            let answer = ask(&service, "POST", path, &[page, ("content-type", kind)]).await;
            assert_eq!(
                answer.status,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{path}: {answer}"
            );
        }
    }
    let answer = ask(&service, "POST", "/documents", &[page]).await;
    assert_snapshot!(answer, @r#"
    415 Unsupported Media Type
    content-type: application/problem+json
    {
      "type": "/problems/foreign-page",
      "title": "A web page of another origin must send JSON",
      "status": 415,
      "detail": "the request comes from a web page of another origin, \"https://evil.example\", and is not JSON: send it with `content-type: application/json`, and allow the page with --cors-origin (AQUIFER_CORS_ORIGINS)"
    }
    "#);
    let own = [
        ("origin", "http://localhost:8080"),
        ("content-type", "text/plain"),
    ];
    assert_eq!(
        ask(&service, "POST", "/documents", &own).await.status,
        StatusCode::OK
    );
    let json = [page, ("content-type", "application/json")];
    assert_eq!(
        ask(&service, "POST", "/documents", &json).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn no_page_is_allowed_until_one_is_named() {
    let service = Service::new();
    let page = ("origin", "https://www.example.com");
    let preflight = [page, ("access-control-request-method", "POST")];
    let answer = ask(&service, "OPTIONS", "/documents", &preflight).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    assert_eq!(answer.header("access-control-allow-methods"), "");
    let answer = ask(&service, "GET", "/health", &[page]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_page_that_is_named_is_answered_and_may_read_the_answer() {
    let service = sharing("https://www.example.com,http://localhost:3000");
    let page = ("origin", "https://www.example.com");
    let preflight = [
        page,
        ("access-control-request-method", "DELETE"),
        (
            "access-control-request-headers",
            "content-type,x-request-id",
        ),
    ];
    let answer = ask(&service, "OPTIONS", "/documents/1", &preflight).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer}");
    assert_eq!(answer.header("access-control-allow-origin"), page.1);
    assert_eq!(
        answer.header("access-control-allow-methods"),
        "GET,HEAD,POST,PUT,DELETE"
    );
    assert_eq!(
        answer.header("access-control-allow-headers"),
        "content-type,x-request-id"
    );
    assert_eq!(answer.header("access-control-max-age"), "7200");
    let posted = ask(
        &service,
        "POST",
        "/documents",
        &[page, ("content-type", "text/plain")],
    )
    .await;
    assert_eq!(posted.status, StatusCode::OK, "{posted}");
    assert_eq!(posted.header("access-control-allow-origin"), page.1);
    let exposed = posted.header("access-control-expose-headers");
    for name in [
        "etag",
        "location",
        "retry-after",
        "x-request-id",
        "aquifer-version",
    ] {
        assert!(exposed.contains(name), "{name}: {exposed}");
    }
    // The page reads what is wrong, too.
    let refused = ask(&service, "GET", "/search?lmit=1", &[page]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused}");
    assert_eq!(refused.header("access-control-allow-origin"), page.1);
    assert!(
        refused.header("vary").contains("origin"),
        "{}",
        refused.header("vary")
    );
}

#[tokio::test]
async fn a_page_that_is_not_named_gets_nothing() {
    let service = sharing("https://www.example.com");
    for origin in ["https://evil.example", "http://www.example.com", "null"] {
        let page = ("origin", origin);
        let preflight = [page, ("access-control-request-method", "DELETE")];
        let answer = ask(&service, "OPTIONS", "/documents/1", &preflight).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        let answer = ask(
            &service,
            "POST",
            "/documents",
            &[page, ("content-type", "text/plain")],
        )
        .await;
        assert_eq!(
            answer.status,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{origin}"
        );
    }
    let every = sharing("*");
    let answer = ask(
        &every,
        "GET",
        "/health",
        &[("origin", "https://evil.example")],
    )
    .await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn a_name_that_is_not_the_servers_is_misdirected() {
    let service = Service::with(Settings {
        hosts: AllowedHosts::on("127.0.0.1".parse().unwrap(), &[]),
        ..Settings::default()
    });
    let request = Request::get("/health").header("host", "evil.example:8080");
    let answer = service.request(request.body(Body::empty()).unwrap()).await;
    assert_snapshot!(answer, @r#"
    421 Misdirected Request
    content-type: application/problem+json
    {
      "type": "/problems/misdirected",
      "title": "This server does not answer to that host name",
      "status": 421,
      "detail": "this server does not answer to the host name \"evil.example:8080\": ask for localhost, or start the server with --allowed-host and that name (AQUIFER_ALLOWED_HOSTS)"
    }
    "#);
    let request =
        Request::delete("http://evil.example/indexes/default").header("host", "localhost");
    let answer = service.request(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{answer}");
    assert_eq!(
        ask(&service, "GET", "/health", &[]).await.status,
        StatusCode::OK
    );
    assert_eq!(
        service.get("/health").await.status,
        StatusCode::OK,
        "no browser leaves the host out"
    );
}
