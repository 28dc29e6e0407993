//! The functions as Lambda runs them: their real programs in environments of the Runtime Interface Emulator.
//!
//! Where the emulator cannot be had the tests say so and are skipped, which counts as a failure where `CI` is set.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test does not expect is to fail it"
)]

mod asked;
mod crowd;
mod events;
mod frozen;
mod local;
mod same;
mod scheduled;
mod sdk;

use std::env;

use aquifer_tests::Cluster;
use aquifer_tests::local_lambda::{Front, LocalLambda, Trio};

/// The functions on the folder of a cluster; nothing where the emulator cannot be had.
#[track_caller]
fn lambda(cluster: &Cluster, trio: Trio) -> Option<LocalLambda> {
    match trio.start(&cluster.root(), &cluster.logs()) {
        Ok(lambda) => Some(lambda),
        Err(missing) => {
            let is_ci =
                env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
            assert!(!is_ci, "where CI is set, this is a failure: {missing}");
            println!("skipped: {missing}");
            None
        }
    }
}

/// A door of the kind that most have.
fn door(lambda: &LocalLambda) -> String {
    open(lambda, Front::HttpApi { stage: None })
}

fn open(lambda: &LocalLambda, front: Front) -> String {
    let free = "127.0.0.1:0".parse().unwrap();
    lambda.open(front, Trio::routes(), free).unwrap()
}
