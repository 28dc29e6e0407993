//! `aquifer search`.

use insta::assert_snapshot;

use crate::Place;

fn filled() -> Place {
    let place = Place::new();
    let input = r#"{"unique_key":"418","lang":"en","title":"I am a teapot","tags":["joke","4xx"],"updated_at":"2024-01-01T00:00:00Z","content":"The server refuses to brew coffee with a teapot."}
{"unique_key":"404","lang":"en","title":"Not Found","tags":["4xx"],"updated_at":"2024-02-01T00:00:00Z","content":"No coffee <here> & there."}
{"unique_key":"200"}
"#;
    place
        .run_with_input(&["import", "-"], input.as_bytes())
        .succeeded();
    place
}

/// The output without scores, version and time.
fn steady(output: &str) -> String {
    let cut = |line: &str| {
        let end = ["score ", "(version "]
            .iter()
            .filter_map(|word| line.find(word))
            .min();
        line.get(..end.unwrap_or(line.len())).unwrap().to_owned()
    };
    output.lines().map(cut).collect::<Vec<_>>().join("\n")
}

#[test]
fn results_are_readable() {
    let place = filled();
    let output = place.run(&["search", "coffee", "brewing"]).succeeded();
    assert_snapshot!(steady(&output), @"
      1. I am a teapot
         418 | en | tags: joke, 4xx | 
         The server refuses to brew coffee with a teapot.

      2. Not Found
         404 | en | tags: 4xx | 
         No coffee <here> & there.

    2 of 2 results
    ");
    let output = place.run(&["search", "tags:none"]).succeeded();
    assert_snapshot!(steady(&output), @"0 of 0 results");
    let output = place.run(&["search", "unique_key:200"]).succeeded();
    assert_snapshot!(steady(&output), @"
      1. 200
         200 | 

    1 of 1 results
    ");
}

#[test]
fn conditions_narrow_the_search() {
    let place = filled();
    assert_eq!(place.search(&["--tag", "joke", "coffee"]), ["418"]);
    assert_eq!(place.search(&["--tag", "4xx", "--tag", "joke"]), ["418"]);
    assert_eq!(
        place.search(&["--operator", "and", "coffee", "teapot"]),
        ["418"]
    );
    assert_eq!(place.search(&["--filter", "tags:joke", "coffee"]), ["418"]);
    assert_eq!(
        place
            .search(&["coffee", "--lang", "en", "--limit", "1", "--offset", "1"])
            .len(),
        1
    );
    assert_eq!(
        place.search(&["--sort", "updated_at:desc", "--limit", "2"]),
        ["404", "418"]
    );
    assert_eq!(
        place.search(&["--default-language", "en", "teapot"]),
        ["418"]
    );
}

#[test]
fn a_word_can_be_left_out() {
    let place = filled();
    assert_eq!(place.search(&["coffee -teapot"]), ["404"]);
    assert_eq!(place.search(&["--", "coffee", "-teapot"]), ["404"]);
}

#[test]
fn a_missing_index_is_an_error_that_says_so() {
    let place = Place::new();
    let error = place.run(&["search", "a"]).failed();
    assert!(error.starts_with("error: "), "{error}");
    let error = filled()
        .run(&["search", "--index", "nowhere", "a"])
        .failed();
    assert!(error.contains("nowhere"), "{error}");
}
