//! Reports of the library, as a table for people or as JSON for programs.

use std::io::{self, Write};

use anyhow::Result;
use aquifer_indexer::quote::visible;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Fields that say when something was.
const INSTANTS: [&str; 2] = ["started_ms", "updated_ms"];

/// Prints `report`.
pub(crate) fn print(report: &impl Serialize, json: bool) -> Result<()> {
    let value = serde_json::to_value(report)?;
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &value)?;
        writeln!(out)?;
        return Ok(());
    }
    let mut rows = Vec::new();
    flatten("", &value, &mut rows);
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    for (name, value) in rows {
        writeln!(out, "{name:width$}  {value}")?;
    }
    Ok(())
}

fn flatten(prefix: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let named = |name: &str| match prefix {
        "" => name.to_owned(),
        _ => format!("{prefix}.{name}"),
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                flatten(&named(name), value, rows);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (at, item) in items.iter().enumerate() {
                flatten(&named(&at.to_string()), item, rows);
            }
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| cell(prefix, item)).collect();
            rows.push((label(prefix), items.join(", ")));
        }
        single => rows.push((label(prefix), cell(prefix, single))),
    }
}

fn label(name: &str) -> String {
    let unit = if is_instant(name) { "_ms" } else { "_bytes" };
    let name = name.strip_suffix(unit).unwrap_or(name);
    visible(&name.replace('_', " ")).into_owned()
}

fn cell(name: &str, value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_u64() {
            Some(bytes) if name.ends_with("bytes") => human_bytes(bytes),
            Some(ms) if is_instant(name) => instant(ms),
            Some(count) => grouped(count),
            None => number.to_string(),
        },
        Value::String(text) => visible(text).into_owned(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// Whether a number of milliseconds is counted from the start of 1970.
fn is_instant(name: &str) -> bool {
    INSTANTS.iter().any(|instant| name.ends_with(instant))
}

fn instant(ms: u64) -> String {
    let nanos = i128::from(ms) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|instant| instant.format(&Rfc3339).ok())
        .unwrap_or_else(|| grouped(ms))
}

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn human_bytes(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_becomes_rows_in_its_order() {
        let report = json!({"version": 1234567, "size_bytes": 2048, "last": null,
            "names": ["a", "b"], "parts": [{"n": 1.5}], "deep": {"on": true},
            "job": {"started_ms": 1_764_230_400_123_u64}, "took_ms": 1234, "updated_ms": u64::MAX});
        let mut rows = Vec::new();
        flatten("", &report, &mut rows);
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let expected = [
            "version=1,234,567",
            "size=2.00 KiB",
            "last=-",
            "names=a, b",
            "parts.0.n=1.5",
            "deep.on=true",
            "job.started=2025-11-27T08:00:00.123Z",
            "took ms=1,234",
            "updated=18,446,744,073,709,551,615",
        ];
        assert_eq!(rows, expected);
    }
}
