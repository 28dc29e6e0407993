//! Which of the functions that answer HTTP a function is.

use axum::http::Method;

use crate::http::is_known;

/// Which of the two a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Answers everything; a bare payload is documents to post.
    Writer,
    /// Answers what only reads; a bare payload is a search.
    Search,
}

impl Role {
    /// The route that a bare payload, or a request to the function itself, goes to.
    pub(super) fn route(self) -> &'static str {
        match self {
            Self::Writer => "/documents",
            Self::Search => "/search",
        }
    }

    /// [`Self::route`] where a request is meant for the function itself: it went to the root, to `own_path`, or to a path
    /// that is no route, since whoever attaches a function to an API chooses the path.
    pub(super) fn own_route(
        self,
        method: &Method,
        path: &str,
        own_path: &str,
    ) -> Option<&'static str> {
        let trimmed = path.trim_end_matches('/');
        let is_own = trimmed.is_empty() || trimmed == own_path || !is_known(path);
        let takes = match self {
            Self::Writer => method == Method::POST,
            Self::Search => true,
        };
        (is_own && takes).then(|| self.route())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_answers_at_the_path_that_it_is_attached_to() {
        let search = |path| Role::Search.own_route(&Method::GET, path, "/jobs");
        for own in [
            "/",
            "",
            "//",
            "/docker-test",
            "/docker-test/",
            "/jobs",
            "/jobs/",
            "/any/where",
        ] {
            assert_eq!(search(own), Some("/search"), "{own}");
        }
        for route in [
            "/search",
            "/jobs/1",
            "/documents/1",
            "/indexes/a/nothing",
            "//health",
        ] {
            assert_eq!(search(route), None, "{route}");
        }
        let write = |method| Role::Writer.own_route(&method, "/docker-test", "");
        assert_eq!(write(Method::POST), Some("/documents"));
        assert_eq!(write(Method::GET), None);
    }
}
