//! The documents of an object, in batches.

use std::time::Instant;

use aquifer_indexer::document::Document;
use aquifer_indexer::inbox::{Change, Operation};
use aquifer_indexer::reindex::{DocumentSource, Sourced};
use aquifer_indexer::{Error, ErrorKind, Result};

use super::objects::ObjectReader;
use super::pile::{BatchBounds, Pile};
use super::s3::{ObjectEvent, What};

/// Bytes of an object's documents that are read at once, beside those that wait in the batch.
const CHUNK_BYTES: usize = 1024 * 1024;

/// What an object holds.
pub(super) enum Contents {
    /// Nothing is to be done: the object was created and is gone by now.
    Gone,
    /// Its documents; none where it was removed.
    Read(Option<Box<dyn DocumentSource>>),
}

/// Opens the object of an event, as far as the event says that there is one.
pub(super) fn contents(objects: &dyn ObjectReader, object: &ObjectEvent) -> Result<Contents> {
    let open = |version| objects.open(&object.bucket, &object.key, version);
    Ok(match object.what {
        What::Removed => Contents::Read(None),
        What::VersionRemoved => Contents::Read(open(None)?),
        What::Created => match open(object.version.as_deref())? {
            Some(source) => Contents::Read(Some(source)),
            None => {
                let (bucket, key) = (&object.bucket, &object.key);
                tracing::info!(
                    bucket,
                    key,
                    "the object is gone: the event of its removal deletes its documents"
                );
                Contents::Gone
            }
        },
    })
}

/// Puts the operations of an object into batches. What of it is not handed over yet is taken back if one of its documents is
/// rejected.
pub(super) fn put_object(
    pile: &mut Pile,
    at: usize,
    object: &ObjectEvent,
    source: Option<Box<dyn DocumentSource>>,
    bounds: BatchBounds,
) -> Result<()> {
    let mark = pile.mark();
    let put = put_all(pile, at, object, source, bounds);
    if put.is_err() {
        pile.take_back(mark);
    }
    put
}

/// Each batch begins with a claim, and the last one ends with a sweep.
fn put_all(
    pile: &mut Pile,
    at: usize,
    object: &ObjectEvent,
    mut source: Option<Box<dyn DocumentSource>>,
    bounds: BatchBounds,
) -> Result<()> {
    let ordered = |change| Operation::Ordered(object.order.clone(), change);
    pile.make_room(&[ordered(Change::Claim)], bounds)?;
    pile.push(at, ordered(Change::Claim));
    let mut position = None;
    while let Some(open) = &mut source {
        in_time(object, bounds.deadline)?;
        let chunk = open.next(position.as_deref(), CHUNK_BYTES)?;
        let refused = |place: &str, why: &str| Error::invalid(format!("{place}: {why}"));
        for document in chunk.documents {
            let Sourced { place, text } =
                document.map_err(|refusal| refused(&refusal.place, &refusal.detail))?;
            let document = Document::parse(&text, pile.schema())
                .map_err(|error| refused(&place, &error.located(1)))?;
            let operation = ordered(Change::Upsert(document));
            if pile.make_room(std::slice::from_ref(&operation), bounds)? {
                pile.push(at, ordered(Change::Claim));
            }
            pile.push(at, operation);
        }
        position = chunk.position;
        if position.is_none() {
            source = None;
        }
    }
    pile.make_room(&[ordered(Change::Sweep)], bounds)?;
    pile.push(at, ordered(Change::Sweep));
    Ok(())
}

fn in_time(object: &ObjectEvent, deadline: Instant) -> Result<()> {
    if Instant::now() < deadline {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Deadline,
        format!(
            "s3://{}/{} holds more documents than this function can index in its time: give the function more time and \
             memory, or index the object with a reindex",
            object.bucket, object.key
        ),
    ))
}
