//! Writers in A and B that post to one index at the same time.

use std::thread;

use aquifer_tests::lab::{Kind, Lab, Mounted, Plan};
use serde_json::json;

use crate::scene::{View, check};

/// Clients of each writer.
const CLIENTS: u64 = 4;
/// Posts of each client.
const POSTS: u64 = 40;

pub(crate) fn both_make_progress_in_one_history(kind: Kind) {
    let lab = Lab::boot(Plan::new(kind, 3));
    lab.client('A').mount(Mounted::ReadWrite);
    lab.client('B').mount(Mounted::ReadWrite);
    lab.client('C').mount(Mounted::ReadOnly);
    let writers = ['A', 'B'].map(|name| (name, lab.client(name).serve().start()));
    let reader = lab.client('C').serve().read_only().start();
    let reader = View::new(&reader, "default");
    let versions: Vec<(char, u64)> = thread::scope(|scope| {
        let mut clients = Vec::new();
        for (name, writer) in &writers {
            for number in 0..CLIENTS {
                let (name, writer, reader) = (*name, View::new(writer, "default"), &reader);
                clients.push(scope.spawn(move || post(name, &writer, reader, number)));
            }
        }
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });
    for (name, writer) in &writers {
        let view = View::new(writer, "default");
        assert_eq!(
            ["A", "B"].map(|owner| view.count(owner)),
            [CLIENTS * POSTS; 2],
            "{name}"
        );
        // Neither had to wait until the other was done.
        let own = versions
            .iter()
            .filter(|(by, _)| by == name)
            .map(|(_, version)| version);
        let others = versions
            .iter()
            .filter(|(by, _)| by != name)
            .map(|(_, version)| version);
        assert!(
            own.min() < others.max(),
            "{name} waited for the other: {versions:?}"
        );
    }
    assert_eq!(
        ["A", "B"].map(|owner| reader.count(owner)),
        [CLIENTS * POSTS; 2]
    );
    check(lab.client('A'), "default");
}

/// Posts one document after the other; each is found by the reader once it is acknowledged.
fn post(name: char, writer: &View, reader: &View, client: u64) -> Vec<(char, u64)> {
    let post = |number: u64| {
        let own = format!("{name}{client}");
        let document =
            json!({"unique_key": format!("{own}-{number}"), "owner": [name.to_string(), own]});
        let version = writer.post(&document.to_string());
        assert_eq!(reader.count(&own), number + 1, "{own} at {version}");
        (name, version)
    };
    (0..POSTS).map(post).collect()
}
