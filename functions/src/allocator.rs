//! The allocator of every program.
//!
//! A commit is built and merged by threads that come and go, and most of what they allocate is freed by others. glibc
//! keeps such memory in the arena that it came from, one for each thread that was ever busy at the same time, and gives
//! hardly any of it back. jemalloc returns what has not been used for some seconds, in a thread of its own. The figures
//! for both, and for mimalloc, are in `docs/decisions/allocator.md`.

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
