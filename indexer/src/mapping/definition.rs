//! The definition of an index, as its JSON says it.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::analysis::{self, ANALYSED, Language};
use crate::quote::quoted;
use crate::{Error, Result};

/// The names that every index has, unless its mapping declares its own field of that name;
/// `unique_key` and `lang` are always the built-in ones.
pub const BUILT_IN: &[&str] = &[
    "unique_key",
    "lang",
    "title",
    "content",
    "tags",
    "metadata",
    "updated_at",
];

/// How much more a word in the built-in `title` counts than one in `content`. No more: titles are short,
/// which BM25 rewards already, and 2.0 ranked worse on four of six collections with judgements.
pub const TITLE_BOOST: f32 = 1.0;

/// The largest boost: beyond this the other fields no longer count at all.
pub const MAX_BOOST: f32 = 1_000.0;

/// The declared fields of a mapping, nested ones counted: each takes room in every segment, and
/// every plain word of a query is looked up in every text field.
pub const MAX_FIELDS: usize = 1_000;

/// The longest dotted name of a declared field, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// The definition of an index: its fields and its languages.
///
/// The default one takes any document. Two definitions are equal when they declare the same
/// things, in whatever order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Definition {
    /// The fields, and what becomes of undeclared ones.
    #[serde(deserialize_with = "object")]
    pub mapping: Mapping,
    /// The languages whose analyser this index has, besides the fallback that reads every text.
    pub languages: Vec<Language>,
    /// The language of a document that does not say and cannot be told.
    pub default_language: Language,
    /// The language in which every text is analysed, whatever the documents say.
    pub force_language: Option<Language>,
}

impl Default for Definition {
    fn default() -> Self {
        Self {
            mapping: Mapping::default(),
            languages: ANALYSED.to_vec(),
            default_language: Language::ENGLISH,
            force_language: None,
        }
    }
}

/// The fields of the documents of an index.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// What becomes of a field that is not declared.
    pub dynamic: Dynamic,
    /// The declared fields, besides the built-in ones.
    pub fields: Fields,
}

/// What becomes of a field that the mapping does not declare: `true`, `false` or `"strict"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dynamic {
    /// It is indexed by the type of its JSON.
    #[default]
    Accept,
    /// It stays in the document's source and cannot be searched.
    Ignore,
    /// The document is refused.
    Strict,
}

/// Fields by their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Fields(pub BTreeMap<String, FieldDefinition>);

/// One declared field. Any field may hold an array of values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldDefinition {
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// How much a word in it counts; text only, 1 unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boost: Option<f32>,
    /// The language it is always read in, whatever the document's; text only. `und` is the
    /// fallback alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analyzer: Option<Language>,
    /// The fields of an object. An object that declares none takes any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Fields>,
}

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// Prose: found by its words.
    Text,
    /// A name or an identifier: found, filtered and sorted as a whole.
    Keyword,
    /// A whole number of 64 bits.
    Integer,
    /// A floating-point number of 64 bits.
    Float,
    /// True or false.
    Boolean,
    /// A point in time.
    Date,
    /// Fields within a field, named with dots.
    Object,
}

impl FieldDefinition {
    /// A field of this type without options.
    pub fn new(kind: FieldType) -> Self {
        Self {
            kind,
            boost: None,
            analyzer: None,
            fields: None,
        }
    }
}

impl Definition {
    /// Reads and validates a definition; an empty text is the default one.
    ///
    /// # Errors
    ///
    /// `Invalid`, with the place and what to write instead.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        if json.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let definition: Self = object(&mut deserializer)
            .and_then(|definition| deserializer.end().map(|()| definition))
            .map_err(|error| {
                Error::invalid(format!("the index definition cannot be read: {error}"))
            })?;
        definition.validate()?;
        Ok(definition)
    }

    /// Whether an index can be made from this.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the field and how to mend it.
    pub fn validate(&self) -> Result<()> {
        for (index, language) in self.languages.iter().enumerate() {
            if analysis::analyser(language).is_none() {
                return Err(Error::invalid(format!(
                    "`languages` names `{language}`, which has no analyser of its own: leave it out, \
                     its texts are found through the fallback (analysers: {})",
                    analysed()
                )));
            }
            if self
                .languages
                .iter()
                .take(index)
                .any(|other| other == language)
            {
                return Err(Error::invalid(format!(
                    "`languages` names `{language}` twice: leave one out"
                )));
            }
        }
        let mut count = 0;
        validate_fields(&self.mapping.fields, "", &mut count)
    }
}

fn validate_fields(fields: &Fields, parent: &str, count: &mut usize) -> Result<()> {
    for (name, field) in &fields.0 {
        *count += 1;
        if *count > MAX_FIELDS {
            return Err(Error::invalid(format!(
                "the mapping declares more than {MAX_FIELDS} fields: let undeclared ones be dynamic"
            )));
        }
        validate_name(name, parent)?;
        let path = join(parent, name);
        if path.len() > MAX_NAME_BYTES {
            return Err(Error::invalid(format!(
                "the field name {} is longer than {MAX_NAME_BYTES} bytes: shorten it",
                quoted(&path)
            )));
        }
        validate_field(field, &path)?;
        if let Some(inner) = &field.fields {
            validate_fields(inner, &path, count)?;
        }
    }
    Ok(())
}

fn validate_name(name: &str, parent: &str) -> Result<()> {
    let path = join(parent, name);
    let problem = if name.is_empty() {
        "a field name must not be empty"
    } else if name.contains('.') {
        "a field name must not contain a dot: declare an object with `fields`"
    } else if name.chars().any(char::is_control) {
        "a field name must not contain control characters"
    } else if parent.is_empty() && name.starts_with(['_', '$']) {
        "a field name must not begin with `_` or `$`: choose another name"
    } else if parent.is_empty() && matches!(name, "unique_key" | "lang") {
        "this field is built in and always a keyword: leave it out of the mapping"
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!(
        "field {}: {problem}",
        quoted(&path)
    )))
}

fn validate_field(field: &FieldDefinition, path: &str) -> Result<()> {
    let is_text = field.kind == FieldType::Text;
    let problem = match field {
        FieldDefinition { boost: Some(_), .. } if !is_text => {
            "`boost` is for text fields: leave it out".to_owned()
        }
        FieldDefinition {
            analyzer: Some(_), ..
        } if !is_text => {
            "`analyzer` is for text fields: leave it out, or make the type \"text\"".to_owned()
        }
        FieldDefinition {
            fields: Some(_),
            kind,
            ..
        } if *kind != FieldType::Object => {
            "`fields` is for objects: leave it out, or make the type \"object\"".to_owned()
        }
        FieldDefinition {
            boost: Some(boost), ..
        } if !(*boost > 0.0 && *boost <= MAX_BOOST) => {
            format!("`boost` must be more than 0 and at most {MAX_BOOST}")
        }
        FieldDefinition {
            analyzer: Some(language),
            ..
        } if *language != Language::UNDETERMINED && analysis::analyser(language).is_none() => {
            format!(
                "there is no analyser `{language}`: choose one of {}, or `und` for the fallback alone",
                analysed()
            )
        }
        _ => return Ok(()),
    };
    Err(Error::invalid(format!("field `{path}`: {problem}")))
}

/// The languages with an analyser, for an error text.
fn analysed() -> String {
    let names: Vec<_> = ANALYSED
        .iter()
        .map(|language| format!("`{language}`"))
        .collect();
    names.join(", ")
}

/// The dotted name of `name` within `parent`.
pub(super) fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}.{name}")
    }
}

impl Serialize for Dynamic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Accept => serializer.serialize_bool(true),
            Self::Ignore => serializer.serialize_bool(false),
            Self::Strict => serializer.serialize_str("strict"),
        }
    }
}

impl<'de> Deserialize<'de> for Dynamic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DynamicVisitor;

        impl Visitor<'_> for DynamicVisitor {
            type Value = Dynamic;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`dynamic` to be true, false or \"strict\"")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Dynamic, E> {
                Ok(if value {
                    Dynamic::Accept
                } else {
                    Dynamic::Ignore
                })
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Dynamic, E> {
                match value {
                    "strict" => Ok(Dynamic::Strict),
                    "true" => Ok(Dynamic::Accept),
                    "false" => Ok(Dynamic::Ignore),
                    _ => Err(E::invalid_value(de::Unexpected::Str(value), &self)),
                }
            }
        }

        deserializer.deserialize_any(DynamicVisitor)
    }
}

impl<'de> Deserialize<'de> for Fields {
    /// Refuses a name that is declared twice, which a map would silently forget.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`fields` to be an object of field names and their definitions")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    let Entry(field) = map.next_value()?;
                    if fields.contains_key(&name) {
                        return Err(de::Error::custom(format!(
                            "the field {} is declared twice",
                            quoted(&name)
                        )));
                    }
                    fields.insert(name, field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// A field definition that is written as an object.
#[derive(Deserialize)]
#[serde(transparent)]
struct Entry(#[serde(deserialize_with = "object")] FieldDefinition);

/// Reads a `T` from an object only: what serde derives also takes an array of its members.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct ObjectVisitor<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(ObjectVisitor(PhantomData))
}
