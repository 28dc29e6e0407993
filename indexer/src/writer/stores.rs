//! Stored documents of several segments become those of one, without ever being in memory as a whole.
//!
//! tantivy copies a store that has no deletes in one piece, which takes as much memory as the store is long. So it is
//! given empty ones, and the store is written here: compressed blocks are copied as they are, in pieces, and documents
//! are compressed anew only where a store has deletes, is small, or was compressed otherwise. The format is
//! tantivy's (`tantivy::store`): blocks, a skip index of layers, a footer.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use roaring::RoaringBitmap;
use tantivy::HasLen as _;
use tantivy::directory::footer::Footer;
use tantivy::directory::{AntiCallToken, FileHandle, FileSlice, OwnedBytes, TerminatingWrite};
use tantivy::store::{StoreReader, StoreWriter};

use super::scratch::PIECE;
use super::skips::{Checkpoint, SkipIndex, checkpoints};
use super::store_settings;
use crate::error::{Error, Result};
use crate::format::damaged;
use crate::snapshot::directory::footer;

/// Bytes of the end of a store: version, where the blocks end, compression, room.
const END: usize = 28;
/// Where in it the end of the blocks is, and the compression.
const END_OFFSET: std::ops::Range<usize> = 4..12;
const END_COMPRESSION: usize = 12;
/// A store of fewer blocks is compressed anew, so that small stores do not leave small blocks behind (as in tantivy).
const BLOCKS_TO_COPY: usize = 6;
/// Bytes of documents that are compressed before their blocks are written.
const GATHERED: usize = 2 * 1024 * 1024;
/// Stores of more bytes than this together are written only where they go in the end.
const LARGE: u64 = 1024 * 1024;

/// The stored documents of one input.
#[derive(Clone, Debug)]
pub(super) struct StoreInput {
    pub(super) file: Arc<dyn FileHandle>,
    pub(super) deletes: RoaringBitmap,
    pub(super) max_doc: u32,
}

/// The stored documents of a segment, by where they come from.
#[derive(Debug)]
pub(super) struct Stores {
    inputs: Vec<StoreInput>,
    bytes: u64,
}

/// The end of a store's file, which every reader reads.
#[derive(Debug)]
pub(super) struct Tail {
    /// Length of the file.
    pub(super) len: u64,
    /// Where the end begins.
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
}

impl Stores {
    /// The documents of `inputs`, one after the other, without those that are deleted.
    pub(super) fn new(inputs: Vec<StoreInput>) -> Self {
        let live = |input: &StoreInput| {
            let alive = u64::from(input.max_doc).saturating_sub(input.deletes.len());
            let bytes = u128::from(input.file.len() as u64) * u128::from(alive);
            u64::try_from(bytes / u128::from(input.max_doc.max(1))).unwrap_or(u64::MAX)
        };
        let bytes = inputs.iter().map(live).sum();
        Self { inputs, bytes }
    }

    /// Where the documents come from.
    pub(super) fn inputs(&self) -> &[StoreInput] {
        &self.inputs
    }

    /// About how many bytes it will be.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_large(&self) -> bool {
        self.bytes > LARGE
    }

    /// Writes the store, without tantivy's footer.
    pub(super) fn write(&self, out: &mut dyn Write) -> Result<()> {
        let mut merged = Merged::new(out)?;
        for input in &self.inputs {
            merged.add(input)?;
        }
        let (_, end) = merged.finish()?;
        out.write_all(&end).map_err(io_error)
    }

    /// Writes the file that holds the store, with tantivy's footer.
    pub(super) fn write_file(&self, out: &mut dyn Write) -> Result<Tail> {
        let mut summed = Summed {
            inner: out,
            sum: crc32fast::Hasher::new(),
        };
        let mut merged = Merged::new(&mut summed)?;
        for input in &self.inputs {
            merged.add(input)?;
        }
        let (start, mut bytes) = merged.finish()?;
        summed.write_all(&bytes).map_err(io_error)?;
        let Summed { inner, sum } = summed;
        let footer = footer(sum.finalize())?;
        inner.write_all(&footer).map_err(io_error)?;
        bytes.extend(footer);
        let len = start + bytes.len() as u64;
        Ok(Tail { len, start, bytes })
    }
}

fn io_error(error: io::Error) -> Error {
    Error::io("a store of documents", error)
}

fn broken() -> Error {
    damaged("a store of documents", "the structure")
}

/// A store that is read block by block.
struct Store {
    body: FileSlice,
    blocks: FileSlice,
    /// The lowest layer of its skip index.
    index: OwnedBytes,
    compression: u8,
}

impl Store {
    fn open(body: FileSlice) -> Result<Self> {
        let index_end = body.len().checked_sub(END).ok_or_else(broken)?;
        let end = body
            .read_bytes_slice(index_end..body.len())
            .map_err(io_error)?;
        let offset = end.get(END_OFFSET).and_then(|bytes| bytes.try_into().ok());
        let offset = offset.map(u64::from_le_bytes).ok_or_else(broken)?;
        let offset = usize::try_from(offset).ok().filter(|&at| at <= index_end);
        let offset = offset.ok_or_else(broken)?;
        let compression = *end.get(END_COMPRESSION).ok_or_else(broken)?;
        let index = body.read_bytes_slice(offset..index_end).map_err(io_error)?;
        Ok(Self {
            blocks: body.slice_to(offset),
            index: super::skips::lowest(index).ok_or_else(broken)?,
            compression,
            body,
        })
    }
}

/// A store while it is put together.
struct Merged<'a> {
    out: &'a mut dyn Write,
    written: u64,
    docs: u32,
    index: SkipIndex,
    /// The end of a store that is compressed as this one is.
    end: Vec<u8>,
    gathered: Option<Gathered>,
}

/// Documents on their way to being compressed.
struct Gathered {
    writer: StoreWriter,
    sink: Sink,
    bytes: usize,
}

impl<'a> Merged<'a> {
    fn new(out: &'a mut dyn Write) -> Result<Self> {
        let empty = Gathered::new()?.close()?;
        let end = empty.len().checked_sub(END).and_then(|at| empty.get(at..));
        Ok(Self {
            out,
            written: 0,
            docs: 0,
            index: SkipIndex::default(),
            end: end.ok_or_else(broken)?.to_vec(),
            gathered: None,
        })
    }

    fn add(&mut self, input: &StoreInput) -> Result<()> {
        let (_, body) =
            Footer::extract_footer(FileSlice::new(Arc::clone(&input.file))).map_err(io_error)?;
        let store = Store::open(body)?;
        let last = checkpoints(&store.index).last().transpose()?;
        if last.map_or(0, |last| last.docs.end) != input.max_doc {
            return Err(broken());
        }
        let many = checkpoints(&store.index).take(BLOCKS_TO_COPY).count() == BLOCKS_TO_COPY;
        let alike = self.end.get(END_COMPRESSION) == Some(&store.compression);
        if many && alike && input.deletes.is_empty() {
            self.flush()?;
            return self.copy(&store);
        }
        let reader = StoreReader::open(store.body.clone(), 1).map_err(io_error)?;
        for doc in (0..input.max_doc).filter(|&doc| !input.deletes.contains(doc)) {
            self.gather(&reader.get_document_bytes(doc)?)?;
        }
        Ok(())
    }

    /// Copies blocks as they are.
    fn copy(&mut self, store: &Store) -> Result<()> {
        let mut start = 0;
        while start < store.blocks.len() {
            let end = (start + PIECE).min(store.blocks.len());
            let piece = store
                .blocks
                .read_bytes_slice(start..end)
                .map_err(io_error)?;
            self.out.write_all(&piece).map_err(io_error)?;
            start = end;
        }
        let (docs, bytes) = (self.docs, self.written);
        for checkpoint in checkpoints(&store.index) {
            let checkpoint = checkpoint?;
            self.docs = docs + checkpoint.docs.end;
            self.written = bytes + checkpoint.bytes.end;
            self.index.push(Checkpoint {
                docs: docs + checkpoint.docs.start..self.docs,
                bytes: bytes + checkpoint.bytes.start..self.written,
            });
        }
        if self.written - bytes != store.blocks.len() as u64 {
            return Err(broken());
        }
        Ok(())
    }

    fn gather(&mut self, document: &[u8]) -> Result<()> {
        let gathered = match &mut self.gathered {
            Some(gathered) => gathered,
            None => self.gathered.insert(Gathered::new()?),
        };
        gathered.writer.store_bytes(document).map_err(io_error)?;
        gathered.bytes += document.len();
        if gathered.bytes >= GATHERED {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes the blocks of what was gathered.
    fn flush(&mut self) -> Result<()> {
        let Some(gathered) = self.gathered.take() else {
            return Ok(());
        };
        let bytes = OwnedBytes::new(gathered.close()?);
        let store = Store::open(FileSlice::new(Arc::new(bytes)))?;
        self.copy(&store)
    }

    /// Where the blocks end, and what has yet to follow them.
    fn finish(mut self) -> Result<(u64, Vec<u8>)> {
        self.flush()?;
        let mut end = self.index.finish();
        let mut last = self.end;
        let offset = last.get_mut(END_OFFSET).ok_or_else(broken)?;
        offset.copy_from_slice(&self.written.to_le_bytes());
        end.append(&mut last);
        Ok((self.written, end))
    }
}

impl Gathered {
    fn new() -> Result<Self> {
        let (sink, settings) = (Sink::default(), store_settings());
        let writer = StoreWriter::new(
            io::BufWriter::new(Box::new(sink.clone())),
            settings.docstore_compression,
            settings.docstore_blocksize,
            false,
        );
        Ok(Self {
            writer: writer.map_err(io_error)?,
            sink,
            bytes: 0,
        })
    }

    fn close(self) -> Result<Vec<u8>> {
        self.writer.close().map_err(io_error)?;
        let mut bytes = self.sink.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut bytes))
    }
}

/// What tantivy writes, in memory.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for Sink {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        Ok(())
    }
}

/// Hands on what is written and sums it up.
struct Summed<'a> {
    inner: &'a mut dyn Write,
    sum: crc32fast::Hasher,
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write_all(bytes)?;
        self.sum.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store of documents of `lens` bytes, each filled with its number and `mark`, with tantivy's footer.
    fn store(lens: &[usize], mark: u8) -> StoreInput {
        let mut gathered = Gathered::new().unwrap();
        for (number, len) in lens.iter().enumerate() {
            gathered
                .writer
                .store_bytes(&document(number, *len, mark))
                .unwrap();
        }
        let mut bytes = gathered.close().unwrap();
        bytes.extend(footer(crate::format::crc(&bytes)).unwrap());
        StoreInput {
            file: Arc::new(OwnedBytes::new(bytes)),
            deletes: RoaringBitmap::new(),
            max_doc: u32::try_from(lens.len()).unwrap(),
        }
    }

    /// Does not compress well, so that there are blocks enough.
    fn document(number: usize, len: usize, mark: u8) -> Vec<u8> {
        let mut state = number as u64 * 31 + u64::from(mark);
        let byte = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_le_bytes()[7]
        };
        std::iter::repeat_with(byte).take(len).collect()
    }

    fn check(inputs: Vec<StoreInput>, expected: &[Vec<u8>]) {
        let mut file = Vec::new();
        let tail = Stores::new(inputs).write_file(&mut file).unwrap();
        assert_eq!(tail.len, file.len() as u64);
        let start = usize::try_from(tail.start).unwrap();
        assert_eq!(tail.bytes, &file[start..]);
        let file = FileSlice::new(Arc::new(OwnedBytes::new(file)));
        let (read, body) = Footer::extract_footer(file).unwrap();
        assert_eq!(read.crc, crate::format::crc(&body.read_bytes().unwrap()));
        let reader = StoreReader::open(body, 10).unwrap();
        for (doc, expected) in (0..).zip(expected) {
            let read = reader.get_document_bytes(doc).unwrap();
            assert_eq!(read.as_slice(), expected.as_slice(), "document {doc}");
        }
        let beyond = u32::try_from(expected.len()).unwrap();
        assert!(reader.get_document_bytes(beyond).is_err());
    }

    #[test]
    fn stores_with_and_without_deletes_large_and_small_become_one() {
        let long = vec![5000; 300];
        let short = vec![10; 7];
        let mut deleting = store(&long, 2);
        deleting.deletes = (0..300).filter(|doc| doc % 3 == 0).collect();
        let inputs = vec![
            store(&short, 1),
            store(&long, 5),
            deleting,
            store(&short, 3),
            store(&short, 4),
            store(&long, 6),
        ];
        let all = |lens: &[usize], mark| -> Vec<Vec<u8>> {
            let lens = lens.iter().enumerate();
            lens.map(|(number, len)| document(number, *len, mark))
                .collect()
        };
        let mut expected = all(&short, 1);
        expected.extend(all(&long, 5));
        let kept = all(&long, 2).into_iter().enumerate();
        expected.extend(kept.filter(|(doc, _)| doc % 3 != 0).map(|(_, bytes)| bytes));
        expected.extend(all(&short, 3));
        expected.extend(all(&short, 4));
        expected.extend(all(&long, 6));
        check(inputs, &expected);
    }

    #[test]
    fn nothing_becomes_an_empty_store() {
        let mut gone = store(&[10; 3], 0);
        gone.deletes = (0..3).collect();
        check(vec![gone], &[]);
        check(Vec::new(), &[]);
    }

    #[test]
    fn a_store_with_other_documents_than_its_segment_is_reported() {
        let mut wrong = store(&[10; 3], 0);
        wrong.max_doc = 4;
        let error = Stores::new(vec![wrong]).write(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Corrupt);
    }

    #[test]
    fn blocks_are_copied_as_tantivy_copies_them() {
        let (one, two) = (store(&vec![3000; 200], 1), store(&vec![3000; 100], 2));
        let mut expected = Vec::new();
        {
            let sink = Sink::default();
            let settings = store_settings();
            let out = io::BufWriter::new(Box::new(sink.clone()) as Box<_>);
            let compression = settings.docstore_compression;
            let blocks = settings.docstore_blocksize;
            let mut writer = StoreWriter::new(out, compression, blocks, false).unwrap();
            for input in [&one, &two] {
                let file = FileSlice::new(Arc::clone(&input.file));
                let (_, body) = Footer::extract_footer(file).unwrap();
                writer.stack(StoreReader::open(body, 1).unwrap()).unwrap();
            }
            writer.close().unwrap();
            expected.append(&mut sink.0.lock().unwrap());
        }
        let mut ours = Vec::new();
        Stores::new(vec![one, two]).write(&mut ours).unwrap();
        assert!(
            ours == expected,
            "{} bytes, tantivy {}",
            ours.len(),
            expected.len()
        );
    }
}
