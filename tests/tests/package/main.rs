//! The archives that `scripts/package` makes, as somebody finds them who deploys them.
//!
//! `AQUIFER_PACKAGES` names their folder, which `scripts/test` fills with packages of this machine's architecture in the profile
//! `package-check`. Each test covers every architecture that it finds there.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test does not expect is to fail it"
)]

mod archives;
mod bundled;
mod foreign;
mod functions;
mod packages;
mod programs;
