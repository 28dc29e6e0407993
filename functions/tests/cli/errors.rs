//! An error names what it is about, and its cause, once.

use crate::{Place, text};

/// The error of a command, which must name `what` and `cause` once.
#[track_caller]
fn check(place: &Place, arguments: &[&str], what: &str, cause: &str) {
    let error = place.run(arguments).failed();
    let last = error.lines().last().unwrap_or_default();
    assert_eq!(last.matches(what).count(), 1, "{arguments:?}: {error}");
    let causes = last.to_lowercase().matches(cause).count();
    assert_eq!(causes, 1, "{arguments:?}: {error}");
    // What is said in words does not need the system's own text as well.
    let both = ["does not exist", "is not a folder"].contains(&cause) && last.contains("os error");
    assert!(!both, "{arguments:?}: {error}");
}

#[test]
fn a_folder_and_a_cause_are_named_once() {
    let place = Place::new();
    let line = b"{\"unique_key\":\"old\"}";
    place.run_with_input(&["import", "-"], line).succeeded();
    let file = place.write("a-file", "{\"unique_key\":\"a\"}");
    let (missing, empty) = (place.path("missing"), place.path("empty"));
    std::fs::create_dir(&empty).unwrap();
    let below = format!("{}/below", text(&file));
    let (missing, empty, file) = (text(&missing), text(&empty), text(&file));
    for command in ["search", "stats", "check"] {
        check(&place, &[command, "--root", file], file, "is not a folder");
    }
    check(
        &place,
        &["search", "--root", missing],
        missing,
        "does not exist",
    );
    check(
        &place,
        &["import", file, "--root", &below],
        &below,
        "is not a folder",
    );
    check(&place, &["serve", "--root", file], file, "is not a folder");
    check(&place, &["import", missing], missing, "no such file");
    check(
        &place,
        &["create-index", missing],
        missing,
        "is not a folder",
    );
    check(
        &place,
        &["reindex", "--definition", missing],
        missing,
        "no such file",
    );
    check(
        &place,
        &["reindex", "--definition", empty],
        empty,
        "is a directory",
    );
    check(
        &place,
        &["reindex", "--source", missing],
        missing,
        "no such folder",
    );
    check(
        &place,
        &["reindex", "--source", empty],
        empty,
        "no name there ends in",
    );
    check(
        &place,
        &["reindex", "--source", file],
        file,
        "no such folder",
    );
}

#[test]
fn an_error_says_what_to_do_about_it_here() {
    let place = Place::new();
    let line = b"{\"unique_key\":\"a\"}";
    place.run_with_input(&["import", "-"], line).succeeded();
    for command in ["search", "stats", "check", "merge"] {
        check(
            &place,
            &[command, "--index", "nowhere"],
            "there is no index `nowhere`",
            "or `aquifer create-index`",
        );
    }
}
