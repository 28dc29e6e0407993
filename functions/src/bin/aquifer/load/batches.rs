//! From one document after the other to batches on several lanes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use aquifer_indexer::document::Document;

use super::outcome::{Item, Refusal, Total};
use super::progress::Progress;
use super::{Destination, Emit, exit_code};
use crate::report::grouped;

/// Documents in a batch at the most: half of what the library takes.
const BATCH_ITEMS: usize = 5_000;

/// Bytes of documents in a batch at the most. Packed or not, it fits into a request, except
/// where one document alone does not.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Lanes at the most.
const MAX_LANES: usize = 64;

/// Reads documents, sends them, tells what became of them.
pub(crate) fn run(
    read: impl FnOnce(&mut Emit<'_>) -> Result<()>,
    destination: &dyn Destination,
    lanes: usize,
    progress: &Progress,
) -> Result<ExitCode> {
    let started = Instant::now();
    let shared = Shared {
        destination,
        progress,
        total: Mutex::default(),
        failure: Mutex::default(),
    };
    let outcome = thread::scope(|scope| {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..lanes.clamp(1, MAX_LANES))
            .map(|_| sync_channel(1))
            .unzip();
        for receiver in receivers {
            scope.spawn(|| shared.drive(receiver));
        }
        let mut sorter = Sorter::new(senders);
        let outcome = read(&mut |item| match item {
            Ok(item) => sorter.add(item),
            Err(refusal) => {
                shared.refuse(refusal);
                Ok(())
            }
        });
        // What was read before the input broke off goes in.
        let flushed = sorter.flush();
        outcome.and(flushed)
    });
    let failure = shared
        .failure
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    // What went wrong in a lane explains why the reading ended. Where only the reading failed, what was read goes in.
    let failure = failure.or_else(|| destination.finish(progress).err());
    progress.finish();
    let mut total = shared
        .total
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let lost = total.settle(destination.settled());
    total.complain();
    if let Some(failure) = failure {
        let before = total.summary(started.elapsed());
        return Err(if lost == 0 {
            failure.context(format!("{before} were sent before"))
        } else {
            let lost = grouped(lost);
            failure.context(format!(
                "{before} are in the index, {lost} more were read and are not: import them again"
            ))
        });
    }
    outcome?;
    writeln!(io::stdout(), "{}", total.summary(started.elapsed()))?;
    Ok(exit_code(total.refused()))
}

/// What the lanes have in common.
struct Shared<'a> {
    destination: &'a dyn Destination,
    progress: &'a Progress,
    total: Mutex<Total>,
    failure: Mutex<Option<anyhow::Error>>,
}

impl Shared<'_> {
    /// Sends the batches of one lane until there are no more, or one fails.
    fn drive(&self, batches: Receiver<Vec<Item>>) {
        for batch in batches {
            match self.destination.send(&batch) {
                Ok(sent) => {
                    let mut total = lock(&self.total);
                    total.add(sent);
                    let merging = self.destination.is_merging();
                    self.progress.documents(total.documents(), merging);
                }
                Err(error) => {
                    lock(&self.failure).get_or_insert(error);
                    return;
                }
            }
        }
    }

    fn refuse(&self, refusal: Refusal) {
        lock(&self.total).refuse(refusal);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gathers the documents of each lane into batches.
struct Sorter {
    lanes: Vec<Lane>,
}

struct Lane {
    sender: SyncSender<Vec<Item>>,
    batch: Vec<Item>,
    bytes: usize,
}

impl Sorter {
    fn new(senders: Vec<SyncSender<Vec<Item>>>) -> Self {
        let lane = |sender| Lane {
            sender,
            batch: Vec::new(),
            bytes: 0,
        };
        Self {
            lanes: senders.into_iter().map(lane).collect(),
        }
    }

    fn add(&mut self, item: Item) -> Result<()> {
        let mut hasher = DefaultHasher::new();
        if self.lanes.len() > 1 {
            Document::key_of(&item.text).hash(&mut hasher);
        }
        let lanes = self.lanes.len() as u64;
        let at = usize::try_from(hasher.finish() % lanes.max(1)).unwrap_or_default();
        let Some(lane) = self.lanes.get_mut(at) else {
            return Ok(());
        };
        if lane.batch.len() == BATCH_ITEMS || lane.bytes + item.text.len() > BATCH_BYTES {
            lane.flush()?;
        }
        lane.bytes += item.text.len() + 1;
        lane.batch.push(item);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.lanes.iter_mut().try_for_each(Lane::flush)
    }
}

impl Lane {
    fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        self.sender
            .send(batch)
            .map_err(|_ended| anyhow!("a batch could not be sent"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::{Origin, Sent};
    use super::*;

    /// Keeps what it is sent, in the order of each key.
    #[derive(Default)]
    struct Kept(Mutex<Vec<Vec<String>>>);

    impl Destination for Kept {
        fn send(&self, batch: &[Item]) -> Result<Sent> {
            if batch.iter().any(|item| item.text.contains("poison")) {
                return Err(anyhow!("poisoned"));
            }
            let texts = batch.iter().map(|item| item.text.clone()).collect();
            lock(&self.0).push(texts);
            Ok(Sent {
                created: batch.len() as u64,
                ..Sent::default()
            })
        }

        fn finish(&self, _progress: &Progress) -> Result<()> {
            Ok(())
        }
    }

    fn item(number: u64, text: String) -> Result<Item, Refusal> {
        Ok(Item {
            origin: Origin::Line(number),
            text,
        })
    }

    #[test]
    fn every_document_is_sent_and_those_of_one_key_in_order() {
        let kept = Kept::default();
        let read = |emit: &mut Emit<'_>| {
            for number in 0..30_000 {
                let key = number % 7;
                emit(item(
                    number,
                    format!(r#"{{"unique_key":"{key}","n":{number}}}"#),
                ))?;
            }
            Ok(())
        };
        run(read, &kept, 4, &Progress::new(None)).unwrap();
        let batches = kept.0.into_inner().unwrap();
        assert!(batches.iter().all(|batch| batch.len() <= BATCH_ITEMS));
        let texts: Vec<_> = batches.into_iter().flatten().collect();
        assert_eq!(texts.len(), 30_000);
        for key in 0..7 {
            let of_key = format!(r#"{{"unique_key":"{key}","#);
            let numbers: Vec<u64> = texts
                .iter()
                .filter_map(|text| text.strip_prefix(&of_key))
                .map(|rest| {
                    rest.trim_matches(|c: char| !c.is_ascii_digit())
                        .parse()
                        .unwrap()
                })
                .collect();
            assert!(numbers.is_sorted(), "key {key}");
        }
    }

    #[test]
    fn a_lane_that_fails_ends_the_reading_with_its_reason() {
        let read = |emit: &mut Emit<'_>| {
            for number in 0.. {
                emit(item(number, r#"{"unique_key":"poison"}"#.to_owned()))?;
            }
            Ok(())
        };
        let error = run(read, &Kept::default(), 1, &Progress::new(None)).unwrap_err();
        assert!(format!("{error:#}").contains("poisoned"), "{error:#}");
    }

    #[test]
    fn large_documents_make_small_batches() {
        let kept = Kept::default();
        let read = |emit: &mut Emit<'_>| {
            for number in 0..10 {
                emit(item(number, "x".repeat(BATCH_BYTES / 3)))?;
            }
            Ok(())
        };
        run(read, &kept, 1, &Progress::new(None)).unwrap();
        let sizes: Vec<_> = kept.0.into_inner().unwrap().iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 2, 2, 2, 2]);
    }
}
