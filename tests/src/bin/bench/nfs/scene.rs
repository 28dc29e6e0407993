//! The lab, and the counting of what a process in it does.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aquifer_tests::lab::{
    Lab, MOUNT_POINT, Machine, Mounted, Process, Proxy, RpcCounts, State, depth,
};

use crate::table::quantile;

/// Repetitions of which the median time counts, both sides taking turns.
const TIMES: usize = 5;
/// What the machine's network adds to each round trip while times are taken, in milliseconds.
pub(super) const DELAY_MILLISECONDS: u32 = 1;
/// Long beside what a busy machine takes between two RPCs that do not depend on each other: who waits for whom is seen
/// by it.
const STAGGER: Duration = Duration::from_millis(100);
/// Pause between two looks at a process. Each look costs the machine a moment of its one processor.
const POLL: Duration = Duration::from_millis(100);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(1800);
/// Posts at once.
const MANY: &str = "64";

/// One of both indexes, in the export.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    name: &'static str,
    folder: &'static str,
}

impl Side {
    pub(super) fn both([aquifer, plain]: [&'static str; 2]) -> [Self; 2] {
        let side = |name, folder| Self { name, folder };
        [side("aquifer", aquifer), side("plain", plain)]
    }
}

/// What work costs.
#[derive(Clone, Debug, Default)]
pub(super) struct Cost {
    /// By kind.
    pub(super) rpcs: RpcCounts,
    /// How many had to be over before another could begin: of all, and of READs. `None`: not looked at.
    pub(super) rounds: Option<(u32, u32)>,
    pub(super) time: Duration,
}

/// A piece of work.
#[derive(Clone, Copy, Debug)]
struct Piece<'a> {
    work: &'a str,
    argument: &'a str,
    times: usize,
    /// Whether it is looked at who waits for whom.
    rounds: bool,
    /// Whether B posts before it.
    news: bool,
}

/// Two clients: A does what is measured, B what happens meanwhile.
pub(super) struct Scene<'a> {
    lab: &'a Lab,
    proxy: &'a Proxy,
    program: String,
}

impl<'a> Scene<'a> {
    pub(super) fn new(lab: &'a Lab, proxy: &'a Proxy) -> Result<Self> {
        let program = std::env::current_exe()?.display().to_string();
        Ok(Self {
            lab,
            proxy,
            program,
        })
    }

    /// Work of a process on a fresh mount; what it has done before it stops is not counted.
    pub(super) fn work(&self, sides: [Side; 2], work: &str, argument: &str) -> Result<[Cost; 2]> {
        let piece = Piece {
            work,
            argument,
            times: TIMES,
            rounds: true,
            news: false,
        };
        self.both(sides, piece)
    }

    /// A search after B has posted.
    pub(super) fn news(&self, sides: [Side; 2], query: &str) -> Result<[Cost; 2]> {
        let piece = Piece {
            work: "news",
            argument: query,
            times: TIMES,
            rounds: true,
            news: true,
        };
        self.lab.client('B').mount(Mounted::ReadWrite);
        self.both(sides, piece)
    }

    /// Many posts at once. Who waits for whom is not looked at: one after the other they would take all night.
    pub(super) fn many(&self, sides: [Side; 2]) -> Result<[Cost; 2]> {
        let piece = Piece {
            work: "many",
            argument: MANY,
            times: 1,
            rounds: false,
            news: false,
        };
        self.both(sides, piece)
    }

    fn both(&self, sides: [Side; 2], piece: Piece<'_>) -> Result<[Cost; 2]> {
        let client = self.lab.client('A');
        let mut costs = [Cost::default(), Cost::default()];
        let mut taken = [Vec::new(), Vec::new()];
        // Once for nothing: the program is in the machine's memory afterwards.
        for time in 0..=piece.times {
            client.delay(DELAY_MILLISECONDS);
            for ((side, cost), taken) in sides.iter().zip(&mut costs).zip(&mut taken) {
                let (rpcs, took) = self.once(*side, piece, None, || {
                    let before = client.rpc_total();
                    move || client.rpc_total() - before
                })?;
                // A busy machine may add looks at what was forgotten meanwhile.
                if time == 0 || rpcs.total() < cost.rpcs.total() {
                    cost.rpcs = rpcs;
                }
                if time > 0 {
                    taken.push(took);
                }
            }
        }
        client.delay(0);
        for ((side, cost), mut taken) in sides.iter().zip(&mut costs).zip(taken) {
            cost.time = quantile(&mut taken, 0.5);
            if piece.rounds {
                let (rounds, _) = self.once(*side, piece, Some(self.proxy), || {
                    self.proxy.delay(STAGGER);
                    self.proxy.forget();
                    || {
                        self.proxy.delay(Duration::ZERO);
                        depth(&self.proxy.record())
                    }
                })?;
                cost.rounds = Some(rounds);
            }
        }
        Ok(costs)
    }

    /// Does it once on a fresh mount; `begin` is called right before, and what it gives right after.
    fn once<T, E: FnOnce() -> T>(
        &self,
        side: Side,
        piece: Piece<'_>,
        proxy: Option<&Proxy>,
        begin: impl FnOnce() -> E,
    ) -> Result<(T, Duration)> {
        let client = self.lab.client('A');
        let poster = if piece.news {
            Some(self.start(self.lab.client('B'), side, "post", "1")?)
        } else {
            None
        };
        client.mount(how(piece.work, side, proxy.map(Proxy::port)));
        let process = self.start(client, side, piece.work, piece.argument)?;
        if let Some(poster) = &poster {
            self.go_on(poster)?;
            end(poster);
        }
        let finish = begin();
        let took = self.go_on(&process)?;
        let given = finish();
        end(&process);
        client.unmount();
        Ok((given, took))
    }

    /// Starts a process and waits until it is ready.
    fn start<'m>(
        &self,
        client: &'m Machine,
        side: Side,
        work: &str,
        argument: &str,
    ) -> Result<Process<'m>> {
        let folder = format!("{MOUNT_POINT}/{}", side.folder);
        let command = [
            &self.program,
            "child",
            "nfs",
            work,
            side.name,
            &folder,
            argument,
        ];
        let process = client.start("work", &command);
        wait_until_stopped(&process)?;
        Ok(process)
    }

    /// Lets it do its work; gives how long that took.
    fn go_on(&self, process: &Process<'_>) -> Result<Duration> {
        process.go_on();
        wait_until_stopped(process)?;
        let printed = process.out();
        let microseconds = printed.trim().parse();
        let microseconds = microseconds.with_context(|| format!("`{printed}`"))?;
        Ok(Duration::from_micros(microseconds))
    }
}

fn how(work: &str, side: Side, proxy: Option<u16>) -> Mounted {
    let reads = !["post", "many"].contains(&work);
    match (reads && side.name == "aquifer", proxy) {
        (true, None) => Mounted::ReadOnly,
        (true, Some(port)) => Mounted::ReadOnlyThrough(port),
        (false, None) => Mounted::ReadWrite,
        (false, Some(port)) => Mounted::Through(port),
    }
}

/// Lets it end, so that nothing holds the mount.
fn end(process: &Process<'_>) {
    process.kill();
    while !matches!(process.state(), State::Ended(_)) {
        thread::sleep(POLL);
    }
}

/// Waits until a process has stopped itself.
fn wait_until_stopped(process: &Process<'_>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match process.state() {
            State::Stopped => return Ok(()),
            State::Ended(_) => anyhow::bail!("the work failed: {}", process.log()),
            State::Running => anyhow::ensure!(Instant::now() < deadline, "the work hangs"),
        }
        thread::sleep(POLL);
    }
}
