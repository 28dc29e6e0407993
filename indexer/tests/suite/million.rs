//! A million documents: how many dependent rounds a cold reader needs.

use std::sync::Arc;
use std::time::Duration;

use aquifer_indexer::config::Config;
use aquifer_indexer::mount::CountingMount;
use aquifer_indexer::search::SearchRequest;

use crate::rig::{Folder, assert_clean, config, docs, document, open, post, soon};

const DOCUMENTS: u64 = 1_000_000;
const BATCH: u64 = 100_000;
/// HEAD, dictionary blocks (and the mark, beside them), postings, stored documents.
const ROUNDS_MAX: u64 = 4;
/// Reads in one large segment, beside one for each hit: HEAD, the mark, the lengths of a field, and for each of three
/// words a dictionary block, postings and positions; fewer where these lie near each other.
const READS_MAX: u64 = 12;
/// Reads that do not depend on each other are taken for one round when they come within this of each other; in each
/// further attempt twice as long.
const GATHER: Duration = Duration::from_millis(250);
/// Attempts at counting rounds. On a busy machine reads may come later than that and count as a round of their own;
/// a read that depends on another one never counts as the same. So the smallest count is the one to judge.
const ATTEMPTS: u32 = 5;

/// A word of a vocabulary in which the n-th is about n times rarer than the first.
fn word(seed: u64) -> String {
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let uniform = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
    format!("w{}", (200_000_f64.powf(uniform)) as u64)
}

fn text(number: u64) -> String {
    (0..12)
        .map(|position| word(number * 16 + position))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_cold_reader_of_a_million_documents_answers_in_four_rounds() {
    let folder = Folder::new();
    let writer = folder.open(&config());
    for batch in 0..DOCUMENTS / BATCH {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        let documents = numbers
            .map(|n| document(&format!("doc-{n}"), &text(n)))
            .collect();
        post(&writer, documents).unwrap();
    }
    ask_cold(&folder, &["w4000 w5000 w6000"], u64::MAX);
    writer.compact(None).unwrap();
    post(&writer, vec![document("last", "w1 w2 w3 unheard")]).unwrap();
    assert_eq!(writer.stats().unwrap().documents, docs(DOCUMENTS + 1));
    let queries = ["w5000", "w4000 w5000 w6000", "w1.w2", "unheard"];
    ask_cold(&folder, &queries, READS_MAX);
    assert_clean(&writer);
}

/// A new reader for each query answers it in few rounds with few reads, opens each bundle once, and answers it again
/// with one read.
fn ask_cold(folder: &Folder, queries: &[&str], reads_max: u64) {
    for query in queries {
        let request = SearchRequest {
            query: (*query).into(),
            ..SearchRequest::default()
        };
        let attempt = |attempt: u32| {
            let counting = CountingMount::gathering(folder.mount(), GATHER * 2_u32.pow(attempt));
            let reader = open(
                Arc::new(counting.clone()),
                &Config {
                    read_only: true,
                    ..config()
                },
            );
            let response = reader.search(&request, soon()).unwrap();
            assert!(response.count > docs(0) && !response.hits.is_empty());
            (counting.take(), counting, reader, response)
        };
        let mut attempts = (0..ATTEMPTS).map(attempt);
        let mut latest = attempts.next().unwrap();
        while latest.0.rounds > ROUNDS_MAX
            && let Some(further) = attempts.next()
        {
            latest = further;
        }
        let (counts, counting, reader, response) = latest;
        println!(
            "cold open and `{query}` over {} segments: {} rounds, {} reads, {} opens, {} bytes",
            reader.stats().unwrap().segments,
            counts.rounds,
            counts.of("read"),
            counts.of("open"),
            counts.bytes_read
        );
        assert!(counts.rounds <= ROUNDS_MAX, "{:#?}", counts.log);
        let reads = counts.of("read") - response.hits.len() as u64;
        assert!(reads <= reads_max, "{reads} beside hits: {:#?}", counts.log);
        let mut opened: Vec<_> = counts
            .log
            .iter()
            .filter(|call| call.starts_with("open bundles/"))
            .collect();
        opened.sort_unstable();
        let opens = opened.len();
        opened.dedup();
        assert_eq!(opens, opened.len(), "{opened:#?}");
        assert_eq!(counts.write_class(), 0);
        counting.take();
        reader.search(&request, soon()).unwrap();
        let counts = counting.take();
        assert_eq!(
            (counts.of("read"), counts.read_class()),
            (1, 1),
            "{:#?}",
            counts.log
        );
    }
}
