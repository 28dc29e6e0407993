//! A writer in A, readers in B and C.

use std::thread;

use aquifer_tests::lab::{Lab, Machine, Plan, ROOT, Setting};
use serde_json::{Value, json};

use crate::scene::check;

/// Posts, each followed by a search on both readers.
const POSTS: u64 = 1000;
/// So often, in posts, a reader looks up names that do not exist yet.
const LOOK_AHEAD_EVERY: u64 = 25;

pub(crate) fn what_was_acknowledged_is_found_by_the_next_search_of_every_reader(setting: Setting) {
    let lab = Lab::mounted(Plan::new(setting, 3));
    let writer = lab.client('A').serve().start();
    let readers = ['B', 'C'].map(|name| lab.client(name).serve().read_only().start());
    let mut version = 0;
    for number in 1..=POSTS {
        if number % LOOK_AHEAD_EVERY == 1 {
            look_ahead(lab.client('B'), version);
        }
        let key = number.to_string();
        let document = json!({"unique_key": key, "title": format!("number {number}")});
        let posted = writer.post("/documents", &document.to_string());
        assert_eq!(posted.status, 200, "{posted:?}");
        version = posted.body["version"].as_u64().unwrap();
        thread::scope(|scope| {
            for reader in &readers {
                scope.spawn(|| {
                    let found = reader.search(&[("q", "number"), ("limit", "1")]);
                    let name = reader.machine().name();
                    assert_eq!(found["count"], number, "{name} misses it");
                    assert_eq!(found["version"], Value::from(version), "{name}");
                });
            }
        });
    }
    check(lab.client('A'), "default");
}

/// Fills a machine's caches with what misleads it: names looked up before they exist stay absent there for many
/// seconds, and attributes stay what they were.
fn look_ahead(machine: &Machine, version: u64) {
    let manifests = (version..version + 2 * LOOK_AHEAD_EVERY)
        .map(|version| format!("{ROOT}/default/manifests/{version:020}"));
    let mut command = vec!["stat".to_owned(), format!("{ROOT}/default/HEAD")];
    command.extend(manifests);
    // Most of them do not exist.
    machine.try_run(&command.iter().map(String::as_str).collect::<Vec<_>>());
}
