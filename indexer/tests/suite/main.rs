//! The index as a whole, on a real folder.

#![expect(unreachable_pub, reason = "a test binary has no outside")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a test that needs another time or the same identities again sets a world of its own"
)]

mod alone;
mod bulk;
mod counts;
mod crash;
mod damage;
mod doctor;
mod events;
mod fence;
mod growth;
mod lifecycle;
mod links;
mod merging;
mod million;
mod model;
mod open;
mod rebuild;
mod refusals;
mod rig;
mod round_trip;
mod rules;
mod skew;
mod starts;
mod unchanged;
