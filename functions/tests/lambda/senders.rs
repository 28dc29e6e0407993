//! The senders of events, each of which writes one and the same HTTP request in its own way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// An HTTP request as it travels to a sender.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    /// Percent-encoded.
    pub(crate) path: String,
    /// As it stands behind the question mark.
    pub(crate) query: String,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: Vec<u8>,
    /// Whether the sender takes the body for binary.
    pub(crate) binary: bool,
}

impl Asked {
    pub(crate) fn new(method: &'static str, uri: &str) -> Self {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: vec![("Content-Type", "application/json")],
            body: Vec::new(),
            binary: false,
        }
    }

    pub(crate) fn uri(&self) -> String {
        match self.query.as_str() {
            "" => self.path.clone(),
            query => format!("{}?{query}", self.path),
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let parts = self.query.split('&').filter(|part| !part.is_empty());
        parts.map(|part| part.split_once('=').unwrap_or((part, "")))
    }

    fn decoded_path(&self) -> String {
        let decoded = percent_decode_str(&self.path).decode_utf8().unwrap();
        decoded.into_owned()
    }

    fn put_body(&self, event: &mut Value) {
        event["isBase64Encoded"] = self.binary.into();
        event["body"] = match (self.binary, self.body.as_slice()) {
            (_, []) => Value::Null,
            (true, bytes) => STANDARD.encode(bytes).into(),
            (false, bytes) => String::from_utf8(bytes.to_vec()).unwrap().into(),
        };
    }

    fn put_headers(&self, event: &mut Value, single: bool, several: bool) {
        let (mut one, mut all) = (Map::new(), Map::new());
        for (name, value) in &self.headers {
            one.insert((*name).to_owned(), (*value).into());
            let values = all.entry(*name).or_insert_with(|| json!([]));
            values.as_array_mut().unwrap().push((*value).into());
        }
        put(event, "headers", single.then_some(one));
        put(event, "multiValueHeaders", several.then_some(all));
    }

    fn put_query(&self, event: &mut Value, decode: bool, single: bool, several: bool) {
        let text = |text: &str| {
            if decode {
                let spaces = text.replace('+', " ");
                let decoded = percent_decode_str(&spaces).decode_utf8().unwrap();
                decoded.into_owned()
            } else {
                text.to_owned()
            }
        };
        let (mut one, mut all) = (Map::new(), Map::new());
        for (name, value) in self.pairs() {
            let (name, value) = (text(name), text(value));
            one.insert(name.clone(), value.clone().into());
            let values = all.entry(name).or_insert_with(|| json!([]));
            values.as_array_mut().unwrap().push(value.into());
        }
        let some = |map: Map<String, Value>| Some(map).filter(|map| !map.is_empty());
        let (one, all) = (some(one), some(all));
        put(event, "queryStringParameters", one.filter(|_| single));
        put(
            event,
            "multiValueQueryStringParameters",
            all.filter(|_| several),
        );
    }
}

fn put(event: &mut Value, name: &str, map: Option<Map<String, Value>>) {
    match map {
        Some(map) => event[name] = map.into(),
        None => drop(event.as_object_mut().unwrap().remove(name)),
    }
}

/// A REST API at its own address: the stage stands in the context only.
pub(crate) fn rest(asked: &Asked) -> Value {
    let mut event: Value = serde_json::from_str(include_str!("events/rest-v1.json")).unwrap();
    event["httpMethod"] = asked.method.into();
    event["path"] = asked.path.clone().into();
    event["requestContext"]["path"] = format!("/prod{}", asked.path).into();
    asked.put_headers(&mut event, true, true);
    asked.put_query(&mut event, true, true, true);
    asked.put_body(&mut event);
    event
}

/// A REST API behind a domain of one's own whose paths begin with the stage's name.
pub(crate) fn rest_at_a_domain(asked: &Asked) -> Value {
    let mut event = rest(asked);
    event["path"] = format!("/prod{}", asked.path).into();
    event
}

/// An HTTP API with payload 1.0: it decodes the path, and puts the stage before it.
pub(crate) fn http_v1(asked: &Asked) -> Value {
    let mut event = rest(asked);
    let path = format!("/prod{}", asked.decoded_path());
    event["version"] = "1.0".into();
    event["path"] = path.clone().into();
    event["requestContext"]["path"] = path.into();
    event
}

/// An HTTP API with payload 2.0 in a stage that has a name.
pub(crate) fn http_v2(asked: &Asked) -> Value {
    v2(asked, "prod", &format!("/prod{}", asked.decoded_path()))
}

/// The same in the stage that has none.
pub(crate) fn http_v2_default(asked: &Asked) -> Value {
    v2(asked, "$default", &asked.decoded_path())
}

/// A function URL: it passes the path on as it came.
pub(crate) fn function_url(asked: &Asked) -> Value {
    let mut event = v2(asked, "$default", &asked.path);
    event["requestContext"]["domainName"] = "id.lambda-url.us-east-1.on.aws".into();
    event
}

fn v2(asked: &Asked, stage: &str, path: &str) -> Value {
    let mut event: Value = serde_json::from_str(include_str!("events/http-v2.json")).unwrap();
    event["rawPath"] = path.into();
    event["rawQueryString"] = asked.query.clone().into();
    let context = &mut event["requestContext"];
    context["stage"] = stage.into();
    context["http"]["method"] = asked.method.into();
    context["http"]["path"] = path.into();
    asked.put_headers(&mut event, true, false);
    asked.put_query(&mut event, true, true, false);
    asked.put_body(&mut event);
    event
}

/// A load balancer: it passes the query on as it came, but only the last value of a parameter.
pub(crate) fn balancer(asked: &Asked) -> Value {
    let mut event: Value = serde_json::from_str(include_str!("events/balancer.json")).unwrap();
    event["httpMethod"] = asked.method.into();
    event["path"] = asked.path.clone().into();
    asked.put_headers(&mut event, true, false);
    asked.put_query(&mut event, false, true, false);
    asked.put_body(&mut event);
    event
}

/// A load balancer that is set up for multi-value headers.
pub(crate) fn balancer_multi(asked: &Asked) -> Value {
    let mut event = balancer(asked);
    asked.put_headers(&mut event, false, true);
    asked.put_query(&mut event, false, false, true);
    event
}

/// VPC Lattice with its first event structure: only the last value of a parameter.
pub(crate) fn lattice_v1(asked: &Asked) -> Value {
    let mut event: Value = serde_json::from_str(include_str!("events/lattice-v1.json")).unwrap();
    event["raw_path"] = asked.path.clone().into();
    event["method"] = asked.method.into();
    asked.put_headers(&mut event, true, false);
    asked.put_query(&mut event, false, true, false);
    asked.put_body(&mut event);
    let fields = event.as_object_mut().unwrap();
    for (camel, snake) in [
        ("queryStringParameters", "query_string_parameters"),
        ("isBase64Encoded", "is_base64_encoded"),
    ] {
        let value = fields.remove(camel).unwrap_or(json!({}));
        fields.insert(snake.to_owned(), value);
    }
    event
}

/// The same with its second: every value in an array.
pub(crate) fn lattice_v2(asked: &Asked) -> Value {
    let mut event: Value = serde_json::from_str(include_str!("events/lattice-v2.json")).unwrap();
    event["path"] = asked.path.clone().into();
    event["method"] = asked.method.into();
    asked.put_headers(&mut event, false, true);
    asked.put_query(&mut event, false, false, true);
    asked.put_body(&mut event);
    let fields = event.as_object_mut().unwrap();
    for (several, single) in [
        ("multiValueHeaders", "headers"),
        ("multiValueQueryStringParameters", "queryStringParameters"),
    ] {
        let value = fields.remove(several).unwrap_or(json!({}));
        fields.insert(single.to_owned(), value);
    }
    event
}

/// How a sender writes a request.
pub(crate) type Sender = fn(&Asked) -> Value;

/// All that pass on every value of a parameter.
pub(crate) const SENDERS: [(&str, Sender); 8] = [
    ("REST", rest),
    ("REST at a domain", rest_at_a_domain),
    ("HTTP 1.0", http_v1),
    ("HTTP 2.0", http_v2),
    ("HTTP 2.0 $default", http_v2_default),
    ("function URL", function_url),
    ("balancer, multi-value", balancer_multi),
    ("Lattice, second structure", lattice_v2),
];
