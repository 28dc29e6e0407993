//! Answers packed with gzip, for clients that unpack it.

use std::io::{self, Write as _};

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::counted::Counted;
use super::error::{Problem, Sort};
use super::limits::{MIN_PACKED_BYTES, PACKED_AT_ONCE_BYTES};

/// The name of the coding, in requests and in answers.
const GZIP: &str = "gzip";

/// Whether a client that sends these headers unpacks gzip.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut any = false;
    let named = codings.find_map(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let wanted = !is_unwanted(parameters);
        match name.trim().to_ascii_lowercase().as_str() {
            GZIP | "x-gzip" => Some(wanted),
            "*" => {
                any = wanted;
                None
            }
            _ => None,
        }
    });
    named.unwrap_or(any)
}

/// Whether the weight behind the name of a coding is zero, or makes no sense.
fn is_unwanted(parameters: &str) -> bool {
    let weight = parameters
        .split(';')
        .find_map(|parameter| parameter.trim().strip_prefix("q="));
    weight.is_some_and(|weight| {
        !weight
            .trim()
            .parse::<f32>()
            .is_ok_and(|weight| weight > 0.0)
    })
}

/// Packs an answer that is long enough for it, where the client `accepts` that.
pub(super) async fn pack(response: Response, accepts: bool) -> Response {
    let length = response.body().size_hint().exact();
    if length.is_none_or(|length| length < MIN_PACKED_BYTES)
        || response.headers().contains_key(header::CONTENT_ENCODING)
    {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts
        .headers
        .append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if !accepts {
        return Response::from_parts(parts, body);
    }
    let packed = match packed(body).await {
        Ok(packed) => packed,
        Err(error) => {
            let detail = format!("the answer could not be packed: {error}");
            return Problem::new(Sort::Internal, detail).into_response();
        }
    };
    parts
        .headers
        .insert(header::CONTENT_ENCODING, HeaderValue::from_static(GZIP));
    parts.headers.remove(header::CONTENT_LENGTH);
    // The memory that was counted is given back with the body that it was counted for.
    parts.extensions.remove::<Counted>();
    Response::from_parts(parts, Body::from(packed))
}

/// Packs a body, off the threads that serve connections where that takes long.
async fn packed(body: Body) -> io::Result<Vec<u8>> {
    let bytes = to_bytes(body, usize::MAX).await.map_err(io::Error::other)?;
    if bytes.len() <= PACKED_AT_ONCE_BYTES {
        return gzip(&bytes);
    }
    let packed = tokio::task::spawn_blocking(move || gzip(&bytes)).await;
    packed.map_err(io::Error::other)?
}

/// At the fastest level: it makes JSON a third of its size, and a small function has little of a processor.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    packer.write_all(bytes)?;
    packer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_says_what_it_unpacks() {
        let check = |value: &'static str, expected: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts_gzip(&headers), expected, "{value}");
        };
        for accepted in [
            "gzip",
            "br, GZIP;q=0.5",
            "deflate,gzip ; q=1.0",
            "*",
            "x-gzip",
            "identity;q=0, *;q=0.1",
        ] {
            check(accepted, true);
        }
        for refused in [
            "",
            "identity",
            "br",
            "gzip;q=0",
            "gzip;q=0.000, *",
            "*;q=0",
            "gzip;q=much",
            "gzipped",
        ] {
            check(refused, false);
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
