//! Objects of S3: created and removed, in every shape in which their events arrive.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{Writer, book, fixture, sqs, titles};
use crate::server::{ACCESS_KEY, SECRET_KEY, Server};

/// A bucket, and a writer that may read what is below `books/` in it.
struct Shop {
    server: Server,
    writer: Writer,
}

impl Shop {
    async fn open() -> Self {
        let server = Server::start();
        let mut variables = server.variables(ACCESS_KEY, SECRET_KEY).to_vec();
        variables.push(("AQUIFER_SOURCES", "s3://bucket/books/"));
        let writer = Writer::start(&variables).await;
        Self { server, writer }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.server.bucket().join(key)
    }

    fn put(&self, key: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// A notification about an object, with its key as S3 writes it.
fn event(name: &str, key: &str, sequencer: &str) -> Value {
    let mut event = fixture(include_str!("../fixtures/s3.json"));
    let record = &mut event["Records"][0];
    record["eventName"] = name.into();
    record["s3"]["object"]["key"] = key.into();
    record["s3"]["object"]["sequencer"] = sequencer.into();
    event
}

fn created(key: &str, sequencer: &str) -> Value {
    event("ObjectCreated:Put", key, sequencer)
}

fn removed(key: &str, sequencer: &str) -> Value {
    event("ObjectRemoved:Delete", key, sequencer)
}

fn on_the_bus(kind: &str, key: &str, sequencer: &str) -> Value {
    let mut event = fixture(include_str!("../fixtures/s3-eventbridge.json"));
    event["detail-type"] = kind.into();
    event["detail"]["object"]["key"] = key.into();
    event["detail"]["object"]["sequencer"] = sequencer.into();
    event
}

fn in_sns(message: &Value) -> Value {
    let mut event = fixture(include_str!("../fixtures/sns.json"));
    event["Records"][0]["Sns"]["Message"] = message.to_string().into();
    event
}

fn in_sns_in_sqs(message: &Value) -> Value {
    let mut envelope = fixture(include_str!("../fixtures/sns-envelope.json"));
    envelope["Message"] = message.to_string().into();
    envelope.as_object_mut().unwrap().remove("SequenceNumber");
    sqs(&[("a", envelope.to_string())])
}

fn in_sqs(message: &Value) -> Value {
    sqs(&[("a", message.to_string())])
}

fn lines(books: &[(&str, &str)]) -> String {
    let line = |(key, title): &(&str, &str)| format!("{}\n", book(key, title));
    books.iter().map(line).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn an_object_is_indexed_replaced_and_removed_in_every_shape() {
    type Wrap = fn(&Value) -> Value;
    let shapes: [(&str, Wrap); 4] = [
        ("direct", Value::clone),
        ("SQS", in_sqs),
        ("SNS", in_sns),
        ("SNS in SQS", in_sns_in_sqs),
    ];
    let mut shop = Shop::open().await;
    for (at, (name, wrap)) in shapes.into_iter().enumerate() {
        let key = format!("books/a b+{at}.ndjson");
        let encoded = format!("books/a+b%2B{at}.ndjson");
        shop.put(&key, lines(&[("1", "one"), ("2", "two")]));
        shop.writer.takes(wrap(&created(&encoded, "0A"))).await;
        let both = titles(&[("1", "one"), ("2", "two")]);
        assert_eq!(shop.writer.titles().await, both, "{name}");
        shop.put(&key, lines(&[("2", "two"), ("3", "three")]));
        shop.writer.takes(wrap(&created(&encoded, "0B"))).await;
        let replaced = titles(&[("2", "two"), ("3", "three")]);
        assert_eq!(shop.writer.titles().await, replaced, "{name}");
        fs::remove_file(shop.path(&key)).unwrap();
        shop.writer.takes(wrap(&removed(&encoded, "0C"))).await;
        assert_eq!(shop.writer.titles().await, titles(&[]), "{name}");
    }
    shop.put("books/bus+.ndjson", lines(&[("1", "from the bus")]));
    let created = on_the_bus("Object Created", "books/bus+.ndjson", "0A");
    shop.writer.takes(created.clone()).await;
    let expected = titles(&[("1", "from the bus")]);
    assert_eq!(shop.writer.titles().await, expected);
    let removed = on_the_bus("Object Deleted", "books/bus+.ndjson", "0B");
    shop.writer.takes(in_sqs(&removed)).await;
    assert_eq!(shop.writer.titles().await, titles(&[]));
}

#[tokio::test]
async fn an_older_event_of_an_object_changes_nothing() {
    let mut shop = Shop::open().await;
    let key = "books/a.ndjson";
    shop.put(key, lines(&[("1", "newer"), ("2", "two")]));
    shop.writer.takes(created(key, "0B")).await;
    let both = titles(&[("1", "newer"), ("2", "two")]);
    for event in [removed(key, "0A"), created(key, "0B"), created(key, "0A")] {
        shop.writer.takes(event.clone()).await;
        assert_eq!(shop.writer.titles().await, both, "{event}");
    }
    // Removed before it is known that it was created.
    let key = "books/b.ndjson";
    shop.put(key, lines(&[("3", "gone by then")]));
    shop.writer.takes(removed(key, "0D")).await;
    shop.writer.takes(created(key, "0C")).await;
    assert_eq!(shop.writer.titles().await, both);
    // Gone before its event is read; its removal has an event of its own.
    shop.writer.takes(created("books/never.ndjson", "0A")).await;
    assert_eq!(shop.writer.titles().await, both);
}

#[tokio::test]
async fn a_version_that_is_gone_leaves_the_object_to_the_bucket() {
    let mut shop = Shop::open().await;
    let key = "books/a.ndjson";
    shop.put(key, lines(&[("1", "current")]));
    shop.writer.takes(created(key, "0A")).await;
    let mut event = removed(key, "0B");
    event["Records"][0]["s3"]["object"]["versionId"] = "an-older-one".into();
    shop.writer.takes(event.clone()).await;
    assert_eq!(shop.writer.titles().await, titles(&[("1", "current")]));
    fs::remove_file(shop.path(key)).unwrap();
    event["Records"][0]["s3"]["object"]["sequencer"] = "0C".into();
    shop.writer.takes(event).await;
    assert_eq!(shop.writer.titles().await, titles(&[]));
}

#[tokio::test]
async fn objects_are_read_like_those_of_a_reindex() {
    let mut shop = Shop::open().await;
    shop.put(
        "books/shelf/1.json",
        json!({"title": "named by its path"}).to_string(),
    );
    shop.put(
        "books/2.json",
        json!({"documents": [book("2", "two")]}).to_string(),
    );
    shop.put("books/3.jsonl.gz", gzip(&lines(&[("3", "packed")])));
    for (at, key) in ["books/shelf/1.json", "books/2.json", "books/3.jsonl.gz"]
        .iter()
        .enumerate()
    {
        shop.writer.takes(created(key, &format!("0{at}F"))).await;
    }
    let expected = [
        ("2", "two"),
        ("3", "packed"),
        ("shelf/1.json", "named by its path"),
    ];
    assert_eq!(shop.writer.titles().await, titles(&expected));
}

#[tokio::test]
async fn a_large_object_takes_several_batches() {
    const DOCUMENTS: usize = 25_000;
    let mut shop = Shop::open().await;
    let many = |count: usize| -> String {
        let line = |number: usize| format!("{}\n", book(&number.to_string(), "many"));
        (0..count).map(line).collect()
    };
    shop.put("books/many.ndjson", many(DOCUMENTS));
    shop.writer.takes(created("books/many.ndjson", "0A")).await;
    let metrics = shop.writer.function.lines("out").remove(0);
    assert_eq!(metrics["Commits"], 3.0, "{metrics}");
    shop.put("books/many.ndjson", many(10));
    shop.writer.takes(created("books/many.ndjson", "0B")).await;
    assert_eq!(shop.writer.titles().await.len(), 10);
}

#[tokio::test]
async fn an_object_that_cannot_be_indexed_fails_and_changes_nothing() {
    let mut shop = Shop::open().await;
    shop.put("books/a.ndjson", lines(&[("1", "one")]));
    shop.writer.takes(created("books/a.ndjson", "0A")).await;
    shop.put(
        "books/a.ndjson",
        format!("{}{{}}\n", lines(&[("2", "two")])),
    );
    shop.put("other/a.ndjson", lines(&[("3", "three")]));
    shop.put("books/a.txt", "text");
    let mut tagged = created("books/a.ndjson", "0C");
    tagged["Records"][0]["eventName"] = "ObjectTagging:Put".into();
    let mut unnumbered = created("books/a.ndjson", "0C");
    let object = unnumbered["Records"][0]["s3"]["object"].as_object_mut();
    object.unwrap().remove("sequencer");
    for (event, expected) in [
        (created("books/a.ndjson", "0B"), "unique_key"),
        (created("other/a.ndjson", "0B"), "AQUIFER_SOURCES allows"),
        (created("books/a.txt", "0B"), "restrict the notification"),
        (tagged, "changes no object"),
        (unnumbered, "no `sequencer`"),
    ] {
        shop.writer.refuses(&event, expected).await;
        shop.writer.refuses(&in_sqs(&event), expected).await;
        assert_eq!(
            shop.writer.titles().await,
            titles(&[("1", "one")]),
            "{event}"
        );
    }
    // Beside others in one batch only the message that holds it fails.
    let mixed = sqs(&[
        ("documents", book("9", "nine").to_string()),
        ("object", created("other/a.ndjson", "0B").to_string()),
        (
            "topic",
            in_sns_in_sqs(&created("books/a.txt", "0B"))["Records"][0]["body"]
                .as_str()
                .unwrap()
                .to_owned(),
        ),
    ]);
    assert_eq!(shop.writer.failures(&mixed).await, ["object", "topic"]);
    assert_eq!(
        shop.writer.titles().await,
        titles(&[("1", "one"), ("9", "nine")])
    );
}
