//! The web pages that may read answers and write: cross-origin resource sharing (CORS).

use std::time::Duration;

use axum::http::header::{CONTENT_ENCODING, ETAG, LOCATION, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::documents::VERSION;
use super::request::REQUEST_ID;

/// The entry that allows every page.
const ANY: &str = "*";

/// How long a browser may remember what it is allowed: the longest that Chromium takes.
const PREFLIGHT_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// The methods of all routes.
const METHODS: [Method; 5] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
];

/// The headers of an answer that a page may read besides those that it always may.
const EXPOSED: [HeaderName; 6] = [
    VERSION,
    CONTENT_ENCODING,
    ETAG,
    LOCATION,
    RETRY_AFTER,
    HeaderName::from_static(REQUEST_ID),
];

/// Which pages are allowed; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    any: bool,
    listed: Vec<HeaderValue>,
}

impl AllowedOrigins {
    /// Reads a comma-separated list of origins, `*` being every page.
    ///
    /// # Errors
    /// Which entry is no origin, and what to write instead.
    pub fn listed(text: &str) -> Result<Self, String> {
        let mut allowed = Self::default();
        for entry in text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            if entry == ANY {
                allowed.any = true;
            } else {
                allowed.listed.push(origin(entry)?);
            }
        }
        Ok(allowed)
    }

    /// Whether a page of this origin is allowed.
    pub(crate) fn allow(&self, origin: &HeaderValue) -> bool {
        self.any || self.listed.contains(origin)
    }

    /// Answers preflight requests and marks answers; nothing where no page is allowed.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        let origins = match (self.any, self.listed.as_slice()) {
            (true, _) => AllowOrigin::any(),
            (false, []) => return None,
            (false, listed) => AllowOrigin::list(listed.iter().cloned()),
        };
        let layer = CorsLayer::new()
            .allow_origin(origins)
            .allow_methods(METHODS)
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(EXPOSED)
            .max_age(PREFLIGHT_AGE);
        Some(layer)
    }
}

/// An origin as a browser writes it.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let wrong = || {
        format!(
            "{text:?} is no origin: write a scheme and a host, such as https://www.example.com or \
             http://localhost:3000, without a path; or * for every page"
        )
    };
    let lower = text.to_ascii_lowercase();
    let uri: Uri = lower.parse().map_err(|_invalid| wrong())?;
    // A URI without a path has the path `/`.
    if uri.scheme().is_none()
        || uri.authority().is_none()
        || lower.ends_with('/')
        || uri.path() != "/"
    {
        return Err(wrong());
    }
    if uri.query().is_some() || lower.contains('@') {
        return Err(wrong());
    }
    HeaderValue::from_str(&lower).map_err(|_invalid| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_allows_what_it_names() {
        let allowed = AllowedOrigins::listed("https://A.example, http://localhost:3000,").unwrap();
        for (origin, expected) in [
            ("https://a.example", true),
            ("http://localhost:3000", true),
            ("http://a.example", false),
            ("https://a.example:8443", false),
            ("null", false),
        ] {
            assert_eq!(
                allowed.allow(&HeaderValue::from_static(origin)),
                expected,
                "{origin}"
            );
        }
        assert!(allowed.layer().is_some());
        let none = AllowedOrigins::listed(" ").unwrap();
        assert!(
            none.layer().is_none() && !none.allow(&HeaderValue::from_static("https://a.example"))
        );
        let any = AllowedOrigins::listed("*").unwrap();
        assert!(any.layer().is_some() && any.allow(&HeaderValue::from_static("null")));
    }

    #[test]
    fn what_is_no_origin_is_an_error_that_says_what_is_one() {
        for wrong in [
            "a.example",
            "https://a.example/",
            "https://a/b",
            "https://a?b",
            "null",
            "https://u@a",
            "https://",
        ] {
            let error = AllowedOrigins::listed(wrong).unwrap_err();
            assert!(
                error.contains(wrong) && error.contains("https://www.example.com"),
                "{error}"
            );
        }
    }
}
