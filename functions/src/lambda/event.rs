//! What an event is: an HTTP request in one of the shapes that AWS gives it, or a bare invocation.
//!
//! The shapes differ in how they carry the path and the query, which [`Shape`] and
//! `Event::path_is_decoded` tell apart:
//!
//! | sender | shape | path | query |
//! |---|---|---|---|
//! | API Gateway, REST | v1 without `version` | as it came, without the stage | decoded, by parameter |
//! | API Gateway, HTTP with payload 1.0 | v1, `version` `1.0` | decoded, with the stage | decoded, by parameter |
//! | API Gateway, HTTP with payload 2.0 | v2 | decoded, with the stage | as it came |
//! | function URL | v2, at `*.lambda-url.*` | as it came | as it came |
//! | load balancer | v1 with `requestContext.elb` | as it came | as it came, by parameter |
//! | VPC Lattice, version 1 | `raw_path` and other names with underscores | as it came | by parameter, the last value |
//! | VPC Lattice, version 2 | `requestContext.serviceArn` | as it came | by parameter |
//!
//! An HTTP API cuts a path off at an encoded question mark before a function sees it: of all that may
//! stand in a key, only that is lost, and only there.
//!
//! Events are also written by hand, in consoles and tests. A field of the wrong type counts as missing, and an empty
//! method as none.

use std::borrow::Cow;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// An event that carries an HTTP request. Fields that mean nothing here are left alone.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event<'a> {
    /// What every document has, and no request.
    #[serde(rename = "unique_key")]
    unique_key: Option<IgnoredAny>,
    #[serde(deserialize_with = "lenient")]
    pub(super) version: Option<String>,
    #[serde(deserialize_with = "lenient")]
    http_method: Option<String>,
    #[serde(deserialize_with = "lenient")]
    method: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) path: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) raw_path: Option<String>,
    #[serde(deserialize_with = "lenient", rename = "raw_path")]
    pub(super) lattice_path: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) raw_query_string: Option<String>,
    #[serde(deserialize_with = "lenient", alias = "query_string_parameters")]
    pub(super) query_string_parameters: Option<Map<String, Value>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) multi_value_query_string_parameters: Option<Map<String, Value>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) headers: Option<Map<String, Value>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) multi_value_headers: Option<Map<String, Value>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) cookies: Option<Vec<String>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(deserialize_with = "lenient", alias = "is_base64_encoded")]
    is_base64_encoded: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    pub(super) request_context: Option<RequestContext>,
}

/// What the sender says about the request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RequestContext {
    #[serde(deserialize_with = "lenient")]
    pub(super) stage: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) path: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) domain_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) request_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    http: Option<Http>,
    elb: Option<Value>,
    service_arn: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Http {
    #[serde(deserialize_with = "lenient")]
    method: Option<String>,
}

/// A value of another type counts as missing.
fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// In which shape a request came and its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// API Gateway's payload 1.0.
    V1,
    /// API Gateway's payload 2.0, and a function URL's.
    V2,
    /// A load balancer's; it takes either single headers or multi-value ones, as it is set up.
    Balancer {
        /// Whether it is set up for multi-value headers.
        multi_value: bool,
    },
    /// VPC Lattice's, of both versions.
    Lattice,
    /// An invocation whose payload is the body of a request.
    Bare,
}

impl<'a> Event<'a> {
    /// The HTTP request in a payload; `None` where it carries none, and is a bare one.
    pub fn http(payload: &'a str) -> Option<Self> {
        // An array would be read as the fields one after the other.
        let event: Self = is_object(payload).then(|| serde_json::from_str(payload).ok())??;
        event.is_http().then_some(event)
    }

    fn is_http(&self) -> bool {
        if self.unique_key.is_some() {
            return false;
        }
        let names_method = self.http_method.is_some() || self.method.is_some();
        let paths = [&self.path, &self.raw_path, &self.lattice_path];
        let has_path = paths
            .into_iter()
            .flatten()
            .any(|path| path.starts_with('/'));
        match &self.request_context {
            Some(context) => {
                names_method || context.http.is_some() || (context.elb.is_some() && has_path)
            }
            None => names_method && has_path,
        }
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        let context = self.request_context.as_ref();
        if context.is_some_and(|context| context.elb.is_some()) {
            let multi_value = self.multi_value_headers.is_some();
            Shape::Balancer { multi_value }
        } else if self.lattice_path.is_some()
            || context.is_some_and(|context| context.service_arn.is_some())
        {
            Shape::Lattice
        } else if self.version.as_deref() == Some("2.0") || self.raw_path.is_some() {
            Shape::V2
        } else {
            Shape::V1
        }
    }

    /// Whether a REST API sent it.
    pub(super) fn is_rest(&self) -> bool {
        self.shape() == Shape::V1 && self.version.as_deref() != Some("1.0")
    }

    /// Whether the sender has taken the percent signs out of the path.
    pub(super) fn path_is_decoded(&self) -> bool {
        match self.shape() {
            Shape::V1 => !self.is_rest(),
            Shape::V2 => !self.domain().contains(".lambda-url."),
            Shape::Balancer { .. } | Shape::Lattice | Shape::Bare => false,
        }
    }

    /// The host that the client asked.
    pub(super) fn domain(&self) -> &str {
        let context = self.request_context.as_ref();
        context
            .and_then(|context| context.domain_name.as_deref())
            .unwrap_or_default()
    }

    /// The method, unless none is named.
    pub(super) fn method(&self) -> Option<&str> {
        let context = self.request_context.as_ref();
        let of_v2 = context.and_then(|context| context.http.as_ref()?.method.as_ref());
        let named = [self.http_method.as_ref(), self.method.as_ref(), of_v2]
            .into_iter()
            .flatten();
        named
            .map(|method| method.trim())
            .find(|method| !method.is_empty())
    }

    /// The sender's own name for the request.
    pub(super) fn sender_request_id(&self) -> Option<&str> {
        self.request_context.as_ref()?.request_id.as_deref()
    }

    /// The body as it stands in the event: its text, or the JSON that somebody has put in the place of a text.
    pub(super) fn body(&self) -> Cow<'a, str> {
        self.body
            .map_or(Cow::Borrowed(""), |body| text_or_json(body.get()))
    }

    /// Whether the body is written in base64.
    pub(super) fn body_is_base64(&self) -> bool {
        self.is_base64_encoded.unwrap_or(false)
    }
}

/// Whether a text is a JSON object, if it is JSON at all.
pub(super) fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// The body that a bare payload stands for: the payload itself, or what is under its only field `body`, which may be
/// text or JSON.
pub fn bare_body(payload: &str) -> Cow<'_, str> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        body: &'a RawValue,
    }
    match serde_json::from_str::<Wrapped<'_>>(payload) {
        Ok(wrapped) if is_object(payload) => text_or_json(wrapped.body.get()),
        _ => text_or_json(payload),
    }
}

/// The text that a piece of JSON is; other JSON as it stands, and `null` as no body at all.
fn text_or_json(json: &str) -> Cow<'_, str> {
    match serde_json::from_str::<String>(json) {
        Ok(text) => Cow::Owned(text),
        Err(_) if json.trim() == "null" => Cow::Borrowed(""),
        Err(_) => Cow::Borrowed(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_body_is_the_payload_or_what_it_wraps() {
        let query = r#"{"query":"body","lang":"en","tags":[]}"#;
        assert_eq!(bare_body(query), query);
        assert_eq!(
            bare_body(r#"{"body":"{\"query\": \"body\"}"}"#),
            r#"{"query": "body"}"#
        );
        assert_eq!(bare_body(r#"{"body": {"query": 1} }"#), r#"{"query": 1}"#);
        assert_eq!(bare_body(r#""{\"a\":1}""#), r#"{"a":1}"#);
        assert_eq!(bare_body("null"), "");
        // A document may have such a field: it has others too.
        let document = r#"{"unique_key":"1","body":"text"}"#;
        assert_eq!(bare_body(document), document);
        let array = r#"[{"unique_key":"1"}]"#;
        assert_eq!(bare_body(array), array);
    }

    #[test]
    fn documents_are_no_http_events() {
        for bare in [
            r#"{"unique_key":"1","path":"/x","httpMethod":"GET"}"#,
            r#"{"unique_key":"1","headers":5,"requestContext":{}}"#,
            r#"{"unique_key":"1","rawPath":"/","requestContext":{"http":{"method":"GET"}}}"#,
            r#"[{"requestContext":{"http":{"method":"GET"}}}]"#,
            r#"{"query":"x","path":"/x"}"#,
            r#"{"documents":[{"unique_key":"1"}],"requestContext":{}}"#,
            "null",
            "3",
        ] {
            assert!(Event::http(bare).is_none(), "{bare}");
        }
        let event = r#"{"rawPath":"/","requestContext":{"http":{"method":"GET"}}}"#;
        assert_eq!(Event::http(event).unwrap().shape(), Shape::V2);
    }

    #[test]
    fn near_misses_are_read_as_the_requests_they_are() {
        for (payload, method, body) in [
            (
                r#"{"httpMethod":"","path":"/search","requestContext":{"http":{}},"isBase64Encoded":null}"#,
                None,
                "",
            ),
            (
                r#"{"httpMethod":"POST","path":"/search","body":{"query":"x"}}"#,
                Some("POST"),
                r#"{"query":"x"}"#,
            ),
            (
                r#"{"version":2.0,"rawPath":"/","requestContext":{"http":{"method":" get "}},"body":null}"#,
                Some("get"),
                "",
            ),
            (
                r#"{"httpMethod":"GET","path":"/","headers":5,"cookies":{},"requestContext":null,"body":""}"#,
                Some("GET"),
                "",
            ),
            (
                r#"{"requestContext":{"elb":{}},"path":"/search","isBase64Encoded":"no"}"#,
                None,
                "",
            ),
        ] {
            let event = Event::http(payload).unwrap_or_else(|| panic!("{payload}"));
            assert_eq!(
                (event.method(), &*event.body()),
                (method, body),
                "{payload}"
            );
            assert!(!event.body_is_base64(), "{payload}");
        }
    }

    #[test]
    fn the_shapes_of_vpc_lattice_are_known() {
        let first = r#"{"raw_path":"/search","method":"GET","headers":{},"query_string_parameters":{"q":"a"},"is_base64_encoded":true}"#;
        let second = r#"{"version":"2.0","path":"/search","method":"GET","requestContext":{"serviceArn":"arn:x"}}"#;
        for payload in [first, second] {
            let event = Event::http(payload).unwrap();
            assert_eq!(
                (event.shape(), event.method()),
                (Shape::Lattice, Some("GET")),
                "{payload}"
            );
        }
        assert!(Event::http(first).unwrap().body_is_base64());
    }
}
