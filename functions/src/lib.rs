//! The HTTP service of Aquifer as a router that knows neither servers nor functions.
//!
//! [`http::router`] turns requests into calls of [`aquifer_indexer`] and their results into
//! JSON. Whoever has a front door (a socket, a function's event) puts requests in and takes
//! answers out; the `aquifer` program in this crate does so on a socket, [`lambda`] with the events of
//! AWS Lambda.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "a test may read the time of day, and wait for another thread"
    )
)]

pub mod advice;
pub mod allocator;
pub mod doctor;
pub mod duration;
pub mod http;
pub mod lambda;
pub mod log_queue;
pub mod object;
pub mod sources;
pub mod texts;
pub mod variables;
