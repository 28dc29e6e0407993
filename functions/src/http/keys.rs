//! The keys in the body of `POST /documents/delete`.

use std::fmt;

use aquifer_indexer::document::limits::BATCH_DOCUMENTS;
use aquifer_indexer::document::{Document, DocumentError};
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Keys, none beyond those that a batch may have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    /// The keys themselves: strings, or whole numbers as a document may have them. What could be no document's
    /// key is refused, and the others are deleted.
    pub(crate) kept: Vec<Result<String, DocumentError>>,
    /// How many the body has.
    pub(crate) count: usize,
}

const NAME: &str = "unique_keys";

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeysVisitor { wrapped: false })
    }
}

/// Reads `{"unique_keys": [...]}` or only the array.
#[derive(Clone, Copy)]
struct KeysVisitor {
    wrapped: bool,
}

impl<'de> de::DeserializeSeed<'de> for KeysVisitor {
    type Value = Keys;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Keys, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.wrapped {
            "an array of keys"
        } else {
            "{\"unique_keys\": [\"...\"]}, or only the array of keys"
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Keys, A::Error> {
        let mut keys = Keys::default();
        while keys.count < BATCH_DOCUMENTS {
            let Some(key) = array.next_element::<Box<RawValue>>()? else {
                return Ok(keys);
            };
            keys.kept.push(Document::key_of_value(key.get()));
            keys.count += 1;
        }
        // The rest is only counted, for the error.
        while array.next_element::<IgnoredAny>()?.is_some() {
            keys.count += 1;
        }
        Ok(keys)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut keys = None;
        while let Some(name) = map.next_key::<String>()? {
            if name != NAME {
                return Err(de::Error::unknown_field(&name, &[NAME]));
            }
            if keys.is_some() {
                return Err(de::Error::duplicate_field(NAME));
            }
            keys = Some(map.next_value_seed(Self { wrapped: true })?);
        }
        keys.ok_or_else(|| de::Error::missing_field(NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Keys, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let expected = ["a", "b"];
        for json in [r#"["a","b"]"#, r#"{"unique_keys":["a","b"]}"#] {
            assert_eq!(kept(json), expected);
        }
        for wrong in [
            "7",
            "\"a\"",
            "{}",
            r#"{"keys":[]}"#,
            r#"{"unique_keys":{}}"#,
            r#"{"unique_keys":[],"unique_keys":[]}"#,
        ] {
            read(wrong).unwrap_err();
        }
    }

    fn kept(json: &str) -> Vec<String> {
        let told = |key: Result<String, DocumentError>| key.unwrap_or_else(|error| error.detail);
        read(json).unwrap().kept.into_iter().map(told).collect()
    }

    #[test]
    fn a_key_is_what_a_document_may_have_as_one() {
        let seen =
            kept(r#"[42, "4\u0032", 18446744073709551615, 1.0, null, "", 123456789012345678901]"#);
        assert_eq!(seen[..3], ["42", "42", "18446744073709551615"]);
        let refused = [
            "not the number 1.0",
            "not null",
            "is empty",
            "not the number 123456789012345678901",
        ];
        for (seen, expected) in seen[3..].iter().zip(refused) {
            assert!(seen.contains(expected), "{seen}");
        }
        let long = serde_json::to_string(&["x".repeat(513)]).unwrap();
        assert!(kept(&long)[0].contains("the limit is 512"));
    }

    #[test]
    fn keys_beyond_a_batch_are_counted_and_not_kept() {
        let json = serde_json::to_string(&vec!["k"; BATCH_DOCUMENTS * 3]).unwrap();
        let keys = read(&json).unwrap();
        assert_eq!(
            (keys.kept.len(), keys.count),
            (BATCH_DOCUMENTS, BATCH_DOCUMENTS * 3)
        );
    }
}
