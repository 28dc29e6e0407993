//! Documents become segments.

use std::thread;

use tantivy::indexer::SingleSegmentIndexWriter;
use tantivy::{Index, IndexSettings};

use super::scratch::{Place, RawSegment, Scratch};
use super::store_settings;
use crate::budget::Budget;
use crate::document::Document;
use crate::error::{Error, Result};
use crate::mapping::IndexSchema;

/// Below so many bytes of documents a second thread costs more than it gains, and makes a second segment.
const BYTES_FOR_A_THREAD: usize = 2 * 1024 * 1024;
/// The least memory tantivy takes for building a segment, and what a small commit gives it.
const SMALL_ARENA: usize = 1024 * 1024;
/// Bytes of text in a segment at least, unless the documents end: tantivy takes a mebibyte for each field that a document
/// has, which may be more than the memory for building. Without this a small process would make a segment of every few
/// documents.
const SEGMENT_TEXT_MIN: usize = 1024 * 1024;
/// Memory that a thread needs to be of use: with less its segments are small.
const THREAD_MEMORY: usize = 8 * 1024 * 1024;
/// The share of the memory for building that finished segments may take, as a divisor: larger ones go to the local disk.
const HELD_SHARE: usize = 2;
/// Segments under this size compress their documents in the thread that builds them.
const SMALL_SEGMENT: usize = 1024 * 1024;

/// Builds segments of `documents`, which have distinct keys, using about `memory` bytes.
pub(super) fn build(
    documents: &[&Document],
    schema: &IndexSchema,
    memory: usize,
    budget: &Budget,
) -> Result<Vec<RawSegment>> {
    if documents.is_empty() {
        return Ok(Vec::new());
    }
    let bytes: usize = documents
        .iter()
        .map(|document| document.source().len())
        .sum();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let most = cores.min(memory / THREAD_MEMORY).max(1);
    let threads = (bytes / BYTES_FOR_A_THREAD).clamp(1, most);
    let place = place(bytes, memory, budget);
    if threads == 1 {
        return build_in_turn(documents, schema, memory, &place);
    }
    let share = documents.len().div_ceil(threads);
    thread::scope(|scope| {
        let builders: Vec<_> = documents
            .chunks(share)
            .map(|part| {
                let place = &place;
                scope.spawn(move || build_in_turn(part, schema, memory / threads, place))
            })
            .collect();
        let mut segments = Vec::new();
        for builder in builders {
            match builder.join() {
                Ok(built) => segments.extend(built?),
                Err(panic) => {
                    let text = panic.downcast_ref::<&str>().copied().unwrap_or("no text");
                    return Err(Error::internal(format!(
                        "building a segment panicked: {text}"
                    )));
                }
            }
        }
        Ok(segments)
    })
}

/// Where segments of so many bytes of documents are put together.
pub(super) fn place(bytes: usize, memory: usize, budget: &Budget) -> Place {
    let disk = budget.scratch();
    if bytes > memory / HELD_SHARE && disk.available() / 2 > bytes as u64 {
        Place::Disk(std::sync::Arc::clone(disk))
    } else {
        Place::Memory
    }
}

/// Builds segments one after the other. Each takes about `memory` bytes while it is built, or what [`SEGMENT_TEXT_MIN`] takes
/// where that is more.
pub(super) fn build_in_turn(
    documents: &[&Document],
    schema: &IndexSchema,
    memory: usize,
    place: &Place,
) -> Result<Vec<RawSegment>> {
    let mut segments = Vec::new();
    let mut rest = documents;
    while !rest.is_empty() {
        let bytes: usize = rest.iter().map(|document| document.source().len()).sum();
        let scratch = Scratch::new(place.clone())?;
        let mut writer = segment_writer(&scratch, schema, bytes, memory)?;
        let (mut taken, mut text) = (0, 0);
        for document in rest {
            writer.add_document(schema.to_tantivy(document))?;
            taken += 1;
            text += document.source().len();
            if text >= SEGMENT_TEXT_MIN && writer.mem_usage() > memory {
                break;
            }
        }
        rest = rest.get(taken..).unwrap_or_default();
        segments.extend(RawSegment::take(
            &writer.finalize()?,
            scratch,
            None,
            schema,
        )?);
    }
    Ok(segments)
}

fn segment_writer(
    scratch: &Scratch,
    schema: &IndexSchema,
    bytes: usize,
    memory: usize,
) -> Result<SingleSegmentIndexWriter> {
    let arena = memory.min(bytes.saturating_mul(4)).max(SMALL_ARENA);
    let settings = IndexSettings {
        docstore_compress_dedicated_thread: bytes > SMALL_SEGMENT,
        ..store_settings()
    };
    let builder = Index::builder()
        .schema(schema.tantivy().clone())
        .tokenizers(schema.tokenizers())
        .settings(settings);
    Ok(builder.single_segment_index_writer(scratch.directory(), arena)?)
}
