//! `aquifer create-index`.

use insta::assert_snapshot;

use crate::{Place, text, without_time};

#[test]
fn a_folder_becomes_an_index() {
    let place = Place::new();
    place.write("docs/b.json", r#"{"title":"without a key"}"#);
    place.write(
        "docs/a/1.json",
        r#"{"unique_key":"one","$schema":"x","$comment":["y"],"title":"first"}"#,
    );
    place.write("docs/notes.txt", "not a document");
    let out = place.run(&["create-index", "docs"]).succeeded();
    assert_snapshot!(without_time(&out), @"2 documents: 2 created, 0 updated, 0 refused");
    assert_eq!(place.search(&["without"]), ["b.json"]);
    assert_eq!(place.search(&["first"]), ["one"]);
    let answer = place.run(&["search", "--json", "first"]).succeeded();
    assert!(!answer.contains('$'), "{answer}");
}

#[test]
fn what_is_not_json_is_reported_and_the_rest_goes_in() {
    let place = Place::new();
    place.write("docs/a.json", r#"{"unique_key":"a"}"#);
    place.write("docs/b.json", "{\n  \"unique_key\": \"b\",\n}");
    place.write("docs/c.json", r#"["an array"]"#);
    place.write("docs/d.json", b"\xff");
    place.write(
        "docs/e.json",
        r#"{"unique_key":"e","updated_at":"yesterday"}"#,
    );
    let ended = place.run(&["create-index", "docs"]);
    assert_snapshot!(without_time(&ended.out), @"5 documents: 1 created, 0 updated, 4 refused");
    assert_snapshot!(ended.failed(), @r#"
    docs/b.json:3:1: trailing comma
    docs/c.json:1:0: invalid type: sequence, expected a JSON object
    docs/d.json: stream did not contain valid UTF-8
    docs/e.json (e): the field `updated_at` is "yesterday", which is not a date of RFC 3339: write it like "2024-05-17T09:30:00Z" or "2024-05-17" (from 1678 to 2261)
    "#);
    assert_eq!(place.search(&[]), ["a"]);
}

#[test]
fn languages_belong_to_the_index() {
    let place = Place::new();
    place.write("docs/a.json", r#"{"title":"a"}"#);
    let forced = [
        "create-index",
        "docs",
        "--default-language",
        "ja",
        "--force-language",
        "ja",
    ];
    place.run(&forced).succeeded();
    place.run(&forced).succeeded();
    place.run(&["create-index", "docs"]).succeeded();
    let other = place
        .run(&["create-index", "docs", "--default-language", "en"])
        .failed();
    assert!(
        other.starts_with("error: ") && other.contains("definition"),
        "{other}"
    );
}

#[test]
fn a_folder_must_be_one() {
    let place = Place::new();
    let file = place.write("a.json", "{}");
    let error = place.run(&["create-index", text(&file)]).failed();
    assert!(
        error.starts_with("error: ") && error.contains("is not a folder"),
        "{error}"
    );
}

#[test]
fn the_root_is_data_where_nobody_says_otherwise() {
    let place = Place::new();
    place.write("docs/a.json", r#"{"title":"a"}"#);
    let mut command = place.command(&["create-index", "docs"]);
    assert!(
        command
            .env_remove("AQUIFER_ROOT")
            .status()
            .unwrap()
            .success()
    );
    assert!(place.path("data").is_dir());
    let output = place.run(&["search", "--root", "data", "a"]).succeeded();
    assert!(output.contains("a.json"), "{output}");
    place
        .run(&["create-index", "--output", "elsewhere", "docs"])
        .succeeded();
    assert!(place.path("elsewhere").is_dir());
}
