//! Builds the index: parts of bounded memory, then one merge into one segment, as the writer does.

use std::path::Path;

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};
use tantivy::directory::MmapDirectory;
use tantivy::indexer::{SingleSegmentIndexWriter, merge_filtered_segments};
use tantivy::{Index, IndexSettings, TantivyDocument};

use crate::corpus::{Corpus, Document};
use crate::figures::Figures;
use crate::schema::{Fields, register_analysers};

const PART_DOCUMENTS: u32 = 100_000;
const PART_MEMORY_BYTES: usize = 500_000_000;

/// Indexes the first `count` documents into `folder`, and measures time and size.
pub(crate) fn build(folder: &Path, count: u32, figures: &mut Figures) -> Result<()> {
    let (fields, corpus) = (Fields::new(), Corpus::load()?);
    let (mut parts, mut indexing_s) = (Vec::new(), 0.0);
    for start in (0..count).step_by(PART_DOCUMENTS as usize) {
        let numbers = start..count.min(start + PART_DOCUMENTS);
        let path = folder.join(format!("part-{start}"));
        let (part, seconds) = build_part(&path, numbers, &fields, &corpus)?;
        parts.push((path, part));
        indexing_s += seconds;
        eprintln!(
            "  {} of {count} documents",
            count.min(start + PART_DOCUMENTS)
        );
    }
    figures.add("indexing, CPU", "s", indexing_s)?;

    let mut segments = Vec::new();
    for (_, part) in &parts {
        segments.extend(part.searchable_segments()?);
    }
    let whole = crate::index_folder(folder);
    std::fs::create_dir_all(&whole)?;
    let before_s = thread_cpu_s();
    let filters = segments.iter().map(|_| None).collect();
    merge_filtered_segments(&segments, settings(), filters, MmapDirectory::open(&whole)?)?;
    figures.add(
        "merging into one segment, CPU",
        "s",
        thread_cpu_s() - before_s,
    )?;
    for (path, _) in parts {
        std::fs::remove_dir_all(path)?;
    }
    sizes(&whole, &fields, figures)
}

fn settings() -> IndexSettings {
    // All the work in the one thread whose CPU time is measured.
    IndexSettings {
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    }
}

/// The part, and the CPU seconds that tantivy took for it.
fn build_part(
    path: &Path,
    numbers: std::ops::Range<u32>,
    fields: &Fields,
    corpus: &Corpus,
) -> Result<(Index, f64)> {
    std::fs::create_dir_all(path)?;
    // Registered before the writer makes its own copy of the index.
    let analysers = Index::create_in_ram(fields.schema.clone());
    register_analysers(&analysers);
    let mut writer: SingleSegmentIndexWriter<TantivyDocument> = Index::builder()
        .schema(fields.schema.clone())
        .settings(settings())
        .tokenizers(analysers.tokenizers().clone())
        .single_segment_index_writer(MmapDirectory::open(path)?, PART_MEMORY_BYTES)?;
    let mut cpu_s = 0.0;
    for number in numbers {
        let document = to_tantivy(corpus.document(number)?, fields);
        let before_s = thread_cpu_s();
        writer.add_document(document)?;
        cpu_s += thread_cpu_s() - before_s;
    }
    let before_s = thread_cpu_s();
    let index = writer.finalize()?;
    Ok((index, cpu_s + thread_cpu_s() - before_s))
}

fn to_tantivy(document: Document, fields: &Fields) -> TantivyDocument {
    let mut converted = TantivyDocument::new();
    converted.add_text(fields.key, document.key);
    for tag in document.tags {
        converted.add_text(fields.tags, tag);
    }
    for (field, text) in [
        (fields.title, &document.title),
        (fields.content, &document.content),
    ] {
        converted.add_text(field.words, text);
        converted.add_text(field.english, text);
    }
    converted.add_bytes(fields.source, &document.source);
    converted
}

fn sizes(folder: &Path, fields: &Fields, figures: &mut Figures) -> Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let component = entry
            .path()
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        files.push((component, bytes(entry.metadata()?.len())));
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    figures.add(
        "size, whole",
        "bytes",
        files.iter().map(|(_, size)| size).sum(),
    )?;
    for (component, size) in files.iter().filter(|(component, _)| component != "json") {
        if !component.is_empty() {
            figures.add(&format!("size, .{component}"), "bytes", *size)?;
        }
    }
    let searcher = Index::open_in_dir(folder)?.reader()?.searcher();
    let reader = searcher
        .segment_readers()
        .first()
        .context("the index has no segment")?;
    let usage = reader.space_usage()?;
    for field in usage.termdict().fields() {
        let size = bytes(field.total().get_bytes());
        figures.add(
            &format!("size, dictionary of {}", field.field_name()),
            "bytes",
            size,
        )?;
    }
    for field in fields.indexed() {
        #[expect(clippy::cast_precision_loss, reason = "far under 2^53")]
        let terms = reader.inverted_index(field)?.terms().num_terms() as f64;
        let name = fields.schema.get_field_name(field);
        figures.add(&format!("terms in {name}"), "", terms)?;
    }
    Ok(())
}

fn bytes(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far under 2^53")]
    let count = count as f64;
    count
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds and nanoseconds are far under 2^53"
)]
fn thread_cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
