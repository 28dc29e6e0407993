//! An open container: verified bytes of its pages, through the cache.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tantivy::directory::OwnedBytes;

use super::cache::RangeCache;
use super::together::{Piece, Wanted};
use crate::concurrent;
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
    opening: Mutex<()>,
    wanted: Wanted,
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
            opening: Mutex::default(),
            wanted: Wanted::default(),
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
        if let Some(bytes) = self.at_hand(range)? {
            return Ok(bytes);
        }
        let fetched = self.covering(range);
        let turn = self.turn(&fetched);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = self.cached(range);
        let bytes = match cached {
            Some(_) => Ok(Vec::new()),
            None => self
                .file()
                .and_then(|file| self.pages.read(&**file, &self.path, &fetched)),
        };
        self.lock_fetching().remove(&fetched.start);
        if let Some(bytes) = cached {
            return Ok(bytes);
        }
        let bytes = self.keep(&fetched, bytes?);
        let offset = |at: u64| usize::try_from(at - fetched.start).unwrap_or(usize::MAX);
        Ok(bytes.slice(offset(range.start)..offset(range.end)))
    }

    /// Like [`Self::read`], with one read of the file for what is asked for at the same moment and lies near.
    ///
    /// # Errors
    /// Like [`Self::read`].
    pub async fn read_together(self: &Arc<Self>, range: Range<u64>) -> Result<OwnedBytes> {
        if let Some(bytes) = self.at_hand(&range)? {
            return Ok(bytes);
        }
        let told = self.wanted.ask(range);
        self.wanted.others().await;
        for read in self.wanted.reads(|range| self.covering(range)) {
            let container = Arc::clone(self);
            drop(concurrent::spawn(move || container.fetch(read))?);
        }
        told.await.unwrap_or_else(|error| {
            Err(Error::internal("work beside the request failed").because(error))
        })
    }

    /// Fetches what is not in memory by now, with one read.
    fn fetch(&self, read: Vec<Piece>) {
        // In the order of their places, as everybody takes them.
        let turns: Vec<_> = read.iter().map(|piece| self.turn(&piece.pages)).collect();
        let _turns: Vec<_> = turns
            .iter()
            .map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner))
            .collect();
        let mut missing = Vec::new();
        for piece in read {
            match self.cached(&piece.pages) {
                Some(bytes) => self.done(piece, &Ok(bytes)),
                None => missing.push(piece),
            }
        }
        let ranges: Vec<_> = missing.iter().map(|piece| piece.pages.clone()).collect();
        let several = self
            .file()
            .and_then(|file| self.pages.read_several(&**file, &self.path, &ranges));
        let mut several = several.map(Vec::into_iter);
        for piece in missing {
            let bytes = match &mut several {
                Ok(pieces) => pieces
                    .next()
                    .unwrap_or_else(|| Err(Error::internal("a range was not read"))),
                Err(error) => Err(error.again()),
            };
            let bytes = bytes.map(|bytes| self.keep(&piece.pages, bytes));
            self.done(piece, &bytes);
        }
    }

    fn done(&self, piece: Piece, bytes: &Result<OwnedBytes>) {
        self.lock_fetching().remove(&piece.pages.start);
        piece.tell(bytes);
    }

    /// What takes no read.
    fn at_hand(&self, range: &Range<u64>) -> Result<Option<OwnedBytes>> {
        if range.is_empty() {
            return Ok(Some(OwnedBytes::empty()));
        }
        if let Some(bytes) = self.cached(range) {
            return Ok(Some(bytes));
        }
        if range.end > self.pages.len {
            return Err(crate::format::damaged(&self.path, "a reference to a page"));
        }
        Ok(None)
    }

    /// What is fetched for a range: whole pages, or everything.
    fn covering(&self, range: &Range<u64>) -> Range<u64> {
        if self.pages.len <= WHOLE {
            0..self.pages.len
        } else {
            self.pages.covering(range)
        }
    }

    /// The turn of who fetches from this place on.
    fn turn(&self, fetched: &Range<u64>) -> Arc<Mutex<()>> {
        Arc::clone(self.lock_fetching().entry(fetched.start).or_default())
    }

    fn keep(&self, fetched: &Range<u64>, bytes: Vec<u8>) -> OwnedBytes {
        let bytes = OwnedBytes::new(bytes);
        self.cache
            .insert(self.pages.container, fetched.start, bytes.clone());
        bytes
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
        // One opens, who comes meanwhile waits: on a network file system each would cost a round trip.
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = self.mount.open(&self.path, Access::Read);
        let file = file.map_err(|error| Error::io(&self.path, error))?;
        Ok(self.file.get_or_init(|| file))
    }
}
