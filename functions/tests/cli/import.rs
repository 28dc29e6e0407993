//! `aquifer import`.

use insta::assert_snapshot;

use crate::{Place, gzip, text, without_time};

const LINES: &str = "{\"unique_key\":\"a\",\"title\":\"one\"}\n{\"unique_key\":\"b\"}\n";

#[test]
fn every_packing_is_understood() {
    let array = br#"[{"unique_key":"a","title":"one"}, {"unique_key":"b"}]"#.to_vec();
    for (name, bytes) in [
        ("plain", LINES.as_bytes().to_vec()),
        ("array", array),
        ("gzip", gzip(LINES)),
        ("zstd", zstd::encode_all(LINES.as_bytes(), 1).unwrap()),
    ] {
        let place = Place::new();
        let file = place.write(name, bytes);
        let out = place.run(&["import", text(&file)]).succeeded();
        let expected = "2 documents: 2 created, 0 updated, 0 refused";
        assert_eq!(without_time(&out), expected, "{name}");
        assert_eq!(place.search(&["one"]), ["a"], "{name}");
    }
}

#[test]
fn standard_input_is_read() {
    let place = Place::new();
    let out = place
        .run_with_input(&["import", "-"], LINES.as_bytes())
        .succeeded();
    assert!(out.starts_with("2 documents"), "{out}");
    let again = place
        .run_with_input(&["import", "-"], LINES.as_bytes())
        .succeeded();
    assert!(again.contains("0 created, 2 updated"), "{again}");
}

#[test]
fn refusals_are_reported_with_their_lines() {
    let place = Place::new();
    let input = "{\"unique_key\":\"a\"}\n\n{\"title\":\"no key\"}\n{\"unique_key\":\n";
    let ended = place.run_with_input(&["import", "-"], input.as_bytes());
    assert_snapshot!(without_time(&ended.out), @"3 documents: 1 created, 0 updated, 2 refused");
    assert_snapshot!(ended.failed(), @"
    line 3: `unique_key` is missing: give the document a string that identifies it
    line 4, column 14: the document is not valid JSON: EOF while parsing a value
    ");
    assert_eq!(place.search(&[]), ["a"]);
}

#[test]
fn only_the_first_refusals_are_shown() {
    let place = Place::new();
    let error = place
        .run_with_input(&["import", "-"], "{}\n".repeat(1025).as_bytes())
        .failed();
    assert_eq!(error.lines().count(), 21, "{error}");
    assert!(error.ends_with("... and 1,005 more\n"), "{error}");
}

#[test]
fn the_last_document_of_a_key_wins() {
    let place = Place::new();
    let line = |number| format!("{{\"unique_key\":\"k{}\",\"n\":{number}}}\n", number % 3);
    let input: String = (0..20_000).map(line).collect();
    place
        .run_with_input(&["import", "--jobs", "4", "-"], input.as_bytes())
        .succeeded();
    let answer = place.run(&["search", "--json", "--sort", "n"]).succeeded();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let numbers: Vec<_> = (0..3)
        .map(|at| answer["result"][at]["n"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [19_997, 19_998, 19_999]);
}

#[test]
fn an_array_that_breaks_off_is_an_error_with_its_place() {
    let place = Place::new();
    let error = place
        .run_with_input(&["import", "-"], b"[{\"unique_key\":\"a\"},\n{]")
        .failed();
    assert!(
        error.starts_with("error: ") && error.contains("line 2"),
        "{error}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let place = Place::new();
    let error = place.run(&["import", "nothing.ndjson"]).failed();
    assert!(error.contains("cannot read nothing.ndjson"), "{error}");
}

/// So many lines, of keys that start with `prefix`.
fn lines(prefix: &str, count: usize) -> String {
    let line = |number| {
        let text = format!("{prefix} number{number} of{}", number % 10);
        format!("{{\"unique_key\":\"{prefix}{number}\",\"content\":\"{text}\"}}\n")
    };
    (0..count).map(line).collect()
}

fn stats(place: &Place) -> serde_json::Value {
    let stats = place.run(&["stats", "--json"]).succeeded();
    serde_json::from_str(&stats).unwrap()
}

fn bundles(place: &Place) -> usize {
    let folder = place.path("root/default/bundles");
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn many_documents_end_in_few_segments_and_leave_nothing_to_collect() {
    let place = Place::new();
    let file = place.write("many.ndjson", lines("k", 20_000));
    let import = ["import", "--segment-bytes", "6000", text(&file)];
    let out = place.run(&import).succeeded();
    let expected = "20,000 documents: 20,000 created, 0 updated, 0 refused";
    assert_eq!(without_time(&out), expected);
    let figures = stats(&place);
    assert_eq!(figures["documents"], 20_000);
    let segments = figures["segments"].as_u64().unwrap();
    assert!(segments <= 7, "{segments} segments");
    assert_eq!(figures["retired_containers"], 0);
    assert_eq!(figures["containers"], bundles(&place));
    // The same again replaces all of it.
    let again = place.run(&import).succeeded();
    assert!(again.contains("0 created, 20,000 updated"), "{again}");
    assert_eq!(stats(&place)["documents"], 20_000);
    place.run(&["check"]).succeeded();
}

#[test]
fn what_was_read_before_the_input_broke_off_is_in_the_index() {
    let place = Place::new();
    let array: Vec<String> = lines("k", 500).lines().map(str::to_owned).collect();
    let array = format!("[{}", array.join(",\n"));
    let file = place.write("cut.json", &array);
    let ended = place.run(&["import", "--segment-bytes", "2000", text(&file)]);
    assert_snapshot!(without_time(&ended.out), @"500 documents: 500 created, 0 updated, 0 refused");
    let error = ended.failed();
    let expected = format!(
        "error: {}: it is not JSON from line 500 on: the array does not end\n",
        text(&file)
    );
    assert_eq!(error, expected);
    assert_eq!(stats(&place)["documents"], 500);
}

#[test]
fn a_packed_file_that_was_cut_off_is_read_as_far_as_it_goes() {
    let lines = lines("k", 2_000);
    let packed = [
        ("cut.ndjson.gz", gzip(&lines)),
        (
            "cut.ndjson.zst",
            zstd::encode_all(lines.as_bytes(), 1).unwrap(),
        ),
    ];
    for (name, bytes) in packed {
        let place = Place::new();
        let file = place.write(name, &bytes[..bytes.len() - 6]);
        let ended = place.run(&["import", text(&file)]);
        let documents = stats(&place)["documents"].as_u64().unwrap();
        let counts = format!("{documents} documents: {documents} created");
        assert!(ended.out.replace(',', "").starts_with(&counts), "{ended:?}");
        let error = ended.failed();
        let line = documents + 1;
        let told = format!(
            "error: {}: it cannot be unpacked from line {line} on: ",
            text(&file)
        );
        assert!(error.starts_with(&told), "{error}");
    }
}

#[test]
fn every_form_of_a_json_file_is_understood() {
    for (name, content, keys) in [
        (
            "pretty.json",
            "{\n  \"unique_key\": \"a\",\n  \"n\": 1\n}\n",
            "a",
        ),
        ("nameless.json", "{\n  \"title\": \"x\"\n}", "nameless.json"),
        (
            "wrapped.json",
            "{\"documents\": [{\"unique_key\":\"a\"},\n{\"unique_key\":\"b\"}]}",
            "a b",
        ),
        (
            "lines.json",
            "{\"unique_key\":\"a\"}\n{\"unique_key\":\"b\"}\n",
            "a b",
        ),
        ("UP.JSON", "{\"unique_key\":\"a\"}", "a"),
        ("other", "{\n\"unique_key\":\"a\"}", "a"),
        ("empty.ndjson", "", ""),
    ] {
        let place = Place::new();
        let file = place.write(name, content);
        place.run(&["import", text(&file)]).succeeded();
        let mut found = place.search(&[]);
        found.sort();
        assert_eq!(found.join(" "), keys, "{name}");
        let ended = place.run_with_input(&["import", "-"], content.as_bytes());
        assert!(
            name == "nameless.json" || ended.code == Some(0),
            "{name}: {ended:?}"
        );
    }
}

#[test]
fn what_no_file_can_be_is_told_with_its_only_line() {
    let place = Place::new();
    for (input, expected) in [
        ("{\n \"unique_key\": \"a\"\n}\n{\n}\n", "line 4, column 1: "),
        (
            "[\n{\"unique_key\":\"a\"},\n{\"unique_key\":\"b\",\n\"n\":1e400}]",
            "line 4, column 5, document 2: ",
        ),
        (
            "\n\n{\"unique_key\": 1.50}\n",
            "line 3: `unique_key` must be a string or a whole number, not the number 1.50",
        ),
    ] {
        let error = place
            .run_with_input(&["import", "-"], input.as_bytes())
            .failed();
        assert!(error.starts_with(expected), "{input}: {error}");
        assert_eq!(error.matches("line").count(), 1, "{error}");
    }
}

#[test]
fn killed_at_any_step_it_shows_all_or_nothing_and_is_swept() {
    for step in ["before-bundle", "before-link", "before-mark", "before-head"] {
        let place = Place::new();
        let base = place.write("base.ndjson", lines("base", 10));
        place.run(&["import", text(&base)]).succeeded();
        let file = place.write("many.ndjson", lines("k", 2_000));
        let mut child = place
            .command(&["import", "--segment-bytes", "5000", "--stop-at", step])
            .arg(&file)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(120);
        while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
            assert!(child.try_wait().unwrap().is_none(), "{step}: it ended");
            assert!(std::time::Instant::now() < patience, "{step}: not reached");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(step == "before-bundle" || bundles(&place) > 0, "{step}");
        child.kill().unwrap();
        child.wait().unwrap();

        // The next writer settles what became of it.
        let more = place.write("more.ndjson", lines("more", 1));
        place.run(&["import", text(&more)]).succeeded();
        let documents = stats(&place)["documents"].as_u64().unwrap();
        let published = ["before-mark", "before-head"].contains(&step);
        assert_eq!(documents, if published { 2_011 } else { 11 }, "{step}");
        place.run(&["gc", "--retention", "0s"]).succeeded();
        place.run(&["check"]).succeeded();
        let figures = stats(&place);
        assert_eq!(figures["documents"], documents, "{step}");
        // Two small commits travel in manifests.
        assert_eq!(figures["containers"], bundles(&place) + 2, "{step}");
        assert_eq!(bundles(&place) > 0, published, "{step}");
    }
}
