//! The hot section of a new segment: what a reader reads to open it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    DirectoryLock, FileHandle, Lock, OwnedBytes, WatchCallback, WatchHandle, WritePtr,
};
use tantivy::{Directory, HasLen, Index};

use super::Scratch;
use crate::error::{Error, Result};
use crate::format::hot::HotRange;
use crate::mapping::IndexSchema;

/// A range longer than this is no matter of opening a segment: it is read when it is needed.
pub(in crate::writer) const HOT_RANGE_MAX: usize = 1024 * 1024;
/// Segments of up to this many documents keep their field norms (a byte for each document and field) hot.
const HOT_NORMS_MAX_DOCS: u32 = 8192;
/// Dictionaries of up to so many terms are kept hot as a whole: languages, flags, a few tags.
const HOT_DICTIONARY_TERMS: usize = 64;

/// Opens the segment as a reader would and keeps the ranges that this reads.
pub(super) fn record_hot(
    scratch: &Scratch,
    max_doc: u32,
    schema: &IndexSchema,
) -> Result<Vec<HotRange>> {
    let recording = RecordingDirectory {
        inner: Box::new(scratch.directory.clone()),
        log: Arc::default(),
    };
    let mut index = Index::open(recording.clone())?;
    index.set_tokenizers(schema.tokenizers());
    let reader = index
        .reader_builder()
        .reload_policy(tantivy::ReloadPolicy::Manual);
    let searcher = reader.try_into()?.searcher();
    for segment in searcher.segment_readers() {
        for (field, entry) in schema.tantivy().fields() {
            if entry.is_indexed() {
                let index = segment.inverted_index(field)?;
                if index.terms().num_terms() <= HOT_DICTIONARY_TERMS {
                    let mut terms = index
                        .terms()
                        .stream()
                        .map_err(tantivy::TantivyError::from)?;
                    while terms.advance() {}
                }
            }
            if max_doc <= HOT_NORMS_MAX_DOCS && entry.has_fieldnorms() {
                segment.fieldnorms_readers().get_field(field)?;
            }
        }
    }
    let log = std::mem::take(&mut *recording.log.lock().unwrap_or_else(PoisonError::into_inner));
    let mut hot = Vec::new();
    for (path, ranges) in log {
        let name = path.to_string_lossy();
        let Some((_, extension)) = name.split_once('.') else {
            continue;
        };
        let file = scratch
            .directory
            .open_read(&path)
            .map_err(tantivy::TantivyError::from)?;
        for range in joined(ranges) {
            let offset = range.start as u64;
            let bytes = file
                .read_bytes_slice(range)
                .map_err(|error| Error::io(&path, error))?
                .to_vec();
            hot.push(HotRange {
                extension: extension.to_owned(),
                offset,
                bytes,
            });
        }
    }
    Ok(hot)
}

/// Ranges sorted, without overlaps, without those too long to keep.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|range| !range.is_empty() && range.len() <= HOT_RANGE_MAX);
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

type Log = Arc<Mutex<BTreeMap<PathBuf, Vec<Range<usize>>>>>;

/// Hands through and remembers what was read.
#[derive(Clone, Debug)]
struct RecordingDirectory {
    inner: Box<dyn Directory>,
    log: Log,
}

#[derive(Debug)]
struct RecordingFile {
    inner: Arc<dyn FileHandle>,
    path: PathBuf,
    log: Log,
}

impl HasLen for RecordingFile {
    fn len(&self) -> usize {
        self.inner.len()
    }
}

#[async_trait]
impl FileHandle for RecordingFile {
    fn read_bytes(&self, range: Range<usize>) -> std::io::Result<OwnedBytes> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.entry(self.path.clone())
            .or_default()
            .push(range.clone());
        self.inner.read_bytes(range)
    }
}

impl Directory for RecordingDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let inner = self.inner.get_file_handle(path)?;
        Ok(Arc::new(RecordingFile {
            inner,
            path: path.into(),
            log: Arc::clone(&self.log),
        }))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.inner.open_write(path)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.inner.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> std::io::Result<()> {
        self.inner.atomic_write(path, data)
    }

    fn sync_directory(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}
