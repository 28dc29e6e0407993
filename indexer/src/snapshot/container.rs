//! An open container: verified bytes of its pages, through the cache.

use std::ops::Range;
use std::sync::Arc;

use futures_lite::future::block_on;
use tantivy::directory::OwnedBytes;

use super::cache::RangeCache;
use super::files::{Lent, PooledFile};
use super::together::{Piece, Wanted, extent};
use crate::concurrent;
use crate::error::{Error, Result};
use crate::format::bundle;
use crate::format::manifest::{Container, ContainerId, Span};
use crate::format::pages::Pages;
use crate::mount::{Access, Mount, MountResult};

/// A container of at most this many bytes is fetched whole at its first miss: one round trip
/// costs the same, and the next range is there already.
const WHOLE: u64 = 1024 * 1024;

/// A container that is read from. Its file is opened at the first miss and stays open where there is room, so
/// that it can be read even after it was unlinked.
#[derive(Debug)]
pub struct OpenContainer {
    id: ContainerId,
    path: String,
    pages: Pages,
    mount: Arc<dyn Mount>,
    cache: Arc<RangeCache>,
    file: PooledFile,
    wanted: Arc<Wanted>,
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
            file: PooledFile::new(),
            wanted: Arc::default(),
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
        let told = self.wanted.ask(range.clone(), self.covering(range));
        self.fetch(self.wanted.begin());
        block_on(told)
    }

    /// Like [`Self::read`], beside everything that the executor's other tasks ask for in their turn, and with one
    /// read of the file for what lies near.
    ///
    /// # Errors
    /// Like [`Self::read`].
    pub async fn read_together(self: &Arc<Self>, range: Range<u64>) -> Result<OwnedBytes> {
        if let Some(bytes) = self.at_hand(&range)? {
            return Ok(bytes);
        }
        let pages = self.covering(&range);
        let told = self.wanted.ask(range, pages);
        self.wanted.others().await;
        let reads = self.wanted.begin();
        if !reads.is_empty() {
            let container = Arc::clone(self);
            drop(concurrent::spawn(move || container.fetch(reads))?);
        }
        told.await
    }

    /// Makes the reads, beside each other.
    fn fetch(&self, reads: Vec<Vec<Piece>>) {
        let mut missing: Vec<Vec<Piece>> = Vec::new();
        for read in reads {
            let mut left = Vec::new();
            for piece in read {
                match self.cached(&piece.pages) {
                    Some(bytes) => piece.done(&Ok(bytes)),
                    None => left.push(piece),
                }
            }
            if !left.is_empty() {
                missing.push(left);
            }
        }
        // What is looked up first is short; what is long has time.
        missing.sort_by_key(|read| extent(read).end - extent(read).start);
        let places: Result<Vec<_>> = missing
            .iter()
            .map(|read| self.pages.place(&extent(read)))
            .collect();
        match self.file().and_then(|file| Ok((file, places?))) {
            Ok((file, places)) => {
                let mut missing = missing.into_iter();
                file.read_each(&places, &mut |bytes| {
                    if let Some(read) = missing.next() {
                        self.take(read, bytes);
                    }
                });
            }
            Err(error) => {
                for piece in missing.into_iter().flatten() {
                    piece.done(&Err(error.clone()));
                }
            }
        }
    }

    /// Keeps what a read gave, and hands it to those who wait for it.
    fn take(&self, read: Vec<Piece>, bytes: MountResult<Vec<u8>>) {
        let ranges: Vec<_> = read.iter().map(|piece| piece.pages.clone()).collect();
        let taken = bytes
            .map_err(Error::from)
            .and_then(|bytes| self.pages.take(bytes, &ranges, &self.path));
        match taken {
            Ok(taken) => {
                for (piece, bytes) in read.into_iter().zip(taken) {
                    let bytes = bytes.map(|bytes| self.keep(&piece.pages, bytes));
                    piece.done(&bytes);
                }
            }
            Err(error) => {
                for piece in read {
                    piece.done(&Err(error.clone()));
                }
            }
        }
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

    /// Whether its first read fetches all of it.
    pub(crate) fn is_fetched_whole(&self) -> bool {
        self.pages.len <= WHOLE
    }

    /// The bytes of `range` of the payload, verified, without a look at the cache and without a trace in it.
    ///
    /// # Errors
    /// Like [`Self::read`].
    pub(crate) fn read_past_cache(&self, range: &Range<u64>) -> Result<Vec<u8>> {
        if range.start > range.end || range.end > self.pages.len {
            return Err(crate::format::damaged(&self.path, "a reference to a page"));
        }
        let covering = self.pages.covering(range);
        let mut bytes = self.pages.read(&*self.file()?, &self.path, &covering)?;
        let place = |at: u64| usize::try_from(at - covering.start).unwrap_or(usize::MAX);
        bytes.truncate(place(range.end));
        bytes.drain(..place(range.start).min(bytes.len()));
        Ok(bytes)
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
        if self.file()?.read_at(&mut bytes, span.offset)? < len {
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
            self.pages.read(&*file, &self.path, &range)?;
        }
        if matches!(self.id, ContainerId::Bundle(_)) {
            bundle::verify(&*file, &self.path, self.pages.container)?;
        }
        Ok(())
    }

    /// The file's name.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The file, open for as long as it is lent.
    fn file(&self) -> Result<Lent<'_>> {
        let open = || self.mount.open(&self.path, Access::Read);
        self.file.lend(&self.path, open)
    }
}
