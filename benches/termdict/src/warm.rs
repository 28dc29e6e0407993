//! Latencies with everything in memory: once over a memory map, once over ranges kept in the heap.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use tantivy::collector::{Count, TopDocs};
use tantivy::directory::{Directory, MmapDirectory};
use tantivy::query::Query;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, Searcher, Term};

use crate::directory::CountingDirectory;
use crate::figures::{Figures, quantile};
use crate::probe::{Probes, prefix_bounds, spread};
use crate::schema::Fields;
use crate::{Opened, segment};

/// The best of so many passes counts for each item, so that neighbours on the machine do not.
const PASSES: usize = 3;
/// Prefixes match many documents and are slow.
const PREFIXES: usize = 60;
const FUZZY_WORDS: usize = 100;

pub(crate) fn measure(folder: &Path, documents: u32, figures: &mut Figures) -> Result<()> {
    measure_over(MmapDirectory::open(folder)?, "mmap", documents, figures)?;
    measure_over(CountingDirectory::open(folder)?, "heap", documents, figures)
}

fn measure_over(
    directory: impl Into<Box<dyn Directory>>,
    over: &str,
    documents: u32,
    figures: &mut Figures,
) -> Result<()> {
    let opened = Opened::open(directory)?;
    let fields = Fields::new();
    let probes = Probes::choose(&opened.index, &fields, documents)?;
    let searcher = opened.searcher();
    let inverted = segment(&searcher)?.inverted_index(probes.content)?;
    let prefixes: Vec<_> = spread(&probes.prefixes, PREFIXES).collect();
    let fuzzy: Vec<_> = spread(&probes.fuzzy, FUZZY_WORDS).collect();
    let mut add = |what: &str, mut times_us: Vec<f64>| -> Result<()> {
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let time_us = quantile(&mut times_us, share);
            figures.add(&format!("warm ({over}) {what}, {name}"), "µs", time_us)?;
        }
        Ok(())
    };

    add(
        "query, top 10 and count",
        times(&probes.queries, |probe| search(&searcher, &probe.query()))?,
    )?;
    let terms: Vec<_> = probes
        .queries
        .iter()
        .flat_map(|probe| probe.terms.iter().flatten())
        .collect();
    add(
        "term lookup",
        times(&terms, |term| {
            segment(&searcher)?
                .inverted_index(term.field())?
                .get_term_info(term)?;
            Ok(())
        })?,
    )?;
    add(
        "key to document",
        times(&probes.keys, |key| find_document(&searcher, key))?,
    )?;
    add(
        "absent key",
        times(&probes.absent_keys, |key| find_document(&searcher, key))?,
    )?;
    add(
        "prefix query",
        times(&prefixes, |prefix| {
            search(&searcher, &probes.prefix_query(prefix))
        })?,
    )?;
    add(
        "prefix, terms only",
        times(&prefixes, |prefix| {
            let (from, to) = prefix_bounds(prefix);
            let mut terms = inverted.terms().range().ge(from).lt(to).into_stream()?;
            while terms.advance() {}
            Ok(())
        })?,
    )?;
    add(
        "fuzzy query",
        times(&fuzzy, |word| search(&searcher, &probes.fuzzy_query(word)))?,
    )?;
    add(
        "fuzzy, terms only",
        times(&fuzzy, |word| {
            let automaton = probes.fuzzy_query(word).automaton()?;
            let mut terms = inverted.terms().search(automaton).into_stream()?;
            while terms.advance() {}
            Ok(())
        })?,
    )
}

fn search(searcher: &Searcher, query: &dyn Query) -> Result<()> {
    searcher.search(query, &(TopDocs::with_limit(10).order_by_score(), Count))?;
    Ok(())
}

fn find_document(searcher: &Searcher, key: &Term) -> Result<()> {
    let inverted = segment(searcher)?.inverted_index(key.field())?;
    let postings = inverted.read_postings(key, IndexRecordOption::Basic)?;
    std::hint::black_box(postings.map(|postings| postings.doc()));
    Ok(())
}

/// The least time of each item in µs, after a pass that is not counted.
fn times<T>(items: &[T], mut work: impl FnMut(&T) -> Result<()>) -> Result<Vec<f64>> {
    items.iter().try_for_each(&mut work)?;
    let mut best_us = vec![f64::INFINITY; items.len()];
    for _ in 0..PASSES {
        for (item, best_us) in items.iter().zip(&mut best_us) {
            let start = Instant::now();
            work(item)?;
            *best_us = best_us.min(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(best_us)
}
