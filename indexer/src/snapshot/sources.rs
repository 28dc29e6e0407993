//! The sources of stored documents.

use futures_lite::future;
use futures_util::future::try_join_all;
use tantivy::schema::{Field, OwnedValue};
use tantivy::{DocAddress, Searcher, TantivyDocument};

use crate::error::{Error, Result};

/// The sources of documents, all read at once: their JSON texts.
pub(crate) fn sources(
    searcher: &Searcher,
    source: Field,
    addresses: &[DocAddress],
) -> Result<Vec<String>> {
    future::block_on(fetch_sources(searcher, source, addresses))
}

/// As [`sources`], in whatever executor.
pub(crate) async fn fetch_sources(
    searcher: &Searcher,
    source: Field,
    addresses: &[DocAddress],
) -> Result<Vec<String>> {
    let reads = addresses
        .iter()
        .map(|address| searcher.doc_async::<TantivyDocument>(*address));
    let documents = try_join_all(reads).await?;
    documents
        .into_iter()
        .map(|document| {
            let bytes = match document.get_first(source).map(OwnedValue::from) {
                Some(OwnedValue::Bytes(bytes)) => bytes,
                _ => return Err(damaged("has no source")),
            };
            String::from_utf8(bytes)
                .map_err(|error| damaged("has a source that is not UTF-8").because(error))
        })
        .collect()
}

/// The error for a stored document that is not what it should be.
pub(crate) fn damaged(what: &str) -> Error {
    Error::new(
        crate::ErrorKind::Corrupt,
        format!("a stored document {what}: check the index and restore or reindex it"),
    )
}
