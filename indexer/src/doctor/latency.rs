//! How long the calls of an index take.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::page;
use crate::clock::Clock;
use crate::mount::{Access, COHERENT_PAGE, Mount, MountResult};

/// How often each call is made: enough for a median, and less than a second on EFS.
const ROUNDS: usize = 20;

/// How long one kind of call took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// The call.
    pub call: &'static str,
    /// How often it was made.
    pub count: usize,
    /// The median, in microseconds.
    pub p50_us: u64,
    /// The longest, in microseconds.
    pub max_us: u64,
}

/// The times of each call, in the order in which the calls were made first.
struct Stopwatch<'a> {
    clock: &'a dyn Clock,
    times: Vec<(&'static str, Vec<Duration>)>,
}

impl Stopwatch<'_> {
    /// Makes a call. Only one that succeeds counts.
    fn time<T>(
        &mut self,
        call: &'static str,
        make: impl FnOnce() -> MountResult<T>,
    ) -> MountResult<T> {
        let started: Instant = self.clock.now();
        let made = make()?;
        let took = self.clock.now().saturating_duration_since(started);
        match self.times.iter_mut().find(|(known, _)| *known == call) {
            Some((_, times)) => times.push(took),
            None => self.times.push((call, vec![took])),
        }
        Ok(made)
    }
}

/// Measures. A call that fails ends the measurement: its check has said why.
pub(super) fn measure(scratch: &dyn Mount, clock: &dyn Clock) -> Vec<Latency> {
    let mut watch = Stopwatch {
        clock,
        times: Vec::new(),
    };
    if let Err(error) = make_calls(scratch, &mut watch) {
        tracing::debug!(%error, "the calls were not all measured");
    }
    watch.times.into_iter().map(summed).collect()
}

fn make_calls(scratch: &dyn Mount, watch: &mut Stopwatch<'_>) -> MountResult<()> {
    let page = page::of("latency");
    scratch.make_dir("latency")?;
    for round in 0..ROUNDS {
        let name = format!("latency/{round}");
        let linked = format!("latency/{round}-linked");
        let file = watch.time("create", || scratch.open(&name, Access::CreateNew))?;
        watch.time("write", || file.write_durably_at(&page, 0))?;
        watch.time("fsync", || file.sync())?;
        // A mount without links is still worth measuring.
        let link = watch.time("symlink", || scratch.symlink("target", &linked));
        drop(file);
        let file = watch.time("open", || scratch.open(&name, Access::CoherentRead))?;
        watch.time("read", || file.read_range(0, COHERENT_PAGE))?;
        drop(file);
        watch.time("stat", || scratch.metadata(&name))?;
        watch.time("list", || scratch.list("latency"))?;
        drop(watch.time("lock", || scratch.try_lock(&name)));
        watch.time("unlink", || scratch.unlink(&name))?;
        if link.is_ok() {
            watch.time("unlink", || scratch.unlink(&linked))?;
        }
    }
    Ok(())
}

fn summed((call, mut times): (&'static str, Vec<Duration>)) -> Latency {
    times.sort_unstable();
    let micros = |time: Option<&Duration>| {
        let micros = time.map_or(0, Duration::as_micros);
        u64::try_from(micros).unwrap_or(u64::MAX)
    };
    Latency {
        call,
        count: times.len(),
        p50_us: micros(times.get(times.len() / 2)),
        max_us: micros(times.last()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_longest_are_given() {
        let times = [5, 1, 100].map(Duration::from_micros).to_vec();
        let expected = Latency {
            call: "read",
            count: 3,
            p50_us: 5,
            max_us: 100,
        };
        assert_eq!(summed(("read", times)), expected);
    }
}
