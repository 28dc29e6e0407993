//! Streams: DynamoDB, Kinesis, Kafka and Firehose.

use serde_json::{Value, json};

use super::{Writer, base64, book, documents, fixture, repeated, titles};

/// Changes of a table: the number, the name of the event, and the key and the title of the item.
fn table(changes: &[(u64, &str, &str, &str)]) -> Value {
    let text = include_str!("../fixtures/dynamodb.json");
    repeated(text, changes, |record, (number, name, key, title)| {
        record["eventName"] = (*name).into();
        let change = &mut record["dynamodb"];
        change["SequenceNumber"] = number.to_string().into();
        change["Keys"]["unique_key"]["S"] = (*key).into();
        change["NewImage"]["unique_key"]["S"] = (*key).into();
        change["NewImage"]["title"]["S"] = (*title).into();
        if *name == "REMOVE" {
            let fields = change.as_object_mut().unwrap();
            fields.remove("NewImage");
        }
    })
}

/// Records of a stream: the number and the data of each.
fn kinesis(records: &[(u64, String)]) -> Value {
    let text = include_str!("../fixtures/kinesis.json");
    repeated(text, records, |record, (number, data)| {
        record["kinesis"]["sequenceNumber"] = number.to_string().into();
        record["kinesis"]["data"] = base64(data).into();
    })
}

/// Records of a partition: the offset, the key and the value of each.
fn kafka(text: &str, records: &[(u64, &str, Option<String>)]) -> Value {
    let mut event = fixture(text);
    let record = event["records"]["books-0"][0].clone();
    let changed = |(offset, key, value): &(u64, &str, Option<String>)| {
        let mut record = record.clone();
        record["offset"] = (*offset).into();
        record["key"] = base64(key).into();
        record["value"] = value.as_ref().map(base64).into();
        record
    };
    event["records"]["books-0"] = records.iter().map(changed).collect();
    event
}

const MSK: &str = include_str!("../fixtures/msk.json");
const KAFKA: &str = include_str!("../fixtures/kafka.json");

#[tokio::test]
async fn the_changes_of_a_table_are_indexed() {
    let mut writer = Writer::start(&[]).await;
    let event = table(&[
        (100, "INSERT", "1", "one"),
        (101, "INSERT", "2", "two"),
        (102, "MODIFY", "1", "one again"),
        (103, "REMOVE", "2", ""),
    ]);
    writer.takes(event.clone()).await;
    let expected = titles(&[("1", "one again")]);
    assert_eq!(writer.titles().await, expected);
    // Once more, in parts and in another order, out of another stream of the same table.
    let mut parts: Vec<Value> = event["Records"].as_array().unwrap().clone();
    parts.reverse();
    for mut part in parts {
        let stream =
            "arn:aws:dynamodb:us-east-1:123456789012:table/books/stream/2027-01-01T00:00:00.000";
        part["eventSourceARN"] = stream.into();
        writer.takes(json!({"Records": [part]})).await;
    }
    assert_eq!(writer.titles().await, expected);
}

#[tokio::test]
async fn changes_of_a_table_that_arrive_in_any_order_end_the_same() {
    let mut writer = Writer::start(&[]).await;
    for change in [
        (1000, "REMOVE", "1", ""),
        (999, "INSERT", "1", "before its removal"),
        (2000, "MODIFY", "2", "newer"),
        (999, "INSERT", "2", "older"),
    ] {
        writer.takes(table(&[change])).await;
    }
    assert_eq!(writer.titles().await, titles(&[("2", "newer")]));
    assert_eq!(writer.line()["outdated"], 1, "{}", writer.line());
}

#[tokio::test]
async fn an_item_becomes_a_document_value_by_value() {
    let variables = [("AQUIFER_DYNAMODB_KEY", "author, isbn")];
    let mut writer = Writer::start(&variables).await;
    let mut event = table(&[(1, "INSERT", "", "Dune")]);
    let change = &mut event["Records"][0]["dynamodb"];
    let keys = json!({"author": {"S": "F#H"}, "isbn": {"N": "978"}});
    change["Keys"] = keys.clone();
    change["NewImage"] = json!({
        "author": {"S": "F#H"},
        "isbn": {"N": "978"},
        "unique_key": {"S": "an attribute like any other"},
        "price": {"N": "9.90"},
        "large": {"N": "12345678901234567890"},
        "tags": {"SS": ["desert", "spice"]},
        "numbers": {"NS": ["1", "2.50"]},
        "cover": {"B": "aGk="},
        "out": {"BOOL": false},
        "none": {"NULL": true},
        "parts": {"L": [{"M": {"name": {"S": "I"}}}]},
    });
    writer.takes(event.clone()).await;
    let document = documents(writer.root.path(), "default").await.remove(0);
    let text = document.to_string();
    let expected = r#"{"unique_key":"F%23H#978","author":"F#H","isbn":978,"price":9.9"#;
    assert!(text.starts_with(expected), "{text}");
    for expected in [
        r#""large":12345678901234567890"#,
        r#""tags":["desert","spice"]"#,
        r#""numbers":[1,2.5]"#,
        r#""cover":"aGk=""#,
        r#""out":false"#,
        r#""none":null"#,
        r#""parts":[{"name":"I"}]"#,
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let mut removed = table(&[(2, "REMOVE", "", "")]);
    removed["Records"][0]["dynamodb"]["Keys"] = keys;
    writer.takes(removed).await;
    assert_eq!(writer.titles().await, titles(&[]));
}

#[tokio::test]
async fn a_change_that_cannot_be_indexed_is_reported_by_its_number() {
    let mut writer = Writer::start(&[]).await;
    let mut event = table(&[
        (1, "INSERT", "1", "one"),
        (2, "INSERT", "2", "two"),
        (3, "INSERT", "3", "three"),
        (4, "TRUNCATE", "4", "four"),
        (5, "INSERT", "5", "five"),
    ]);
    let records = event["Records"].as_array_mut().unwrap();
    records[1]["dynamodb"]["NewImage"]["pages"] = json!({"N": "many"});
    records[2]["dynamodb"]["NewImage"] = json!({"title": {"S": "no key"}});
    assert_eq!(writer.failures(&event).await, ["2", "3", "4"]);
    let expected = titles(&[("1", "one"), ("5", "five")]);
    assert_eq!(writer.titles().await, expected);

    let mut keys_only = table(&[(9, "MODIFY", "1", "")]);
    let change = keys_only["Records"][0]["dynamodb"].as_object_mut().unwrap();
    change.remove("NewImage");
    change.insert("StreamViewType".to_owned(), "KEYS_ONLY".into());
    let expected =
        "the StreamViewType of the stream is KEYS_ONLY: set it to NEW_IMAGE or NEW_AND_OLD_IMAGES";
    writer.refuses(&keys_only, expected).await;
}

#[tokio::test]
async fn the_records_of_a_kinesis_stream_are_indexed_in_their_order() {
    let mut writer = Writer::start(&[]).await;
    let event = kinesis(&[
        (50, book("1", "newer").to_string()),
        (51, "not json".to_owned()),
        (52, json!({"delete": ["2"]}).to_string()),
        (53, format!("{}\n{}", book("3", "three"), book("4", "four"))),
    ]);
    assert_eq!(writer.failures(&event).await, ["51"]);
    let expected = titles(&[("1", "newer"), ("3", "three"), ("4", "four")]);
    assert_eq!(writer.titles().await, expected);
    // Older ones, from another shard and through a consumer of its own.
    let mut older = kinesis(&[
        (7, book("1", "older").to_string()),
        (8, book("2", "deleted already").to_string()),
    ]);
    for record in older["Records"].as_array_mut().unwrap() {
        record["eventID"] = "shardId-000000000001:7".into();
        let consumer = "arn:aws:kinesis:us-east-2:123456789012:stream/books/consumer/own:1";
        record["eventSourceARN"] = consumer.into();
    }
    writer.takes(older).await;
    assert_eq!(writer.titles().await, expected);
    assert_eq!(writer.failures(&event).await, ["51"]);
    assert_eq!(writer.titles().await, expected);
    // A rule of EventBridge may have a stream as its target.
    let bus = include_str!("../fixtures/eventbridge.json");
    writer.takes(kinesis(&[(70, bus.to_owned())])).await;
    assert_eq!(writer.titles().await["1"], "Dune");
    let mut broken = kinesis(&[(80, String::new())]);
    broken["Records"][0]["kinesis"]["data"] = "!".into();
    writer.refuses(&broken, "`data` is no base64").await;
}

#[tokio::test]
async fn the_records_of_kafka_are_indexed_and_a_tombstone_deletes() {
    for text in [MSK, KAFKA] {
        let mut writer = Writer::start(&[]).await;
        let some = |document: Value| Some(document.to_string());
        let event = kafka(
            text,
            &[
                (10, "1", some(book("1", "one"))),
                (11, "2", some(book("2", "two"))),
                (12, "2", None),
            ],
        );
        writer.takes(event.clone()).await;
        let expected = titles(&[("1", "one")]);
        assert_eq!(writer.titles().await, expected);
        let older = kafka(
            text,
            &[
                (9, "1", some(book("1", "older"))),
                (3, "2", some(book("2", "older"))),
            ],
        );
        writer.takes(older).await;
        writer.takes(event).await;
        assert_eq!(writer.titles().await, expected);

        let broken = kafka(
            text,
            &[
                (20, "3", Some("no json".to_owned())),
                (21, "4", some(book("4", "four"))),
            ],
        );
        writer
            .refuses(&broken, "1 of the 2 items of a Kafka batch failed")
            .await;
        let expected = titles(&[("1", "one"), ("4", "four")]);
        assert_eq!(writer.titles().await, expected);
    }
}

#[tokio::test]
async fn firehose_gets_its_records_back_with_what_became_of_each() {
    let mut writer = Writer::start(&[]).await;
    let mut event = fixture(include_str!("../fixtures/firehose.json"));
    let record = event["records"][0].clone();
    let contents = [
        ("a", book("1", "one").to_string(), "Ok"),
        ("b", "not json".to_owned(), "ProcessingFailed"),
        ("c", "[]".to_owned(), "Dropped"),
        ("d", book("2", "two").to_string(), "Ok"),
    ];
    let changed = |(id, text, _): &(&str, String, &str)| {
        let mut record = record.clone();
        record["recordId"] = (*id).into();
        record["data"] = base64(text).into();
        record
    };
    event["records"] = contents.iter().map(changed).collect();
    let expected = contents
        .iter()
        .map(|(id, text, result)| json!({"recordId": id, "result": result, "data": base64(text)}))
        .collect::<Vec<_>>();
    let answer = writer.send(&event).await.unwrap();
    assert_eq!(answer, json!({"records": expected}));
    assert_eq!(writer.titles().await, titles(&[("1", "one"), ("2", "two")]));
}
