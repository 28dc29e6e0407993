//! The metric that tells how long the oldest batch has waited in the inbox.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aquifer_indexer::clock::{Clock, SystemClock};
use aquifer_indexer::config::Config;
use aquifer_indexer::inbox::{Batch, Inbox, Operation};
use aquifer_indexer::index::Aquifer;
use aquifer_indexer::mount::PosixMount;
use aquifer_indexer::world::World;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Function, REINDEX, WRITER};

/// An hour: how old the batch is that a function finds.
const AGE_MS: u32 = 3_600_000;

/// The clock of a process that accepted a batch an hour ago.
#[derive(Debug)]
struct AnHourAgo;

impl Clock for AnHourAgo {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall_ms(&self) -> u64 {
        SystemClock.wall_ms() - u64::from(AGE_MS)
    }

    fn sleep(&self, pause: Duration) {
        SystemClock.sleep(pause);
    }
}

/// Leaves a batch in the inbox of the default index that was accepted an hour ago: it deletes the document `key`.
fn leave_a_batch(root: &Path, key: &str) {
    let mount = PosixMount::open(&root.join("default")).unwrap();
    let world = World {
        clock: Arc::new(AnHourAgo),
        ..World::default()
    };
    let inbox = Inbox::new(Arc::new(mount), world);
    let operations = vec![Operation::Delete(key.to_owned())];
    inbox.put(inbox.next_id(), &Batch { operations }).unwrap();
}

/// The age that `GET /stats` gives.
fn age_in_stats(root: &Path) -> u64 {
    let config = Config {
        read_only: true,
        ..Config::default()
    };
    let aquifer = Aquifer::open(root, config).unwrap();
    let stats = aquifer.index("default").unwrap().stats().unwrap();
    stats.inbox_age_ms
}

/// The age in the last line of metrics.
fn age(function: &Function) -> Value {
    function.lines("out").last().unwrap()["InboxAge"].clone()
}

#[track_caller]
fn assert_old(age: &Value) {
    assert!(age.as_f64().unwrap() >= f64::from(AGE_MS), "{age}");
}

#[tokio::test]
async fn the_writer_and_the_schedule_tell_how_long_the_oldest_batch_has_waited() {
    let root = TempDir::new().unwrap();
    let mut writer = Function::start(WRITER, &root, &[]).await;
    let mut reindex = Function::start(REINDEX, &root, &[]).await;
    let documents = json!([{"unique_key": "a"}, {"unique_key": "b"}]);
    writer.ask("fill", documents.to_string()).await;
    assert_eq!(age(&writer), 0.0, "nothing waited");

    leave_a_batch(root.path(), "a");
    assert!(age_in_stats(root.path()) >= u64::from(AGE_MS));
    writer.ask("late", r#"{"unique_key":"c"}"#).await;
    assert_old(&age(&writer));
    writer.ask("drained", r#"{"unique_key":"d"}"#).await;
    assert_eq!(age(&writer), 0.0, "the post before applied what waited");
    assert_eq!(age_in_stats(root.path()), 0);

    leave_a_batch(root.path(), "b");
    let report = reindex.ask("round", "{}").await;
    assert_eq!(report["indexes"][0]["drained"], 1, "{report}");
    assert_old(&age(&reindex));
    assert_old(&report["indexes"][0]["inbox_age_ms"]);
    reindex.ask("again", "{}").await;
    assert_eq!(age(&reindex), 0.0, "the round before applied what waited");
    // An order that does not look at the inbox says nothing of it.
    reindex.ask("collects", r#"{"tasks":["collect"]}"#).await;
    assert_eq!(age(&reindex), Value::Null);
}
