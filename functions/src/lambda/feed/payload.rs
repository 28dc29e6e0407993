//! What a payload is, as far as its outermost fields tell.

use aquifer_indexer::quote::quoted;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::lambda::event::is_object;

/// The kinds of event that the writer function indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Messages of an SQS queue.
    Sqs,
    /// A message of an SNS topic.
    Sns,
    /// An event of an EventBridge bus.
    EventBridge,
    /// Changes of a DynamoDB table.
    DynamoDb,
    /// Records of a Kinesis stream.
    Kinesis,
    /// Records of Kafka topics, managed by Amazon or not.
    Kafka,
    /// Notifications that S3 sends itself.
    S3,
    /// Records that Firehose has transformed.
    Firehose,
}

/// What a payload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// An event that the writer function indexes.
    Event(EventKind),
    /// An event of a schedule, which the reindex function follows.
    Schedule,
    /// An HTTP request, or another event with a `requestContext`.
    Request,
    /// What S3 sends once when a notification is set up.
    S3Test,
    /// An event that no function understands, as a sentence names it.
    Foreign(String),
    /// No event of AWS.
    Bare,
}

impl EventKind {
    /// Its name in the log and in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::Sns => "sns",
            Self::EventBridge => "eventbridge",
            Self::DynamoDb => "dynamodb",
            Self::Kinesis => "kinesis",
            Self::Kafka => "kafka",
            Self::S3 => "s3",
            Self::Firehose => "firehose",
        }
    }

    /// How a sentence names it.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Sqs => "an SQS batch",
            Self::Sns => "an SNS message",
            Self::EventBridge => "an EventBridge event",
            Self::DynamoDb => "a batch of a DynamoDB stream",
            Self::Kinesis => "a Kinesis batch",
            Self::Kafka => "a Kafka batch",
            Self::S3 => "an S3 notification",
            Self::Firehose => "a Firehose batch",
        }
    }

    /// The kind of a record by the service that it names as its source.
    fn of_source(source: &str) -> Option<Self> {
        Some(match source {
            "aws:sqs" => Self::Sqs,
            "aws:sns" => Self::Sns,
            "aws:dynamodb" => Self::DynamoDb,
            "aws:kinesis" => Self::Kinesis,
            "aws:kafka" | "SelfManagedKafka" => Self::Kafka,
            "aws:s3" => Self::S3,
            _ => return None,
        })
    }
}

/// The fields that tell events from each other. Each may be of any type, so that no document fails here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Outside<'a> {
    #[serde(borrow)]
    unique_key: Option<&'a RawValue>,
    #[serde(borrow, rename = "Records")]
    upper_records: Option<&'a RawValue>,
    #[serde(borrow)]
    records: Option<&'a RawValue>,
    #[serde(borrow, rename = "eventSource")]
    event_source: Option<&'a RawValue>,
    #[serde(borrow, rename = "deliveryStreamArn")]
    delivery_stream: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow, rename = "detail-type")]
    detail_type: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow, rename = "requestContext")]
    request_context: Option<&'a RawValue>,
    #[serde(borrow, rename = "Service")]
    service: Option<&'a RawValue>,
    #[serde(borrow, rename = "Event")]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    awslogs: Option<&'a RawValue>,
}

impl Payload {
    /// What `text` is. A document is none of the events, whatever its other fields are: it has a `unique_key`.
    pub fn of(text: &str) -> Self {
        if !is_object(text) {
            return of_array(text);
        }
        let Ok(outside) = serde_json::from_str::<Outside<'_>>(text) else {
            return Self::Bare;
        };
        if outside.unique_key.is_some() {
            return Self::Bare;
        }
        outside.payload()
    }
}

impl Outside<'_> {
    fn payload(&self) -> Payload {
        if let Some(records) = self.upper_records {
            return of_records(records);
        }
        if self.request_context.is_some() {
            return Payload::Request;
        }
        if let (Some(_source), Some(detail_type), Some(_detail)) =
            (self.source, self.detail_type, self.detail)
        {
            return match text(detail_type).as_deref() {
                Some("Scheduled Event") => Payload::Schedule,
                _ => Payload::Event(EventKind::EventBridge),
            };
        }
        if self.delivery_stream.is_some() && self.records.is_some() {
            return Payload::Event(EventKind::Firehose);
        }
        if let Some(source) = self.event_source.and_then(text) {
            return match (EventKind::of_source(&source), self.records) {
                (Some(EventKind::Kafka), Some(_records)) => Payload::Event(EventKind::Kafka),
                _ => Payload::Foreign(of_service(&source)),
            };
        }
        if self.awslogs.is_some() {
            return Payload::Foreign("a batch of CloudWatch Logs".to_owned());
        }
        let is_test = self.event.and_then(text).as_deref() == Some("s3:TestEvent");
        if self.service.is_some() && is_test {
            return Payload::S3Test;
        }
        Payload::Bare
    }
}

/// The first of `Records` tells what all of them are.
fn of_records(records: &RawValue) -> Payload {
    match first(records.get()).and_then(source_of) {
        Some(source) => match EventKind::of_source(&source) {
            Some(kind) if kind != EventKind::Kafka => Payload::Event(kind),
            _ => Payload::Foreign(of_service(&source)),
        },
        None => Payload::Foreign("an object with `Records` that name no source".to_owned()),
    }
}

/// EventBridge Pipes send records of a stream or a queue without an object around them.
fn of_array(text: &str) -> Payload {
    match first(text).and_then(source_of) {
        Some(source) => Payload::Foreign(format!(
            "an array of records of {}, as EventBridge Pipes send it",
            quoted(&source)
        )),
        None => Payload::Bare,
    }
}

fn of_service(source: &str) -> String {
    format!("an event of {}", quoted(source))
}

/// The first element of an array.
fn first(array: &str) -> Option<&RawValue> {
    let inside = array.trim_start().strip_prefix('[')?;
    let mut elements = serde_json::Deserializer::from_str(inside).into_iter::<&RawValue>();
    elements.next()?.ok()
}

/// The service that a record names as its source. A document with such a field has a `unique_key` too.
fn source_of(record: &RawValue) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Record<'a> {
        #[serde(borrow)]
        unique_key: Option<&'a RawValue>,
        #[serde(borrow, rename = "eventSource")]
        event_source: Option<&'a RawValue>,
        #[serde(borrow, rename = "EventSource")]
        upper_event_source: Option<&'a RawValue>,
    }
    let record: Record<'_> =
        is_object(record.get()).then(|| serde_json::from_str(record.get()).ok())??;
    let source = record.event_source.or(record.upper_event_source)?;
    record.unique_key.is_none().then(|| text(source))?
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Payload) {
        assert_eq!(Payload::of(text), expected, "{text}");
    }

    #[test]
    fn events_are_told_by_their_source() {
        let records = |source: &str| format!(r#"{{"Records":[{{"eventSource":"{source}"}}]}}"#);
        check(&records("aws:sqs"), Payload::Event(EventKind::Sqs));
        check(
            &records("aws:dynamodb"),
            Payload::Event(EventKind::DynamoDb),
        );
        check(&records("aws:kinesis"), Payload::Event(EventKind::Kinesis));
        check(&records("aws:s3"), Payload::Event(EventKind::S3));
        check(
            r#"{"Records":[{"EventSource":"aws:sns","Sns":{}}]}"#,
            Payload::Event(EventKind::Sns),
        );
        check(
            r#"{"eventSource":"SelfManagedKafka","records":{}}"#,
            Payload::Event(EventKind::Kafka),
        );
        check(
            r#"{"deliveryStreamArn":"arn","records":[]}"#,
            Payload::Event(EventKind::Firehose),
        );
        check(
            r#"{"source":"shop","detail-type":"changed","detail":{}}"#,
            Payload::Event(EventKind::EventBridge),
        );
        check(
            r#"{"source":"aws.events","detail-type":"Scheduled Event","detail":{}}"#,
            Payload::Schedule,
        );
        check(
            r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#,
            Payload::S3Test,
        );
    }

    #[test]
    fn a_document_is_no_event_whatever_its_fields_are() {
        for document in [
            r#"{"unique_key":"1","Records":[{"eventSource":"aws:sqs"}]}"#,
            r#"{"unique_key":"1","source":"s","detail-type":"t","detail":{}}"#,
            r#"[{"unique_key":"1","eventSource":"aws:sqs"}]"#,
            r#"{"documents":[]}"#,
            "[]",
            "null",
            "no json",
            "[",
            r#"["aws:sqs"]"#,
            r#"[["aws:sqs"]]"#,
        ] {
            check(document, Payload::Bare);
        }
    }

    #[test]
    fn what_no_function_understands_is_named() {
        for (text, expected) in [
            (r#"{"Records":[{"eventSource":"aws:ses"}]}"#, "\"aws:ses\""),
            (r#"{"Records":[]}"#, "`Records`"),
            (r#"{"Records":7}"#, "`Records`"),
            (
                r#"{"eventSource":"aws:rmq","rmqMessagesByQueue":{}}"#,
                "\"aws:rmq\"",
            ),
            (r#"{"awslogs":{"data":""}}"#, "CloudWatch Logs"),
            (r#"[{"eventSource":"aws:sqs"}]"#, "EventBridge Pipes"),
        ] {
            let Payload::Foreign(shown) = Payload::of(text) else {
                panic!("{text}");
            };
            assert!(shown.contains(expected), "{text}: {shown}");
        }
    }
}
