//! Ratios of Aquifer to plain tantivy, in one run; started by `scripts/bench`.
//!
//! Both sides hold the same documents in the same schema and answer the same queries, and their
//! passes alternate, so that a busy machine slows both. Nothing is asserted here. `bench nfs` does so on a
//! real NFS mount; `scripts/bench-nfs` starts it. `bench relevance` measures how well the best hits answer; `scripts/relevance` starts it.

mod bulk;
mod child;
mod corpus;
mod import;
mod latency;
mod memory;
mod nfs;
mod operations;
mod plain;
mod posts;
mod relevance;
mod shared;
mod table;
mod trace;

use anyhow::{Context, Result};
use aquifer_tests::lab::namespace;

use crate::corpus::Corpus;
use crate::table::Table;

/// Documents where no number is given.
const DOCUMENTS: usize = 1_000_000;
const USAGE: &str =
    "usage: bench [nfs | import] [DOCUMENTS], a number; or bench relevance [COLLECTION...]";

fn main() -> Result<()> {
    if let Some(task) = namespace::story() {
        return nfs::inside(&task);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => run(DOCUMENTS),
        ["child", rest @ ..] => child::run(rest),
        ["import"] => import::run(DOCUMENTS),
        ["import", number] => import::run(number.parse().context(USAGE)?),
        ["relevance", named @ ..] => relevance::run(named),
        ["nfs"] => nfs::run(DOCUMENTS),
        ["nfs", number] => nfs::run(number.parse().context(USAGE)?),
        [number] => run(number.parse().context(USAGE)?),
        _ => anyhow::bail!(USAGE),
    }
}

fn run(documents: usize) -> Result<()> {
    let corpus = Corpus::load()?;
    let folder = tempfile::Builder::new().prefix("bench-").tempdir()?;
    let mut table = Table::default();
    let built = bulk::measure(&corpus, documents, folder.path(), &mut table)?;
    latency::measure(&corpus, &built, &mut table)?;
    memory::measure(&built, &mut table)?;
    operations::measure(&corpus, &built, &mut table)?;
    posts::measure(&corpus, folder.path(), &mut table)?;
    table.print(documents, corpus.description());
    Ok(())
}
