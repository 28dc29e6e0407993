//! The table.

use std::time::Duration;

use super::scene::{Cost, DELAY_MILLISECONDS};
use crate::table::{kernel, shown};

/// Its rows.
#[derive(Default)]
pub(super) struct Report(Vec<String>);

impl Report {
    pub(super) fn add(&mut self, what: &str, [aquifer, plain]: &[Cost; 2], aim: &str) {
        let ratio =
            plain.time.as_secs_f64() / aquifer.time.max(Duration::from_micros(1)).as_secs_f64();
        let row = format!(
            "| {what} | {} | {} | **{ratio:.1}** | {aim} |",
            cells(aquifer),
            cells(plain)
        );
        self.0.push(row);
    }

    pub(super) fn print(&self, documents: usize, corpus: &str) {
        println!(
            "| | Aquifer: RPCs | rounds: READs (all) | time | plain tantivy: RPCs | rounds: READs (all) | time | \
             times faster | aim |\n|---|---|---:|---:|---|---:|---:|---:|---|"
        );
        self.0.iter().for_each(|row| println!("{row}"));
        println!(
            "\nTimes at {DELAY_MILLISECONDS} ms added to each round trip, medians of five; they depend on the machine. \
             RPCs are the fewest of six repetitions, until the answer (files are closed later). Rounds: how many READs \
             (RPCs of any kind) had to be over, one after the other, before the last could begin, as a recording proxy \
             saw them; no more than the 64 of a session are under way at once. Aquifer's readers mount read-only; plain \
             tantivy's cannot (a reader takes a lock) and mount read-write. Plain tantivy is the same build on \
             `MmapDirectory` with the same schema, analysers, documents and number of segments; a post of it opens the \
             index and commits under a `flock`."
        );
        println!(
            "`scripts/bench-nfs {documents}`, NFS-Ganesha and user-mode Linux clients on Linux {}; {corpus}.",
            kernel()
        );
    }
}

fn cells(cost: &Cost) -> String {
    let rounds = cost.rounds.map_or_else(
        || "not looked at".to_owned(),
        |(all, reads)| format!("{reads} ({all})"),
    );
    format!("{} | {rounds} | {}", cost.rpcs, shown(cost.time))
}
