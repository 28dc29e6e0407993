//! Which merges fit into what a process has: memory, scratch disk, the time that is left.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::ahead::Input;
use super::policy::Candidate;
use super::scratch::Place;
use crate::budget::Budget;
use crate::config::MIB;
use crate::format::manifest::Segment;
use crate::ids::Ids;
use crate::mount::Mount;
use crate::numbers::DocCount;

/// Bytes that a merge takes for each of its documents, whatever these are: tantivy maps the old numbers to the new
/// ones and back (8 and 8), copies the first once, and holds the norms of a field.
const DOCUMENT_BYTES: u64 = 24;
/// The share of all memory that this may take, as a divisor: nothing else of the budget is at its limit meanwhile.
const DOCUMENTS_SHARE: u64 = 2;
/// The share of the memory for merging that a result may take, as a divisor: larger ones go to the scratch disk.
const RESULT_SHARE: u64 = 8;
/// The share for dictionaries that find no room on the scratch disk, as a divisor.
const DICTIONARY_SHARE: u64 = 2;
/// Memory for an input at the least: what is open of it, its windows.
const INPUT_BYTES: u64 = 2 * MIB as u64;
/// Inputs of a merge, at the least and at the most.
const INPUTS: std::ops::RangeInclusive<u64> = 8..=128;
/// Bytes a second that a process merges before it has measured: less than a function of 128 MB does.
const START_SPEED: u64 = 2 * MIB as u64;
/// It is never taken for slower.
const LEAST_SPEED: u64 = MIB as u64 / 4;
/// Merges of fewer bytes say little about the speed.
const MEASURED_FROM: u64 = 4 * MIB as u64;
/// A merge may take two thirds of the time that is left by the speed that was measured.
const TIME_SHARE: (u64, u64) = (2, 3);

/// Bytes a second that merges of this process take.
static SPEED: AtomicU64 = AtomicU64::new(START_SPEED);

/// Remembers how long a merge took.
pub(super) fn measured(bytes: u64, took: Duration) {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    if bytes >= MEASURED_FROM {
        let now = (bytes.saturating_mul(1000) / millis).max(LEAST_SPEED);
        SPEED.store(
            average(SPEED.load(Ordering::Relaxed), now),
            Ordering::Relaxed,
        );
    }
}

fn average(before: u64, now: u64) -> u64 {
    before / 2 + now / 2
}

/// Bytes that are merged in `left`, by the speed that was measured.
pub(super) fn bytes_in(left: Duration) -> u64 {
    let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    let bytes = SPEED.load(Ordering::Relaxed) / 1000;
    bytes.saturating_mul(millis) / TIME_SHARE.1 * TIME_SHARE.0
}

/// What a merge is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Documents of the result.
    pub(super) docs: DocCount,
    /// Bytes of the result.
    pub(super) bytes: u64,
    /// Bytes that go through scratch files: everything but stored documents.
    pub(super) scratch: u64,
    /// Bytes of the inputs' dictionaries.
    pub(super) dictionaries: u64,
}

impl Size {
    /// Of segments of a version.
    pub(super) fn of<'a>(chosen: impl Iterator<Item = (Candidate, &'a Segment)>) -> Self {
        let mut size = Self::default();
        for (candidate, segment) in chosen {
            let file = |name| segment.files.get(name).map_or(0, |span| span.len);
            size.docs += candidate.live_docs();
            size.bytes += candidate.live_bytes();
            size.scratch += candidate.bytes.saturating_sub(file(super::scratch::STORE));
            size.dictionaries += file("term");
        }
        size
    }

    /// Of inputs that are open.
    pub(super) fn of_inputs(inputs: &[Input]) -> Self {
        let mut size = Self::default();
        for input in inputs {
            let stores = input.stores.iter();
            let stored: u64 = stores.map(|store| store.file.len() as u64).sum();
            size.docs += input.segment.meta().max_doc().into();
            size.bytes += input.bytes;
            size.scratch += input.bytes.saturating_sub(stored);
            size.dictionaries += input.dictionary_bytes;
        }
        size
    }
}

/// Why a merge is not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Memory,
    Scratch,
    Time,
    /// One of its size was killed before.
    Killed,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "the memory that this process may use",
            Self::Scratch => "the scratch disk and the memory that this process may use",
            Self::Time => "the time that is left",
            Self::Killed => "the memory or the time: one of its size was killed before",
        })
    }
}

/// What a merge has to fit into.
#[derive(Debug)]
pub(super) struct Fit<'a> {
    pub(super) budget: &'a Budget,
    /// Bytes for which there is time, where the process ends afterwards.
    pub(super) in_time: Option<u64>,
    /// Bytes that were not killed before.
    pub(super) unharmed: Option<u64>,
}

impl Fit<'_> {
    /// What a merge of `size` does not fit into.
    pub(super) fn refuses(&self, size: &Size) -> Option<Limit> {
        let merging = self.budget.merging_bytes();
        let disk = self.budget.scratch().available();
        let beyond = |limit: Option<u64>| limit.is_some_and(|limit| size.bytes > limit);
        if size.docs.get().saturating_mul(DOCUMENT_BYTES)
            > self.budget.memory_bytes() / DOCUMENTS_SHARE
        {
            Some(Limit::Memory)
        } else if size.dictionaries > (merging / DICTIONARY_SHARE).max(disk) {
            Some(Limit::Scratch)
        } else if beyond(self.unharmed) {
            Some(Limit::Killed)
        } else if beyond(self.in_time) {
            Some(Limit::Time)
        } else {
            None
        }
    }

    /// Inputs of one merge at the most.
    pub(super) fn inputs(&self) -> usize {
        let inputs = self.budget.merging_bytes() / INPUT_BYTES;
        let inputs = inputs.clamp(*INPUTS.start(), *INPUTS.end());
        usize::try_from(inputs).unwrap_or(usize::MAX)
    }
}

/// Where the result of a merge of `size` is put together.
pub(super) fn place(
    size: &Size,
    budget: &Budget,
    mount: &Arc<dyn Mount>,
    ids: &Arc<dyn Ids>,
) -> Place {
    let disk = budget.scratch();
    // Small results have their stored documents beside them.
    let small = size.bytes <= budget.merging_bytes() / RESULT_SHARE;
    if small {
        return Place::Memory;
    }
    let (available, dictionaries) = (disk.available(), size.dictionaries);
    if available >= size.scratch + dictionaries {
        return Place::Disk(Arc::clone(disk));
    }
    tracing::info!(
        available_mib = available / MIB as u64,
        needed_mib = (size.scratch + dictionaries) / MIB as u64,
        folder = %disk.folder().display(),
        "the scratch disk is too small for a merge: it goes through the index's folder"
    );
    Place::Shared(Arc::clone(mount), Arc::clone(ids))
}

/// The time until `deadline`, where the process ends then.
pub(super) fn in_time(deadline: Option<Instant>, now: Instant, ends: bool) -> Option<u64> {
    let deadline = deadline.filter(|_| ends)?;
    Some(bytes_in(deadline.saturating_duration_since(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: u64 = MIB as u64;

    fn size(docs: u64, bytes: u64) -> Size {
        Size {
            docs: DocCount::new(docs),
            bytes,
            scratch: bytes / 2,
            dictionaries: bytes / 10,
        }
    }

    #[test]
    fn ten_million_documents_fit_into_a_function_of_512_mib_and_not_into_one_of_128() {
        let merge = size(10_000_000, 12 << 30);
        let (large, small) = (
            Budget::new(512 * M, Some(8 << 30)),
            Budget::new(128 * M, None),
        );
        let fit = |budget| Fit {
            budget,
            in_time: None,
            unharmed: None,
        };
        assert_eq!(fit(&small).refuses(&merge), Some(Limit::Memory));
        assert_eq!(fit(&large).refuses(&merge), None);
        assert_eq!(fit(&small).refuses(&size(2_700_000, M)), None);
    }

    #[test]
    fn what_was_killed_or_has_no_time_is_refused_and_half_of_it_is_not() {
        let budget = Budget::new(512 * M, None);
        let mut fit = Fit {
            budget: &budget,
            in_time: None,
            unharmed: Some(50 * M),
        };
        assert_eq!(fit.refuses(&size(1000, 100 * M)), Some(Limit::Killed));
        assert_eq!(fit.refuses(&size(1000, 50 * M)), None);
        fit.in_time = Some(20 * M);
        assert_eq!(fit.refuses(&size(1000, 50 * M)), Some(Limit::Time));
        let now = Instant::now();
        assert_eq!(in_time(Some(now), now, true), Some(0));
        assert_eq!(in_time(Some(now), now, false), None);
    }

    #[test]
    fn dictionaries_without_a_disk_have_to_fit_into_memory() {
        let budget = Budget::new(128 * M, Some(M));
        let fit = Fit {
            budget: &budget,
            in_time: None,
            unharmed: None,
        };
        assert_eq!(fit.refuses(&size(1000, 100 * M)), None);
        assert_eq!(fit.refuses(&size(1000, 1000 * M)), Some(Limit::Scratch));
        assert!(fit.inputs() >= 8);
    }

    #[test]
    fn a_speed_follows_what_was_measured() {
        assert_eq!(average(2 * M, 10 * M), 6 * M);
    }
}
