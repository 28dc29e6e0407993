//! Paths as people write them: `/search/` and `//search` mean `/search`.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::Uri;

/// The first parts of the paths of all routes.
const FIRST_PARTS: [&str; 8] = [
    "documents",
    "search",
    "stats",
    "batches",
    "reindex",
    "jobs",
    "indexes",
    "health",
];

/// Puts the path of a request in order before its route is looked up.
pub(super) fn in_order(mut request: Request) -> Request {
    if let Cow::Owned(path) = tidy(request.uri().path()) {
        // What was a path before is one with fewer slashes.
        if let Some(uri) = with_path(request.uri(), &path) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// The same URI with another path.
fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Whether a path begins like that of a route.
pub(crate) fn is_known(path: &str) -> bool {
    let first = path.split('/').find(|part| !part.is_empty());
    first.is_some_and(|first| FIRST_PARTS.contains(&first))
}

/// Leaves out slashes that repeat another or end the path. In the key of a document each of them counts.
fn tidy(path: &str) -> Cow<'_, str> {
    let mut tidy = String::with_capacity(path.len());
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = path;
    loop {
        rest = rest.trim_start_matches('/');
        let (part, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if part.is_empty() {
            break;
        }
        tidy.push('/');
        tidy.push_str(part);
        if part == "documents" && matches!(parts.as_slice(), [] | ["indexes", _]) {
            if tail.len() > 1 {
                tidy.push_str(tail);
            }
            break;
        }
        parts.push(part);
        rest = tail;
    }
    if tidy.is_empty() {
        tidy.push('/');
    }
    if tidy == path {
        return Cow::Borrowed(path);
    }
    Cow::Owned(tidy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_too_many_are_left_out() {
        for (path, expected) in [
            ("/", "/"),
            ("//", "/"),
            ("/search", "/search"),
            ("/search/", "/search"),
            ("//search", "/search"),
            ("/indexes//books///search//", "/indexes/books/search"),
            ("/documents/", "/documents"),
            ("//indexes/documents/", "/indexes/documents"),
            ("/nothing//here/", "/nothing/here"),
        ] {
            assert_eq!(tidy(path), expected, "{path}");
        }
    }

    #[test]
    fn the_slashes_of_a_key_are_kept() {
        for path in [
            "/documents/a/",
            "/documents//a",
            "/documents/a//b//",
            "/documents//",
            "/indexes/x/documents/a/",
        ] {
            assert_eq!(tidy(path), path);
        }
        assert_eq!(tidy("//documents/a//"), "/documents/a//");
        assert_eq!(
            tidy("/indexes//x/documents//a/"),
            "/indexes/x/documents//a/"
        );
    }

    #[test]
    fn the_query_stays() {
        let uri = Uri::from_static("http://x:1//search/?q=a/&q=//");
        assert_eq!(
            with_path(&uri, "/search").unwrap(),
            "http://x:1/search?q=a/&q=//"
        );
        assert!(
            is_known("//search/x")
                && is_known("/health")
                && !is_known("/")
                && !is_known("/searches")
        );
    }
}
