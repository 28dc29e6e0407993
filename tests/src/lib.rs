//! What the tests that cross crates share: the program `aquifer` as real processes on one folder.
//!
//! A [`Cluster`] is a folder and whoever runs on it; a [`Server`] is one of these processes, which is killed when
//! it goes out of scope, also when the test fails; a [`Client`] talks to it over HTTP.
//!
//! The program must have been built: `cargo build --workspace`, then `cargo test -p aquifer-tests`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test does not expect is to fail it"
)]

#[cfg(target_os = "linux")]
mod cgroup;
mod client;
mod cluster;
#[cfg(target_os = "linux")]
pub mod debian;
#[cfg(target_os = "linux")]
pub mod lab;
#[cfg(target_os = "linux")]
pub mod local_lambda;
mod patience;
mod program;
mod server;

#[cfg(target_os = "linux")]
pub use cgroup::Confined;
pub use client::{Answer, Client, Unanswered};
pub use cluster::{Cluster, Ended};
pub use patience::{eventually, within};
pub use server::{Launch, Server};
