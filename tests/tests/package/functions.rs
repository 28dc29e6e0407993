//! The packed functions, as Lambda runs them.

use std::time::Duration;

use aquifer_tests::local_lambda::{Front, LocalLambda, READS, REINDEX, Trio, WRITES, fetched};
use aquifer_tests::{Client, Cluster, eventually};

use crate::foreign;
use crate::packages::{Architecture, Packages, skip};

const TEAPOT: &str = r#"{"unique_key":"418","lang":"en","title":"418 I am a teapot","content":"The server refuses to brew coffee with a teapot."}"#;
/// Bounds what must happen at all. QEMU runs a program some ten times slower.
const PATIENCE: Duration = Duration::from_secs(300);
/// Documents are sent again after an invocation that failed; nothing fails here.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

#[test]
fn the_packed_functions_index_search_and_keep_to_the_schedule() {
    let Some(packages) = Packages::given() else {
        return;
    };
    for architecture in packages.architectures() {
        check(&packages, architecture);
    }
}

fn check(packages: &Packages, architecture: Architecture) {
    let cluster = Cluster::new();
    let trio = Trio {
        timeout: PATIENCE,
        ..Trio::default()
    };
    let mut specs = trio.specs(&cluster.root(), &cluster.logs());
    for spec in &mut specs {
        let name = spec.name.trim_start_matches("aquifer-");
        let bootstrap = packages.bootstrap(name, architecture);
        spec.program = if architecture.is_native() {
            bootstrap
        } else {
            match foreign::emulated(architecture, &bootstrap, &cluster.logs()) {
                Some(program) => program,
                None => return,
            }
        };
    }
    let emulator = match fetched() {
        Ok(emulator) => emulator,
        Err(missing) => return skip(&missing),
    };
    let lambda = LocalLambda::start(&emulator, specs.into(), RETRY_PAUSE);
    let front = Front::HttpApi { stage: None };
    let url = lambda.open(front, Trio::routes(), "127.0.0.1:0".parse().unwrap());
    let client = Client::new(&url.unwrap());

    let posted = client.post("/documents", TEAPOT);
    assert_eq!(posted.status, 200, "{architecture:?}: {posted:?}");
    let found = client.search(&[("q", "coffee")]);
    assert_eq!(found["count"], 1, "{architecture:?}: {found}");
    let order = r#"{"indexes":["default"],"tasks":["verify"]}"#;
    assert_eq!(client.post("/_schedule", order).status, 202);
    eventually("the schedule's order is followed", PATIENCE, || {
        (lambda.tally(REINDEX).invoked > 0).then_some(())
    });
    // What runs is ended only with its environment; an idle one is frozen.
    eventually("the schedule's order has been followed", PATIENCE, || {
        (lambda.frozen(REINDEX) > 0).then_some(())
    });
    for function in [READS, WRITES, REINDEX] {
        assert_eq!(
            lambda.tally(function).failed,
            0,
            "{architecture:?}: {function}"
        );
    }
    drop(lambda);
    cluster.check();
}
