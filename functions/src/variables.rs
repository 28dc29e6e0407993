//! Names of environment variables that the program and the functions share.

/// How much memory a process may use, in MiB.
pub const MEMORY: &str = "AQUIFER_MEMORY_MIB";
/// How much scratch disk a process may use, in MiB.
pub const SCRATCH: &str = "AQUIFER_SCRATCH_MIB";
