//! Reading the inputs of a merge: once, from beginning to end, in large pieces, past the cache that searches share.
//!
//! tantivy asks for a few bytes at a time of postings, which follow each other; a window of the file answers it. It asks
//! for a whole dictionary, a whole column, the positions of one word at once; those ranges may be long, and are copied to
//! the scratch disk and mapped from there, so that the kernel can take the memory back.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use roaring::RoaringBitmap;
use tantivy::directory::{FileHandle, OwnedBytes};
use tantivy::{HasLen, Index};

use super::scratch::{DiskFile, PIECE, RawSegment, Room, STORE};
use super::stores::StoreInput;
use crate::budget::{Budget, ScratchDisk};
use crate::error::{Error, Result};
use crate::mapping::IndexSchema;
use crate::snapshot::directory::{SegmentFile, SnapshotDirectory, footer};

/// A window at the most: what one NFS READ carries on EFS.
const WINDOW_MAX: u64 = 1024 * 1024;
/// A window at the least: a page.
const WINDOW_MIN: u64 = 16 * 1024;
/// A longer range goes to the scratch disk, at the most.
const HELD_MAX: u64 = 4 * 1024 * 1024;
/// Files of a segment that are read at the same time: a dictionary, postings, positions, a column.
const FILES_AT_ONCE: u64 = 4;
/// The share of a merge's memory for windows, as a divisor; and for ranges that are held.
const WINDOWS_SHARE: u64 = 4;
const HELD_SHARE: u64 = 4;

/// How a merge reads.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    window: usize,
    held: usize,
    disk: Arc<ScratchDisk>,
}

impl Ahead {
    /// Of so many inputs, within the share of merging.
    pub(super) fn of(inputs: usize, budget: &Budget) -> Self {
        let inputs = (inputs as u64).max(1);
        let share = |divisor: u64| budget.merging_bytes() / divisor / inputs;
        let window = (share(WINDOWS_SHARE) / FILES_AT_ONCE).clamp(WINDOW_MIN, WINDOW_MAX);
        let held = share(HELD_SHARE).clamp(window, HELD_MAX);
        let bytes = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            window: bytes(window),
            held: bytes(held),
            disk: Arc::clone(budget.scratch()),
        }
    }
}

/// One input of a merge: a segment, its deleted documents, its stored documents.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) segment: tantivy::index::Segment,
    pub(super) deletes: RoaringBitmap,
    /// Stored documents: of one store, or of those that a segment on its way is to copy.
    pub(super) stores: Vec<StoreInput>,
    /// Bytes of all its files.
    pub(super) bytes: u64,
    /// Bytes of its dictionaries.
    pub(super) dictionary_bytes: u64,
}

/// The files of an input by extension.
type Files = HashMap<String, Arc<dyn FileHandle>>;

impl Input {
    /// A segment of a version.
    pub(super) fn of_snapshot<'a>(
        id: uuid::Uuid,
        max_doc: u32,
        files: impl Iterator<Item = (&'a String, &'a Arc<SegmentFile>)>,
        deletes: RoaringBitmap,
        schema: &IndexSchema,
        ahead: &Ahead,
    ) -> Result<Self> {
        let open = |file: &Arc<SegmentFile>| -> Arc<dyn FileHandle> {
            Arc::new(AheadFile {
                file: Arc::clone(file),
                ahead: ahead.clone(),
                state: Mutex::default(),
            })
        };
        let files = files.map(|(extension, file)| (extension.clone(), open(file)));
        Self::new(id, max_doc, files.collect(), deletes, schema)
    }

    /// A segment that is on its way.
    pub(super) fn of_raw(raw: &RawSegment, schema: &IndexSchema) -> Result<Self> {
        let files = raw.extensions().map(|extension| {
            let file = raw.handle(extension)?;
            Ok((extension.to_owned(), file))
        });
        let files = files.collect::<Result<Files>>()?;
        let mut input = Self::new(raw.id, raw.max_doc, files, RoaringBitmap::new(), schema)?;
        if let Some(stores) = raw.stores() {
            input.stores = stores.inputs().to_vec();
        }
        Ok(input)
    }

    fn new(
        id: uuid::Uuid,
        max_doc: u32,
        mut files: Files,
        deletes: RoaringBitmap,
        schema: &IndexSchema,
    ) -> Result<Self> {
        let bytes = files.values().map(|file| file.len() as u64).sum();
        let dictionary_bytes = files.get("term").map_or(0, |file| file.len() as u64);
        let missing = || Error::internal("a segment has no store");
        let stores = vec![StoreInput {
            file: files.remove(STORE).ok_or_else(missing)?,
            deletes: deletes.clone(),
            max_doc,
        }];
        // tantivy merges an empty one; the documents go another way.
        let mut empty = Vec::new();
        super::stores::Stores::new(Vec::new()).write(&mut empty)?;
        empty.extend(footer(crate::format::crc(&empty))?);
        files.insert(STORE.to_owned(), Arc::new(OwnedBytes::new(empty)));
        let meta = serde_json::json!({
            "index_settings": tantivy::IndexSettings::default(),
            "segments": [{"segment_id": id, "max_doc": max_doc, "deletes": null}],
            "schema": schema.tantivy(),
            "opstamp": 0,
        });
        let meta = serde_json::to_vec(&meta).map_err(|error| {
            Error::internal("tantivy's meta.json cannot be written").because(error)
        })?;
        let name = |extension| PathBuf::from(format!("{}.{extension}", id.simple()));
        let files = files
            .into_iter()
            .map(|(extension, file)| (name(extension), file));
        let mut index = Index::open(SnapshotDirectory::new(meta, files.collect()))?;
        index.set_tokenizers(schema.tokenizers());
        let segment = index.searchable_segments()?.pop();
        Ok(Self {
            segment: segment.ok_or_else(|| Error::internal("tantivy lost a segment"))?,
            deletes,
            stores,
            bytes,
            dictionary_bytes,
        })
    }
}

/// A file that is read ahead.
#[derive(Debug)]
struct AheadFile {
    file: Arc<SegmentFile>,
    ahead: Ahead,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where the window begins.
    start: usize,
    window: Vec<u8>,
    /// What the range that was mapped last takes on the scratch disk.
    mapped: Option<Room>,
}

impl AheadFile {
    fn read(&self, range: Range<usize>) -> Result<OwnedBytes> {
        if range.len() <= self.ahead.window {
            return self.through_window(range);
        }
        if let Some(bytes) = self.file.at_hand(&range)? {
            return Ok(bytes);
        }
        let disk = &self.ahead.disk;
        if range.len() > self.ahead.held && disk.available() > range.len() as u64 {
            return self.through_disk(range);
        }
        let mut bytes = Vec::with_capacity(range.len());
        self.pieces(range, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(OwnedBytes::new(bytes))
    }

    fn through_window(&self, range: Range<usize>) -> Result<OwnedBytes> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = |state: &State| {
            let from = range.start.checked_sub(state.start)?;
            let bytes = state.window.get(from..from.checked_add(range.len())?)?;
            // A copy: what is kept of a window must not keep all of it.
            Some(OwnedBytes::new(bytes.to_vec()))
        };
        if let Some(bytes) = inside(&state) {
            return Ok(bytes);
        }
        if let Some(bytes) = self.file.at_hand(&range)? {
            return Ok(bytes);
        }
        let end = (range.start + self.ahead.window).min(self.file.len());
        state.window = Vec::new();
        state.window = self.file.past_cache(range.start..end)?;
        state.start = range.start;
        inside(&state).ok_or_else(|| Error::internal("a window is too short"))
    }

    fn through_disk(&self, range: Range<usize>) -> Result<OwnedBytes> {
        let mut copy = DiskFile::create(&self.ahead.disk)?;
        self.pieces(range, |piece| copy.append(piece))?;
        let (bytes, room) = copy.map()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.mapped = Some(room);
        Ok(bytes)
    }

    fn pieces(&self, range: Range<usize>, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut start = range.start;
        while start < range.end {
            let end = (start + PIECE).min(range.end);
            take(&self.file.past_cache(start..end)?)?;
            start = end;
        }
        Ok(())
    }
}

impl HasLen for AheadFile {
    fn len(&self) -> usize {
        self.file.len()
    }
}

#[async_trait]
impl FileHandle for AheadFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        self.read(range).map_err(Error::into_io)
    }
}
