//! An open container: verified bytes of its pages, through the cache.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tantivy::directory::OwnedBytes;

use super::cache::RangeCache;
use crate::error::{Error, Result};
use crate::format::bundle;
use crate::format::manifest::{Container, ContainerId, Span};
use crate::format::pages::Pages;
use crate::mount::{Access, Mount, MountFile};

/// A container of at most this many bytes is fetched whole at its first miss: one round trip
/// costs the same, and the next range is there already.
const WHOLE: u64 = 1024 * 1024;

/// A container that is read from. Its file is opened at the first miss and stays open, so that it
/// can be read even after it was unlinked.
#[derive(Debug)]
pub struct OpenContainer {
    id: ContainerId,
    path: String,
    pages: Pages,
    mount: Arc<dyn Mount>,
    cache: Arc<RangeCache>,
    file: OnceLock<Arc<dyn MountFile>>,
    /// Fetches under way, by where they begin, so that two threads do not fetch the same pages.
    fetching: Mutex<BTreeMap<u64, Arc<Mutex<()>>>>,
}

impl OpenContainer {
    /// Prepares to read `container`; touches no file.
    pub fn new(container: &Container, mount: Arc<dyn Mount>, cache: Arc<RangeCache>) -> Self {
        Self {
            id: container.id.clone(),
            path: container.id.path(),
            pages: container.pages(),
            mount,
            cache,
            file: OnceLock::new(),
            fetching: Mutex::default(),
        }
    }

    /// Which container this is.
    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// The bytes of `range` if they are in memory.
    pub fn cached(&self, range: &Range<u64>) -> Option<OwnedBytes> {
        self.cache.get(self.pages.container, range)
    }

    /// The bytes of `range` of the payload, verified.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] or [`crate::ErrorKind::Unavailable`].
    pub fn read(&self, range: &Range<u64>) -> Result<OwnedBytes> {
        if range.is_empty() {
            return Ok(OwnedBytes::empty());
        }
        if let Some(bytes) = self.cached(range) {
            return Ok(bytes);
        }
        if range.end > self.pages.len {
            return Err(crate::format::damaged(&self.path, "a reference to a page"));
        }
        let whole = self.pages.len <= WHOLE;
        let fetched = if whole {
            0..self.pages.len
        } else {
            self.pages.covering(range)
        };
        let turn = Arc::clone(self.lock_fetching().entry(fetched.start).or_default());
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = self.cached(range) {
            return Ok(bytes);
        }
        let bytes = self
            .file()
            .and_then(|file| self.pages.read(&**file, &self.path, &fetched));
        self.lock_fetching().remove(&fetched.start);
        let bytes = OwnedBytes::new(bytes?);
        self.cache
            .insert(self.pages.container, fetched.start, bytes.clone());
        let offset = |at: u64| usize::try_from(at - fetched.start).unwrap_or(usize::MAX);
        Ok(bytes.slice(offset(range.start)..offset(range.end)))
    }

    /// Bytes of the file outside the pages; not cached, not verified here.
    pub fn read_raw(&self, span: Span) -> Result<Vec<u8>> {
        let len = usize::try_from(span.len)
            .map_err(|error| Error::internal("a span exceeds memory").because(error))?;
        let mut bytes = vec![0; len];
        let read = self.file()?.read_at(&mut bytes, span.offset);
        if read.map_err(|error| Error::io(&self.path, error))? < len {
            return Err(crate::format::damaged(&self.path, "the length"));
        }
        Ok(bytes)
    }

    /// Reads and verifies every page and, of a bundle, what follows them; leaves the cache alone.
    pub fn verify(&self) -> Result<()> {
        let file = self.file()?;
        let step = self.pages.covering(&(0..WHOLE)).end.max(1);
        let mut start = 0;
        while start < self.pages.len {
            let range = self
                .pages
                .covering(&(start..(start + step).min(self.pages.len)));
            start = range.end;
            self.pages.read(&**file, &self.path, &range)?;
        }
        if matches!(self.id, ContainerId::Bundle(_)) {
            bundle::verify(&**file, &self.path, self.pages.container)?;
        }
        Ok(())
    }

    /// The file's name.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn lock_fetching(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<Mutex<()>>>> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self) -> Result<&Arc<dyn MountFile>> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = self.mount.open(&self.path, Access::Read);
        let file = file.map_err(|error| Error::io(&self.path, error))?;
        Ok(self.file.get_or_init(|| file))
    }
}
