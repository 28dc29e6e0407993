//! One document in a file of its own.

use aquifer_indexer::document::json_error;

use crate::object::Object;

/// Why a text holds no document, and where in it, as line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Line and column, counted from 1.
    pub place: (usize, usize),
    /// What is wrong.
    pub detail: String,
}

/// The document that the whole of `text` is, with `key` as its `unique_key` if it has none, and without `$schema`
/// and `$comment`. It is as it was where nothing is to be left out or put in.
///
/// # Errors
/// The text is not one JSON object.
pub fn keyed(text: &str, key: &str) -> Result<String, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    with_key(text, key).map_err(|error| {
        let (place, detail) = json_error(text, &error);
        Unreadable { place, detail }
    })
}

fn with_key(text: &str, key: &str) -> Result<String, serde_json::Error> {
    let object = Object::read(text)?;
    let has_key = object.get("unique_key").is_some_and(|key| key != "null");
    let dropped = |name: &str| match name {
        "$schema" | "$comment" => true,
        "unique_key" => !has_key,
        _ => false,
    };
    if has_key && !object.fields.iter().any(|(name, _)| dropped(name)) {
        return Ok(text.trim().to_owned());
    }
    let mut out = Vec::with_capacity(text.len() + key.len() + 20);
    let empty = object.write_open(&mut out, |name| !dropped(name))?;
    if !has_key {
        out.extend_from_slice(if empty {
            b"\"unique_key\":"
        } else {
            b",\"unique_key\":"
        });
        serde_json::to_writer(&mut out, key)?;
    }
    out.push(b'}');
    // It is put together from text.
    Ok(String::from_utf8(out).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(keyed(text, "a/b.json").unwrap(), expected);
    }

    #[test]
    fn only_what_must_change_changes() {
        check(
            " {\"unique_key\": \"k\",\n\"n\": 1.0}\n",
            "{\"unique_key\": \"k\",\n\"n\": 1.0}",
        );
        check(r#"{"n": 1.0}"#, r#"{"n":1.0,"unique_key":"a/b.json"}"#);
        check(
            r#"{"$schema": "s", "unique_key": "k"}"#,
            r#"{"unique_key":"k"}"#,
        );
        check(r#"{"unique_key": null}"#, r#"{"unique_key":"a/b.json"}"#);
        check(r#"{"$comment": {"a": 1}}"#, r#"{"unique_key":"a/b.json"}"#);
    }

    #[test]
    fn what_is_wrong_has_its_place_in_front() {
        let error = keyed("{\n\"a\":,}", "k").unwrap_err();
        assert_eq!(error.place, (2, 5));
        assert!(!error.detail.contains("line 2"), "{}", error.detail);
        assert!(keyed("{} {}", "k").is_err());
    }
}
