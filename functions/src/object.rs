//! A JSON object as the text of its fields, to change one field and leave the others byte for
//! byte as they came.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The top-level fields of an object, in their order.
#[derive(Debug)]
pub struct Object<'a> {
    /// Each name with the text of its value.
    pub fields: Vec<(String, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// Reads an object, and fails on anything else.
    ///
    /// # Errors
    /// The text is not JSON, or not an object, or something follows it; the error has the line
    /// and the column.
    pub fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let fields = deserializer.deserialize_map(Fields)?;
        deserializer.end()?;
        Ok(Self { fields })
    }

    /// The text of the value of `name`.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let mut fields = self.fields.iter();
        fields
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.get())
    }

    /// Writes the fields that `keep` wants and no closing brace, so that more can follow; says
    /// whether there was none.
    ///
    /// # Errors
    /// None that a vector could give.
    pub fn write_open(
        &self,
        out: &mut Vec<u8>,
        keep: impl Fn(&str) -> bool,
    ) -> Result<bool, serde_json::Error> {
        let mut empty = true;
        out.push(b'{');
        for (name, value) in self.fields.iter().filter(|(name, _)| keep(name)) {
            if !empty {
                out.push(b',');
            }
            empty = false;
            serde_json::to_writer(&mut *out, name)?;
            out.push(b':');
            out.extend_from_slice(value.get().as_bytes());
        }
        Ok(empty)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_kept_byte_for_byte() {
        let object = Object::read(r#"{"a" : 1.50, "b\"":[ 1 ], "c":{"a":1}}"#).unwrap();
        let mut out = Vec::new();
        assert!(!object.write_open(&mut out, |name| name != "a").unwrap());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"b\"":[ 1 ],"c":{"a":1}"#
        );
        assert_eq!(object.get("a"), Some("1.50"));
        assert!(object.write_open(&mut Vec::new(), |_| false).unwrap());
    }

    #[test]
    fn an_error_has_its_place() {
        let error = Object::read("{\n\"a\":,}").unwrap_err();
        assert_eq!((error.line(), error.column()), (2, 5));
        assert!(
            Object::read("[1]")
                .unwrap_err()
                .to_string()
                .contains("JSON object")
        );
        assert!(Object::read("{} {}").is_err());
    }
}
