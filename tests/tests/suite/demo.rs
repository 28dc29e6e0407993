//! The sample documents, from a folder to the first search.

use std::fs;
use std::path::{Path, PathBuf};

use aquifer_tests::{Client, Cluster};
use serde_json::Value;

const TEAPOT: &str = r#"{"unique_key":"418","lang":"en","title":"418 I am a teapot","content":"The server refuses to brew coffee with a teapot.","tags":["418","joke"]}"#;

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/http-status")
}

fn keys(client: &Client, parameters: &[(&str, &str)]) -> Vec<String> {
    let answer = client.search(parameters);
    let documents = answer["result"].as_array().unwrap();
    let key = |document: &Value| document["unique_key"].as_str().unwrap().to_owned();
    let mut keys: Vec<String> = documents.iter().map(key).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn the_samples_are_loaded_and_found() {
    let cluster = Cluster::new();
    let ended = cluster.run(&["create-index", samples().to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = "126 documents: 126 created, 0 updated, 0 refused";
    assert!(ended.out.starts_with(told), "{ended:?}");

    let server = cluster.writer().start();
    assert_eq!(server.search(&[])["count"], 126);

    let posted = server.post("/documents", TEAPOT);
    assert_eq!(posted.status, 200, "{posted:?}");
    for (field, expected) in [("accepted", 1), ("created", 0), ("updated", 1)] {
        assert_eq!(posted.body[field], expected, "{posted:?}");
    }
    let answer = server.get("/search?q=coffee&tag=joke");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["count"], 1, "{answer:?}");
    let hit = &answer.body["result"][0];
    assert_eq!(hit["title"], "418 I am a teapot", "{answer:?}");
    assert!(hit["score"].as_f64().unwrap() > 0.0, "{answer:?}");
    assert_eq!(answer.body["version"], posted.body["version"], "{answer:?}");
    assert_eq!(server.get("/documents/418").text, TEAPOT);

    let japanese = keys(&server, &[("q", "認証"), ("limit", "50")]);
    assert!(japanese.iter().any(|key| key == "401-ja"), "{japanese:?}");
    assert!(
        japanese.iter().all(|key| key.ends_with("-ja")),
        "{japanese:?}"
    );
    let stemmed = keys(&server, &[("q", "redirections"), ("lang", "en")]);
    assert!(stemmed.iter().any(|key| key == "307"), "{stemmed:?}");
    server.end();
    cluster.check();
}

#[test]
fn loading_the_samples_again_changes_nothing() {
    let cluster = Cluster::new();
    let folder = samples();
    for told in ["126 created, 0 updated", "0 created, 126 updated"] {
        let ended = cluster.run(&["create-index", folder.to_str().unwrap()]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.out.contains(told), "{ended:?}");
    }
    let reader = cluster.reader().start();
    assert_eq!(reader.search(&[])["count"], 126);
    cluster.check();
}

#[test]
fn a_broken_file_is_told_and_the_others_go_in() {
    let cluster = Cluster::new();
    let folder = cluster.scratch();
    fs::create_dir(&folder).unwrap();
    for name in ["404.json", "418.json", "500.json"] {
        fs::copy(samples().join("en").join(name), folder.join(name)).unwrap();
    }
    let broken = folder.join("broken.json");
    fs::write(
        &broken,
        "{\n  \"unique_key\": \"broken\",\n  \"title\": oops\n}\n",
    )
    .unwrap();
    let ended = cluster.run(&["create-index", folder.to_str().unwrap()]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let told = format!("{}:3:12: ", broken.display());
    assert!(ended.err.contains(&told), "{told} is not in {ended:?}");
    assert!(
        ended.out.contains("3 created, 0 updated, 1 refused"),
        "{ended:?}"
    );
    let reader = cluster.reader().start();
    assert_eq!(keys(&reader, &[]), ["404", "418", "500"]);
}
