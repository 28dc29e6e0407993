//! Values of DynamoDB: `{"S": "text"}` and the like.

use aquifer_indexer::document::limits::NESTING;
use aquifer_indexer::quote::quoted;
use aquifer_indexer::{Error, Result};
use serde_json::value::RawValue;

use crate::object::Object;

/// Writes a value as JSON: a number exactly as DynamoDB writes it, a set as an array, binary data as its base64 text.
pub(super) fn write_value(value: &RawValue, out: &mut Vec<u8>) -> Result<()> {
    write(value, out, NESTING)
}

fn write(value: &RawValue, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Error::invalid(format!(
            "the item has more than {NESTING} levels: no document may"
        )));
    };
    let (kind, value) = typed(value)?;
    match kind.as_str() {
        "S" | "B" => push(text(value)?, out),
        "BOOL" => push(boolean(value)?, out),
        "NULL" => push("null", out),
        "N" => push(&number(value)?, out),
        "SS" | "BS" => list(elements(value)?, out, |element, out| {
            push(text(element)?, out);
            Ok(())
        })?,
        "NS" => list(elements(value)?, out, |element, out| {
            push(&number(element)?, out);
            Ok(())
        })?,
        "L" => list(elements(value)?, out, |element, out| {
            write(element, out, depth)
        })?,
        "M" => map(value, out, depth)?,
        other => {
            return Err(Error::invalid(format!(
                "{} is no type of a DynamoDB value",
                quoted(other)
            )));
        }
    }
    Ok(())
}

/// The text of an attribute that is part of a key.
pub(super) fn key_part(name: &str, value: &str) -> Result<String> {
    let value: &RawValue = serde_json::from_str(value).map_err(|error| broken(&error))?;
    let (kind, value) = typed(value)?;
    match kind.as_str() {
        "S" | "N" | "B" => serde_json::from_str(value.get()).map_err(|error| broken(&error)),
        other => Err(Error::invalid(format!(
            "the attribute {} is of type {}: a part of a key is S, N or B",
            quoted(name),
            quoted(other)
        ))),
    }
}

/// The type of a value, and what it holds.
fn typed(value: &RawValue) -> Result<(String, &RawValue)> {
    let object = Object::read(value.get()).map_err(|error| broken(&error))?;
    let mut fields = object.fields.into_iter();
    match (fields.next(), fields.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(Error::invalid(
            "a DynamoDB value should be an object with one field, such as {\"S\": \"text\"}",
        )),
    }
}

fn map(value: &RawValue, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    let object = Object::read(value.get()).map_err(|error| broken(&error))?;
    out.push(b'{');
    for (at, (name, value)) in object.fields.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut *out, name).map_err(|error| broken(&error))?;
        out.push(b':');
        write(value, out, depth)?;
    }
    out.push(b'}');
    Ok(())
}

fn list(
    elements: Vec<&RawValue>,
    out: &mut Vec<u8>,
    write: impl Fn(&RawValue, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    out.push(b'[');
    for (at, element) in elements.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(element, out)?;
    }
    out.push(b']');
    Ok(())
}

fn elements(value: &RawValue) -> Result<Vec<&RawValue>> {
    serde_json::from_str(value.get()).map_err(|error| broken(&error))
}

/// A JSON string as it is written.
fn text(value: &RawValue) -> Result<&str> {
    let text = value.get();
    if text.starts_with('"') {
        return Ok(text);
    }
    Err(wrong("S and B", "text", text))
}

fn boolean(value: &RawValue) -> Result<&str> {
    match value.get() {
        text @ ("true" | "false") => Ok(text),
        other => Err(wrong("BOOL", "true or false", other)),
    }
}

/// A number, which is text in DynamoDB and must be one in JSON.
fn number(value: &RawValue) -> Result<String> {
    let number: Option<String> = serde_json::from_str(value.get()).ok();
    let is_number = |text: &String| {
        let starts = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        starts && serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get() == text)
    };
    number
        .filter(is_number)
        .ok_or_else(|| wrong("N", "a number, as text", value.get()))
}

fn push(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}

fn wrong(kind: &str, expected: &str, found: &str) -> Error {
    Error::invalid(format!(
        "a DynamoDB value of type {kind} should hold {expected}, not {}",
        quoted(found)
    ))
}

fn broken(error: &serde_json::Error) -> Error {
    Error::invalid(format!("a DynamoDB value cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &str) -> String {
        let raw: &RawValue = serde_json::from_str(value).unwrap();
        let mut out = Vec::new();
        match write_value(raw, &mut out) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn values_become_json() {
        for (value, expected) in [
            (r#"{"S":"a \"b\""}"#, r#""a \"b\"""#),
            (
                r#"{"N":"123456789012345678901234567890.5"}"#,
                "123456789012345678901234567890.5",
            ),
            (r#"{"N":"-1.50E+3"}"#, "-1.50E+3"),
            (r#"{"BOOL":true}"#, "true"),
            (r#"{"NULL":true}"#, "null"),
            (r#"{"B":"aGk="}"#, r#""aGk=""#),
            (r#"{"SS":["a","b"]}"#, r#"["a","b"]"#),
            (r#"{"NS":["1","2.0"]}"#, "[1,2.0]"),
            (r#"{"BS":["aGk="]}"#, r#"["aGk="]"#),
            (r#"{"L":[{"S":"a"},{"L":[]}]}"#, r#"["a",[]]"#),
            (r#"{"M":{"a":{"N":"1"},"b":{"M":{}}}}"#, r#"{"a":1,"b":{}}"#),
        ] {
            assert_eq!(written(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for value in [
            "1",
            "{}",
            r#"{"S":1}"#,
            r#"{"S":"a","N":"1"}"#,
            r#"{"N":"NaN"}"#,
            r#"{"N":" 1"}"#,
            r#"{"N":"1,2"}"#,
            r#"{"N":1}"#,
            r#"{"BOOL":"true"}"#,
            r#"{"X":"1"}"#,
            r#"{"L":{}}"#,
            r#"{"M":[]}"#,
        ] {
            assert!(
                written(value).contains("DynamoDB"),
                "{value}: {}",
                written(value)
            );
        }
        let deep = format!(
            "{}{}{}",
            r#"{"L":["#.repeat(100),
            r#"{"S":""}"#,
            "]}".repeat(100)
        );
        assert!(written(&deep).contains("levels"), "{}", written(&deep));
    }

    #[test]
    fn a_key_is_text_a_number_or_binary() {
        assert_eq!(key_part("k", r#"{"N":"1.0"}"#).unwrap(), "1.0");
        assert_eq!(key_part("k", r#"{"S":"a\"b"}"#).unwrap(), "a\"b");
        assert!(key_part("k", r#"{"BOOL":true}"#).is_err());
    }
}
