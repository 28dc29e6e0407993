//! A load from its first document to its report.

use std::io::{self, Write};
use std::process::{self, ExitCode};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use tokio::sync::oneshot;

use super::interrupt::{INTERRUPTED, Interrupts};
use super::outcome::{Item, Read, Total};
use super::progress::Progress;
use super::sorter::Sorter;
use super::{Destination, Emit};
use crate::report::grouped;
use crate::terminal::{complain, in_words};

/// Lanes at the most.
const MAX_LANES: usize = 64;

/// Reads documents, sends them, tells what became of them. The status is 1 if anything that was to be read is
/// not in the index.
pub(crate) fn run(
    read: impl FnOnce(&mut Emit<'_>) -> Result<()>,
    destination: &dyn Destination,
    lanes: usize,
    progress: &Progress,
) -> Result<ExitCode> {
    let interrupts = Interrupts::new()?;
    let shared = Shared {
        started: Instant::now(),
        destination,
        progress,
        total: Mutex::default(),
        failure: Mutex::default(),
    };
    thread::scope(|scope| {
        let (ended, until) = oneshot::channel();
        scope.spawn(|| {
            if interrupts.come(until) {
                shared.interrupted();
            }
        });
        let outcome = shared.run(read, lanes);
        drop(ended);
        outcome
    })
}

/// What the lanes have in common.
struct Shared<'a> {
    started: Instant,
    destination: &'a dyn Destination,
    progress: &'a Progress,
    total: Mutex<Total>,
    failure: Mutex<Option<anyhow::Error>>,
}

impl Shared<'_> {
    fn run(
        &self,
        read: impl FnOnce(&mut Emit<'_>) -> Result<()>,
        lanes: usize,
    ) -> Result<ExitCode> {
        let outcome = thread::scope(|scope| {
            let (senders, receivers): (Vec<_>, Vec<_>) = (0..lanes.clamp(1, MAX_LANES))
                .map(|_| sync_channel(1))
                .unzip();
            for receiver in receivers {
                scope.spawn(|| self.drive(receiver));
            }
            let mut sorter = Sorter::new(senders);
            let outcome = read(&mut |read| self.sort(read, &mut sorter));
            // What was read before the input broke off goes in.
            let flushed = sorter.flush();
            outcome.and(flushed)
        });
        // What went wrong in a lane explains why the reading ended.
        let failure = lock(&self.failure).take();
        let failure = failure.or_else(|| self.destination.finish(self.progress).err());
        self.progress.finish();
        let (lost, is_whole) = self.report()?;
        match failure {
            Some(failure) if lost == 0 => Err(failure),
            Some(failure) => Err(anyhow!(
                "{}; of the documents that were read, {} are not in the index: import them again",
                in_words(&failure),
                grouped(lost)
            )),
            None => outcome.map(|()| exit_code(is_whole)),
        }
    }

    /// Tells what became of everything. Gives how many documents are not in the index although they were taken, and
    /// whether nothing else is missing.
    fn report(&self) -> Result<(u64, bool)> {
        let mut total = lock(&self.total);
        let lost = total.settle(self.destination.settled());
        total.complain();
        writeln!(io::stdout(), "{}", total.summary(self.started.elapsed()))?;
        Ok((lost, total.is_whole()))
    }

    /// Tells what is in the index, and ends the process: what is on its way may take long.
    fn interrupted(&self) {
        self.progress.finish();
        let told = "interrupted: what else was read is not in the index, or not for certain: import it again";
        // Nobody is left to be told where standard output is closed.
        drop(self.report());
        complain(told);
        process::exit(INTERRUPTED);
    }

    fn sort(&self, read: Read, sorter: &mut Sorter) -> Result<()> {
        match read {
            Read::Document(item) => return sorter.add(item),
            Read::Refused(refusal) => lock(&self.total).refuse(refusal),
            Read::Skipped { file, why } => lock(&self.total).skip(&file, why),
            Read::Broken { file, why } => lock(&self.total).break_off(&file, &why),
        }
        Ok(())
    }

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
}

fn exit_code(is_whole: bool) -> ExitCode {
    if is_whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use aquifer_functions::texts::Place;

    use super::super::outcome::{Origin, Sent};
    use super::super::sorter::{BATCH_BYTES, BATCH_ITEMS};
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

    fn item(number: u64, text: String) -> Read {
        Read::Document(Item {
            origin: Origin::new(None, Place::Line(number)),
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
