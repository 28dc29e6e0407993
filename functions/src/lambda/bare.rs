//! Bare invocations: a payload that is no event, and stands for a request.

use aquifer_indexer::document::{BodyFormat, Document, split};
use aquifer_indexer::{Error, Result};
use axum::body::Body;
use axum::http::{Method, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;

use super::event::bare_body;
use super::feed::content::{EXPECTED, Wrapper};
use super::feed::payload::Payload;
use super::role::Role;
use crate::object::Object;

/// What the writer takes, for errors.
const WRITER_TAKES: &str = "{\"get\": \"key\"}, {\"stats\": true}";

/// The request that a payload stands for.
///
/// # Errors
/// [`aquifer_indexer::ErrorKind::Invalid`] for what the function does not understand, by its name.
pub fn request(role: Role, payload: &str) -> Result<Request<Body>> {
    let payload_is = Payload::of(payload);
    let body = bare_body(payload);
    let object = Object::read(&body).ok();
    // A document is no wrapper, whatever its other fields are.
    let wrapper = object
        .as_ref()
        .filter(|object| object.get("unique_key").is_none());
    if let Some(reading) = wrapper.map(reading).transpose()?.flatten() {
        return Ok(reading);
    }
    let is_order = |object: &&Object<'_>| {
        let asks = |name| object.get(name).is_some();
        asks("indexes") || asks("tasks")
    };
    if wrapper.filter(is_order).is_some() {
        return Err(misplaced("an order", "is for another function", "reindex"));
    }
    match role {
        Role::Writer => writing(&payload_is, &body, wrapper),
        Role::Search => search(&payload_is, &body, object.as_ref()),
    }
}

/// `{"get": "key"}` and `{"stats": true}`, which both functions answer.
fn reading(object: &Object<'_>) -> Result<Option<Request<Body>>> {
    let asks = |name: &str| object.get(name).is_some();
    if !asks("get") && !asks("stats") {
        return Ok(None);
    }
    let wrapper = Wrapper::read(object, &["get", "stats"], None)?;
    let prefix = prefix(wrapper.index.as_deref());
    match wrapper.asked {
        Some(("get", key)) => {
            let key: String = text(key, "`get` should be the key of a document, as text")?;
            let path = format!("{prefix}/documents/{}", encoded(&key));
            asked(Method::GET, path, String::new()).map(Some)
        }
        Some((_stats, wanted)) if wanted.get() == "true" => {
            asked(Method::GET, format!("{prefix}/stats"), String::new()).map(Some)
        }
        _ => Err(Error::invalid("`stats` should be true")),
    }
}

fn writing(payload: &Payload, body: &str, wrapper: Option<&Object<'_>>) -> Result<Request<Body>> {
    let wrapper = wrapper.filter(|object| {
        let asks = |name| object.get(name).is_some();
        asks("documents") || asks("delete")
    });
    let Some(object) = wrapper else {
        if has_document(body) {
            return asked(Method::POST, "/documents".to_owned(), body.to_owned());
        }
        return Err(not_for_the_writer(payload, body));
    };
    let wrapper = Wrapper::read(object, &["documents", "delete"], None)?;
    let prefix = prefix(wrapper.index.as_deref());
    match wrapper.asked {
        Some(("documents", documents)) => {
            let body = format!("{{\"documents\":{}}}", documents.get());
            asked(Method::POST, format!("{prefix}/documents"), body)
        }
        Some((_delete, keys)) => {
            let path = format!("{prefix}/documents/delete");
            asked(Method::POST, path, keys.get().to_owned())
        }
        None => Err(not_for_the_writer(payload, body)),
    }
}

fn search(payload: &Payload, body: &str, object: Option<&Object<'_>>) -> Result<Request<Body>> {
    let asks = |name| object.is_some_and(|object| object.get(name).is_some());
    let holds_documents = asks("unique_key") || asks("documents") || asks("delete");
    if holds_documents || object.is_none() && has_document(body) {
        return Err(misplaced(
            "documents",
            "cannot be stored by the search function",
            "writer",
        ));
    }
    match payload {
        Payload::Bare if body.trim_start().starts_with('[') => {
            return Err(Error::invalid(
                "the payload is an array: a search is an object, such as {\"query\": \"dune\"}",
            ));
        }
        Payload::Bare => {}
        Payload::Event(kind) => {
            return Err(misplaced(kind.shown(), "cannot be searched", "writer"));
        }
        Payload::Schedule => {
            return Err(misplaced(
                "an event of a schedule",
                "cannot be searched",
                "reindex",
            ));
        }
        other => return Err(unknown(other, "search")),
    }
    let Some(object) = object.filter(|_| asks("index")) else {
        return asked(Method::POST, "/search".to_owned(), body.to_owned());
    };
    let Some(index) = object.get("index") else {
        return asked(Method::POST, "/search".to_owned(), body.to_owned());
    };
    let index: String = serde_json::from_str(index)
        .map_err(|_error| Error::invalid("`index` should be the name of an index, as text"))?;
    let mut rest = Vec::new();
    let written = object.write_open(&mut rest, |name| name != "index");
    written.map_err(|error| Error::internal("a search is no JSON").because(error))?;
    rest.push(b'}');
    let path = format!("{}/search", prefix(Some(&index)));
    asked(Method::POST, path, rest)
}

/// Whether a body holds a document at all: one that has a key. The others are answered one by one.
fn has_document(body: &str) -> bool {
    let Ok(mut parts) = split(body.as_bytes(), BodyFormat::Unknown) else {
        return false;
    };
    parts.any(|part| part.text.is_ok_and(|text| Document::key_of(text).is_some()))
}

fn not_for_the_writer(payload: &Payload, body: &str) -> Error {
    let is_search = Object::read(body).is_ok_and(|object| object.get("query").is_some());
    match payload {
        Payload::Bare if is_search => misplaced("a search", "is no document", "search"),
        Payload::Bare => Error::invalid(format!(
            "the payload is no event that the writer function knows, and holds no document with a valid `unique_key`: it should \
             hold {EXPECTED}, or {WRITER_TAKES}"
        )),
        Payload::Schedule => misplaced("an event of a schedule", "holds no documents", "reindex"),
        other => unknown(other, "writer"),
    }
}

/// The error for what another function understands.
pub(super) fn misplaced(shown: &str, why: &str, function: &str) -> Error {
    Error::invalid(format!("{shown} {why}: send it to the {function} function"))
}

/// The error for what no function understands.
pub(super) fn unknown(payload: &Payload, function: &str) -> Error {
    let shown = match payload {
        Payload::Foreign(shown) => shown.as_str(),
        Payload::S3Test => "a test event of S3",
        Payload::Request => "an event with `requestContext` that carries no HTTP request",
        Payload::Event(kind) => kind.shown(),
        Payload::Schedule => "an event of a schedule",
        Payload::Bare => "the payload",
    };
    Error::invalid(format!(
        "{shown} is not understood by the {function} function; docs/events.md lists what each function takes"
    ))
}

/// What the paths of an index begin with.
fn prefix(index: Option<&str>) -> String {
    index.map_or_else(String::new, |index| format!("/indexes/{}", encoded(index)))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn text(value: &RawValue, expected: &str) -> Result<String> {
    serde_json::from_str(value.get()).map_err(|_error| Error::invalid(expected))
}

fn asked(method: Method, path: String, body: impl Into<Body>) -> Result<Request<Body>> {
    let request = Request::builder().method(method).uri(path);
    request
        .body(body.into())
        .map_err(|error| Error::invalid("the payload stands for no request").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(role: Role, payload: &str) -> String {
        match request(role, payload) {
            Ok(request) => format!("{} {}", request.method(), request.uri()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_payload_stands_for_a_request() {
        for (payload, writer, search) in [
            (
                r#"{"unique_key":"1"}"#,
                "POST /documents",
                "send it to the writer",
            ),
            (
                r#"{"unique_key":"1","get":"2"}"#,
                "POST /documents",
                "send it to the writer",
            ),
            (
                r#"[{"unique_key":"1"},{}]"#,
                "POST /documents",
                "send it to the writer",
            ),
            (
                r#"{"documents":[]}"#,
                "POST /documents",
                "send it to the writer",
            ),
            (
                r#"{"delete":["1"]}"#,
                "POST /documents/delete",
                "send it to the writer",
            ),
            (
                r#"{"index":"b","delete":["1"]}"#,
                "POST /indexes/b/documents/delete",
                "send it",
            ),
            (
                r#"{"get":"a/b c"}"#,
                "GET /documents/a%2Fb%20c",
                "GET /documents/a%2Fb%20c",
            ),
            (
                r#"{"index":"b","stats":true}"#,
                "GET /indexes/b/stats",
                "GET /indexes/b/stats",
            ),
            (r#"{"query":"x"}"#, "send it to the search", "POST /search"),
            (
                r#"{"query":"x","index":"b"}"#,
                "send it to the search",
                "POST /indexes/b/search",
            ),
            ("{}", "no document", "POST /search"),
            ("null", "no document", "POST /search"),
            ("[]", "no document", "the payload is an array"),
            ("7", "no document", "POST /search"),
            (r#"{"title":"x"}"#, "no document", "POST /search"),
            (
                r#"{"indexes":["a"]}"#,
                "send it to the reindex",
                "send it to the reindex",
            ),
            (r#"{"stats":1}"#, "should be true", "should be true"),
            (r#"{"get":1}"#, "as text", "as text"),
            (r#"{"get":"1","stats":true}"#, "does not go", "does not go"),
        ] {
            let told = (told(Role::Writer, payload), told(Role::Search, payload));
            assert!(told.0.contains(writer), "{payload}: {}", told.0);
            assert!(told.1.contains(search), "{payload}: {}", told.1);
        }
    }

    #[test]
    fn an_event_that_is_misplaced_is_named() {
        for (payload, writer, search) in [
            (
                r#"{"Records":[{"eventSource":"aws:ses"}]}"#,
                "\"aws:ses\"",
                "\"aws:ses\"",
            ),
            (
                r#"{"Records":[{"eventSource":"aws:sqs"}]}"#,
                "an SQS batch",
                "an SQS batch cannot be searched: send it to the writer function",
            ),
            (
                r#"{"source":"aws.events","detail-type":"Scheduled Event","detail":{}}"#,
                "send it to the reindex function",
                "send it to the reindex function",
            ),
        ] {
            let told = (told(Role::Writer, payload), told(Role::Search, payload));
            assert!(told.0.contains(writer), "{payload}: {}", told.0);
            assert!(told.1.contains(search), "{payload}: {}", told.1);
        }
    }
}
