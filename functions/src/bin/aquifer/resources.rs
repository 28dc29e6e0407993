//! What a command may use of the machine: the arguments that all commands share that build or merge.

use aquifer_functions::allocator;
use aquifer_functions::variables::{MEMORY, SCRATCH};
use aquifer_indexer::budget::Budget;
use aquifer_indexer::config::{Config, MIB};
use clap::Args;

/// Memory and scratch disk.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Resources {
    /// Memory that the process may use, in MiB [default: the limit of its cgroup, otherwise a
    /// quarter of the machine's, 2048 at most]
    #[arg(long, env = MEMORY, value_name = "MIB")]
    memory: Option<u64>,
    /// Scratch disk that merges may use, in MiB, in the folder that TMPDIR names [default: nine
    /// tenths of what is free there]
    #[arg(long, env = SCRATCH, value_name = "MIB")]
    scratch: Option<u64>,
}

impl Resources {
    /// The defaults within these resources.
    pub(crate) fn config(self) -> Config {
        let bytes = |mib: u64| mib.saturating_mul(MIB as u64);
        let budget = Budget::of_process(self.memory.map(bytes), self.scratch.map(bytes));
        allocator::fit(budget.memory_bytes());
        Config::within(budget)
    }
}
