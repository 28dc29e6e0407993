//! A writer in A, readers in B and C.

use aquifer_tests::lab::{Kind, Lab, MOUNT_POINT, Plan, ROOT};
use serde_json::json;

/// Posts, each followed by a search on both readers.
const POSTS: u64 = 1000;

pub(crate) fn what_was_acknowledged_is_found_by_the_next_search_of_every_reader(kind: Kind) {
    let lab = Lab::mounted(Plan::new(kind, 3));
    let writer = lab.client('A').serve().start();
    let readers = ['B', 'C'].map(|name| {
        let reader = lab.client(name);
        // What is looked up before it exists is remembered as absent for long: hostile, if anything depended on it.
        let ahead = (0..50).map(|version| format!("{ROOT}/default/manifests/{version:020}"));
        let command: Vec<String> = ["stat".to_owned(), MOUNT_POINT.into()]
            .into_iter()
            .chain(ahead)
            .collect();
        reader.try_run(&command.iter().map(String::as_str).collect::<Vec<_>>());
        reader.serve().read_only().start()
    });
    for number in 1..=POSTS {
        let document =
            json!({ "unique_key": number.to_string(), "title": format!("number {number}") });
        let posted = writer.post("/documents", &document.to_string());
        assert_eq!(posted.status, 200, "{posted:?}");
        for reader in &readers {
            let found = reader.search(&[("q", "number"), ("limit", "1")]);
            assert_eq!(
                found["count"],
                number,
                "{} misses it",
                reader.machine().name()
            );
            assert_eq!(found["version"], posted.body["version"]);
        }
    }
    let (code, out, err) = lab.client('A').aquifer(&["check"]);
    assert_eq!(code, Some(0), "{out}{err}");
}
