//! Operations on the file system: they do not depend on the machine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use aquifer_indexer::config::Config;
use aquifer_indexer::index::{Index, Shared};
use aquifer_indexer::mount::{CountingMount, OperationCounts, PosixMount};

use crate::bulk::Built;
use crate::corpus::{Corpus, parse, small_source};
use crate::shared::{self, NAME};
use crate::table::Table;
use crate::trace;

/// Reads that do not depend on each other come within this of each other, even on a busy machine.
const GATHER: Duration = Duration::from_millis(250);
/// Numbers of documents that nothing else posts.
const FIRST: u64 = 1_000_000;
/// Letters of a word that is more than `the`.
const LONG: usize = 5;

pub(crate) fn measure(corpus: &Corpus, built: &Built, table: &mut Table) -> Result<()> {
    warm(built, table)?;
    for words in [1, 3] {
        let query = query(corpus, built, words)?;
        cold(built, &query, table)?;
        trace::search(built, &query, table)?;
    }
    trace::post(built, FIRST * 2, table)
}

/// A writer and a reader that have been at work before.
fn warm(built: &Built, table: &mut Table) -> Result<()> {
    let (writer, counting) = open(&built.root, Duration::ZERO, false)?;
    let schema = writer.schema()?;
    let document = |number| parse(&small_source(FIRST + number), &schema);
    shared::post(&writer, vec![document(0)?])?;
    counting.take();
    shared::post(&writer, vec![document(1)?])?;
    add(table, "post of one document, warm writer", &counting.take());
    let hundred = (100..200).map(document).collect::<Result<Vec<_>>>()?;
    shared::post(&writer, hundred)?;
    add(
        table,
        "post of 100 documents, warm writer",
        &counting.take(),
    );

    let (reader, counting) = open(&built.root, Duration::ZERO, true)?;
    shared::search(&reader, "document")?;
    counting.take();
    shared::search(&reader, "document")?;
    add(table, "warm search, nothing new", &counting.take());
    shared::post(&writer, vec![document(2)?])?;
    shared::search(&reader, "document")?;
    add(table, "warm search after one small post", &counting.take());
    Ok(())
}

fn cold(built: &Built, query: &str, table: &mut Table) -> Result<()> {
    let counts = first_answer(&built.root, query)?;
    let shown = format!(
        "{} dependent rounds: {} reads, {} opens, {} KB",
        counts.rounds,
        counts.of("read"),
        counts.of("open"),
        counts.bytes_read / 1000
    );
    let what = format!("cold open and first query `{query}`");
    table.add([&what, &shown, "", "", "≤ 4 rounds"]);
    Ok(())
}

/// What a reader that opens the index does until it has answered its first query.
fn first_answer(root: &Path, query: &str) -> Result<OperationCounts> {
    let (reader, counting) = open(root, GATHER, true)?;
    shared::search(&reader, query)?;
    Ok(counting.take())
}

/// The first query of so many long words that finds something on both sides.
pub(crate) fn query(corpus: &Corpus, built: &Built, words: usize) -> Result<String> {
    let reader = shared::open_reader(&built.root)?;
    for query in corpus.queries() {
        let long = |word: &str| word.len() >= LONG && word.chars().all(char::is_alphanumeric);
        if query.split_whitespace().filter(|word| long(word)).count() == words
            && query.split_whitespace().count() == words
            && shared::search(&reader, query)?.count.get() > 10
        {
            return Ok(query.clone());
        }
    }
    anyhow::bail!("no query of {words} words finds anything")
}

fn open(root: &Path, gather: Duration, read_only: bool) -> Result<(Index, CountingMount)> {
    let path = root.join(NAME);
    let mount = PosixMount::open(&path).with_context(|| path.display().to_string())?;
    let counting = CountingMount::gathering(Arc::new(mount), gather);
    let config = Config {
        read_only,
        ..Config::default()
    };
    let shared = Arc::new(Shared::new(&config));
    let mount = Arc::new(counting.clone());
    let index = Index::open(NAME, mount, shared, &config);
    Ok((index, counting))
}

fn add(table: &mut Table, what: &str, counts: &OperationCounts) {
    let calls: Vec<_> = counts
        .calls
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    let shown = format!(
        "{} changing, {} reading ({})",
        counts.write_class(),
        counts.read_class(),
        calls.join(", ")
    );
    table.add([&format!("operations: {what}"), &shown, "", "", ""]);
}
