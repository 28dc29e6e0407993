//! What is measured, as one Markdown table.

use std::time::Duration;

/// The rows in the order they were measured.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<String>,
}

impl Table {
    /// Adds a row of free cells: what it is, Aquifer's, plain tantivy's, the ratio or nothing, what
    /// is aimed at or nothing.
    pub(crate) fn add(&mut self, cells: [&str; 5]) {
        let row = format!("| {} |", cells.join(" | "));
        eprintln!("{row}");
        self.rows.push(row);
    }

    /// Adds two times and how many times longer Aquifer takes.
    pub(crate) fn slower(&mut self, what: &str, aquifer: Duration, plain: Duration, aim: &str) {
        let ratio = aquifer.as_secs_f64() / plain.as_secs_f64();
        self.times(what, aquifer, plain, ratio, aim);
    }

    /// Adds two times and how many times faster Aquifer is.
    pub(crate) fn faster(&mut self, what: &str, aquifer: Duration, plain: Duration, aim: &str) {
        let ratio = plain.as_secs_f64() / aquifer.as_secs_f64();
        self.times(what, aquifer, plain, ratio, aim);
    }

    fn times(&mut self, what: &str, aquifer: Duration, plain: Duration, ratio: f64, aim: &str) {
        let ratio = format!("**{ratio:.2}**");
        self.add([what, &shown(aquifer), &shown(plain), &ratio, aim]);
    }

    /// Prints all rows, and what they were measured on.
    pub(crate) fn print(&self, documents: usize, corpus: &str) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        println!("| | Aquifer | plain tantivy | ratio | aim |\n|---|---|---|---:|---|");
        for row in &self.rows {
            println!("{row}");
        }
        println!(
            "\nTimes are in brackets: they depend on the machine. Plain tantivy is the same build \
             (SSTable dictionaries, `--release` without link-time optimisation) on \
             `MmapDirectory`, with the same schema, analysers and documents."
        );
        println!(
            "`scripts/bench {documents}` on {cores} cores, Linux {}; {corpus}.",
            kernel()
        );
    }
}

/// The release of the kernel.
pub(crate) fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().to_owned()
}

/// A time, in brackets: it depends on the machine.
pub(crate) fn shown(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds < 0.001 => format!("[{:.0} µs]", seconds * 1e6),
        _ if seconds < 1.0 => format!("[{:.2} ms]", seconds * 1e3),
        _ => format!("[{seconds:.1} s]"),
    }
}

/// A share `share` (0 to 1) of the times are at most this; sorts them.
pub(crate) fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a length is a small positive number"
    )]
    let rank = (times.len().saturating_sub(1) as f64 * share).round() as usize;
    times.get(rank).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_of_the_list() {
        let mut times = [5, 1, 4, 2, 3].map(Duration::from_secs);
        assert_eq!(quantile(&mut times, 0.5), Duration::from_secs(3));
        assert_eq!(quantile(&mut times, 0.99), Duration::from_secs(5));
        assert_eq!(quantile(&mut [], 0.5), Duration::ZERO);
    }
}
