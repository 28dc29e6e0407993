//! `aquifer import`.

use std::io::Write;

use flate2::write::GzEncoder;
use insta::assert_snapshot;

use crate::{Place, text, without_time};

const LINES: &str = "{\"unique_key\":\"a\",\"title\":\"one\"}\n{\"unique_key\":\"b\"}\n";

#[test]
fn every_packing_is_understood() {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(LINES.as_bytes()).unwrap();
    let array = br#"[{"unique_key":"a","title":"one"}, {"unique_key":"b"}]"#.to_vec();
    for (name, bytes) in [
        ("plain", LINES.as_bytes().to_vec()),
        ("array", array),
        ("gzip", gzip.finish().unwrap()),
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
    line 4: the document is not valid JSON: EOF while parsing a value at line 1 column 14
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
