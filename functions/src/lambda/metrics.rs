//! What CloudWatch is to count: one line an invocation, in its embedded metric format.
//!
//! The line goes to standard output, where CloudWatch Logs makes metrics of it without a call.

use std::str::FromStr;

use aquifer_indexer::clock::{Clock as _, SystemClock};
use aquifer_indexer::index::Counted;
use serde_json::{Map, Value, json};

use super::feed::payload::EventKind;
use super::log;

/// Under which name CloudWatch shows the metrics.
pub const NAMESPACE: &str = "Aquifer";

/// What stands in the place of an index where it was none in particular.
pub const ALL: &str = "*";

/// How finely metrics are told apart. Each name costs once for each value of its dimensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// By function, and by function and index.
    #[default]
    Full,
    /// By function.
    Function,
    /// None are written.
    Off,
}

impl FromStr for Detail {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "full" => Ok(Self::Full),
            "function" => Ok(Self::Function),
            "off" => Ok(Self::Off),
            _ => Err("write full, function or off".to_owned()),
        }
    }
}

impl Detail {
    /// The dimensions, of which the second is the finer one.
    fn dimensions(self, second: &str) -> Value {
        match self {
            Self::Full => json!([["FunctionName"], ["FunctionName", second]]),
            Self::Function | Self::Off => json!([["FunctionName"]]),
        }
    }
}

/// In what a metric is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Thousandths of a second.
    Milliseconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Bytes => "Bytes",
        }
    }
}

/// The metrics of one invocation.
#[derive(Clone, Debug)]
pub struct Metrics {
    detail: Detail,
    properties: Map<String, Value>,
    metrics: Vec<(&'static str, Unit, f64)>,
}

impl Metrics {
    /// Of the function `function`, about `index`, in the invocation `request_id`.
    pub fn new(detail: Detail, function: &str, index: &str, request_id: &str) -> Self {
        let mut properties = Map::new();
        properties.insert("FunctionName".to_owned(), function.into());
        properties.insert("Index".to_owned(), index.into());
        properties.insert("requestId".to_owned(), request_id.into());
        Self {
            detail,
            properties,
            metrics: Vec::new(),
        }
    }

    /// Of the function `function`, about the events of a kind of source, in the invocation `request_id`.
    pub fn of_events(detail: Detail, function: &str, kind: EventKind, request_id: &str) -> Self {
        let mut metrics = Self::new(detail, function, ALL, request_id);
        metrics
            .properties
            .insert("Source".to_owned(), kind.name().into());
        metrics
    }

    /// Adds a metric, unless there is nothing to tell.
    pub fn add(&mut self, name: &'static str, unit: Unit, value: impl Into<Option<u64>>) {
        if let Some(value) = value.into() {
            self.metrics.push((name, unit, number(value)));
        }
    }

    /// Adds what was done with the indexes, as far as anything was.
    pub fn add_counted(&mut self, counted: Counted) {
        let some = |count: u64| (count > 0).then_some(count);
        self.add("Commits", Unit::Count, some(counted.commits));
        if counted.commits > 0 {
            let share = number(counted.batches) / number(counted.commits);
            self.metrics.push(("BatchesPerCommit", Unit::Count, share));
            let commit_ms = number(counted.commit_us) / number(counted.commits) / 1000.0;
            let metric = ("CommitTime", Unit::Milliseconds, commit_ms);
            self.metrics.push(metric);
        }
        self.add("Fenced", Unit::Count, some(counted.fenced));
        self.add("Refreshes", Unit::Count, some(counted.refreshes));
    }

    /// The line; `None` when there is no metric, or none is wanted.
    pub fn line(&self) -> Option<String> {
        if self.metrics.is_empty() || self.detail == Detail::Off {
            return None;
        }
        let now = SystemClock.wall_ms();
        let names: Vec<Value> = self
            .metrics
            .iter()
            .map(|(name, unit, _)| json!({"Name": name, "Unit": unit.name()}))
            .collect();
        let mut line = Map::new();
        let second = if self.properties.contains_key("Source") {
            "Source"
        } else {
            "Index"
        };
        let directive = json!({
            "Namespace": NAMESPACE,
            "Dimensions": self.detail.dimensions(second),
            "Metrics": names,
        });
        line.insert(
            "_aws".to_owned(),
            json!({"Timestamp": now, "CloudWatchMetrics": [directive]}),
        );
        line.extend(self.properties.clone());
        for (name, _, value) in &self.metrics {
            line.insert((*name).to_owned(), (*value).into());
        }
        Some(Value::Object(line).to_string())
    }

    /// Writes the line; where no function has a name, nobody collects it. That it could not be written harms no
    /// request.
    pub fn emit(&self) {
        if self
            .properties
            .get("FunctionName")
            .is_none_or(|name| name == "")
        {
            return;
        }
        let Some(line) = self.line() else { return };
        log::metrics_line(&line);
    }
}

/// CloudWatch keeps floating point numbers.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts and times are far below 2^53"
)]
fn number(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_that_is_declared_has_its_value() {
        let mut metrics = Metrics::new(Detail::Full, "writer", "default", "r-1");
        assert_eq!(metrics.line(), None);
        metrics.add("Documents", Unit::Count, 3);
        metrics.add("SearchTime", Unit::Milliseconds, None);
        metrics.add("CommitTime", Unit::Milliseconds, Some(12));
        let line: Value = serde_json::from_str(&metrics.line().unwrap()).unwrap();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        let declared = directive["Metrics"].as_array().unwrap();
        assert_eq!(declared.len(), 2, "{line}");
        for metric in declared {
            assert!(line[metric["Name"].as_str().unwrap()].is_f64(), "{line}");
        }
        for dimension in directive["Dimensions"][1].as_array().unwrap() {
            assert!(line[dimension.as_str().unwrap()].is_string(), "{line}");
        }
        assert!(line["_aws"]["Timestamp"].as_u64().unwrap() > 1_700_000_000_000);
        assert_eq!(line["CommitTime"], 12.0);
    }

    #[test]
    fn dimensions_can_be_left_out_and_metrics_too() {
        let line = |detail: &str| {
            let mut metrics = Metrics::new(detail.parse().unwrap(), "writer", "default", "r-1");
            metrics.add("Documents", Unit::Count, 3);
            metrics.line()
        };
        let by_function: Value = serde_json::from_str(&line("function").unwrap()).unwrap();
        let dimensions = &by_function["_aws"]["CloudWatchMetrics"][0]["Dimensions"];
        assert_eq!(*dimensions, json!([["FunctionName"]]));
        assert_eq!(line("off"), None);
        "some".parse::<Detail>().unwrap_err();
    }
}
