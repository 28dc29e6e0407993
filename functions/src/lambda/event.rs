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
//!
//! An HTTP API cuts a path off at an encoded question mark before a function sees it: of all that may
//! stand in a key, only that is lost, and only there.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// An event that carries an HTTP request. Fields that mean nothing here are left alone.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event<'a> {
    pub(super) version: Option<String>,
    pub(super) http_method: Option<String>,
    pub(super) path: Option<String>,
    pub(super) raw_path: Option<String>,
    pub(super) raw_query_string: Option<String>,
    pub(super) query_string_parameters: Option<Map<String, Value>>,
    pub(super) multi_value_query_string_parameters: Option<Map<String, Value>>,
    pub(super) headers: Option<Map<String, Value>>,
    pub(super) multi_value_headers: Option<Map<String, Value>>,
    pub(super) cookies: Option<Vec<String>>,
    #[serde(borrow)]
    pub(super) body: Option<Cow<'a, str>>,
    pub(super) is_base64_encoded: bool,
    pub(super) request_context: Option<RequestContext>,
}

/// What the sender says about the request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RequestContext {
    pub(super) stage: Option<String>,
    pub(super) path: Option<String>,
    pub(super) domain_name: Option<String>,
    pub(super) http: Option<Http>,
    pub(super) elb: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Http {
    pub(super) method: Option<String>,
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
    /// An invocation whose payload is the body of a request.
    Bare,
}

impl<'a> Event<'a> {
    /// The HTTP request in a payload; `None` where it carries none, and is a bare one.
    pub fn http(payload: &'a str) -> Option<Self> {
        // An array would be read as the fields one after the other.
        let event: Self = is_object(payload).then(|| serde_json::from_str(payload).ok())??;
        let context = event.request_context.as_ref()?;
        let has_method = event.http_method.is_some() || context.http.is_some();
        has_method.then_some(event)
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        let context = self.request_context.as_ref();
        if context.is_some_and(|context| context.elb.is_some()) {
            let multi_value = self.multi_value_headers.is_some();
            Shape::Balancer { multi_value }
        } else if self.version.as_deref() == Some("2.0") || self.raw_path.is_some() {
            Shape::V2
        } else {
            Shape::V1
        }
    }

    /// Whether the sender has taken the percent signs out of the path.
    pub(super) fn path_is_decoded(&self) -> bool {
        let context = self.request_context.as_ref();
        let domain = context.and_then(|context| context.domain_name.as_deref());
        match self.shape() {
            Shape::V1 => self.version.as_deref() == Some("1.0"),
            Shape::V2 => !domain.is_some_and(|domain| domain.contains(".lambda-url.")),
            Shape::Balancer { .. } | Shape::Bare => false,
        }
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
    let inner = match serde_json::from_str::<Wrapped<'_>>(payload) {
        Ok(wrapped) if is_object(payload) => wrapped.body.get(),
        _ => payload,
    };
    match serde_json::from_str::<Cow<'_, str>>(inner) {
        Ok(text) => Cow::Owned(text.into_owned()),
        // No event at all: a search for everything, as an empty body is.
        Err(_) if inner.trim() == "null" => Cow::Borrowed(""),
        Err(_) => Cow::Borrowed(inner),
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
            r#"[{"requestContext":{"http":{"method":"GET"}}}]"#,
            "null",
            "3",
        ] {
            assert!(Event::http(bare).is_none(), "{bare}");
        }
        let event = r#"{"rawPath":"/","requestContext":{"http":{"method":"GET"}}}"#;
        assert_eq!(Event::http(event).unwrap().shape(), Shape::V2);
    }
}
