//! What an item asks for, as operations of an index.

use aquifer_indexer::document::limits::BATCH_DOCUMENTS;
use aquifer_indexer::document::{BodyFormat, Document, DocumentError, split};
use aquifer_indexer::inbox::{Change, Operation};
use aquifer_indexer::mapping::IndexSchema;
use aquifer_indexer::{Error, ErrorKind, Result};

use super::Placed;
use super::version::order_of_document;
use crate::http::limits::USUAL_FACTOR;

/// Reads the documents of a record, as long as they fit into the memory that there is for them.
pub(super) fn upserts(
    body: &str,
    placed: &Placed,
    schema: &IndexSchema,
    bytes_max: usize,
) -> Result<Vec<Operation>> {
    let bytes_max = bytes_max.max(body.len().saturating_mul(USUAL_FACTOR));
    let mut bytes: usize = 0;
    let mut operations = Vec::new();
    for part in split(body.as_bytes(), BodyFormat::Unknown)? {
        let text = part.text.map_err(|error| of_part(part.index, error))?;
        let document = Document::parse(text, schema).map_err(|error| of_part(part.index, error))?;
        bytes = bytes.saturating_add(document.memory_bytes());
        if bytes > bytes_max {
            return Err(too_large(part.index + 1, bytes_max));
        }
        operations.push(match placed {
            Placed::ByArrival => Operation::Upsert(document),
            Placed::At(order) => Operation::Ordered(order.clone(), Change::Upsert(document)),
            Placed::ByField(field) => {
                Operation::Ordered(order_of_document(text, field)?, Change::Upsert(document))
            }
        });
    }
    Ok(operations)
}

fn too_large(documents: usize, bytes_max: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "the first {documents} documents of the record take more than {bytes_max} bytes of memory once they are read: send \
             them in several records"
        ),
    )
}

/// Deletes of keys, as many as a batch may hold.
pub(super) fn deletes(keys: &[String], placed: &Placed) -> Result<Vec<Operation>> {
    if keys.len() > BATCH_DOCUMENTS {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "the record names {} keys, and a batch holds {BATCH_DOCUMENTS}: send them in several records",
                keys.len()
            ),
        ));
    }
    keys.iter().map(|key| delete(key, placed)).collect()
}

fn delete(key: &str, placed: &Placed) -> Result<Operation> {
    match placed {
        Placed::ByArrival => Ok(Operation::Delete(key.to_owned())),
        Placed::At(order) => Ok(Operation::Ordered(
            order.clone(),
            Change::Delete(key.to_owned()),
        )),
        Placed::ByField(_) => Err(Error::internal("a delete has no position")),
    }
}

fn of_part(at: usize, error: DocumentError) -> Error {
    let error = Error::from(error);
    let kind = error.kind();
    Error::new(kind, format!("document {} of the record: {error}", at + 1))
}
