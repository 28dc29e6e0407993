//! Bulk indexing, merges waited for.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aquifer_indexer::config::Config;
use aquifer_indexer::document::Document;
use aquifer_indexer::index::Index;
use aquifer_indexer::mapping::IndexSchema;
use tantivy::{IndexWriter, Term};

use crate::corpus::{Corpus, parse};
use crate::plain::Plain;
use crate::shared;
use crate::table::Table;

/// Documents in one batch, and bytes.
const BATCH_DOCUMENTS: usize = 50_000;
const BATCH_BYTES: usize = 64 << 20;
/// Documents that are indexed from JSON; more show nothing else and take long.
const RAW_MAX: usize = 100_000;
/// Between two looks for something to merge.
const MERGE_PAUSE: Duration = Duration::from_millis(200);

/// The indexes that were built, of all documents.
pub(crate) struct Built {
    pub(crate) root: PathBuf,
    pub(crate) plain: Plain,
}

impl Built {
    /// How many segments each of them has.
    pub(crate) fn segments(&self) -> Result<usize> {
        Ok(shared::open_reader(&self.root)?.stats()?.segments)
    }
}

/// What a build took.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    processor: Duration,
}

pub(crate) fn measure(
    corpus: &Corpus,
    documents: usize,
    folder: &Path,
    table: &mut Table,
) -> Result<Built> {
    let raw = documents.min(RAW_MAX);
    let (root, scratch) = (folder.join("parsed"), folder.join("scratch"));
    let index = shared::create(&root)?;
    let schema = index.schema()?;
    let sources = || (0..raw).map(|number| corpus.source(number));
    let json = format!("bulk indexing of {raw} documents, from JSON");
    let aquifer = timed(|| aquifer_raw(&*shared::create(&scratch)?, &schema, sources()))?;
    std::fs::remove_dir_all(&scratch)?;
    for upsert in [false, true] {
        let cost = timed(|| {
            let documents = sources().map(|source| parse(&source, &schema));
            plain(&scratch, &schema, documents, upsert).map(drop)
        })?;
        std::fs::remove_dir_all(&scratch)?;
        add(table, &json, aquifer, cost, upsert);
    }

    // Parsed anew for each, so that nobody's time holds a copy.
    let parsed = || {
        (0..documents)
            .map(|number| corpus.document(number, &schema))
            .collect::<Result<Vec<_>>>()
    };
    let what = format!("bulk indexing of {documents} documents, parsed before");
    let batches = batches(parsed()?);
    let aquifer = timed(|| submit_all(&index, batches.into_iter().map(Ok)))?;
    let mut kept = None;
    for upsert in [true, false] {
        drop(kept.take());
        if scratch.exists() {
            std::fs::remove_dir_all(&scratch)?;
        }
        let documents = parsed()?;
        let cost = timed(|| {
            let documents = documents.into_iter().map(Ok);
            kept = Some(plain(&scratch, &schema, documents, upsert)?);
            Ok(())
        })?;
        add(table, &what, aquifer, cost, upsert);
    }
    let plain = kept.context("no plain index")?;
    let segments = index.stats()?.segments;
    let before = plain.segments()?;
    plain.merge_to(segments)?;
    let after = format!("{before}, then merged to {}", plain.segments()?);
    let what = "segments after bulk indexing";
    table.add([what, &segments.to_string(), &after, "", ""]);
    Ok(Built { root, plain })
}

/// Builds both indexes without looking at the time, plain tantivy's with as many segments as Aquifer's.
pub(crate) fn build(
    corpus: &Corpus,
    documents: usize,
    root: &Path,
    folder: &Path,
) -> Result<Built> {
    let index = shared::create(root)?;
    let schema = index.schema()?;
    let sources = || (0..documents).map(|number| corpus.source(number));
    aquifer_raw(&index, &schema, sources())?;
    let parsed = sources().map(|source| parse(&source, &schema));
    let plain = plain(folder, &schema, parsed, false)?;
    plain.merge_to(index.stats()?.segments)?;
    shared::collect(root)?;
    let root = root.to_owned();
    Ok(Built { root, plain })
}

fn add(table: &mut Table, what: &str, aquifer: Cost, plain: Cost, upsert: bool) {
    let against = if upsert {
        "against delete_term + add_document"
    } else {
        "against add_document"
    };
    let aim = if upsert { "" } else { "≥ 0.9" };
    let what = format!("{what}, {against}: speed");
    table.faster(&what, aquifer.wall, plain.wall, aim);
    let what = format!("{what}, by processor time");
    table.faster(&what, aquifer.processor, plain.processor, "");
}

/// Submits batches, and merges beside that, as a server does.
fn submit_all(index: &Index, batches: impl Iterator<Item = Result<Vec<Document>>>) -> Result<()> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let merging = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                index.merge(None)?;
                thread::sleep(MERGE_PAUSE);
            }
            anyhow::Ok(())
        });
        let submit = || {
            for batch in batches {
                shared::post(index, batch?)?;
            }
            anyhow::Ok(())
        };
        let submitted = submit();
        done.store(true, Ordering::Relaxed);
        match merging.join() {
            Ok(merged) => merged?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        submitted
    })?;
    index.merge(None)?;
    Ok(())
}

fn batches(documents: Vec<Document>) -> Vec<Vec<Document>> {
    let mut batches: Vec<Vec<Document>> = Vec::new();
    let mut bytes = BATCH_BYTES;
    for document in documents {
        bytes += document.source().len();
        match batches.last_mut() {
            Some(batch) if bytes < BATCH_BYTES && batch.len() < BATCH_DOCUMENTS => {
                batch.push(document);
            }
            _ => {
                bytes = document.source().len();
                batches.push(vec![document]);
            }
        }
    }
    batches
}

/// Parses the next batch while the one before is applied.
fn aquifer_raw(
    index: &Index,
    schema: &IndexSchema,
    sources: impl Iterator<Item = String> + Send,
) -> Result<()> {
    let (sender, receiver) = mpsc::sync_channel::<Result<Vec<Document>>>(0);
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            for source in sources {
                bytes += source.len();
                match parse(&source, schema) {
                    Ok(document) => batch.push(document),
                    Err(error) => drop(sender.send(Err(error))),
                }
                if bytes >= BATCH_BYTES || batch.len() >= BATCH_DOCUMENTS {
                    bytes = 0;
                    if sender.send(Ok(std::mem::take(&mut batch))).is_err() {
                        return;
                    }
                }
            }
            drop(sender.send(Ok(batch)));
        });
        submit_all(index, receiver.into_iter())
    })
}

pub(crate) fn plain(
    folder: &Path,
    schema: &IndexSchema,
    documents: impl Iterator<Item = Result<Document>>,
    upsert: bool,
) -> Result<Plain> {
    let plain = Plain::create(folder, schema)?;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let memory = Config::default().writer_memory_bytes;
    let mut writer: IndexWriter = plain.index.writer_with_num_threads(threads, memory)?;
    for document in documents {
        let document = document?;
        if upsert {
            writer.delete_term(Term::from_field_text(schema.key(), document.unique_key()));
        }
        writer.add_document(schema.to_tantivy(&document))?;
    }
    writer.commit()?;
    writer.wait_merging_threads()?;
    Ok(plain)
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let (start, processor) = (Instant::now(), processor_time()?);
    work()?;
    Ok(Cost {
        wall: start.elapsed(),
        processor: processor_time()?.saturating_sub(processor),
    })
}

/// What all threads of this process have used, in user and kernel mode.
pub(crate) fn processor_time() -> Result<Duration> {
    /// Fixed by Linux for every file in `/proc`, whatever the kernel's own rate.
    const TICKS_PER_SECOND: u64 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, after_name) = stat
        .rsplit_once(')')
        .context("no name in /proc/self/stat")?;
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}
