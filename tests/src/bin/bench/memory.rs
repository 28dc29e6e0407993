//! What a reader keeps in memory.

use std::path::Path;

use anyhow::{Context, Result};
use aquifer_indexer::config::{Config, MIB};

use crate::bulk::Built;
use crate::child;
use crate::corpus::queries;
use crate::shared;
use crate::table::Table;

/// Queries that a reader answers before its memory is looked at.
const QUERIES: usize = 500;
const SMALL_CACHE: usize = 32 * MIB;

pub(crate) fn measure(built: &Built, table: &mut Table) -> Result<()> {
    for cache in [Config::default().cache_bytes, SMALL_CACHE] {
        let root = built.root.to_string_lossy();
        let output = child::output(&["memory", &root, &cache.to_string()])?;
        let figures = output
            .split_whitespace()
            .map(str::parse::<u64>)
            .collect::<Result<Vec<_>, _>>()?;
        let &[resident, anonymous, cached] = figures.as_slice() else {
            anyhow::bail!("a reader said {output}");
        };
        let mib = u64::try_from(MIB)?;
        let shown = format!(
            "{} MiB (VmRSS {}, RssAnon {}, of it in the cache {})",
            (resident - cached.min(resident)) / mib,
            resident / mib,
            anonymous / mib,
            cached / mib
        );
        let what = format!(
            "memory of a reader after {QUERIES} queries: resident beyond what its cache of {} MiB \
             holds",
            cache / MIB
        );
        table.add([&what, &shown, "", "", "< 256 MB"]);
    }
    Ok(())
}

/// Answers queries, then gives `VmRSS`, `RssAnon` and the bytes in the cache.
pub(crate) fn read(root: &Path, cache_bytes: usize) -> Result<[u64; 3]> {
    let config = Config {
        read_only: true,
        cache_bytes,
        ..Config::default()
    };
    let index = shared::open(root, config)?;
    for query in queries()?.iter().take(QUERIES) {
        shared::search(&index, query)?;
    }
    let cached = u64::try_from(index.stats()?.cache_bytes)?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib = kib.with_context(|| format!("no {name} in /proc/self/status"))?;
        Ok::<u64, anyhow::Error>(kib.trim().parse::<u64>()? * 1024)
    };
    Ok([field("VmRSS:")?, field("RssAnon:")?, cached])
}
