//! `aquifer create-index`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use insta::assert_snapshot;

use crate::{Ended, Place, gzip, text, without_time};

#[test]
fn a_folder_becomes_an_index() {
    let place = Place::new();
    place.write("docs/b.json", r#"{"title":"without a key"}"#);
    place.write(
        "docs/a/1.json",
        r#"{"unique_key":"one","$schema":"x","$comment":["y"],"title":"first"}"#,
    );
    place.write("docs/notes.txt", "not a document");
    let ended = place.run(&["create-index", "docs"]);
    assert_snapshot!(ended.err, @"skipped docs/notes.txt: its name does not end in .json, .ndjson or .jsonl, or in one of these and .gz or .zst");
    let out = ended.succeeded();
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
    // They come in the order in which the lanes get to them.
    let mut reported: Vec<_> = ended.err.lines().collect();
    reported.sort_unstable();
    assert_snapshot!(reported.join("\n"), @r#"
    docs/b.json:3:1: trailing comma
    docs/c.json:1, document 1: a document is a JSON object such as {"unique_key": "a", "content": "..."}
    docs/d.json:1: it is not UTF-8: invalid utf-8 sequence of 1 bytes from index 0
    docs/e.json:1 (e): the field `updated_at` is "yesterday", which is not a date of RFC 3339: write it like "2024-05-17T09:30:00Z" or "2024-05-17" (from 1678 to 2261)
    "#);
    ended.failed();
    assert_eq!(place.search(&[]), ["a"]);
}

/// Files in every form, and what is passed over.
fn mixed(place: &Place) {
    place.write("docs/UP.JSON", r#"{"title":"upper"}"#);
    place.write(
        "docs/a/lines.ndjson",
        "{\"unique_key\":\"l1\"}\n{\"unique_key\":\"l2\"}\n",
    );
    place.write("docs/array.json.gz", gzip("[{\"unique_key\":\"g\"}]"));
    place.write("elsewhere/secret.json", r#"{"unique_key":"secret"}"#);
    place.write("docs/readme.md", "# no documents");
    symlink(place.path("elsewhere"), place.path("docs/folder")).unwrap();
    symlink(
        place.path("elsewhere/secret.json"),
        place.path("docs/link.json"),
    )
    .unwrap();
    symlink("/dev/zero", place.path("docs/zero.json")).unwrap();
    let pipe = place.path("docs/pipe.json");
    let made = Command::new("mkfifo").arg(pipe).status();
    assert!(made.unwrap().success());
}

#[test]
fn every_command_reads_the_same_files_of_a_folder() {
    let place = Place::new();
    mixed(&place);
    let mut skipped = Vec::new();
    for command in [&["create-index", "docs"][..], &["import", "docs/"]] {
        let ended = place.run(command);
        skipped.push(ended.err.clone());
        assert!(ended.succeeded().starts_with("4 documents: "));
        let mut keys = place.search(&[]);
        keys.sort();
        assert_eq!(keys, ["UP.JSON", "g", "l1", "l2"], "{command:?}");
    }
    assert_eq!(skipped[0], skipped[1]);
    assert_snapshot!(skipped[0], @"
    skipped docs/folder: it is a link, and links are not followed
    skipped docs/link.json: it is a link, and links are not followed
    skipped docs/pipe.json: it is neither a file nor a folder
    skipped docs/readme.md: its name does not end in .json, .ndjson or .jsonl, or in one of these and .gz or .zst
    skipped docs/zero.json: it is a link, and links are not followed
    ");
    let folder = place.path("docs");
    place
        .run(&["reindex", "--source", text(&folder)])
        .succeeded();
    let mut keys = place.search(&[]);
    keys.sort();
    assert_eq!(keys, ["UP.JSON", "g", "l1", "l2"]);
}

#[test]
fn what_cannot_be_read_keeps_nothing_else_out() {
    let place = Place::new();
    place.write("docs/a.json", "{}");
    place.write("docs/closed/b.json", "{}");
    place.write("docs/closed.json", "{}");
    place.write("docs/cut.json", "[{\"unique_key\":\"first\"},");
    place.write("docs/z.json", "{}");
    let odd = place.path("docs").join(OsStr::from_bytes(b"caf\xe9.json"));
    std::fs::write(odd, "{}").unwrap();
    let deep = format!("docs/{}d.json", "d/".repeat(66));
    place.write(&deep, "{}");
    let close = |name: &str, mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.path(name), permissions).unwrap();
    };
    close("docs/closed", 0);
    close("docs/closed.json", 0);
    let mut command = without_privileges(place.command(&["create-index", "docs"]));
    let ended = Ended::new(command.output().unwrap());
    assert_eq!(
        without_time(&ended.out),
        "3 documents: 3 created, 0 updated, 0 refused"
    );
    let deepest = "d/".repeat(65);
    let error = ended.failed().replace(&deepest, "[deep]");
    assert_snapshot!(error, @"
    error: docs/caf�.json: its name is not UTF-8, so that no key could hold it
    error: docs/closed.json: Permission denied (os error 13)
    error: docs/closed/: this process has no right to read it
    error: docs/cut.json: it is not JSON from line 1 on: the array does not end
    error: docs/[deep]: it lies more than 64 folders deep
    ");
    let mut keys = place.search(&[]);
    keys.sort();
    assert_eq!(keys, ["a.json", "first", "z.json"]);
    // A job leaves none of them out without being told to.
    let folder = place.path("docs");
    let source = [
        "reindex",
        "--source",
        text(&folder),
        "--skip-refused",
        "--json",
    ];
    let mut command = without_privileges(place.command(&source));
    let status = Ended::new(command.output().unwrap()).succeeded();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(
        (&status["refused"], &status["documents"]),
        (&5.into(), &3.into()),
        "{status}"
    );
    close("docs/closed", 0o700);
}

/// Root may read everything, unless it runs without its privileges.
fn without_privileges(command: Command) -> Command {
    let mut without = Command::new("setpriv");
    without
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap())
        .stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => without.env(name, value),
            None => without.env_remove(name),
        };
    }
    without
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
