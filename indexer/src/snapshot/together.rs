//! Reads of one container that are asked for at the same moment, made together.
//!
//! The parts of an index that a query wants of one file often lie near each other: the blocks of a
//! dictionary, the documents of one day. Over a network a read costs as much as some tens of
//! kilobytes, so what lies closer than that comes with one read, and what lies between is dropped.

use std::future::Future;
use std::mem;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tantivy::directory::OwnedBytes;
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::format::pages::paged_len;

/// Bytes between two ranges that are read rather than a second read made. An NFS READ of 4 KiB took 0.19 ms
/// in the laboratory, one of 64 KiB 0.56 ms: two small ones take about as long as one of this gap.
const GAP_MAX: u64 = 64 * 1024;
/// The longest read that ranges are joined to: what one NFS READ carries at most on EFS.
const READ_MAX: u64 = 1024 * 1024;

/// Whole pages that are being read.
#[derive(Debug)]
pub(super) struct Piece {
    /// Of the payload.
    pub(super) pages: Range<u64>,
    wanted: Arc<Wanted>,
}

impl Piece {
    /// Gives everybody the part they wait for, or what went wrong.
    pub(super) fn done(mut self, bytes: &Result<OwnedBytes>) {
        // Taken, so that what is dropped below ends nobody else's.
        let pages = mem::take(&mut self.pages);
        for want in self.wanted.end(&pages) {
            let part = match bytes {
                Ok(bytes) => {
                    let offset = |at: u64| usize::try_from(at - pages.start).unwrap_or(0);
                    Ok(bytes.slice(offset(want.range.start)..offset(want.range.end)))
                }
                Err(error) => Err(error.clone()),
            };
            // Who has stopped waiting needs no answer.
            drop(want.tell.send(part));
        }
    }
}

impl Drop for Piece {
    /// Whoever still waits is told that nothing comes.
    fn drop(&mut self) {
        drop(self.wanted.end(&self.pages));
    }
}

/// From the first page of a read to its last.
pub(super) fn extent(read: &[Piece]) -> Range<u64> {
    let start = read.first().map_or(0, |piece| piece.pages.start);
    start..read.last().map_or(start, |piece| piece.pages.end)
}

/// What was asked for of one container and has not come yet.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What is not being read yet.
    wants: Vec<Want>,
    /// How many there ever were.
    asked: u64,
    /// What is being read, and who waits for it.
    under_way: Vec<(Range<u64>, Vec<Want>)>,
}

/// A range that somebody waits for, and its pages.
#[derive(Debug)]
struct Want {
    range: Range<u64>,
    pages: Range<u64>,
    tell: oneshot::Sender<Result<OwnedBytes>>,
}

impl State {
    /// Joins a want to a read under way that will bring it, or gives it back.
    fn join(&mut self, want: Want) -> Option<Want> {
        let brings =
            |pages: &Range<u64>| pages.start <= want.pages.start && want.pages.end <= pages.end;
        let mut under_way = self.under_way.iter_mut();
        match under_way.find(|(pages, _)| brings(pages)) {
            Some((_, wants)) => {
                wants.push(want);
                None
            }
            None => Some(want),
        }
    }
}

impl Wanted {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a range, which lies in `pages`; gives it when somebody has read it.
    pub(super) fn ask(
        &self,
        range: Range<u64>,
        pages: Range<u64>,
    ) -> impl Future<Output = Result<OwnedBytes>> + use<> {
        let (tell, told) = oneshot::channel();
        let mut state = self.lock();
        state.asked += 1;
        let want = state.join(Want { range, pages, tell });
        state.wants.extend(want);
        async {
            told.await.unwrap_or_else(|error| {
                Err(Error::internal("work beside the request failed").because(error))
            })
        }
    }

    /// Lets everything that runs beside in this executor ask first: returns when nothing more comes.
    pub(super) async fn others(&self) {
        let mut asked = self.lock().asked;
        loop {
            futures_lite::future::yield_now().await;
            let now = mem::replace(&mut asked, self.lock().asked);
            if now == asked {
                return;
            }
        }
    }

    /// Begins the reads for all that was asked for: for each the pieces that it brings, in order.
    pub(super) fn begin(self: &Arc<Self>) -> Vec<Vec<Piece>> {
        let mut state = self.lock();
        let mut wants = mem::take(&mut state.wants);
        wants.retain(|want| !want.tell.is_closed());
        wants.sort_by_key(|want| want.pages.start);
        let mut pieces: Vec<(Range<u64>, Vec<Want>)> = Vec::new();
        for want in wants {
            let Some(want) = state.join(want) else {
                continue;
            };
            match pieces.last_mut() {
                Some((pages, wants)) if want.pages.start <= pages.end => {
                    pages.end = pages.end.max(want.pages.end);
                    wants.push(want);
                }
                _ => pieces.push((want.pages.clone(), vec![want])),
            }
        }
        let mut reads: Vec<Vec<Piece>> = Vec::new();
        for (pages, _) in &pieces {
            let piece = Piece {
                pages: pages.clone(),
                wanted: Arc::clone(self),
            };
            match reads.last_mut() {
                Some(read) if is_near(&extent(read), pages) => read.push(piece),
                _ => reads.push(vec![piece]),
            }
        }
        state.under_way.extend(pieces);
        reads
    }

    /// Ends the reading of a piece; gives those who wait for it.
    fn end(&self, pages: &Range<u64>) -> Vec<Want> {
        let mut state = self.lock();
        let position = state.under_way.iter().position(|(of, _)| of == pages);
        position.map_or_else(Vec::new, |position| state.under_way.swap_remove(position).1)
    }
}

/// Whether `pages` had better come with the read before than with one of their own.
fn is_near(read: &Range<u64>, pages: &Range<u64>) -> bool {
    pages.start - read.end <= GAP_MAX && paged_len(pages.end - read.start) <= READ_MAX
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "lists of ranges, some of one"
)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;

    const PAGE: u64 = 1000;

    fn pages(range: &Range<u64>) -> Range<u64> {
        range.start / PAGE * PAGE..range.end.next_multiple_of(PAGE)
    }

    fn ask(wanted: &Wanted, range: &Range<u64>) -> impl Future<Output = Result<OwnedBytes>> {
        wanted.ask(range.clone(), pages(range))
    }

    fn bytes(range: &Range<u64>) -> Vec<u8> {
        range.clone().map(|at| (at % 251) as u8).collect()
    }

    fn check(wants: &[Range<u64>], expected: &[&[Range<u64>]]) {
        let wanted = Arc::new(Wanted::default());
        let told: Vec<_> = wants.iter().map(|want| ask(&wanted, want)).collect();
        let reads = wanted.begin();
        let ranges: Vec<Vec<_>> = reads
            .iter()
            .map(|read| read.iter().map(|piece| piece.pages.clone()).collect())
            .collect();
        assert_eq!(ranges, expected);
        for piece in reads.into_iter().flatten() {
            let there = OwnedBytes::new(bytes(&piece.pages));
            piece.done(&Ok(there));
        }
        for (told, want) in told.into_iter().zip(wants) {
            assert_eq!(block_on(told).unwrap().as_slice(), bytes(want));
        }
    }

    #[test]
    fn what_lies_near_comes_with_one_read() {
        check(&[], &[]);
        check(&[5..10], &[&[0..1000]]);
        check(&[2500..2600, 5..10, 7..900, 1990..2010], &[&[0..3000]]);
        check(&[5..10, 4200..4300], &[&[0..1000, 4000..5000]]);
        let far = GAP_MAX + 10 * PAGE;
        check(
            &[5..10, far..far + 5],
            &[&[0..1000], &[pages(&(far..far + 5))]],
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
    fn what_is_being_read_is_not_read_again() {
        let wanted = Arc::new(Wanted::default());
        let first = ask(&wanted, &(0..10));
        let late = ask(&wanted, &(20..30));
        let mut reads = wanted.begin();
        let later = ask(&wanted, &(30..40));
        assert!(wanted.begin().is_empty());
        let piece = reads.remove(0).remove(0);
        assert!(reads.is_empty());
        let there = OwnedBytes::new(bytes(&piece.pages));
        piece.done(&Ok(there));
        for (told, range) in [(first, 0..10), (late, 20..30)] {
            assert_eq!(block_on(told).unwrap().as_slice(), bytes(&range));
        }
        assert_eq!(block_on(later).unwrap().as_slice(), bytes(&(30..40)));
    }

    #[test]
    fn nobody_waits_for_a_read_that_was_given_up() {
        let wanted = Arc::new(Wanted::default());
        let told = ask(&wanted, &(0..10));
        drop(wanted.begin());
        assert!(block_on(told).is_err());
        drop(ask(&wanted, &(0..10)));
        assert!(wanted.begin().is_empty(), "nobody waits");
    }
}
