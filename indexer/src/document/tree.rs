//! The JSON of a document as a tree that borrows its strings.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::limits::NESTING;

/// One JSON value.
#[derive(Debug)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    I64(i64),
    /// Only for what exceeds an i64.
    U64(u64),
    /// With its place among the numbers of the text, by which it is found as it is written.
    F64(f64, u32),
    Str(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Object<'a>),
}

/// The members of a JSON object, each key once.
pub(super) type Object<'a> = Vec<(Cow<'a, str>, Node<'a>)>;

/// Why a text has no tree.
#[derive(Debug)]
pub(super) enum TreeError {
    /// It is not JSON: where and why.
    Syntax(serde_json::Error),
    /// Its values lie deeper in each other than [`NESTING`].
    TooDeep,
}

/// Reads one JSON value and nothing behind it.
pub(super) fn read(source: &str) -> Result<Node<'_>, TreeError> {
    let (too_deep, numbers) = (Cell::new(false), Cell::new(0));
    let seed = Seed {
        remaining: NESTING,
        too_deep: &too_deep,
        numbers: &numbers,
    };
    let mut deserializer = serde_json::Deserializer::from_str(source);
    seed.deserialize(&mut deserializer)
        .and_then(|node| deserializer.end().map(|()| node))
        .map_err(|error| match too_deep.get() {
            true => TreeError::TooDeep,
            false => TreeError::Syntax(error),
        })
}

/// What reads a value: how much deeper it may go, where it says that it could not, and where it counts numbers.
#[derive(Clone, Copy)]
struct Seed<'c> {
    remaining: usize,
    too_deep: &'c Cell<bool>,
    numbers: &'c Cell<u32>,
}

impl Seed<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.remaining.checked_sub(1) {
            Some(remaining) => Ok(Self { remaining, ..self }),
            None => {
                self.too_deep.set(true);
                Err(E::custom("too deep"))
            }
        }
    }

    /// The place of a number that is read.
    fn count(self) -> u32 {
        self.numbers.replace(self.numbers.get().saturating_add(1))
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Reads a key, borrowed where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        self.count();
        Ok(Node::I64(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        self.count();
        Ok(i64::try_from(value).map_or(Node::U64(value), Node::I64))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node<'de>, E> {
        let place = self.count();
        if value.is_finite() {
            Ok(Node::F64(value, place))
        } else {
            Err(E::custom("number out of range"))
        }
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Str(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node<'de>, E> {
        Ok(Node::Str(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            array.push(element);
        }
        Ok(Node::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut object = Vec::new();
        while let Some(key) = members.next_key_seed(Key)? {
            let value = members.next_value_seed(inner)?;
            object.push((key, value));
        }
        keep_last(&mut object);
        Ok(Node::Object(object))
    }
}

/// The objects up to this size are searched for repeated keys without a hash set.
const FEW: usize = 16;

/// Of members with the same key, keeps the last.
fn keep_last(object: &mut Object<'_>) {
    let repeated: Vec<usize> = if object.len() <= FEW {
        let is_repeated = |(index, (key, _)): (usize, &(Cow<'_, str>, _))| {
            let again = object.iter().skip(index + 1).any(|(other, _)| other == key);
            again.then_some(index)
        };
        object.iter().enumerate().filter_map(is_repeated).collect()
    } else {
        let mut seen = HashSet::with_capacity(object.len());
        let mut repeated: Vec<usize> = object
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, (key, _))| !seen.insert(&**key))
            .map(|(index, _)| index)
            .collect();
        repeated.reverse();
        repeated
    };
    if repeated.is_empty() {
        return;
    }
    let mut repeated = repeated.into_iter().peekable();
    let mut index = 0;
    object.retain(|_| {
        let drop = repeated.next_if_eq(&index).is_some();
        index += 1;
        !drop
    });
}
