//! What web pages may ask of this service.
//!
//! A browser lets every page send a form, or text from a script, to any server, and only keeps the answer from it. JSON
//! it sends only after the server has allowed the page by its answer to a preflight request. So a POST from a page of
//! another origin must be JSON, unless [`super::AllowedOrigins`] names the page.

use aquifer_indexer::document::BodyFormat;
use aquifer_indexer::quote::quoted;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::{Problem, Sort};
use super::hosts::AllowedHosts;
use super::origins::AllowedOrigins;
use super::state::AppState;

/// What a browser says about where a request comes from.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses requests that name a host which is not this server's.
pub(super) async fn guard_hosts(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    match check_host(&state.settings().hosts, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Refuses what a page of another origin sends without having been allowed to.
pub(super) async fn guard_pages(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    // Every other method that changes something takes a preflight request.
    if request.method() == Method::POST
        && let Err(problem) =
            check_page(&state.settings().origins, request.uri(), request.headers())
    {
        return problem.into_response();
    }
    next.run(request).await
}

/// A request without a host is from no browser.
fn check_host(allowed: &AllowedHosts, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let in_uri = uri.authority().map(|authority| authority.as_str());
    let in_headers = headers.get_all(header::HOST).iter();
    let in_headers = in_headers.map(|host| host.to_str().unwrap_or_default());
    match in_uri
        .into_iter()
        .chain(in_headers)
        .find(|host| !allowed.allow(host))
    {
        None => Ok(()),
        Some(host) => Err(Problem::new(
            Sort::Misdirected,
            format!(
                "this server does not answer to the host name {}: ask for localhost, or start the server with \
                 --allowed-host and that name (AQUIFER_ALLOWED_HOSTS)",
                quoted(host)
            ),
        )),
    }
}

fn check_page(allowed: &AllowedOrigins, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(page) = foreign_page(allowed, uri, headers) else {
        return Ok(());
    };
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if BodyFormat::of_content_type(content_type) != BodyFormat::Unknown {
        return Ok(());
    }
    Err(Problem::new(
        Sort::ForeignPage,
        format!(
            "the request comes from a web page of another origin, {}, and is not JSON: send it with \
             `content-type: application/json`, and allow the page with --cors-origin (AQUIFER_CORS_ORIGINS)",
            quoted(&page)
        ),
    ))
}

/// The origin of the page that sent a request, where it is neither this server's own nor allowed.
fn foreign_page(allowed: &AllowedOrigins, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let site = headers.get(FETCH_SITE).map(|site| site.as_bytes());
    if matches!(site, Some(b"same-origin" | b"none")) {
        return None;
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return site.map(|site| String::from_utf8_lossy(site).into_owned());
    };
    let text = String::from_utf8_lossy(origin.as_bytes());
    let own = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let own = own.or_else(|| headers.get(header::HOST).map(|host| host.as_bytes()));
    let same = text.split_once("://").is_some_and(|(_scheme, host)| {
        own.is_some_and(|own| own.eq_ignore_ascii_case(host.as_bytes()))
    });
    (!same && !allowed.allow(origin)).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a POST with these headers is let through.
    fn passes(headers: &[(&'static str, &'static str)]) -> bool {
        let allowed = AllowedOrigins::listed("https://friend.example").unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        check_page(&allowed, &Uri::from_static("/documents"), &map).is_ok()
    }

    const OWN: (&str, &str) = ("host", "localhost:8080");
    const EVIL: (&str, &str) = ("origin", "https://evil.example");

    #[test]
    fn a_foreign_page_must_send_json() {
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "",
        ] {
            assert!(!passes(&[OWN, EVIL, ("content-type", kind)]), "{kind}");
            assert!(
                !passes(&[OWN, ("origin", "null"), ("content-type", kind)]),
                "{kind}"
            );
            assert!(
                !passes(&[
                    OWN,
                    ("sec-fetch-site", "cross-site"),
                    ("content-type", kind)
                ]),
                "{kind}"
            );
            assert!(!passes(&[EVIL, ("content-type", kind)]), "{kind}");
        }
        assert!(!passes(&[OWN, EVIL]));
        for kind in [
            "application/json",
            "application/json; charset=utf-8",
            "application/x-ndjson",
        ] {
            assert!(passes(&[OWN, EVIL, ("content-type", kind)]), "{kind}");
        }
    }

    #[test]
    fn whoever_is_no_foreign_page_may_send_anything() {
        assert!(passes(&[OWN, ("content-type", "text/plain")]));
        assert!(passes(&[OWN, ("origin", "http://LOCALHOST:8080")]));
        assert!(!passes(&[OWN, ("origin", "http://localhost:3000")]));
        assert!(passes(&[OWN, ("origin", "https://friend.example")]));
        // A proxy has changed Host, and the browser knows better.
        assert!(passes(&[
            ("host", "inner"),
            EVIL,
            ("sec-fetch-site", "same-origin")
        ]));
    }
}
