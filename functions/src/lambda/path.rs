//! Where a request went: which part of its path the router sees, and what stood before that part at the client's.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::event::{Event, Shape};

/// What cannot stand in the path of a URI: RFC 3986's `pchar` and the slash can.
const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The same where a percent sign stands for itself.
const NOT_IN_DECODED_PATH: &AsciiSet = &NOT_IN_PATH.add(b'%');

/// A path in two parts, both percent-encoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// What the client's paths begin with: a stage, a base path, or nothing.
    pub(super) prefix: String,
    /// The path of a route.
    pub(super) path: String,
}

impl Place {
    /// Takes the stage and `base_path` from the front of the path.
    pub(super) fn of(event: &Event<'_>, base_path: &str) -> Self {
        let seen = seen(event);
        let inner = without_prefix(without_stage(event, seen), base_path);
        let prefix = prefix(event, seen, inner);
        let not_in_path = if event.path_is_decoded() {
            NOT_IN_DECODED_PATH
        } else {
            NOT_IN_PATH
        };
        let encode = |text: &str| utf8_percent_encode(text, not_in_path).to_string();
        let slash = if inner.starts_with('/') { "" } else { "/" };
        Self {
            prefix: encode(prefix),
            path: format!("{slash}{}", encode(inner)),
        }
    }
}

/// The path as the event carries it.
fn seen<'a>(event: &'a Event<'_>) -> &'a str {
    let paths = [&event.lattice_path, &event.raw_path, &event.path];
    let raw = paths.into_iter().flatten().find(|path| !path.is_empty());
    let raw = raw.map_or("/", String::as_str);
    match event.shape() {
        // The query may follow it.
        Shape::Lattice => raw.split('?').next().unwrap_or(raw),
        _ => raw,
    }
}

/// The path without the stage. A REST API leaves it out itself, and says so by another path in the
/// context; a stage may be named like a route.
fn without_stage<'a>(event: &Event<'_>, path: &'a str) -> &'a str {
    let Some(stage) = stage(event) else {
        return path;
    };
    let context = event.request_context.as_ref();
    let whole = context
        .and_then(|context| context.path.as_deref())
        .unwrap_or(path);
    if whole != path && whole.strip_prefix(stage.as_str()) == Some(path) {
        return path;
    }
    without_prefix(path, &stage)
}

/// The stage with a slash before it, where there is one.
fn stage(event: &Event<'_>) -> Option<String> {
    let stage = event.request_context.as_ref()?.stage.as_deref()?;
    (!["", "$default"].contains(&stage)).then(|| format!("/{stage}"))
}

/// What the client's path has before `inner`. A REST API names the client's whole path. An HTTP API puts the stage before
/// every path, also at a domain of the user's own, where the client writes none.
fn prefix<'a>(event: &'a Event<'_>, seen: &'a str, inner: &str) -> &'a str {
    let whole = match &event.request_context {
        Some(context) if event.is_rest() => context.path.as_deref().unwrap_or(seen),
        _ => seen,
    };
    let prefix = whole
        .strip_suffix(inner)
        .unwrap_or(whole)
        .trim_end_matches('/');
    let own_domain = !event.domain().is_empty() && !event.domain().contains(".execute-api.");
    match stage(event) {
        Some(stage) if own_domain && !event.is_rest() => {
            prefix.strip_prefix(stage.as_str()).unwrap_or(prefix)
        }
        _ => prefix,
    }
}

fn without_prefix<'a>(path: &'a str, prefix: &str) -> &'a str {
    match path.strip_prefix(prefix) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: &str, base_path: &str, prefix: &str, path: &str) {
        let event = Event::http(event).unwrap();
        let expected = Place {
            prefix: prefix.to_owned(),
            path: path.to_owned(),
        };
        assert_eq!(Place::of(&event, base_path), expected);
    }

    #[test]
    fn the_prefix_is_what_the_client_wrote_before_the_path() {
        let http = |path: &str, stage: &str, domain: &str| {
            format!(
                r#"{{"version":"2.0","rawPath":"{path}","requestContext":{{"stage":"{stage}","domainName":"{domain}","http":{{}}}}}}"#
            )
        };
        let api = "id.execute-api.us-east-1.amazonaws.com";
        check(&http("/prod/search", "prod", api), "", "/prod", "/search");
        check(&http("/prod", "prod", api), "", "/prod", "/");
        check(&http("/", "$default", api), "", "", "/");
        check(
            &http("/prod/docs/v1/a%b", "prod", api),
            "/docs/v1",
            "/prod/docs/v1",
            "/a%25b",
        );
        check(
            &http("/prod/docs/search", "prod", "www.example.com"),
            "/docs",
            "/docs",
            "/search",
        );
        check(
            &http("/docs/search", "$default", "www.example.com"),
            "/docs",
            "/docs",
            "/search",
        );
        let url = "id.lambda-url.us-east-1.on.aws";
        check(&http("/search", "$default", url), "", "", "/search");
    }

    #[test]
    fn a_rest_api_names_the_whole_path_in_its_context() {
        let rest = |path: &str, whole: &str| {
            format!(
                r#"{{"httpMethod":"GET","path":"{path}","requestContext":{{"stage":"prod","path":"{whole}"}}}}"#
            )
        };
        check(&rest("/search", "/prod/search"), "", "/prod", "/search");
        check(&rest("/", "/prod"), "", "/prod", "/");
        check(&rest("/", "/prod/"), "", "/prod", "/");
        check(
            &rest("/prod/search", "/prod/search"),
            "",
            "/prod",
            "/search",
        );
        check(
            &rest("/docs/search", "/docs/search"),
            "/docs",
            "/docs",
            "/search",
        );
    }

    #[test]
    fn lattice_and_balancers_have_the_base_path_only() {
        let lattice = r#"{"raw_path":"/docs/search?q=1","method":"GET"}"#;
        check(lattice, "/docs", "/docs", "/search");
        let balancer = r#"{"path":"/docs","requestContext":{"elb":{}}}"#;
        check(balancer, "/docs", "/docs", "/");
    }
}
