//! The skip index of a store of documents, as tantivy writes it: layers of checkpoints, each of which covers
//! [`PERIOD`] of the layer below, the lowest one a block of documents.

use std::ops::Range;

use tantivy::directory::OwnedBytes;

use crate::error::Result;
use crate::format::damaged;

/// Checkpoints that one of the next layer covers.
const PERIOD: usize = 8;
/// The bit that ends a number of variable length.
const STOP: u8 = 0x80;

/// Where some documents are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) docs: Range<u32>,
    pub(super) bytes: Range<u64>,
}

fn put(number: u64, out: &mut Vec<u8>) {
    let mut rest = number;
    while rest >= u64::from(STOP) {
        out.push(rest.to_le_bytes()[0] & !STOP);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0] | STOP);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & !STOP).checked_shl(shift)?;
        if byte & STOP != 0 {
            return Some(number);
        }
        shift += 7;
    }
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take(bytes).and_then(|number| u32::try_from(number).ok())
}

/// The lowest layer of an index.
pub(super) fn lowest(index: OwnedBytes) -> Option<OwnedBytes> {
    let mut rest = index.as_slice();
    let layers = take(&mut rest)?;
    let (mut start, mut end) = (0, 0);
    for _ in 0..layers {
        start = end;
        end = usize::try_from(take(&mut rest)?).ok()?;
    }
    let first = index.len() - rest.len();
    let range = first.checked_add(start)?..first.checked_add(end)?;
    (start <= end && range.end <= index.len()).then(|| index.slice(range))
}

/// The checkpoints of a layer, in order.
pub(super) fn checkpoints(layer: &[u8]) -> impl Iterator<Item = Result<Checkpoint>> {
    let mut rest = layer;
    let (mut left, mut doc, mut byte) = (0, 0_u32, 0_u64);
    let mut next = move || {
        while left == 0 {
            if rest.is_empty() {
                return Ok(None);
            }
            left = take(&mut rest).ok_or(())?;
            if left > 0 {
                doc = take_u32(&mut rest).ok_or(())?;
                byte = take(&mut rest).ok_or(())?;
            }
        }
        left -= 1;
        let (docs, bytes) = (take_u32(&mut rest).ok_or(())?, take(&mut rest).ok_or(())?);
        let checkpoint = Checkpoint {
            docs: doc..doc.checked_add(docs).ok_or(())?,
            bytes: byte..byte.checked_add(bytes).ok_or(())?,
        };
        (doc, byte) = (checkpoint.docs.end, checkpoint.bytes.end);
        Ok(Some(checkpoint))
    };
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let found: Result<Option<Checkpoint>, ()> = next();
        ended = !matches!(found, Ok(Some(_)));
        let found = found.map_err(|()| damaged("a store of documents", "the skip index"));
        found.transpose()
    })
}

/// An index while it is built.
#[derive(Debug, Default)]
pub(super) struct SkipIndex {
    /// The lowest first.
    layers: Vec<Layer>,
}

#[derive(Debug, Default)]
struct Layer {
    written: Vec<u8>,
    block: Vec<Checkpoint>,
}

impl Layer {
    /// Writes the block that is open and gives a checkpoint that covers it.
    fn close_block(&mut self) -> Option<Checkpoint> {
        let (first, last) = (self.block.first()?, self.block.last()?);
        let docs = first.docs.start..last.docs.end;
        let start = self.written.len() as u64;
        put(self.block.len() as u64, &mut self.written);
        put(u64::from(first.docs.start), &mut self.written);
        put(first.bytes.start, &mut self.written);
        for Checkpoint { docs, bytes } in self.block.drain(..) {
            put(u64::from(docs.end - docs.start), &mut self.written);
            put(bytes.end - bytes.start, &mut self.written);
        }
        let bytes = start..self.written.len() as u64;
        Some(Checkpoint { docs, bytes })
    }
}

impl SkipIndex {
    /// Adds a block of documents.
    pub(super) fn push(&mut self, checkpoint: Checkpoint) {
        let mut next = Some(checkpoint);
        let mut depth = 0;
        while let Some(checkpoint) = next {
            if self.layers.len() == depth {
                self.layers.push(Layer::default());
            }
            next = self.layers.get_mut(depth).and_then(|layer| {
                layer.block.push(checkpoint);
                let full = layer.block.len() >= PERIOD;
                if full { layer.close_block() } else { None }
            });
            depth += 1;
        }
    }

    /// The bytes of the whole index.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let mut last = None;
        for layer in &mut self.layers {
            layer.block.extend(last.take());
            last = layer.close_block();
        }
        let mut bytes = Vec::new();
        put(self.layers.len() as u64, &mut bytes);
        let mut end = 0;
        for layer in self.layers.iter().rev() {
            end += layer.written.len() as u64;
            put(end, &mut bytes);
        }
        for layer in self.layers.iter().rev() {
            bytes.extend_from_slice(&layer.written);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_index_reads_back(lens in proptest::collection::vec((1_u32..9000, 1_u64..100_000), 0..700)) {
            let (mut doc, mut byte) = (0, 0);
            let mut expected = Vec::new();
            let mut index = SkipIndex::default();
            for (docs, bytes) in lens {
                let checkpoint = Checkpoint { docs: doc..doc + docs, bytes: byte..byte + bytes };
                (doc, byte) = (doc + docs, byte + bytes);
                index.push(checkpoint.clone());
                expected.push(checkpoint);
            }
            let layer = lowest(OwnedBytes::new(index.finish())).unwrap();
            let read: Vec<_> = checkpoints(&layer).map(|c| c.unwrap()).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn nonsense_is_an_error_or_nothing_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(layer) = lowest(OwnedBytes::new(bytes.clone())) {
                checkpoints(&layer).take(1000).for_each(drop);
            }
            checkpoints(&bytes).take(1000).for_each(drop);
        }
    }
}
