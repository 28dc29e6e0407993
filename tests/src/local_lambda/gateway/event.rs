//! A request as the event that a function is handed.
//!
//! The doors do not agree on what they decode, and a function must cope with each:
//!
//! | door | path | parameters |
//! |---|---|---|
//! | HTTP API | decoded, with the stage, cut off at a question mark | as they came |
//! | REST API | as it came, without the stage | decoded |
//! | function URL | as it came | as they came |
//! | load balancer | as it came | as they came, one by one |

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description;
use uuid::Uuid;

use super::{Asked, Front};

const ACCOUNT: &str = "123456789012";
const API: &str = "api-id";

/// The event for a request; `inner` is its path without the stage.
pub(super) fn of(front: &Front, asked: &Asked<'_>, inner: &str) -> Value {
    match front {
        Front::HttpApi { stage } => {
            let stage = stage.as_deref().unwrap_or("$default");
            let decoded = decoded(asked.uri.path());
            let path = decoded.split('?').next().unwrap_or_default();
            let domain = format!("{API}.execute-api.us-east-1.amazonaws.com");
            payload_2(asked, path, stage, &domain)
        }
        Front::FunctionUrl => {
            let domain = format!("{API}.lambda-url.us-east-1.on.aws");
            payload_2(asked, asked.uri.path(), "$default", &domain)
        }
        Front::RestApi { stage } => payload_1(asked, stage, inner),
        Front::Balancer { multi_value } => balanced(asked, *multi_value),
    }
}

fn payload_2(asked: &Asked<'_>, path: &str, stage: &str, domain: &str) -> Value {
    let query = asked.uri.query().unwrap_or_default();
    let mut headers = Map::new();
    for (name, value) in pairs(asked.headers) {
        // Several of one name are joined; cookies have a place of their own.
        match headers.get_mut(name) {
            _ if name == "cookie" => {}
            Some(Value::String(before)) => *before = format!("{before},{value}"),
            _ => drop(headers.insert(name.to_owned(), value.into())),
        }
    }
    let cookies = header(asked.headers, "cookie");
    let cookies: Vec<&str> = cookies
        .split("; ")
        .filter(|cookie| !cookie.is_empty())
        .collect();
    let binary = !is_text(asked.headers);
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": API,
            "domainName": domain,
            "domainPrefix": API,
            "http": {
                "method": asked.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": asked.peer.ip().to_string(),
                "userAgent": header(asked.headers, "user-agent"),
            },
            "requestId": Uuid::new_v4().to_string(),
            "routeKey": "$default",
            "stage": stage,
            "time": moment(),
            "timeEpoch": milliseconds(),
        },
        "isBase64Encoded": binary && !asked.body.is_empty(),
    });
    if !cookies.is_empty() {
        set(&mut event, "cookies", json!(cookies));
    }
    let parameters = parameters(query, form);
    if !parameters.is_empty() {
        let joined = parameters
            .into_iter()
            .map(|(name, values)| (name, values.join(",").into()));
        set(
            &mut event,
            "queryStringParameters",
            Value::Object(joined.collect()),
        );
    }
    if !asked.body.is_empty() {
        set(&mut event, "body", body(asked.body, binary));
    }
    event
}

fn payload_1(asked: &Asked<'_>, stage: &str, inner: &str) -> Value {
    let parameters = parameters(asked.uri.query().unwrap_or_default(), form);
    let (single, several) = both(parameters);
    let headers = pairs(asked.headers).map(|(name, value)| (name.to_owned(), value));
    let (single_headers, several_headers) = both(grouped(headers));
    let proxy = decoded(inner.trim_start_matches('/'));
    json!({
        "resource": "/{proxy+}",
        "path": inner,
        "httpMethod": asked.method.as_str(),
        "headers": single_headers,
        "multiValueHeaders": several_headers,
        "queryStringParameters": null_if_empty(single),
        "multiValueQueryStringParameters": null_if_empty(several),
        "pathParameters": {"proxy": proxy},
        "stageVariables": null,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": API,
            "domainName": format!("{API}.execute-api.us-east-1.amazonaws.com"),
            "domainPrefix": API,
            "httpMethod": asked.method.as_str(),
            "identity": {
                "sourceIp": asked.peer.ip().to_string(),
                "userAgent": header(asked.headers, "user-agent"),
            },
            "path": format!("/{stage}{inner}"),
            "protocol": "HTTP/1.1",
            "requestId": Uuid::new_v4().to_string(),
            "requestTime": moment(),
            "requestTimeEpoch": milliseconds(),
            "resourceId": "proxy",
            "resourcePath": "/{proxy+}",
            "stage": stage,
        },
        "body": if asked.body.is_empty() { Value::Null } else { body(asked.body, true) },
        "isBase64Encoded": !asked.body.is_empty(),
    })
}

fn balanced(asked: &Asked<'_>, multi_value: bool) -> Value {
    let parameters = parameters(asked.uri.query().unwrap_or_default(), str::to_owned);
    let (single, several) = both(parameters);
    let headers = pairs(asked.headers).map(|(name, value)| (name.to_owned(), value));
    let (single_headers, several_headers) = both(grouped(headers));
    let binary = !is_text(asked.headers);
    let group = format!("arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:targetgroup/group/0");
    let mut event = json!({
        "requestContext": {"elb": {"targetGroupArn": group}},
        "httpMethod": asked.method.as_str(),
        "path": asked.uri.path(),
        "body": body(asked.body, binary),
        "isBase64Encoded": binary,
    });
    if multi_value {
        set(
            &mut event,
            "multiValueQueryStringParameters",
            Value::Object(several),
        );
        set(
            &mut event,
            "multiValueHeaders",
            Value::Object(several_headers),
        );
    } else {
        set(&mut event, "queryStringParameters", Value::Object(single));
        set(&mut event, "headers", Value::Object(single_headers));
    }
    event
}

fn set(event: &mut Value, name: &str, value: Value) {
    if let Some(fields) = event.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

fn body(bytes: &[u8], binary: bool) -> Value {
    if binary {
        STANDARD.encode(bytes).into()
    } else {
        String::from_utf8_lossy(bytes).into()
    }
}

/// Whether a body is handed on as it is, which is told by its headers alone.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = header(headers, "content-type");
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let textual = [
        "application/json",
        "application/javascript",
        "application/xml",
    ];
    let is_text = kind.starts_with("text/") || textual.contains(&kind) || kind.ends_with("+json");
    is_text && !headers.contains_key("content-encoding")
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, String)> {
    headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str(), value)
    })
}

fn header(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).map(|value| value.as_bytes());
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

/// The parameters of a query, each name with its values in order.
fn parameters(query: &str, decode: fn(&str) -> String) -> Vec<(String, Vec<String>)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    grouped(pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    }))
}

fn grouped(pairs: impl Iterator<Item = (String, String)>) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in pairs {
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => groups.push((name, vec![value])),
        }
    }
    groups
}

/// Each name with its last value, and with all of them.
fn both(groups: Vec<(String, Vec<String>)>) -> (Map<String, Value>, Map<String, Value>) {
    let last = |values: &[String]| Value::from(values.last().cloned());
    let single = groups
        .iter()
        .map(|(name, values)| (name.clone(), last(values)));
    let single = single.collect();
    let several = groups
        .into_iter()
        .map(|(name, values)| (name, values.into()));
    (single, several.collect())
}

fn null_if_empty(map: Map<String, Value>) -> Value {
    if map.is_empty() {
        Value::Null
    } else {
        Value::Object(map)
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Text of a query, where a plus is a space.
fn form(text: &str) -> String {
    decoded(&text.replace('+', " "))
}

fn moment() -> String {
    let format = "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000";
    let format = format_description::parse_borrowed::<2>(format).unwrap();
    OffsetDateTime::now_utc().format(&format).unwrap()
}

fn milliseconds() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp() * 1000
}
