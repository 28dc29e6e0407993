//! External sources: a folder, and a real S3 server on loopback over a folder of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test does not expect is to fail it"
)]

mod changes;
mod copied;
mod documents;
mod permission;
mod server;

use std::fs;
use std::io::Write;
use std::path::Path;

use aquifer_indexer::Result;
use aquifer_indexer::reindex::{Chunk, DocumentSource, Sourced, Sources};
use flate2::Compression;
use flate2::write::GzEncoder;

use server::Server;

/// Writes an object where server and folder source find it.
fn put(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).unwrap()
}

/// So many documents, one a line, whose keys begin with `prefix`.
fn lines(prefix: &str, count: usize) -> String {
    let line = |number| format!("{{\"unique_key\":\"{prefix}{number}\"}}\n");
    (0..count).map(line).collect()
}

/// A document, or what is told of one that is refused.
fn told(chunk: &Chunk) -> Vec<String> {
    let told = |document: &std::result::Result<Sourced, _>| match document {
        Ok(document) => document.text.clone(),
        Err(aquifer_indexer::reindex::Refusal { place, detail }) => {
            format!("refused {place}: {detail}")
        }
    };
    chunk.documents.iter().map(told).collect()
}

/// Reads to the end, `bytes` at once; with `reopen` each chunk comes out of a source that was opened for it, as
/// in another process.
fn read_all(sources: &dyn Sources, url: &str, bytes: usize, reopen: bool) -> Result<Vec<String>> {
    let mut source = sources.open(url)?;
    let mut documents = Vec::new();
    let mut position: Option<String> = None;
    loop {
        if reopen {
            source = sources.open(url)?;
        }
        let chunk = source.next(position.as_deref(), bytes)?;
        documents.extend(told(&chunk));
        if chunk.position.is_none() {
            return Ok(documents);
        }
        assert!(
            !chunk.documents.is_empty(),
            "a chunk before the end has documents"
        );
        assert_ne!(chunk.position, position, "a chunk goes on");
        position = chunk.position;
    }
}

fn open(sources: &dyn Sources, url: &str) -> Box<dyn DocumentSource> {
    sources.open(url).unwrap()
}
