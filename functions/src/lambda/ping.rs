//! Pings that keep a function warm: they open the index, so that the next request finds it open.

use std::sync::Arc;

use aquifer_indexer::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::root::Root;

/// Bytes of a ping at the most, so that a body of documents is not parsed to look for one.
const PING_BYTES_MAX: usize = 1024;

/// What serverless-plugin-warmup sends as `source`.
const PLUGIN: &str = "serverless-plugin-warmup";

/// Whether a payload is a ping: `{"warmer": true, ...}` of lambda-warmer, or `{"source": "serverless-plugin-warmup"}`.
/// Neither is a document, which has a key, nor a search.
pub(super) fn is_ping(payload: &str) -> bool {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Ping {
        warmer: bool,
        source: String,
        unique_key: Option<String>,
    }
    let is_object = payload.len() <= PING_BYTES_MAX && payload.trim_start().starts_with('{');
    let ping: Option<Ping> = is_object
        .then(|| serde_json::from_str(payload).ok())
        .flatten();
    ping.is_some_and(|ping| ping.unique_key.is_none() && (ping.warmer || ping.source == PLUGIN))
}

/// Opens `index` and says which version it has; none where there is no such index.
///
/// # Errors
/// What keeps it from being opened, so that the metrics of Lambda show it.
pub(super) async fn answer(root: &Root, index: &str) -> Result<Box<RawValue>> {
    let (aquifer, name) = (Arc::clone(root.get().await?), index.to_owned());
    let open = move || match aquifer.index(&name).and_then(|index| index.snapshot()) {
        Ok(snapshot) => snapshot.searcher().map(|_open| Some(snapshot.version())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let opened = tokio::task::spawn_blocking(open).await;
    let version = opened.map_err(|error| Error::internal("opening broke off").because(error))??;
    to_raw_value(&json!({"warm": true, "index": index, "version": version}))
        .map_err(|error| Error::internal("an answer is no JSON").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_are_told_from_everything_else() {
        for ping in [
            r#"{"warmer":true,"concurrency":3}"#,
            r#" {"warmer": true}"#,
            r#"{"warmer":true,"__WARMER_INVOCATION__":1,"__WARMER_CONCURRENCY__":3}"#,
            r#"{"source":"serverless-plugin-warmup"}"#,
        ] {
            assert!(is_ping(ping), "{ping}");
        }
        for other in [
            r#"{"unique_key":"1","warmer":true}"#,
            r#"{"warmer":false}"#,
            r#"{"warmer":"yes"}"#,
            r#"{"source":"aws.scheduler","detail-type":"Scheduled Event","detail":"{}"}"#,
            r#"[{"warmer":true}]"#,
            "null",
        ] {
            assert!(!is_ping(other), "{other}");
        }
    }
}
