//! How long a search takes when every file is in memory already.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::bulk::Built;
use crate::corpus::Corpus;
use crate::plain::{Plain, PlainSearch};
use crate::shared;
use crate::table::{Table, quantile};

/// Passes over all queries; the median of a query's times counts.
const PASSES: usize = 5;
/// Times that both sides are opened to see every query for the first time.
const OPENINGS: usize = 3;

/// The times of each query, on both sides.
#[derive(Default)]
struct Times {
    aquifer: Vec<Vec<Duration>>,
    plain: Vec<Vec<Duration>>,
}

pub(crate) fn measure(corpus: &Corpus, built: &Built, table: &mut Table) -> Result<()> {
    let schema = shared::open_reader(&built.root)?.schema()?;
    let mut first = Times::default();
    let mut repeated = Times::default();
    // Once for nothing, so that the files are in the page cache.
    for opening in 0..=OPENINGS {
        let index = shared::open_reader(&built.root)?;
        let plain = Plain::open(built.plain.folder(), &schema)?;
        let search = PlainSearch::new(&plain, &schema)?;
        let mut unused = Times::default();
        let times = if opening == 0 {
            &mut unused
        } else {
            &mut first
        };
        pass(corpus, &index, &search, times)?;
        if opening == OPENINGS {
            for _ in 0..PASSES {
                pass(corpus, &index, &search, &mut repeated)?;
            }
        }
    }
    add(table, "warm search, repeated queries", repeated, "≤ 1.1");
    add(
        table,
        "warm search, queries seen for the first time",
        first,
        "",
    );
    Ok(())
}

/// Asks every query once on both sides, which take turns at being first.
fn pass(
    corpus: &Corpus,
    index: &aquifer_indexer::index::Index,
    search: &PlainSearch,
    times: &mut Times,
) -> Result<()> {
    times.aquifer.resize(corpus.queries().len(), Vec::new());
    times.plain.resize(corpus.queries().len(), Vec::new());
    let both = times.aquifer.iter_mut().zip(&mut times.plain);
    for (position, (query, (aquifer, plain))) in corpus.queries().iter().zip(both).enumerate() {
        let ours = || timed(|| shared::search(index, query).map(|answer| answer.hits.len()));
        let theirs = || timed(|| search.search(query).map(|(_, sources)| sources.len()));
        if (position + aquifer.len()) % 2 == 0 {
            aquifer.push(ours()?);
            plain.push(theirs()?);
        } else {
            plain.push(theirs()?);
            aquifer.push(ours()?);
        }
    }
    Ok(())
}

fn timed(search: impl FnOnce() -> Result<usize>) -> Result<Duration> {
    let start = Instant::now();
    std::hint::black_box(search()?);
    Ok(start.elapsed())
}

fn add(table: &mut Table, what: &str, times: Times, aim: &str) {
    let medians = |times: Vec<Vec<Duration>>| -> Vec<Duration> {
        let median = |mut times: Vec<Duration>| quantile(&mut times, 0.5);
        times.into_iter().map(median).collect()
    };
    let (mut aquifer, mut plain) = (medians(times.aquifer), medians(times.plain));
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        table.slower(
            &format!("{what}: time at {name}"),
            quantile(&mut aquifer, share),
            quantile(&mut plain, share),
            aim,
        );
    }
}
