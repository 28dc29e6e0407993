//! What a client or a cache may keep of a search, and how it asks whether that still holds.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use aquifer_indexer::numbers::Version;
use aquifer_indexer::search::SearchRequest;
use axum::http::{HeaderMap, HeaderValue, header};
use uuid::Uuid;

/// A search whose answer may be kept.
#[derive(Clone, Debug)]
pub(crate) struct Cacheable {
    query: u64,
    /// The tags that the client has answers of.
    known: Vec<HeaderValue>,
}

impl Cacheable {
    /// The search `request`, asked with these headers.
    pub(crate) fn new(request: &SearchRequest, headers: &HeaderMap) -> Self {
        let mut request = request.clone();
        // It decides when a search is answered, not what.
        request.min_version = None;
        let mut hasher = DefaultHasher::new();
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        format!("{request:?}").hash(&mut hasher);
        Self {
            query: hasher.finish(),
            known: headers
                .get_all(header::IF_NONE_MATCH)
                .iter()
                .cloned()
                .collect(),
        }
    }

    /// Whether the client asks if an answer has changed.
    pub(crate) fn is_conditional(&self) -> bool {
        !self.known.is_empty()
    }

    /// The tag of the answer from this version of this lineage. It is a weak one, since the answer says how long it took.
    pub(crate) fn tag(&self, lineage: Uuid, version: Version) -> HeaderValue {
        let text = format!("W/\"{}-{version}-{:016x}\"", lineage.simple(), self.query);
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("W/\"none\""))
    }

    /// Whether the client has the answer with this tag.
    pub(crate) fn is_known(&self, tag: &HeaderValue) -> bool {
        let tag = opaque(tag.to_str().unwrap_or_default());
        let known = self.known.iter().filter_map(|value| value.to_str().ok());
        known
            .flat_map(|value| value.split(','))
            .any(|known| known.trim() == "*" || opaque(known) == tag)
    }
}

/// A tag as a weak comparison takes it.
fn opaque(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str, if_none_match: &str) -> Cacheable {
        let request = SearchRequest {
            query: query.to_owned(),
            ..SearchRequest::default()
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, if_none_match.parse().unwrap());
        Cacheable::new(&request, &headers)
    }

    #[test]
    fn a_tag_changes_with_the_lineage_the_version_and_the_query() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let version = Version::new(7);
        let tag = asked("a", "").tag(one, version);
        for different in [
            asked("a", "").tag(other, version),
            asked("a", "").tag(one, version.next()),
            asked("b", "").tag(one, version),
        ] {
            assert_ne!(tag, different);
        }
        assert_eq!(tag, asked("a", "x").tag(one, version));
    }

    #[test]
    fn a_known_tag_is_found_among_others() {
        let tag = asked("a", "").tag(Uuid::nil(), Version::FIRST);
        let text = tag.to_str().unwrap().to_owned();
        let strong = text.trim_start_matches("W/").to_owned();
        for known in [
            text.clone(),
            strong.clone(),
            format!("\"x\", {text}"),
            format!("W/\"y\",{strong}"),
            "*".into(),
        ] {
            assert!(asked("a", &known).is_known(&tag), "{known}");
        }
        for unknown in ["\"x\"", "", "W/\"none\""] {
            assert!(!asked("a", unknown).is_known(&tag), "{unknown}");
        }
    }
}
