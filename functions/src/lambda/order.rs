//! What the reindex function is told to do.
//!
//! ```json
//! {"indexes": ["default"], "tasks": ["drain", "reindex", "merge", "collect", "verify"],
//!  "reindex": {"source": "s3://bucket/documents/", "on_refused": "skip"}}
//! ```
//!
//! Everything may be left out. A schedule's event, or nothing at all, means every index and every task but `compact`
//! and `verify`. `reindex` starts a job, and needs one index. The task `doctor` examines the mount instead of an index.

use aquifer_indexer::reindex::ReindexRequest;
use aquifer_indexer::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::bare;
use super::event::Event;
use super::feed::payload::Payload;
use crate::object::Object;

/// One kind of maintenance. Tasks are done in the order in which they stand here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Examine the mount of the root folder. It concerns no index, and is done once.
    Doctor,
    /// Apply what lies in the inbox.
    Drain,
    /// Remove files that no reader can need any more. Before what may be large: a full disk has room for that only
    /// afterwards, and what takes long may leave no time.
    Collect,
    /// Carry on the job that runs.
    Reindex,
    /// Merge what is due.
    Merge,
    /// Merge everything into as few segments as possible.
    Compact,
    /// Verify every checksum.
    Verify,
}

impl Task {
    /// Its name in an order.
    pub fn name(self) -> &'static str {
        match self {
            Self::Doctor => "doctor",
            Self::Drain => "drain",
            Self::Collect => "collect",
            Self::Reindex => "reindex",
            Self::Merge => "merge",
            Self::Compact => "compact",
            Self::Verify => "verify",
        }
    }
}

/// What is done where nothing else is said: what every index needs from time to time.
pub const ROUTINE: [Task; 4] = [Task::Drain, Task::Collect, Task::Reindex, Task::Merge];

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Order {
    /// In which indexes; in all without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indexes: Option<Vec<String>>,
    /// Which tasks; [`ROUTINE`] without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<Task>>,
    /// A job to start first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reindex: Option<ReindexRequest>,
}

impl Order {
    /// Reads an order from a payload: the order itself, or an event of EventBridge that carries one as its `detail`.
    ///
    /// # Errors
    /// [`aquifer_indexer::ErrorKind::Invalid`], saying what is not understood.
    pub fn read(payload: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Scheduled<'a> {
            #[serde(rename = "source")]
            _source: String,
            #[serde(rename = "detail-type")]
            _detail_type: String,
            #[serde(borrow)]
            detail: &'a RawValue,
        }
        let order = match serde_json::from_str::<Scheduled<'_>>(payload) {
            Ok(event) => parse(event.detail.get()),
            Err(_) => parse(payload),
        };
        let order = order.map_err(|error| misplaced(payload).unwrap_or(error))?;
        order.check()?;
        Ok(order)
    }

    /// Whether the mount is to be examined.
    pub fn examines(&self) -> bool {
        let tasks = self.tasks.as_deref().unwrap_or_default();
        tasks.contains(&Task::Doctor)
    }

    /// Its tasks in an index, in the order in which they are done.
    pub fn tasks(&self) -> Vec<Task> {
        let mut tasks = self.tasks.clone().unwrap_or_else(|| ROUTINE.to_vec());
        tasks.retain(|task| *task != Task::Doctor);
        if self.reindex.is_some() {
            tasks.push(Task::Reindex);
        }
        tasks.sort_unstable();
        tasks.dedup();
        tasks
    }

    fn check(&self) -> Result<()> {
        let one_index = self.indexes.as_ref().is_some_and(|names| names.len() == 1);
        if self.reindex.is_some() && !one_index {
            return Err(Error::invalid(
                "`reindex` starts a job in one index: name it, as in \
                 {\"indexes\": [\"default\"], \"reindex\": {}}",
            ));
        }
        Ok(())
    }
}

/// The error for a payload that another function understands, or none.
fn misplaced(payload: &str) -> Option<Error> {
    const NO_ORDER: &str = "is no order for the reindex function";
    if Event::http(payload).is_some() {
        return Some(bare::misplaced(
            "an HTTP request",
            NO_ORDER,
            "writer or search",
        ));
    }
    let payload_is = Payload::of(payload);
    match &payload_is {
        Payload::Event(kind) => Some(bare::misplaced(kind.shown(), NO_ORDER, "writer")),
        Payload::Request | Payload::Foreign(_) | Payload::S3Test => {
            Some(bare::unknown(&payload_is, "reindex"))
        }
        // It says itself what is wrong with it.
        Payload::Schedule => None,
        Payload::Bare => {
            let object = Object::read(payload).ok()?;
            let asks = |names: &[&str]| names.iter().any(|name| object.get(name).is_some());
            if asks(&["unique_key", "documents", "delete"]) {
                Some(bare::misplaced("a document", NO_ORDER, "writer"))
            } else if asks(&["query", "get", "stats"]) {
                Some(bare::misplaced("a search", NO_ORDER, "search"))
            } else {
                None
            }
        }
    }
}

/// What an order is, for errors.
const EXPECTED: &str = "it takes {\"indexes\": [\"default\"], \"tasks\": [\"drain\", \"reindex\", \"merge\", \"compact\", \
                        \"collect\", \"verify\", \"doctor\"], \"reindex\": {}}, each of which may be left out";

fn parse(text: &str) -> Result<Order> {
    let not_understood = |why: &str| {
        Error::invalid(format!(
            "this is no order for the reindex function: {why}{EXPECTED}"
        ))
    };
    let read = |text: &str| {
        serde_json::from_str(text).map_err(|error| not_understood(&format!("{error}; ")))
    };
    let mut order: Value = read(text)?;
    // EventBridge Scheduler writes its detail as text.
    if let Value::String(text) = &order {
        order = match text.trim().is_empty() {
            true => Value::Null,
            false => read(text)?,
        };
    }
    // serde would take the values of an object's members in an array for it.
    let is_order = order.is_object() && order.get("reindex").is_none_or(|job| !job.is_array());
    match order {
        Value::Null => Ok(Order::default()),
        order if is_order => {
            serde_json::from_value(order).map_err(|error| not_understood(&format!("{error}; ")))
        }
        _ => Err(not_understood("")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_asks_for_the_routine() {
        for payload in [
            r#"{"version":"0","source":"aws.scheduler","detail-type":"Scheduled Event","detail":"{}"}"#,
            r#"{"version":"0","source":"aws.events","detail-type":"Scheduled Event","detail":{}}"#,
            "{}",
            "null",
            "\"\"",
        ] {
            let order = Order::read(payload).unwrap();
            assert_eq!(order, Order::default(), "{payload}");
            assert_eq!(order.tasks(), ROUTINE, "{payload}");
        }
    }

    #[test]
    fn an_order_names_indexes_tasks_and_a_job() {
        let text =
            r#"{"indexes":["books"],"tasks":["verify","drain"],"reindex":{"on_refused":"skip"}}"#;
        let order = Order::read(text).unwrap();
        assert_eq!(order.tasks(), [Task::Drain, Task::Reindex, Task::Verify]);
        assert_eq!(
            Order::read(&serde_json::to_string(&order).unwrap()).unwrap(),
            order
        );
        let detail = serde_json::to_string(&text).unwrap();
        let event = format!(r#"{{"source":"s","detail-type":"t","detail":{detail}}}"#);
        assert_eq!(Order::read(&event).unwrap(), order);
    }

    #[test]
    fn the_mount_is_examined_only_where_an_order_says_so() {
        let order = Order::read(r#"{"tasks":["verify","doctor"]}"#).unwrap();
        assert!(order.examines());
        assert_eq!(order.tasks(), [Task::Verify]);
        assert!(!Order::default().examines());
    }

    #[test]
    fn what_is_not_understood_is_refused_with_what_is() {
        for (text, expected) in [
            (r#"{"index":"default"}"#, "unknown field `index`"),
            (r#"{"tasks":["clean"]}"#, "unknown variant `clean`"),
            (r#"{"reindex":{}}"#, "starts a job in one index"),
            (r#"{"reindex":{},"indexes":["a","b"]}"#, "in one index"),
            ("[1]", "no order"),
            ("[]", "no order"),
            ("\"[]\"", "no order"),
            (r#"{"indexes":["a"],"reindex":[]}"#, "no order"),
            ("7", "no order"),
            (
                r#"{"Records":[{"eventSource":"aws:sqs"}]}"#,
                "an SQS batch is no order for the reindex function: send it to the writer function",
            ),
            (r#"{"unique_key":"1"}"#, "send it to the writer function"),
            (r#"{"query":"x"}"#, "send it to the search function"),
            (
                r#"{"requestContext":{"http":{"method":"GET"}}}"#,
                "an HTTP request is no order",
            ),
            (r#"{"awslogs":{}}"#, "CloudWatch Logs is not understood"),
            (
                r#"{"source":"shop","detail-type":"t","detail":{"unique_key":"1"}}"#,
                "an EventBridge event is no order",
            ),
        ] {
            let error = Order::read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
