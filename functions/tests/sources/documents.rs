//! Which documents come, in which order, in parts of any size.

use super::*;

/// Every form that is understood, and what is none.
fn fill(folder: &Path) {
    put(
        folder,
        "docs/one.json",
        "{\"title\": \"One\", \"$schema\": \"x\"}",
    );
    put(folder, "docs/a/two.json", gzip("{\"n\":1}"));
    put(
        folder,
        "docs/a/deep/own.json",
        "{\"unique_key\": \"own\"}\n",
    );
    put(
        folder,
        "docs/a.json",
        "[{\"unique_key\":\"a1\"},\n {\"unique_key\":\"a2\"}]",
    );
    put(
        folder,
        "docs/b.json",
        "{\"documents\": [{\"unique_key\":\"b1\"}]}",
    );
    put(folder, "docs/l.ndjson", lines("l", 3));
    put(folder, "docs/m.jsonl.gz", gzip(&lines("m", 3)));
    put(folder, "docs/z.jsonl.zst", zstd(&lines("z", 3)));
    put(
        folder,
        "docs/array.json.zst",
        zstd("[{\"unique_key\":\"c\"}]"),
    );
    put(
        folder,
        "docs/n.JSON",
        "{\"unique_key\": \"n1\"}\n{\"unique_key\": \"n2\"}\n",
    );
    put(folder, "docs/README.md", "# no documents");
    put(folder, "docs/empty.ndjson", "");
    put(folder, "docs-other/x.json", "{}");
}

/// What [`fill`] wrote, by the bytes of the objects' names.
fn filled() -> Vec<String> {
    let mut expected = vec![
        "{\"unique_key\":\"a1\"}".to_owned(),
        "{\"unique_key\":\"a2\"}".to_owned(),
        "{\"unique_key\": \"own\"}".to_owned(),
        "{\"n\":1,\"unique_key\":\"a/two.json\"}".to_owned(),
        "{\"unique_key\":\"c\"}".to_owned(),
        "{\"unique_key\":\"b1\"}".to_owned(),
    ];
    for prefix in ["l", "m"] {
        expected.extend(lines(prefix, 3).lines().map(str::to_owned));
    }
    expected.extend(["n1", "n2"].map(|key| format!("{{\"unique_key\": \"{key}\"}}")));
    expected.push("{\"title\":\"One\",\"unique_key\":\"one.json\"}".to_owned());
    expected.extend(lines("z", 3).lines().map(str::to_owned));
    expected
}

#[test]
fn a_folder_and_a_bucket_give_the_same_documents_in_parts_of_any_size() {
    let server = Server::start();
    fill(&server.bucket());
    let sources = server.sources();
    let folder = server.bucket().join("docs").display().to_string();
    for url in [
        "s3://bucket/docs/",
        "s3://bucket/docs",
        &folder,
        &format!("file://{folder}"),
    ] {
        for (bytes, reopen) in [(usize::MAX, false), (1, false), (1, true), (50, true)] {
            let seen = read_all(&sources, url, bytes, reopen).unwrap();
            assert_eq!(seen, filled(), "{url} by {bytes}");
        }
    }
}

#[test]
fn more_objects_than_one_listing_gives() {
    let server = Server::start();
    for number in 0..2_003 {
        let text = format!("{{\"n\":{number}}}");
        put(
            &server.bucket(),
            &format!("many/{:02}/{number:05}.json", number / 100),
            text,
        );
    }
    // Nothing that holds documents may fill a listing without ending the walk.
    for number in 0..1_100 {
        put(
            &server.bucket(),
            &format!("many/05/skipped-{number:05}.txt"),
            "",
        );
    }
    let expected: Vec<_> = (0..2_003)
        .map(|number| {
            let key = format!("{:02}/{number:05}.json", number / 100);
            format!("{{\"n\":{number},\"unique_key\":\"{key}\"}}")
        })
        .collect();
    let folder = server.bucket().join("many").display().to_string();
    for url in ["s3://bucket/many/", &folder] {
        let seen = read_all(&server.sources(), url, 8_000, true).unwrap();
        assert_eq!(seen.len(), expected.len(), "{url}");
        assert!(seen == expected, "{url}: another order");
    }
}

#[test]
fn an_object_of_several_parts_is_read_to_its_end() {
    let server = Server::start();
    // Beyond two parts of 8 MiB, in lines of a kilobyte.
    let filler = "x".repeat(1_000);
    let line = |number| format!("{{\"unique_key\":\"{number}\",\"content\":\"{filler}\"}}");
    let text: Vec<_> = (0..18_000).map(line).collect();
    put(&server.bucket(), "big/big.ndjson", text.join("\n"));
    let mut source = open(&server.sources(), "s3://bucket/big");
    let (mut position, mut seen) = (None::<String>, Vec::new());
    let mut read = Vec::new();
    loop {
        let chunk = source.next(position.as_deref(), 4_000_000).unwrap();
        seen.extend(told(&chunk));
        read.push(chunk.read_bytes);
        let total = text.join("\n").len() as u64;
        assert_eq!(chunk.total_bytes, Some(total));
        assert!(
            chunk.documents.len() < 4_500,
            "a chunk is about as large as asked"
        );
        position = chunk.position;
        if position.is_none() {
            assert_eq!(read.last(), Some(&total));
            break;
        }
    }
    assert!(read.is_sorted() && read.len() > 4, "{read:?}");
    assert!(seen == text);
}

#[test]
fn what_is_no_document_is_refused_with_its_place() {
    let server = Server::start();
    let bucket = server.bucket();
    put(&bucket, "bad/a.json", "{\"a\":1,\n}");
    put(&bucket, "bad/b.json", "[{\"unique_key\":\"b\"},\n{]");
    put(&bucket, "bad/c.ndjson", b"{\"unique_key\":\"c\"}\n\xff\n");
    put(&bucket, "bad/d.json.gz", &gzip(&lines("d", 100))[..60]);
    put(&bucket, "bad/e.ndjson", "{\"unique_key\":\"e\"}");
    let folder = bucket.join("bad").display().to_string();
    for url in ["s3://bucket/bad", &folder] {
        for reopen in [false, true] {
            let seen = read_all(&server.sources(), url, 1, reopen).unwrap();
            assert!(seen[0].starts_with("refused a.json:2:1: "), "{}", seen[0]);
            assert_eq!(seen[1], "{\"unique_key\":\"b\"}");
            assert!(
                seen[2].starts_with("refused b.json: it is not JSON from line 2"),
                "{}",
                seen[2]
            );
            assert_eq!(seen[3], "{\"unique_key\":\"c\"}");
            assert!(seen[4].starts_with("refused c.ndjson:2: "), "{}", seen[4]);
            assert!(seen[5].starts_with("refused d.json.gz: "), "{}", seen[5]);
            assert_eq!(seen[6..], ["{\"unique_key\":\"e\"}"], "{url}");
        }
    }
}

#[test]
fn a_source_can_be_read_from_a_thread_of_a_runtime_that_may_block() {
    let server = Server::start();
    fill(&server.bucket());
    let sources = server.sources();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let read =
        runtime.spawn_blocking(move || read_all(&sources, "s3://bucket/docs", 1, true).unwrap());
    assert_eq!(runtime.block_on(read).unwrap(), filled());
}
