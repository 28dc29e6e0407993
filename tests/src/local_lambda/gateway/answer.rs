//! A function's answer as the response that the client gets.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Front;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// The response; why there is none where the door does not understand the answer.
pub(super) fn response(front: &Front, payload: &[u8]) -> Result<Response, String> {
    let answer: Answer = match (serde_json::from_slice(payload), front) {
        (Ok(answer), _) => answer,
        // Payload 2.0 takes anything else for the body of a good answer.
        (Err(_), Front::HttpApi { .. } | Front::FunctionUrl) => {
            let headers = [("content-type", "application/json")];
            return Ok((headers, payload.to_vec()).into_response());
        }
        (Err(error), _) => return Err(format!("the answer is none: {error}")),
    };
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded {
        STANDARD
            .decode(&body)
            .map_err(|error| format!("the answer is no base64: {error}"))?
    } else {
        body.into_bytes()
    };
    let status = StatusCode::from_u16(answer.status_code)
        .map_err(|error| format!("the answer has no status: {error}"))?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let single = answer.headers.unwrap_or_default().into_iter();
    let several = answer.multi_value_headers.unwrap_or_default();
    let several = match front {
        // Payload 2.0 does not know them.
        Front::HttpApi { .. } | Front::FunctionUrl => BTreeMap::new(),
        _ => several,
    };
    let cookies = answer.cookies.unwrap_or_default().into_iter();
    let headers =
        single
            .chain(several.into_iter().flat_map(|(name, values)| {
                values.into_iter().map(move |value| (name.clone(), value))
            }))
            .chain(cookies.map(|cookie| ("set-cookie".to_owned(), cookie)));
    for (name, value) in headers {
        let name = HeaderName::try_from(&name).map_err(|error| format!("{name}: {error}"))?;
        let value = HeaderValue::try_from(&value).map_err(|error| format!("{value}: {error}"))?;
        // The body that is sent has its own.
        if name != "content-length" {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}
