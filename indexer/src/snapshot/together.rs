//! Reads of one container that are asked for at the same moment, made together.
//!
//! The parts of an index that a query wants of one file often lie near each other: the blocks of a
//! dictionary, the documents of one day. Over a network a read costs as much as some tens of
//! kilobytes, so what lies closer than that comes with one read, and what lies between is dropped.

use std::mem;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tantivy::directory::OwnedBytes;
use tokio::sync::oneshot;

use crate::error::Result;
use crate::format::pages::paged_len;

/// Bytes between two ranges that are read rather than a second read made. An NFS READ of 4 KiB took 0.19 ms
/// in the laboratory, one of 64 KiB 0.56 ms: two small ones take about as long as one of this gap.
const GAP_MAX: u64 = 64 * 1024;
/// The longest read that ranges are joined to: what one NFS READ carries at most on EFS.
const READ_MAX: u64 = 1024 * 1024;

/// A range that somebody waits for.
#[derive(Debug)]
pub(super) struct Want {
    /// Of the payload.
    pub(super) range: Range<u64>,
    /// Who waits.
    pub(super) tell: oneshot::Sender<Result<OwnedBytes>>,
}

/// Whole pages, and who wants something of them.
#[derive(Debug)]
pub(super) struct Piece {
    /// Of the payload.
    pub(super) pages: Range<u64>,
    wants: Vec<Want>,
}

impl Piece {
    /// Gives everybody the part they wait for, or what went wrong.
    pub(super) fn tell(self, pages: &Result<OwnedBytes>) {
        for want in self.wants {
            let part = match pages {
                Ok(bytes) => {
                    let offset = |at: u64| usize::try_from(at - self.pages.start).unwrap_or(0);
                    Ok(bytes.slice(offset(want.range.start)..offset(want.range.end)))
                }
                Err(error) => Err(error.again()),
            };
            // Who has stopped waiting needs no answer.
            drop(want.tell.send(part));
        }
    }
}

/// What was asked for and is not being read yet.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    wants: Vec<Want>,
    /// How many there ever were.
    asked: u64,
}

impl Wanted {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a range; gives its answer once somebody has read it.
    pub(super) fn ask(&self, range: Range<u64>) -> oneshot::Receiver<Result<OwnedBytes>> {
        let (tell, told) = oneshot::channel();
        let mut state = self.lock();
        state.wants.push(Want { range, tell });
        state.asked += 1;
        told
    }

    /// Lets everything that runs beside in this executor ask first: returns when nothing more comes.
    pub(super) async fn others(&self) {
        let mut asked = self.lock().asked;
        loop {
            futures_lite::future::yield_now().await;
            let now = self.lock().asked;
            if now == asked {
                return;
            }
            asked = now;
        }
    }

    /// The reads for all that was asked for, each with the pieces it gives, in order. `covering` gives
    /// the pages of a range.
    pub(super) fn reads(&self, covering: impl Fn(&Range<u64>) -> Range<u64>) -> Vec<Vec<Piece>> {
        let mut wants = mem::take(&mut self.lock().wants);
        wants.retain(|want| !want.tell.is_closed());
        let mut wants: Vec<_> = wants
            .into_iter()
            .map(|want| (covering(&want.range), want))
            .collect();
        wants.sort_by_key(|(pages, _)| pages.start);
        let mut pieces: Vec<Piece> = Vec::new();
        for (pages, want) in wants {
            match pieces.last_mut() {
                Some(last) if pages.start <= last.pages.end => {
                    last.pages.end = last.pages.end.max(pages.end);
                    last.wants.push(want);
                }
                _ => pieces.push(Piece {
                    pages,
                    wants: vec![want],
                }),
            }
        }
        let mut reads: Vec<Vec<Piece>> = Vec::new();
        for piece in pieces {
            let near = reads.last().is_some_and(|read| is_near(read, &piece.pages));
            match reads.last_mut() {
                Some(read) if near => read.push(piece),
                _ => reads.push(vec![piece]),
            }
        }
        reads
    }
}

/// Whether `pages` had better come with a read than with one of their own.
fn is_near(read: &[Piece], pages: &Range<u64>) -> bool {
    let (Some(first), Some(last)) = (read.first(), read.last()) else {
        return false;
    };
    pages.start - last.pages.end <= GAP_MAX && paged_len(pages.end - first.pages.start) <= READ_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 1000;

    fn check(wants: &[Range<u64>], expected: &[&[Range<u64>]]) {
        let wanted = Wanted::default();
        let told: Vec<_> = wants.iter().map(|want| wanted.ask(want.clone())).collect();
        let reads =
            wanted.reads(|range| range.start / PAGE * PAGE..range.end.next_multiple_of(PAGE));
        let pages: Vec<Vec<_>> = reads
            .iter()
            .map(|read| read.iter().map(|piece| piece.pages.clone()).collect())
            .collect();
        assert_eq!(pages, expected);
        for piece in reads.into_iter().flatten() {
            let bytes: Vec<u8> = piece.pages.clone().map(|at| (at % 251) as u8).collect();
            piece.tell(&Ok(OwnedBytes::new(bytes)));
        }
        for (mut told, want) in told.into_iter().zip(wants) {
            let expected: Vec<u8> = want.clone().map(|at| (at % 251) as u8).collect();
            assert_eq!(told.try_recv().unwrap().unwrap().as_slice(), expected);
        }
    }

    #[test]
    fn what_lies_near_comes_with_one_read() {
        check(&[], &[]);
        check(&[5..10], &[&[0..1000]]);
        check(
            &[2500..2600, 5..10, 7..900, 1990..2010],
            &[&[0..1000, 1000..3000]],
        );
        let far = GAP_MAX + 10 * PAGE;
        check(
            &[5..10, far..far + 5],
            &[&[0..1000], &[far / PAGE * PAGE..far / PAGE * PAGE + 1000]],
        );
    }

    #[test]
    fn a_read_that_carries_as_much_as_it_can_is_not_made_longer() {
        let long = READ_MAX / PAGE * PAGE;
        check(
            &[0..long - PAGE, long + 5..long + 6],
            &[&[0..long - PAGE], &[long..long + PAGE]],
        );
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_read() {
        let wanted = Wanted::default();
        drop(wanted.ask(0..10));
        assert!(wanted.reads(Range::clone).is_empty());
    }
}
