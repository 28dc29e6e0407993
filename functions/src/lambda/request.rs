//! The HTTP request that an event carries, exactly as it would have come over a socket.
//!
//! This is done here rather than by `lambda_http`, whose types the answers are written with: it panics over a host or a
//! base64 body that makes no sense, puts the stage before every path, and takes a path that an HTTP API has decoded for
//! one that is still encoded.

use aquifer_indexer::quote::quoted;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::doors::Doors;
use super::event::{Event, Shape};
use super::path::Place;
use super::role::Role;
use crate::http::{Prefix, Problem, Sort};

/// What cannot stand in a query, which keeps its percent signs.
const NOT_IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// The same of a value by itself, which may or may not have kept them.
const NOT_IN_VALUE: &AsciiSet = &NOT_IN_QUERY.add(b'&');

/// Makes the request that a function of this role is to answer.
pub(super) fn http(event: &Event<'_>, doors: &Doors, role: Role) -> Result<Request<Body>, Problem> {
    let method = method(event)?;
    let Place { prefix, path } = Place::of(event, &doors.base_path);
    let own = role.own_route(&method, &path, &doors.own_path);
    let mut uri = own.map_or(path, str::to_owned);
    let query = query(event);
    if !query.is_empty() {
        uri.push('?');
        uri.push_str(&query);
    }
    let mut headers = headers(event);
    if !doors.compression.applies(event) {
        headers.remove(header::ACCEPT_ENCODING);
    }
    let mut request = Request::new(Body::from(body(event)?));
    *request.method_mut() = method;
    *request.uri_mut() = uri
        .parse()
        .map_err(|error| Problem::invalid(format!("{} is no path: {error}", quoted(&uri))))?;
    *request.headers_mut() = headers;
    request.extensions_mut().insert(Prefix(prefix));
    Ok(request)
}

fn method(event: &Event<'_>) -> Result<Method, Problem> {
    let text = event.method().unwrap_or("GET");
    Method::from_bytes(text.as_bytes()).map_err(|_invalid| {
        let detail = format!("{} is no method", quoted(text));
        Problem::new(Sort::MethodNotAllowed, detail)
    })
}

fn query(event: &Event<'_>) -> String {
    let several = event.multi_value_query_string_parameters.as_ref();
    let single = event.query_string_parameters.as_ref();
    let several = several.filter(|parameters| !parameters.is_empty());
    let by_parameter = pairs(several.or(single));
    match event.shape() {
        Shape::V2 => {
            let raw = event.raw_query_string.as_deref().unwrap_or_default();
            utf8_percent_encode(raw, NOT_IN_QUERY).to_string()
        }
        Shape::Balancer { .. } => join(by_parameter, |text| {
            utf8_percent_encode(text, NOT_IN_QUERY).to_string()
        }),
        Shape::Lattice => join(by_parameter, |text| {
            utf8_percent_encode(text, NOT_IN_VALUE).to_string()
        }),
        Shape::V1 | Shape::Bare => join(by_parameter, |text| {
            utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
        }),
    }
}

fn join<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
    encode: impl Fn(&str) -> String,
) -> String {
    let pair = |(name, value)| format!("{}={}", encode(name), encode(value));
    pairs.map(pair).collect::<Vec<_>>().join("&")
}

/// Names and values, each value of a name that has several.
fn pairs(map: Option<&Map<String, Value>>) -> impl Iterator<Item = (&str, &str)> {
    map.into_iter().flatten().flat_map(|(name, value)| {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        let texts = values.iter().filter_map(Value::as_str);
        texts.map(move |value| (name.as_str(), value))
    })
}

fn headers(event: &Event<'_>) -> HeaderMap {
    let several = event.multi_value_headers.as_ref();
    let several = several.filter(|headers| !headers.is_empty());
    let mut map = HeaderMap::new();
    for (name, value) in pairs(several.or(event.headers.as_ref())) {
        let name = HeaderName::from_bytes(name.as_bytes());
        match (name, HeaderValue::from_bytes(value.as_bytes())) {
            (Ok(name), Ok(value)) => drop(map.append(name, value)),
            // What no server would have let in.
            _ => tracing::debug!("a header that is none is left out"),
        }
    }
    let cookies = event.cookies.as_deref().unwrap_or_default();
    if let Ok(value) = HeaderValue::from_str(&cookies.join("; "))
        && !cookies.is_empty()
    {
        map.insert(header::COOKIE, value);
    }
    map
}

fn body(event: &Event<'_>) -> Result<Vec<u8>, Problem> {
    let text = event.body();
    if !event.body_is_base64() {
        return Ok(text.into_owned().into_bytes());
    }
    STANDARD.decode(&*text).map_err(|error| {
        Problem::invalid(format!(
            "the body is not the base64 that isBase64Encoded promises: {error}"
        ))
    })
}
