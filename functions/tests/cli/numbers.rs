//! `aquifer stats`, `check`, `gc` and `merge`.

use serde_json::Value;

use crate::Place;

#[test]
fn an_index_can_be_looked_after() {
    let place = Place::new();
    for key in ["a", "b", "a"] {
        let line = format!("{{\"unique_key\":\"{key}\"}}");
        place
            .run_with_input(&["import", "-"], line.as_bytes())
            .succeeded();
    }
    let stats =
        || -> Value { serde_json::from_str(&place.run(&["stats", "--json"]).succeeded()).unwrap() };
    assert_eq!(stats()["documents"], 2);
    for command in [["merge", "--json"], ["gc", "--json"], ["check", "--json"]] {
        let report = place.run(&command).succeeded();
        assert!(
            serde_json::from_str::<Value>(&report).unwrap().is_object(),
            "{report}"
        );
    }
    assert_eq!(stats()["documents"], 2);
    let table = place.run(&["stats"]).succeeded();
    assert!(
        table.lines().any(|line| line.starts_with("documents ")),
        "{table}"
    );
    let mut keys = place.search(&[]);
    keys.sort();
    assert_eq!(keys, ["a", "b"]);
}

#[test]
fn damage_is_named_and_makes_the_status_1() {
    let place = Place::new();
    place
        .run_with_input(&["import", "-"], b"{\"unique_key\":\"a\"}")
        .succeeded();
    let mut damaged = 0;
    for entry in walkdir::WalkDir::new(place.path("root")) {
        let entry = entry.unwrap();
        let of_a_version = entry
            .path()
            .components()
            .any(|part| part.as_os_str() == "manifests" || part.as_os_str() == "bundles");
        if of_a_version && entry.file_type().is_file() {
            let mut bytes = std::fs::read(entry.path()).unwrap();
            let middle = bytes.len() / 3;
            bytes[middle] ^= 0xff;
            std::fs::write(entry.path(), bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0, "there are files to damage");
    let ended = place.run(&["check"]);
    assert!(
        ended.out.contains("manifests") || ended.err.contains("manifests"),
        "{ended:?}"
    );
    assert!(ended.failed().contains("error: "));
}
