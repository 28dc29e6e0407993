//! The segments of a load that no version names yet, in the order of their documents.
//!
//! Of two documents with one key the later one counts. So only neighbours are merged, and a segment keeps its place while it
//! is built or merged. Every level holds segments that were merged as often; the levels never rise along the pile, so that
//! the first [`MEMBERS_MAX`] of a level are always neighbours. As many are merged at once, since in a load nobody reads the
//! segments meanwhile: that is fewer copies than the tiers of an index take.

use std::time::Instant;

use roaring::RoaringBitmap;

use super::super::pack::Packed;
use super::super::policy::MEMBERS_MAX;
use crate::numbers::DocCount;

/// A segment in a bundle of its own, which no version names.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) packed: Packed,
    /// Documents that it was made of, those that later ones replaced included.
    pub(super) documents: DocCount,
}

impl Part {
    /// The file.
    pub(super) fn path(&self) -> String {
        self.packed.container.id.path()
    }

    /// Whether any document is left when these are deleted.
    pub(super) fn lives(&self, deletes: Option<&RoaringBitmap>) -> bool {
        DocCount::new(deletes.map_or(0, RoaringBitmap::len)) < self.packed.docs()
    }

    /// Bytes of its segment.
    pub(super) fn bytes(&self) -> u64 {
        self.packed.container.len
    }
}

/// Identifies a place in the pile while somebody works for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

#[derive(Debug)]
struct Place {
    ticket: Ticket,
    level: u32,
    /// When the oldest of its documents came.
    since: Instant,
    /// None while it is built or merged.
    part: Option<Part>,
}

/// The segments in order.
#[derive(Debug, Default)]
pub(super) struct Pile {
    places: Vec<Place>,
    tickets: u64,
}

impl Pile {
    /// A place behind all others, for a segment that is about to be built.
    pub(super) fn reserve(&mut self, since: Instant) -> Ticket {
        let place = self.place(0, since);
        let ticket = place.ticket;
        self.places.push(place);
        ticket
    }

    fn place(&mut self, level: u32, since: Instant) -> Place {
        self.tickets += 1;
        Place {
            ticket: Ticket(self.tickets),
            level,
            since,
            part: None,
        }
    }

    /// What was made for a place; nothing where all documents were replaced by later ones.
    pub(super) fn fill(&mut self, ticket: Ticket, parts: Vec<Part>) {
        let at = |place: &Place| place.ticket == ticket;
        let Some(at) = self.places.iter().position(at) else {
            return;
        };
        let Some(&Place { level, since, .. }) = self.places.get(at) else {
            return;
        };
        let filled: Vec<Place> = parts
            .into_iter()
            .map(|part| Place {
                part: Some(part),
                ..self.place(level, since)
            })
            .collect();
        self.places.splice(at..=at, filled);
    }

    /// The first full level whose segments come to `limit_bytes` at most: they are taken out, and their place waits for what
    /// they are merged into.
    pub(super) fn take_due(&mut self, limit_bytes: u64) -> Option<(Ticket, Vec<Part>)> {
        let mut start = 0;
        for level in self.places.chunk_by(|one, next| one.level == next.level) {
            if let Some(first) = level.get(..MEMBERS_MAX)
                && total(first).is_some_and(|bytes| bytes <= limit_bytes)
            {
                return self.take(start, MEMBERS_MAX);
            }
            start += level.len();
        }
        None
    }

    /// The neighbours of the fewest bytes, `limit_bytes` at most, that have to become one for no more than `keep` segments
    /// to be left. None while anything is under way.
    pub(super) fn take_surplus(
        &mut self,
        keep: usize,
        limit_bytes: u64,
    ) -> Option<(Ticket, Vec<Part>)> {
        let count = (self.places.len() + 1).saturating_sub(keep.max(1));
        if count < 2 || self.is_busy() {
            return None;
        }
        let least = self
            .places
            .windows(count)
            .enumerate()
            .filter_map(|(start, some)| Some((total(some)?, start)))
            .min()?;
        let (bytes, start) = least;
        if bytes > limit_bytes {
            return None;
        }
        self.take(start, count)
    }

    fn take(&mut self, start: usize, count: usize) -> Option<(Ticket, Vec<Part>)> {
        let range = start..start + count;
        let places = self.places.get(range.clone())?;
        let level = places.iter().map(|place| place.level).max()? + 1;
        let since = places.iter().map(|place| place.since).min()?;
        let place = self.place(level, since);
        let ticket = place.ticket;
        let taken = self.places.splice(range, [place]);
        let parts = taken.filter_map(|place| place.part).collect();
        Some((ticket, parts))
    }

    /// The segments from the first on that are ready, taken out.
    pub(super) fn take_ready(&mut self) -> Vec<Part> {
        let ready = self
            .places
            .iter()
            .take_while(|place| place.part.is_some())
            .count();
        let taken = self.places.drain(..ready);
        taken.filter_map(|place| place.part).collect()
    }

    /// Whether anything is built or merged.
    pub(super) fn is_busy(&self) -> bool {
        self.places.iter().any(|place| place.part.is_none())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether the first segment is ready.
    pub(super) fn is_first_ready(&self) -> bool {
        self.places
            .first()
            .is_some_and(|place| place.part.is_some())
    }

    /// When the oldest document in it came.
    pub(super) fn since(&self) -> Option<Instant> {
        self.places.iter().map(|place| place.since).min()
    }

    /// Merges under way.
    pub(super) fn merging(&self) -> usize {
        let merging = |place: &&Place| place.part.is_none() && place.level > 0;
        self.places.iter().filter(merging).count()
    }

    /// Bytes of what is ready.
    pub(super) fn bytes(&self) -> u64 {
        let parts = self.places.iter().filter_map(|place| place.part.as_ref());
        parts.map(Part::bytes).sum()
    }
}

/// The bytes of places that are all ready.
fn total(places: &[Place]) -> Option<u64> {
    let bytes = |place: &Place| place.part.as_ref().map(Part::bytes);
    places.iter().map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::format::manifest::{Container, ContainerId};

    fn part(bytes: u64) -> Part {
        let container = Container {
            id: ContainerId::Bundle(bytes.to_string()),
            uuid: Uuid::nil(),
            base: 0,
            len: bytes,
        };
        Part {
            packed: Packed {
                container,
                segments: Vec::new(),
                pages: Vec::new(),
            },
            documents: DocCount::ONE,
        }
    }

    fn sizes(parts: &[Part]) -> Vec<u64> {
        parts.iter().map(Part::bytes).collect()
    }

    #[test]
    fn neighbours_are_merged_in_order_however_late_they_are_ready() {
        let mut pile = Pile::default();
        let tickets: Vec<Ticket> = (0..36).map(|_| pile.reserve(Instant::now())).collect();
        // The first one comes last.
        for (number, &ticket) in tickets.iter().enumerate().skip(1) {
            pile.fill(ticket, vec![part(number as u64)]);
            assert!(pile.take_due(u64::MAX).is_none());
        }
        assert!(pile.take_ready().is_empty());
        pile.fill(tickets[0], vec![part(0)]);
        let (first, inputs) = pile.take_due(u64::MAX).unwrap();
        assert_eq!(sizes(&inputs), (0..16).collect::<Vec<_>>());
        let (second, inputs) = pile.take_due(u64::MAX).unwrap();
        assert_eq!(sizes(&inputs), (16..32).collect::<Vec<_>>());
        assert!(pile.take_due(u64::MAX).is_none());
        assert_eq!(pile.merging(), 2);
        pile.fill(second, vec![part(200)]);
        assert!(pile.take_ready().is_empty(), "the first is not ready");
        pile.fill(first, vec![part(100)]);
        assert_eq!(sizes(&pile.take_ready()), [100, 200, 32, 33, 34, 35]);
        assert!(pile.is_empty());
    }

    #[test]
    fn what_is_too_large_is_not_merged() {
        let mut pile = Pile::default();
        for _ in 0..16 {
            let ticket = pile.reserve(Instant::now());
            pile.fill(ticket, vec![part(100)]);
        }
        assert!(pile.take_due(1599).is_none());
        assert!(pile.take_surplus(12, 499).is_none());
        assert_eq!(pile.take_due(1600).unwrap().1.len(), 16);
    }

    #[test]
    fn the_surplus_is_what_costs_least() {
        let mut pile = Pile::default();
        for bytes in [800, 700, 10, 20, 30, 600, 5] {
            let ticket = pile.reserve(Instant::now());
            pile.fill(ticket, vec![part(bytes)]);
        }
        assert!(pile.take_surplus(7, u64::MAX).is_none());
        let (ticket, inputs) = pile.take_surplus(5, u64::MAX).unwrap();
        assert_eq!(sizes(&inputs), [10, 20, 30]);
        pile.fill(ticket, vec![part(60)]);
        assert_eq!(sizes(&pile.take_ready()), [800, 700, 60, 600, 5]);
    }
}
