//! What only real processes show: several of them on one folder, stopped, killed and started again.
//!
//! They run the program `aquifer` that `cargo build --workspace` has made.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test does not expect is to fail it"
)]

mod demo;
mod hostile;
mod many;
mod mayhem;
mod memory;
mod recreated;
mod reindex;
mod searches;
mod shutdown;
mod sleepers;
