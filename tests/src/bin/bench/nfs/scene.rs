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

    /// Work on a fresh mount, read-only for Aquifer. (Plain tantivy takes a lock to open a reader.)
    pub(super) fn cold(&self, sides: [Side; 2], query: &str) -> Result<[Cost; 2]> {
        self.both(sides, "cold", query, TIMES, true, || Ok(()))
    }

    /// Work of a process that has been at work before.
    pub(super) fn warm(&self, sides: [Side; 2], work: &str, argument: &str) -> Result<[Cost; 2]> {
        self.both(sides, work, argument, TIMES, true, || Ok(()))
    }

    /// A search after B has posted to both.
    pub(super) fn news(&self, sides: [Side; 2], query: &str) -> Result<[Cost; 2]> {
        let client = self.lab.client('B');
        client.mount(Mounted::ReadWrite);
        let posted = || {
            for side in sides {
                let process = self.start(client, side, "post", "1")?;
                self.go_on(&process)?;
                end(&process);
            }
            Ok(())
        };
        let costs = self.both(sides, "news", query, TIMES, true, posted);
        client.unmount();
        costs
    }

    /// Many posts at once. Who waits for whom is not looked at: one after the other they would take all night.
    pub(super) fn many(&self, sides: [Side; 2]) -> Result<[Cost; 2]> {
        self.both(sides, "many", MANY, 1, false, || Ok(()))
    }

    fn both(
        &self,
        sides: [Side; 2],
        work: &str,
        argument: &str,
        times: usize,
        rounds: bool,
        meanwhile: impl Fn() -> Result<()>,
    ) -> Result<[Cost; 2]> {
        let client = self.lab.client('A');
        let mut costs = [Cost::default(), Cost::default()];
        let mut taken = [Vec::new(), Vec::new()];
        for time in 0..=times {
            // The first one counts RPCs, without a delay; the program is in the machine's memory afterwards.
            client.delay(if time == 0 { 0 } else { DELAY_MILLISECONDS });
            for ((side, cost), taken) in sides.iter().zip(&mut costs).zip(&mut taken) {
                client.mount(how(work, *side, None));
                let process = self.start(client, *side, work, argument)?;
                meanwhile()?;
                let before = client.rpc_total();
                let took = self.go_on(&process)?;
                if time == 0 {
                    cost.rpcs = client.rpc_total() - before;
                } else {
                    taken.push(took);
                }
                end(&process);
                client.unmount();
            }
        }
        client.delay(0);
        for ((side, cost), mut taken) in sides.iter().zip(&mut costs).zip(taken) {
            cost.time = quantile(&mut taken, 0.5);
            if rounds {
                cost.rounds = Some(self.rounds(client, *side, work, argument, &meanwhile)?);
            }
        }
        Ok(costs)
    }

    /// Does it once more, through the proxy.
    fn rounds(
        &self,
        client: &Machine,
        side: Side,
        work: &str,
        argument: &str,
        meanwhile: impl Fn() -> Result<()>,
    ) -> Result<(u32, u32)> {
        self.proxy.delay(Duration::ZERO);
        client.mount(how(work, side, Some(self.proxy.port())));
        let process = self.start(client, side, work, argument)?;
        meanwhile()?;
        self.proxy.delay(STAGGER);
        self.proxy.forget();
        self.go_on(&process)?;
        let (all, reads) = depth(&self.proxy.record());
        self.proxy.delay(Duration::ZERO);
        end(&process);
        client.unmount();
        Ok((all, reads))
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
