//! Importing many documents beside plain tantivy, each in a process of its own.
//!
//! `bench import DOCUMENTS` prints what each side took (processor time, memory, bytes written) and what it left (segments,
//! bytes by kind of file and by field). Both make the JSON texts, parse them and index them on all cores with the same memory
//! for building; plain tantivy merges as its policy says, and is waited for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aquifer_indexer::mapping::IndexSchema;
use serde::{Deserialize, Serialize};
use tantivy::schema::{BytesOptions, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Index, IndexWriter, Searcher, TantivyDocument};

use crate::bulk::{self, processor_time};
use crate::corpus::{Corpus, parse};
use crate::table::Table;
use crate::{child, shared};

/// Documents that are handed to a lane at once.
const BATCH: usize = 1_000;
/// Lanes at the least, as `aquifer import` has.
const LANES_MIN: usize = 2;
const MIB: f64 = 1024.0 * 1024.0;

/// What one side took and left.
#[derive(Debug, Deserialize, Serialize)]
struct Figures {
    wall_s: f64,
    processor_s: f64,
    /// The most memory resident, less what the corpus took before.
    peak_bytes: u64,
    written_bytes: u64,
    segments: usize,
    bytes: u64,
    /// Bytes by kind of file, and by kind and field.
    kinds: BTreeMap<String, u64>,
    fields: BTreeMap<String, u64>,
}

/// Runs all sides and prints what they took.
pub(crate) fn run(documents: usize) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("bench-").tempdir()?;
    let number = documents.to_string();
    let side = |name: &str| -> Result<Figures> {
        let place = folder.path().join(name);
        let output = child::output(&["import", name, &place.to_string_lossy(), &number])?;
        std::fs::remove_dir_all(&place)?;
        Ok(serde_json::from_str(&output)?)
    };
    let (aquifer, plain, lean) = (side("aquifer")?, side("plain")?, side("lean")?);
    let mut table = Table::default();
    let mut row = |what: &str, aim: &str, decimals: usize, of: &dyn Fn(&Figures) -> f64| {
        let [own, other] = [of(&aquifer), of(&plain)];
        let ratio = format!("**{:.2}**", own / other);
        let shown = |value: f64| format!("{value:.decimals$}");
        table.add([what, &shown(own), &shown(other), &ratio, aim]);
    };
    row("processor time, s", "≤ 1.1", 1, &|f| f.processor_s);
    row("time, s", "", 1, &|f| f.wall_s);
    row("segments", "≤ 12", 0, &|f| count(f.segments as u64));
    row("peak memory, MiB", "", 0, &|f| count(f.peak_bytes) / MIB);
    row("written, MiB", "", 0, &|f| count(f.written_bytes) / MIB);
    row("written, times the final size", "≤ 2.5", 2, &|f| {
        count(f.written_bytes) / count(f.bytes)
    });
    row("size, MiB", "", 1, &|f| count(f.bytes) / MIB);
    for kind in aquifer.kinds.keys() {
        let of = |f: &Figures| count(f.kinds.get(kind).copied().unwrap_or(0)) / MIB;
        row(&format!("size of .{kind}, MiB"), "", 1, &of);
    }
    let corpus = Corpus::load()?;
    table.print(documents, corpus.description());
    println!("\n| by field, MiB | Aquifer | English words only |\n|---|---:|---:|");
    let fields = aquifer.fields.keys().chain(lean.fields.keys());
    let fields: std::collections::BTreeSet<_> = fields.collect();
    for field in fields {
        let of = |f: &Figures| count(f.fields.get(field).copied().unwrap_or(0)) / MIB;
        println!("| {field} | {:.1} | {:.1} |", of(&aquifer), of(&lean));
    }
    let (own, other) = (count(aquifer.bytes) / MIB, count(lean.bytes) / MIB);
    println!("| all | {own:.1} | {other:.1} |");
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures to look at")]
fn count(value: u64) -> f64 {
    value as f64
}

/// Does what a process of its own was started for, and prints its figures.
pub(crate) fn child(side: &str, place: &str, documents: usize) -> Result<()> {
    let corpus = Corpus::load()?;
    let place = Path::new(place);
    let schema = crate::posts::schema()?;
    let before = memory("VmRSS")?;
    let (start, processor, written) = (Instant::now(), processor_time()?, written()?);
    let (segments, kinds, fields) = match side {
        "aquifer" => aquifer(&corpus, place, documents)?,
        "plain" => {
            let sources = (0..documents).map(|number| corpus.document(number, &schema));
            let plain = bulk::plain(place, &schema, sources, false)?;
            look(&plain.index, place)?
        }
        "lean" => look(&lean(&corpus, place, &schema, documents)?, place)?,
        _ => anyhow::bail!("no such side: {side}"),
    };
    let figures = Figures {
        wall_s: start.elapsed().as_secs_f64(),
        processor_s: seconds(processor_time()?, processor),
        peak_bytes: memory("VmHWM")?.saturating_sub(before),
        written_bytes: self::written()? - written,
        segments,
        bytes: kinds.values().sum(),
        kinds,
        fields,
    };
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

fn seconds(after: Duration, before: Duration) -> f64 {
    after.saturating_sub(before).as_secs_f64()
}

type Left = (usize, BTreeMap<String, u64>, BTreeMap<String, u64>);

fn aquifer(corpus: &Corpus, place: &Path, documents: usize) -> Result<Left> {
    let index = shared::create(place)?;
    let schema = index.schema()?;
    let bulk = index.bulk()?;
    let (sender, receiver) = mpsc::sync_channel::<Vec<String>>(1);
    let receiver = Mutex::new(receiver);
    let lane = || -> Result<()> {
        loop {
            let batch = receiver.lock().map(|receiver| receiver.recv());
            let Ok(Ok(batch)) = batch else {
                return Ok(());
            };
            let parsed = batch.iter().map(|source| parse(source, &schema));
            bulk.add(parsed.collect::<Result<_>>()?)?;
        }
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..bulk.threads().max(LANES_MIN))
            .map(|_| scope.spawn(lane))
            .collect();
        for start in (0..documents).step_by(BATCH) {
            let numbers = start..documents.min(start + BATCH);
            let batch = numbers.map(|number| corpus.source(number)).collect();
            sender.send(batch).context("no lane takes documents")?;
        }
        drop(sender);
        for lane in lanes {
            match lane.join() {
                Ok(done) => done?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        anyhow::Ok(())
    })?;
    bulk.finish()?;
    let snapshot = index.snapshot()?;
    let mut kinds = BTreeMap::new();
    let segments = &snapshot.manifest().body.segments;
    for (kind, span) in segments.iter().flat_map(|segment| &segment.files) {
        *kinds.entry(kind.clone()).or_default() += span.len;
    }
    Ok((segments.len(), kinds, fields(snapshot.searcher()?)?))
}

/// What a plain index in a folder has left.
fn look(index: &Index, folder: &Path) -> Result<Left> {
    let mut kinds = BTreeMap::new();
    for path in index.directory().list_managed_files() {
        let path = folder.join(path);
        let Some(kind) = path.extension().and_then(|kind| kind.to_str()) else {
            continue;
        };
        if kind != "json" && kind != "lock" {
            *kinds.entry(kind.to_owned()).or_default() += path.metadata().map_or(0, |m| m.len());
        }
    }
    let searcher = index.reader()?.searcher();
    let segments = searcher.segment_readers().len();
    Ok((segments, kinds, fields(&searcher)?))
}

/// Bytes by kind and field.
fn fields(searcher: &Searcher) -> Result<BTreeMap<String, u64>> {
    let mut fields = BTreeMap::new();
    for segment in searcher.space_usage()?.segments() {
        for (kind, usage) in [
            ("terms", segment.termdict()),
            ("postings", segment.postings()),
            ("positions", segment.positions()),
            ("columns", segment.fast_fields()),
            ("lengths", segment.fieldnorms()),
        ] {
            for field in usage.fields() {
                let name = format!("{kind} of {}", field.field_name());
                *fields.entry(name).or_default() += field.total().get_bytes();
            }
        }
        let store = segment.store().total().get_bytes();
        *fields.entry("stored documents".to_owned()).or_default() += store;
    }
    Ok(fields)
}

/// Plain tantivy as somebody uses it who searches English only: key, source, and the stems of title and content.
fn lean(corpus: &Corpus, folder: &Path, schema: &IndexSchema, documents: usize) -> Result<Index> {
    let mut builder = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer("en")
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let words = TextOptions::default().set_indexing_options(indexing);
    let key = builder.add_text_field("_key", tantivy::schema::STRING);
    let source = builder.add_bytes_field("_source", BytesOptions::default().set_stored());
    let texts = ["title", "content"].map(|name| builder.add_text_field(name, words.clone()));
    std::fs::create_dir_all(folder)?;
    let index = Index::builder()
        .schema(builder.build())
        .tokenizers(schema.tokenizers())
        .create_in_dir(folder)?;
    let mut writer: IndexWriter = index.writer_with_num_threads(2, 128 << 20)?;
    for number in 0..documents {
        let text = corpus.source(number);
        let json: serde_json::Value = serde_json::from_str(&text)?;
        let field = |name: &str| {
            json.get(name)
                .and_then(|value| value.as_str())
                .unwrap_or_default()
        };
        let mut document = TantivyDocument::new();
        document.add_text(key, field("unique_key"));
        document.add_bytes(source, text.as_bytes());
        for (text, name) in texts.iter().zip(["title", "content"]) {
            document.add_text(*text, field(name));
        }
        writer.add_document(document)?;
    }
    writer.commit()?;
    writer.wait_merging_threads()?;
    Ok(index)
}

/// A figure of `/proc/self/status`, in bytes.
fn memory(name: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    Ok(figure.context("no such figure")?.parse::<u64>()? * 1024)
}

/// Bytes that this process has handed to the file system.
fn written() -> Result<u64> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    Ok(line
        .context("no count of what was written")?
        .trim()
        .parse()?)
}
