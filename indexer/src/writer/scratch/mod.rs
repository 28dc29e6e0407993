//! Where segments are put together: memory while they are small, the local disk otherwise, and the index's folder where
//! the local disk is too small.

mod directory;
mod files;
mod hot;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use tantivy::directory::{FileHandle, TerminatingWrite as _};
use tantivy::{Directory, Index};
use uuid::Uuid;

use self::directory::ScratchDirectory;
use self::hot::record_hot;
use super::stores::{Stores, Tail};
use crate::error::{Error, Result};
use crate::format::hot::HotRange;
use crate::mapping::IndexSchema;

pub(super) use self::directory::Place;
pub(super) use self::files::{DiskFile, PIECE, Room};
pub(super) use self::hot::HOT_RANGE_MAX;

/// The extension of the file that holds the stored documents.
pub(super) const STORE: &str = "store";

/// Where one segment is put together.
#[derive(Debug)]
pub(super) struct Scratch {
    directory: ScratchDirectory,
}

impl Scratch {
    /// An empty one.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unavailable`].
    pub(super) fn new(place: Place) -> Result<Self> {
        let directory = ScratchDirectory::new(place)?;
        Ok(Self { directory })
    }

    pub(super) fn directory(&self) -> Box<dyn Directory> {
        Box::new(self.directory.clone())
    }
}

/// A finished segment that is not on the mount yet.
#[derive(Debug)]
pub(super) struct RawSegment {
    pub(super) id: Uuid,
    pub(super) max_doc: u32,
    /// Whether it belongs to the ledger of events.
    pub(super) ledger: bool,
    /// Its files by extension, with their lengths.
    files: BTreeMap<String, u64>,
    pub(super) hot: Vec<HotRange>,
    scratch: Scratch,
    /// The stored documents, where they are copied only when the segment is packed.
    stores: Option<Stores>,
}

impl RawSegment {
    /// Takes the one segment of `index`, which was built in `scratch`. `None` when it is empty. Stored documents that are
    /// still to be written come from `stores`.
    pub(super) fn take(
        index: &Index,
        scratch: Scratch,
        stores: Option<Stores>,
        schema: &IndexSchema,
    ) -> Result<Option<Self>> {
        let metas = index.load_metas()?;
        let Some(meta) = metas.segments.first().filter(|meta| meta.max_doc() > 0) else {
            return Ok(None);
        };
        // tantivy draws it by itself and takes none from outside: of all identities only those of segments cannot be repeated.
        let id = meta.id().uuid_string();
        let max_doc = meta.max_doc();
        if let Some(stores) = stores.as_ref().filter(|stores| !stores.is_large()) {
            write_store(
                index,
                &scratch,
                &PathBuf::from(format!("{id}.{STORE}")),
                stores,
            )?;
        }
        let stores = stores.filter(Stores::is_large);
        let mut files = BTreeMap::new();
        for path in metas.list_segment_files() {
            let name = path.to_string_lossy();
            let extension = name
                .strip_prefix(&id)
                .and_then(|rest| rest.strip_prefix('.'));
            let Some(extension) = extension else {
                continue;
            };
            if let Ok(file) = scratch.directory.get_file_handle(&path) {
                files.insert(extension.to_owned(), file.len() as u64);
            }
        }
        let mut hot = record_hot(&scratch, max_doc, schema)?;
        if let Some(stores) = &stores {
            files.insert(STORE.to_owned(), stores.bytes());
            hot.retain(|range| range.extension != STORE);
        }
        let id = id.parse().map_err(|error: uuid::Error| {
            Error::internal("tantivy's segment has no identity").because(error)
        })?;
        Ok(Some(Self {
            id,
            max_doc,
            ledger: schema.is_ledger(),
            files,
            hot,
            scratch,
            stores,
        }))
    }

    /// Bytes of its files, about.
    pub(super) fn bytes(&self) -> u64 {
        self.files.values().sum()
    }

    /// Its stored documents, where they are still to be copied.
    pub(super) fn stores(&self) -> Option<&Stores> {
        self.stores.as_ref()
    }

    /// Its files' extensions.
    pub(super) fn extensions(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// A file that was written.
    pub(super) fn handle(&self, extension: &str) -> Result<std::sync::Arc<dyn FileHandle>> {
        let path = PathBuf::from(format!("{}.{extension}", self.id.simple()));
        let file = self.scratch.directory.get_file_handle(&path);
        Ok(file.map_err(tantivy::TantivyError::from)?)
    }

    /// Copies one of its files, footer included, in pieces. Gives the length, and what a reader reads to open it where
    /// that was not known before.
    pub(super) fn copy(&self, extension: &str, out: &mut dyn Write) -> Result<(u64, Option<Tail>)> {
        if let Some(stores) = self.stores.as_ref().filter(|_| extension == STORE) {
            let tail = stores.write_file(out)?;
            return Ok((tail.len, Some(tail)));
        }
        let file = self.handle(extension)?;
        let io = |error| Error::io("a scratch file", error);
        let mut start = 0;
        while start < file.len() {
            let end = (start + PIECE).min(file.len());
            out.write_all(&file.read_bytes(start..end).map_err(io)?)
                .map_err(io)?;
            start = end;
        }
        Ok((file.len() as u64, None))
    }
}

/// Puts the stored documents where tantivy has put none.
fn write_store(index: &Index, scratch: &Scratch, path: &PathBuf, stores: &Stores) -> Result<()> {
    let io = |error: io::Error| Error::io(path, error);
    if let Err(error) = scratch.directory.delete(path) {
        tracing::debug!(%error, "there was no empty store");
    }
    let mut out = index
        .directory()
        .open_write(path)
        .map_err(tantivy::TantivyError::from)?;
    stores.write(&mut out)?;
    out.terminate().map_err(io)
}
