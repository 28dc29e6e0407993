//! Resident memory of a reader that keeps in the heap what it has read.

use std::path::Path;

use anyhow::{Context, Result};
use tantivy::collector::{Count, TopDocs};

use crate::directory::CountingDirectory;
use crate::figures::Figures;
use crate::probe::queries;
use crate::schema::Fields;
use crate::{Opened, segment};

pub(crate) fn measure(folder: &Path, figures: &mut Figures) -> Result<()> {
    let fields = Fields::new();
    let baseline_bytes = resident_bytes()?;
    let directory = CountingDirectory::open(folder)?;
    let opened = Opened::open(directory.clone())?;
    let searcher = opened.searcher();
    for field in fields.indexed() {
        segment(&searcher)?.inverted_index(field)?;
    }
    let grown_bytes = resident_bytes()? - baseline_bytes;
    figures.add(
        "resident, opened with all dictionaries",
        "bytes",
        grown_bytes,
    )?;

    for probe in queries(&opened.index, &fields)? {
        searcher.search(
            &probe.query(),
            &(TopDocs::with_limit(10).order_by_score(), Count),
        )?;
    }
    let grown_bytes = resident_bytes()? - baseline_bytes;
    figures.add("resident, after all queries", "bytes", grown_bytes)?;
    for (component, bytes) in directory.held_bytes() {
        #[expect(clippy::cast_precision_loss, reason = "far under 2^53")]
        let bytes = bytes as f64;
        figures.add(&format!("of it ranges of .{component}"), "bytes", bytes)?;
    }
    Ok(())
}

/// `VmRSS` of this process.
fn resident_bytes() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .context("no VmRSS")?;
    Ok(kib.trim().parse::<f64>()? * 1024.0)
}
