//! Pages: a stream of bytes cut into pieces that each carry their own checksum.
//!
//! A reader fetches small ranges out of large files, so a checksum over a whole file would never be
//! looked at. Each page of [`PAGE`] bytes ends with a CRC over its container's identity, its number
//! and its payload, so that every byte that is ever used has been verified, and a page that was
//! written to the wrong place is noticed too.

use std::io;
use std::ops::Range;

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::mount::MountFile;

/// Bytes of a page on the mount. One network read fetches up to 64 of them; smaller pages would
/// spend more on checksums, larger ones fetch more than a short posting list needs.
pub const PAGE: usize = 16 * 1024;
/// Bytes of payload in a page.
pub const PAYLOAD: usize = PAGE - CHECKSUM;
const CHECKSUM: usize = 4;

/// Bytes that `len` bytes of payload take on the mount.
pub fn paged_len(len: u64) -> u64 {
    len + len.div_ceil(PAYLOAD as u64) * CHECKSUM as u64
}

fn checksum(container: Uuid, page: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(container.as_bytes());
    hasher.update(&page.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Cuts what is written into pages and hands them on.
#[derive(Debug)]
pub struct PageWriter<W> {
    inner: W,
    container: Uuid,
    payload: Vec<u8>,
    page: u64,
    len: u64,
}

impl<W: io::Write> PageWriter<W> {
    /// Writes pages of `container` to `inner`.
    pub fn new(inner: W, container: Uuid) -> Self {
        Self {
            inner,
            container,
            payload: Vec::with_capacity(PAGE),
            page: 0,
            len: 0,
        }
    }

    /// Payload bytes written so far.
    pub fn position(&self) -> u64 {
        self.len
    }

    /// Ends the last page.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.payload.is_empty() {
            self.end_page()?;
        }
        Ok(self.inner)
    }

    fn end_page(&mut self) -> io::Result<()> {
        let checksum = checksum(self.container, self.page, &self.payload);
        self.payload.extend_from_slice(&checksum.to_le_bytes());
        self.inner.write_all(&self.payload)?;
        self.payload.clear();
        self.page += 1;
        Ok(())
    }
}

impl<W: io::Write> io::Write for PageWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PAYLOAD - self.payload.len();
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.payload.extend_from_slice(taken);
        self.len += taken.len() as u64;
        if self.payload.len() == PAYLOAD {
            self.end_page()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Where the pages of a container lie in a file.
#[derive(Clone, Debug)]
pub struct Pages {
    /// Identity that the checksums are bound to.
    pub container: Uuid,
    /// Offset of the first page in the file.
    pub base: u64,
    /// Payload bytes.
    pub len: u64,
}

impl Pages {
    /// The payload range of whole pages that covers `range`.
    pub fn covering(&self, range: &Range<u64>) -> Range<u64> {
        let payload = PAYLOAD as u64;
        let start = range.start / payload * payload;
        start..range.end.next_multiple_of(payload).min(self.len)
    }

    /// Where the pages of `range`, which must come from [`Self::covering`], lie in the file: offset and length.
    pub fn place(&self, range: &Range<u64>) -> Result<(u64, usize)> {
        let len = usize::try_from(paged_len(range.end - range.start))
            .map_err(|error| Error::internal("a range exceeds memory").because(error))?;
        Ok((self.base + range.start / PAYLOAD as u64 * PAGE as u64, len))
    }

    /// Reads and verifies payload; `range` must come from [`Self::covering`]. One read of the file.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] naming `path` when a checksum is wrong or the file too short;
    /// [`crate::ErrorKind::Unavailable`] when reading fails.
    pub fn read(&self, file: &dyn MountFile, path: &str, range: &Range<u64>) -> Result<Vec<u8>> {
        let (offset, len) = self.place(range)?;
        let mut bytes = vec![0; len];
        if file.read_at(&mut bytes, offset)? < len {
            return Err(super::damaged(path, "the length"));
        }
        self.verify(bytes, range.start / PAYLOAD as u64, path)
    }

    /// Takes the payload of `ranges`, in order, out of `bytes`: what lies at the place from the first one's start to
    /// the last one's end. What lies between them is not verified: damage there is not theirs.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] naming `path`: for all when something is missing, for each when
    /// its checksum is wrong.
    pub fn take(
        &self,
        bytes: Vec<u8>,
        ranges: &[Range<u64>],
        path: &str,
    ) -> Result<Vec<Result<Vec<u8>>>> {
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else {
            return Ok(Vec::new());
        };
        let number = |range: &Range<u64>| range.start / PAYLOAD as u64;
        let (from, len) = self.place(&(first.start..last.end))?;
        if bytes.len() < len {
            return Err(super::damaged(path, "the length"));
        }
        if ranges.len() == 1 {
            return Ok(vec![self.verify(bytes, number(first), path)]);
        }
        let taken = ranges.iter().map(|range| {
            let (offset, len) = self.place(range)?;
            let start = usize::try_from(offset - from).unwrap_or(usize::MAX);
            let piece = bytes.get(start..start.saturating_add(len));
            let piece = piece.ok_or_else(|| super::damaged(path, "the length"))?;
            self.verify(piece.to_vec(), number(range), path)
        });
        Ok(taken.collect())
    }

    /// Verifies all pages, which are in memory already, and gives their payload.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] naming `path`.
    pub fn decode(&self, file: &[u8], path: &str) -> Result<Vec<u8>> {
        let range = usize::try_from(self.base)
            .ok()
            .zip(usize::try_from(paged_len(self.len)).ok());
        let bytes = range.and_then(|(base, len)| file.get(base..base.checked_add(len)?));
        let bytes = bytes.ok_or_else(|| super::damaged(path, "the length"))?;
        self.verify(bytes.to_vec(), 0, path)
    }

    /// Checks pages from number `first` on and leaves their payload.
    fn verify(&self, mut bytes: Vec<u8>, first: u64, path: &str) -> Result<Vec<u8>> {
        let on_mount = bytes.len();
        for (page, piece) in (first..).zip(bytes.chunks(PAGE)) {
            let stored = piece.split_last_chunk::<CHECKSUM>();
            let valid = stored.is_some_and(|(payload, stored)| {
                checksum(self.container, page, payload) == u32::from_le_bytes(*stored)
            });
            if !valid {
                return Err(super::damaged(
                    path,
                    &format!("the checksum of page {page}"),
                ));
            }
        }
        let mut kept = 0;
        for start in (0..on_mount).step_by(PAGE) {
            let payload = start..(start + PAGE).min(on_mount) - CHECKSUM;
            let len = payload.len();
            bytes.copy_within(payload, kept);
            kept += len;
        }
        bytes.truncate(kept);
        Ok(bytes)
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;
    use crate::mount::{Access, Mount as _, PosixMount};

    fn written(payload: &[u8], container: Uuid) -> Vec<u8> {
        let mut writer = PageWriter::new(vec![7; 100], container);
        writer.write_all(payload).unwrap();
        assert_eq!(writer.position(), payload.len() as u64);
        writer.finish().unwrap()
    }

    fn check_read(len: usize, range: Range<u64>, flip: Option<usize>) -> Result<Vec<u8>> {
        let payload: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
        let container = Uuid::from_u128(5);
        let mut bytes = written(&payload, container);
        assert_eq!(bytes.len() as u64 - 100, paged_len(len as u64));
        if let Some(position) = flip {
            bytes[100 + position] ^= 1;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x"), bytes).unwrap();
        let mount = PosixMount::open(folder.path()).unwrap();
        let file = mount.open("x", Access::Read).unwrap();
        let pages = Pages {
            container,
            base: 100,
            len: len as u64,
        };
        let covering = pages.covering(&range);
        let read = pages.read(&*file, "x", &covering)?;
        let (start, end) = (covering.start as usize, covering.end as usize);
        assert_eq!(read, payload[start..end]);
        assert!(covering.start <= range.start && range.end <= covering.end);
        Ok(read)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_range_reads_back(len in 1_usize..80_000, a in 0_f64..1.0, b in 0_f64..1.0) {
            let (a, b) = ((a * len as f64) as u64, (b * len as f64) as u64);
            check_read(len, a.min(b)..a.max(b).max(a.min(b) + 1), None).unwrap();
        }

        #[test]
        fn damage_between_ranges_is_not_theirs(
            starts in proptest::collection::btree_set(0_u64..20, 1..5),
            flipped in 0_u64..20,
        ) {
            let payload: Vec<u8> = (0..20 * PAYLOAD).map(|i| (i * 31 % 251) as u8).collect();
            let container = Uuid::from_u128(5);
            let mut bytes = written(&payload, container);
            bytes[100 + flipped as usize * PAGE + 7] ^= 1;
            let pages = Pages { container, base: 100, len: payload.len() as u64 };
            let page = |number: u64| number * PAYLOAD as u64..(number + 1) * PAYLOAD as u64;
            let ranges: Vec<_> = starts.iter().copied().map(page).collect();
            let all = ranges[0].start..ranges.last().unwrap().end;
            let (offset, len) = pages.place(&all).unwrap();
            let there = bytes[offset as usize..][..len].to_vec();
            prop_assert!(pages.take(there[1..].to_vec(), &ranges, "x").is_err());
            let taken = pages.take(there, &ranges, "x").unwrap();
            for ((number, range), taken) in starts.iter().zip(&ranges).zip(taken) {
                prop_assert_eq!(taken.is_err(), *number == flipped);
                if let Ok(taken) = taken {
                    prop_assert_eq!(&taken, &payload[range.start as usize..range.end as usize]);
                }
            }
        }

        #[test]
        fn any_flipped_bit_is_noticed(len in 1_usize..50_000, at in 0_f64..1.0) {
            let position = (at * paged_len(len as u64) as f64) as usize;
            let error = check_read(len, 0..len as u64, Some(position)).unwrap_err();
            prop_assert_eq!(error.kind(), crate::ErrorKind::Corrupt);
        }
    }
}
