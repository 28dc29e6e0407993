//! Queues, topics and buses.

use serde_json::{Value, json};

use super::{Writer, book, fifo, fixture, sqs, titles};
use crate::process::{Function, WRITER};

fn sns(message: &str) -> Value {
    let mut event = fixture(include_str!("../fixtures/sns.json"));
    event["Records"][0]["Sns"]["Message"] = message.into();
    event
}

/// A message of a FIFO topic as it is in the body of an SQS message.
fn in_envelope(message: &str, number: u64) -> String {
    let mut envelope = fixture(include_str!("../fixtures/sns-envelope.json"));
    envelope["Message"] = message.into();
    envelope["SequenceNumber"] = number.to_string().into();
    envelope.to_string()
}

fn bus(detail: Value) -> Value {
    let mut event = fixture(include_str!("../fixtures/eventbridge.json"));
    event["detail"] = detail;
    event
}

#[tokio::test]
async fn a_record_may_hold_whatever_a_record_may_hold() {
    let mut writer = Writer::start(&[]).await;
    writer
        .takes(sqs(&[
            ("a", book("1", "one").to_string()),
            (
                "b",
                json!([book("2", "two"), book("3", "three")]).to_string(),
            ),
            ("c", json!({"documents": [book("4", "four")]}).to_string()),
            (
                "d",
                format!("{}\n{}\n", book("5", "five"), book("6", "six")),
            ),
            ("e", json!({"delete": ["2", "never"]}).to_string()),
            ("f", "[]".to_owned()),
            ("g", in_envelope(&book("7", "seven").to_string(), 1)),
            ("h", bus(book("8", "eight")).to_string()),
            ("i", include_str!("../fixtures/s3-test.json").to_owned()),
        ]))
        .await;
    let expected = [
        ("1", "one"),
        ("3", "three"),
        ("4", "four"),
        ("5", "five"),
        ("6", "six"),
        ("7", "seven"),
        ("8", "eight"),
    ];
    assert_eq!(writer.titles().await, titles(&expected));
    let line = writer.line();
    for (name, value) in [("items", 9), ("indexed", 9), ("failed", 0), ("version", 2)] {
        assert_eq!(line[name], value, "{line}");
    }
    assert_eq!(line["source"], "sqs", "{line}");
    let metrics = &writer.function.lines("out")[0];
    assert_eq!(metrics["Commits"], 1.0, "{metrics}");
    assert_eq!(metrics["Items"], 9.0, "{metrics}");
    assert_eq!(metrics["FailedItems"], 0.0, "{metrics}");
    assert_eq!(metrics["Source"], "sqs", "{metrics}");
}

#[tokio::test]
async fn a_message_that_is_rejected_is_reported_and_the_others_are_indexed() {
    let mut writer = Writer::start(&[]).await;
    let event = sqs(&[
        ("good", book("1", "one").to_string()),
        ("no-json", "not json".to_owned()),
        (
            "half",
            json!([book("2", "two"), {"title": "no key"}]).to_string(),
        ),
        ("unknown", json!({"title": "no key"}).to_string()),
        ("nested", sqs(&[("x", "{}".to_owned())]).to_string()),
        (
            "elsewhere",
            json!({"index": "none", "documents": [book("3", "three")]}).to_string(),
        ),
        ("good-too", book("4", "four").to_string()),
    ]);
    let failed = ["no-json", "half", "unknown", "nested", "elsewhere"];
    assert_eq!(writer.failures(&event).await, failed);
    let expected = titles(&[("1", "one"), ("4", "four")]);
    assert_eq!(writer.titles().await, expected);
    assert_eq!(writer.failures(&event).await, failed);
    assert_eq!(writer.titles().await, expected);
    let metrics = &writer.function.lines("out")[0];
    assert_eq!(metrics["FailedItems"], 5.0, "{metrics}");
    let lines = writer.function.lines("err").into_iter();
    let lines = lines.filter(|line| line["message"] == "an item failed");
    let listed: Vec<Value> = lines.map(|line| line["item"].clone()).collect();
    assert_eq!(listed, [failed, failed].concat());

    let mut mixed = sqs(&[("a", book("5", "five").to_string())]);
    let notification = fixture(include_str!("../fixtures/s3.json"))["Records"][0].clone();
    mixed["Records"].as_array_mut().unwrap().push(notification);
    writer.refuses(&mixed, "an SQS batch cannot be read").await;
    assert_eq!(writer.titles().await, expected);

    // Where partial answers are not switched on, a list of all of them would count as success.
    let lost = sqs(&[("a", "{}".to_owned()), ("b", "7".to_owned())]);
    writer
        .refuses(&lost, "2 of the 2 items of an SQS batch failed")
        .await;
}

#[tokio::test]
async fn more_documents_than_a_batch_holds_take_several() {
    let mut writer = Writer::start(&[]).await;
    let many = |name: &str| -> String {
        let line = |number: usize| format!("{}\n", book(&format!("{name}{number}"), "many"));
        (0..6_000).map(line).collect()
    };
    let keys: Vec<String> = (0..10_001).map(|key| key.to_string()).collect();
    let event = sqs(&[
        ("a", many("a")),
        ("b", many("b")),
        ("c", json!({"delete": keys}).to_string()),
        ("d", book("one", "more").to_string()),
    ]);
    assert_eq!(writer.failures(&event).await, ["c"]);
    let metrics = &writer.function.lines("out")[0];
    assert_eq!(metrics["Commits"], 2.0, "{metrics}");
    let count = json!({"stats": true});
    let stats = writer.send(&count).await.unwrap();
    let stats: Value = serde_json::from_str(stats["body"].as_str().unwrap()).unwrap();
    assert_eq!(stats["documents"], 12_001, "{stats}");
}

#[tokio::test]
async fn a_record_may_name_an_index_that_exists() {
    let mut writer = Writer::start(&[("AQUIFER_INDEX", "own")]).await;
    writer
        .takes(sqs(&[("a", book("1", "own").to_string())]))
        .await;
    let other = json!({"index": "books", "documents": [book("1", "other")]});
    let event = sqs(&[("a", other.to_string())]);
    writer.refuses(&event, "no index `books`").await;
    let aquifer = aquifer_indexer::Aquifer::open(writer.root.path(), Default::default()).unwrap();
    aquifer.index_or_create("books").unwrap();
    writer.takes(event.clone()).await;
    assert_eq!(writer.titles_in("own").await, titles(&[("1", "own")]));
    assert_eq!(writer.titles_in("books").await, titles(&[("1", "other")]));
    let variables = [("AQUIFER_INDEX", "own"), ("AQUIFER_INDEXES", "own")];
    writer.function = Function::start(WRITER, &writer.root, &variables).await;
    writer.refuses(&event, "no index `books`").await;
}

#[tokio::test]
async fn a_fifo_queue_keeps_the_order_of_its_groups() {
    let mut writer = Writer::start(&[]).await;
    let event = fifo(&[
        ("a", 10, book("1", "first").to_string()),
        ("b", 11, book("2", "other group").to_string()),
        ("a", 12, "not json".to_owned()),
        ("a", 13, book("1", "held back").to_string()),
        ("b", 14, book("3", "other group").to_string()),
    ]);
    assert_eq!(writer.failures(&event).await, ["12", "13"]);
    let expected = [("1", "first"), ("2", "other group"), ("3", "other group")];
    assert_eq!(writer.titles().await, titles(&expected));
}

#[tokio::test]
async fn an_older_message_of_a_fifo_queue_changes_nothing() {
    let mut writer = Writer::start(&[]).await;
    let newer = fifo(&[
        ("a", 20, book("1", "newer").to_string()),
        ("a", 21, json!({"delete": ["2"]}).to_string()),
    ]);
    writer.takes(newer.clone()).await;
    writer
        .takes(fifo(&[
            ("a", 9, book("1", "older").to_string()),
            (
                "a",
                10,
                book("2", "deleted before it was inserted").to_string(),
            ),
        ]))
        .await;
    let expected = titles(&[("1", "newer")]);
    assert_eq!(writer.titles().await, expected);
    assert_eq!(writer.line()["outdated"], 2, "{}", writer.line());
    writer.takes(newer).await;
    assert_eq!(writer.titles().await, expected);
}

#[tokio::test]
async fn a_fifo_topic_orders_what_arrives_through_a_standard_queue() {
    let mut writer = Writer::start(&[]).await;
    for (number, title) in [(30, "newer"), (4, "older")] {
        let body = in_envelope(&book("1", title).to_string(), number);
        writer.takes(sqs(&[("a", body)])).await;
    }
    assert_eq!(writer.titles().await, titles(&[("1", "newer")]));
}

#[tokio::test]
async fn a_field_orders_what_has_no_order_of_its_own() {
    let mut writer = Writer::start(&[("AQUIFER_EVENT_VERSION", "at")]).await;
    let at =
        |key: &str, title: &str, at: Value| json!({"unique_key": key, "title": title, "at": at});
    let messages = [
        at("1", "newer", "2026-11-27T05:00:00Z".into()),
        at("1", "older", "2026-11-27T04:59:59.5Z".into()),
        json!({"delete": ["2"], "at": 7.5}),
        at("2", "older", 7.25.into()),
        at("3", "newer than its delete", 8.into()),
        json!({"delete": ["3"], "at": 7}),
    ];
    for message in messages {
        writer.takes(sqs(&[("a", message.to_string())])).await;
    }
    let expected = [("1", "newer"), ("3", "newer than its delete")];
    assert_eq!(writer.titles().await, titles(&expected));
    writer
        .takes(sns(&at("1", "older", 5.into()).to_string()))
        .await;
    writer.takes(bus(at("1", "older", 6.into()))).await;
    assert_eq!(writer.titles().await, titles(&expected));
    for without in [book("4", "four"), json!({"delete": ["1"]})] {
        let event = sqs(&[("a", without.to_string())]);
        writer.refuses(&event, "AQUIFER_EVENT_VERSION").await;
    }
}

#[tokio::test]
async fn without_an_order_the_last_one_to_arrive_wins() {
    let mut writer = Writer::start(&[]).await;
    for title in ["first", "second"] {
        writer
            .takes(sqs(&[("a", book("1", title).to_string())]))
            .await;
    }
    assert_eq!(writer.titles().await, titles(&[("1", "second")]));
}

#[tokio::test]
async fn topics_and_buses_fail_the_invocation() {
    let mut writer = Writer::start(&[]).await;
    writer
        .takes(sns(&book("1", "from a topic").to_string()))
        .await;
    writer.takes(bus(book("2", "from a bus"))).await;
    writer.takes(bus(json!({"delete": ["1"]}))).await;
    assert_eq!(writer.titles().await, titles(&[("2", "from a bus")]));
    writer
        .refuses(&sns("no json"), "1 of the 1 items of an SNS message failed")
        .await;
    writer
        .refuses(
            &bus(json!({"state": "running"})),
            "an EventBridge event failed",
        )
        .await;
}

#[tokio::test]
async fn when_the_index_is_damaged_every_event_fails() {
    let mut writer = Writer::start(&[]).await;
    let event = sqs(&[
        ("a", book("1", "one").to_string()),
        ("b", "no json".to_owned()),
    ]);
    assert_eq!(writer.failures(&event).await, ["b"]);
    for file in walkdir::WalkDir::new(writer.root.path().join("default")) {
        let file = file.unwrap();
        if file.file_type().is_file() {
            std::fs::write(file.path(), "damaged").unwrap();
        }
    }
    // An environment that has nothing in its memory.
    writer.function = Function::start(WRITER, &writer.root, &[]).await;
    writer.refuses(&event, "2 of the 2 items").await;
    writer
        .refuses(&sns(&book("2", "two").to_string()), "SNS")
        .await;
    writer.refuses(&bus(book("2", "two")), "EventBridge").await;
    // Not `ProcessingFailed`: the record is not at fault, and Firehose tries again.
    let firehose = fixture(include_str!("../fixtures/firehose.json"));
    writer.refuses(&firehose, "").await;
    let bare = writer.send(&book("1", "one")).await;
    assert!(bare.is_err(), "{bare:?}");
}

#[tokio::test]
async fn when_the_file_system_is_gone_every_event_fails() {
    let mut writer = Writer::start(&[]).await;
    let event = sqs(&[("a", book("1", "one").to_string())]);
    let root = writer.root.path().to_owned();
    std::fs::remove_dir(&root).unwrap();
    std::fs::write(&root, "no folder").unwrap();
    writer.refuses(&event, "").await;
    let bare = writer.send(&book("1", "one")).await;
    assert!(bare.is_err(), "{bare:?}");
    std::fs::remove_file(&root).unwrap();
    std::fs::create_dir(&root).unwrap();
    writer.takes(event).await;
    assert_eq!(writer.titles().await, titles(&[("1", "one")]));
}
