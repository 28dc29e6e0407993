//! The documents behind the hits, and the part of them that was asked for.

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::snapshot::sources::damaged;

/// The key of a document. A number is its decimal text; of a key that comes twice the last counts.
pub(super) fn unique_key(source: &str) -> Result<String> {
    let Keyed(key) = serde_json::from_str(source)
        .map_err(|error| damaged("has a source that is not a JSON object").because(error))?;
    match key {
        Some(Value::String(key)) => Ok(key),
        Some(Value::Number(key)) => Ok(key.to_string()),
        _ => Err(damaged("has no key")),
    }
}

/// The key within a document, without building the rest of it.
struct Keyed(Option<Value>);

impl<'de> Deserialize<'de> for Keyed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Keyed;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a document")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Keyed, A::Error> {
                let mut key = None;
                while let Some(Name { is_key }) = members.next_key()? {
                    if is_key {
                        key = Some(members.next_value()?);
                    } else {
                        members.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Keyed(key))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The name of a member.
struct Name {
    is_key: bool,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                Ok(Name {
                    is_key: name == "unique_key",
                })
            }
        }
        deserializer.deserialize_identifier(Text)
    }
}

/// The document as it came in, or the fields of it that were asked for.
pub(super) fn select(source: String, fields: Option<&[String]>) -> Result<Box<RawValue>> {
    let Some(fields) = fields else {
        return RawValue::from_string(source)
            .map_err(|error| damaged("has a source that is not JSON").because(error));
    };
    let selected = part(&source, fields)
        .map_err(|error| damaged("has a source that is not a JSON object").because(error))?;
    serde_json::value::to_raw_value(&selected)
        .map_err(|error| Error::internal("the selected fields cannot be written").because(error))
}

/// The part of a document that `fields` ask for. Nothing else of it is built.
pub(super) fn part(source: &str, fields: &[String]) -> Result<Value, serde_json::Error> {
    let mut path = String::new();
    let mut deserializer = serde_json::Deserializer::from_str(source);
    let whole = Part {
        path: &mut path,
        fields,
    };
    let selected = deserializer.deserialize_map(whole)?;
    deserializer.end()?;
    Ok(selected.unwrap_or_else(|| Value::Object(Map::new())))
}

/// What is asked for from within a value; none where there is nothing.
struct Part<'a> {
    path: &'a mut String,
    fields: &'a [String],
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut selected = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let length = self.path.len();
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(&name);
            let mut fields = self.fields.iter();
            if fields.clone().any(|field| is_selected(field, self.path)) {
                selected.insert(name, members.next_value()?);
            } else if fields.any(|field| leads_into(field, self.path)) {
                let within = Part {
                    path: self.path,
                    fields: self.fields,
                };
                // Of a name that comes twice the last counts, also where there is nothing in it.
                match members.next_value_seed(within)? {
                    Some(value) => selected.insert(name, value),
                    None => selected.remove(&name),
                };
            } else {
                members.next_value::<IgnoredAny>()?;
            }
            self.path.truncate(length);
        }
        Ok((!selected.is_empty()).then_some(Value::Object(selected)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        let mut selected = Vec::new();
        while let Some(value) = values.next_element_seed(Part {
            path: self.path,
            fields: self.fields,
        })? {
            selected.extend(value);
        }
        Ok((!selected.is_empty()).then_some(Value::Array(selected)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether `field` asks for all of `path`: by its name, by `*`, or by an object it is in.
fn is_selected(field: &str, path: &str) -> bool {
    match field.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == field,
    }
}

/// Whether `field` may ask for something within `path`.
fn leads_into(field: &str, path: &str) -> bool {
    let field = field.strip_suffix('*').unwrap_or(field);
    field
        .strip_prefix(path)
        .is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[&str], expected: &str) {
        let source =
            r#"{"a":1,"b":{"c":2,"d":{"e":3}},"bb":4,"list":[{"x":1,"y":2},{"y":3}],"s":"t"}"#;
        let fields: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();
        let selected = select(source.to_owned(), Some(&fields)).unwrap();
        assert_eq!(selected.get(), expected, "{fields:?}");
    }

    #[test]
    fn fields_are_selected_by_path() {
        check(&[], "{}");
        check(&["a", "missing"], r#"{"a":1}"#);
        check(&["b"], r#"{"b":{"c":2,"d":{"e":3}}}"#);
        check(&["b.c"], r#"{"b":{"c":2}}"#);
        check(&["b.d.e"], r#"{"b":{"d":{"e":3}}}"#);
        check(&["b.*"], r#"{"b":{"c":2,"d":{"e":3}}}"#);
        check(&["b*"], r#"{"b":{"c":2,"d":{"e":3}},"bb":4}"#);
        check(&["list.x"], r#"{"list":[{"x":1}]}"#);
        check(&["a.b", "s.t"], "{}");
        check(
            &["*"],
            r#"{"a":1,"b":{"c":2,"d":{"e":3}},"bb":4,"list":[{"x":1,"y":2},{"y":3}],"s":"t"}"#,
        );
    }

    #[test]
    fn the_source_is_returned_byte_for_byte() {
        let source = "{ \"unique_key\" : \"a\\u0062\",\n \"n\": 1.10 }";
        assert_eq!(select(source.to_owned(), None).unwrap().get(), source);
        assert_eq!(unique_key(source).unwrap(), "ab");
    }

    #[test]
    fn a_key_may_be_a_number_and_come_twice() {
        assert_eq!(unique_key(r#"{"unique_key":418}"#).unwrap(), "418");
        assert_eq!(
            unique_key(r#"{"unique_key":1,"a":{},"unique_key":"b"}"#).unwrap(),
            "b"
        );
        assert_eq!(
            unique_key("{}").unwrap_err().kind(),
            crate::ErrorKind::Corrupt
        );
    }
}
