//! Writers in A and B that post to one index at the same time: taking turns by the lock, or both at once where there is none.

use std::thread;

use aquifer_tests::lab::{Lab, Machine, Mounted, Plan, Setting};
use serde_json::json;

use crate::scene::{View, Work, check};

/// Clients of each writer.
const CLIENTS: u64 = 4;
/// Posts of each client.
const POSTS: u64 = 40;
/// A document of neither.
const FIRST: &str = r#"{"unique_key": "first"}"#;

pub(crate) fn both_make_progress_in_one_history(setting: Setting) {
    let lab = Lab::boot(Plan::new(setting, 3));
    lab.client('A').mount(Mounted::ReadWrite);
    lab.client('B').mount(Mounted::ReadWrite);
    lab.client('C').mount(Mounted::ReadOnly);
    let writers = ['A', 'B'].map(|name| (name, lab.client(name).serve().start()));
    let reader = lab.client('C').serve().read_only().start();
    let reader = View::new(&reader, "default");
    // One of them creates the index, which is none of the commits that are counted.
    let before = View::new(&writers[0].1, "default").post(FIRST);
    let work = || [0, 1].map(|at: usize| Work::of(&writers[at].1));
    let at_first = work();
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
    let [a, b] = work();
    let done = [a.since(at_first[0]), b.since(at_first[1])];
    println!("{setting}: A and B have done {done:?}");
    nothing_is_wasted_twice(done, reader.version() - before);
    links_without_holes(lab.client('A'), reader.version());
    check(lab.client('A'), "default");
}

/// Each version was published by one writer, and each version has cost the other writer one attempt at most: a writer that
/// comes second starts over from the newest version, so it never tries for the same version again. This holds with and
/// without locks, however fast or slow either of them is.
#[track_caller]
fn nothing_is_wasted_twice([a, b]: [Work; 2], versions: u64) {
    assert_eq!(a.commits + b.commits, versions, "{a:?} and {b:?}");
    assert!(a.fenced <= b.commits, "{a:?} beside {b:?}");
    assert!(b.fenced <= a.commits, "{b:?} beside {a:?}");
}

/// Nothing was collected yet, so every version from the first to the newest has its link.
#[track_caller]
fn links_without_holes(machine: &Machine, newest: u64) {
    let names = machine.names("default/manifests");
    let linked: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
    assert_eq!(linked, (1..=newest).collect::<Vec<u64>>());
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
