//! A full-text index that many short-lived processes share over one file system.
//!
//! A document flows one way through the modules: it is parsed and validated ([`document`],
//! against a [`mapping`]), laid into the inbox, applied by the writer, published as a new
//! snapshot, found by a reader's refresh, and answered by [`search`]. [`index`] is the front
//! door: [`Aquifer`] is a root folder of indexes, [`Index`] one of them.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "unit tests wait for nothing that a clock decides, and any identity will do"
    )
)]

pub mod analysis;
pub mod budget;
pub mod check;
pub mod clock;
mod concurrent;
pub mod config;
pub mod counters;
pub mod descriptors;
pub mod doctor;
pub mod document;
pub mod error;
pub mod format;
pub mod ids;
pub mod inbox;
pub mod index;
pub mod invariants;
pub mod layout;
pub mod mapping;
pub mod mount;
pub mod numbers;
pub mod order;
pub mod quote;
pub mod reindex;
pub mod search;
pub mod snapshot;
pub mod world;
pub mod writer;

pub use error::{Error, ErrorKind, Result};
pub use index::{Aquifer, Index};
