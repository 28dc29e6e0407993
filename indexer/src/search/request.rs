//! A search as it is asked for, and the answer to it.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::limits;
use crate::error::{Error, Result};
use crate::numbers::{DocCount, Version};

/// One search. As JSON, everything is optional: `{}` finds every document.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchRequest {
    /// What to look for, in the friendly syntax. Empty: every document.
    #[serde(alias = "q")]
    pub query: String,
    /// How words that stand side by side are joined.
    pub operator: Operator,
    /// The language of the query (`en`, `ja`, ...). Without it, every language of the index.
    pub lang: Option<String>,
    /// Tags that a document must all have.
    #[serde(deserialize_with = "one_or_many")]
    pub tags: Vec<String>,
    /// Further conditions in the friendly syntax, all of which must hold; they do not score.
    #[serde(deserialize_with = "one_or_many")]
    pub filter: Vec<String>,
    /// The order of the hits. Empty: the best first.
    #[serde(deserialize_with = "sorts")]
    pub sort: Vec<Sort>,
    /// How many hits to return.
    pub limit: usize,
    /// How many hits to pass over first.
    pub offset: usize,
    /// Which fields of the source to return: dotted names, `*` at the end for all that begin so.
    /// Without it, the source as it came in.
    #[serde(deserialize_with = "optional_one_or_many")]
    pub fields: Option<Vec<String>>,
    /// Whether to return fragments with the words found in `<em>`.
    pub highlight: bool,
    /// The search waits until this version is visible.
    pub min_version: Option<Version>,
}

impl Default for SearchRequest {
    fn default() -> Self {
        Self {
            query: String::new(),
            operator: Operator::default(),
            lang: None,
            tags: Vec::new(),
            filter: Vec::new(),
            sort: Vec::new(),
            limit: 10,
            offset: 0,
            fields: None,
            highlight: false,
            min_version: None,
        }
    }
}

impl SearchRequest {
    /// Checks the limits that do not depend on the index.
    pub fn validate(&self) -> Result<()> {
        let counts = [
            ("tags", self.tags.len(), limits::TAGS),
            ("filter", self.filter.len(), limits::FILTERS),
            ("sort", self.sort.len(), limits::SORTS),
            (
                "fields",
                self.fields.as_ref().map_or(0, Vec::len),
                limits::FIELDS,
            ),
            ("limit", self.limit, limits::HITS),
            (
                "limit + offset",
                self.limit.saturating_add(self.offset),
                limits::WINDOW,
            ),
        ];
        for (name, value, most) in counts {
            if value > most {
                return Err(Error::invalid(format!(
                    "`{name}` is {value} and may be at most {most}"
                )));
            }
        }
        let texts = [("query", std::slice::from_ref(&self.query))]
            .into_iter()
            .chain([("filter", &*self.filter), ("tags", &*self.tags)]);
        for (name, texts) in texts {
            if let Some(text) = texts.iter().find(|text| text.len() > limits::QUERY_BYTES) {
                return Err(Error::invalid(format!(
                    "`{name}` is {} bytes long and may have {}: shorten it",
                    text.len(),
                    limits::QUERY_BYTES
                )));
            }
        }
        Ok(())
    }
}

/// How words that stand side by side are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operator {
    /// Any of them may match; documents that match more of them come first.
    #[default]
    Or,
    /// All of them must match, each in whichever field.
    And,
}

impl FromStr for Operator {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "or" | "OR" => Ok(Self::Or),
            "and" | "AND" => Ok(Self::And),
            other => Err(Error::invalid(format!(
                "`operator` is `{other}` and must be `or` or `and`"
            ))),
        }
    }
}

/// One sort key. As text: `field`, `field:asc` or `field:desc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// A field name, or `_score`.
    pub field: String,
    /// Whether the largest comes first. Documents without the field come last either way.
    pub descending: bool,
}

impl Sort {
    /// The name that sorts by how well a document matches.
    pub const SCORE: &'static str = "_score";

    /// Reads a list such as `updated_at:desc,price`.
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        text.split(',')
            .filter(|part| !part.trim().is_empty())
            .map(str::parse)
            .collect()
    }
}

impl FromStr for Sort {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let (field, order) = match text.rsplit_once(':') {
            Some((field, order)) => (field.trim(), Some(order.trim())),
            None => (text, None),
        };
        let descending = match order {
            Some("asc") => false,
            Some("desc") => true,
            // The best match first is what everybody means by sorting by score.
            None => field == Self::SCORE,
            Some(other) => {
                return Err(Error::invalid(format!(
                    "`sort` has the order `{other}`: write `{field}:asc` or `{field}:desc`"
                )));
            }
        };
        if field.is_empty() {
            return Err(Error::invalid(
                "`sort` has a key without a field: write for example `updated_at:desc`",
            ));
        }
        Ok(Self {
            field: field.to_owned(),
            descending,
        })
    }
}

/// The answer to a search.
#[derive(Debug, Serialize)]
pub struct SearchResponse {
    /// How many documents match, exactly.
    pub count: DocCount,
    /// The hits asked for, in order.
    pub hits: Vec<Hit>,
    /// The version of the index that was searched.
    pub version: Version,
    /// The lineage of that version, which another index in the same place would not share.
    #[serde(skip)]
    pub lineage: Uuid,
}

/// One document that matches.
#[derive(Debug, Serialize)]
pub struct Hit {
    /// Which document.
    pub unique_key: String,
    /// How well it matches; none where the order does not depend on it.
    pub score: Option<f32>,
    /// The document as it came in, or the fields of it that were asked for.
    pub source: Box<RawValue>,
    /// For each field with words found, fragments of HTML with these in `<em>`.
    pub highlight: BTreeMap<String, Vec<String>>,
    /// The values that the hit was sorted by, where `sort` was given.
    pub sort: Vec<Value>,
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMany;
    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string or a list of strings")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = list.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }
    deserializer.deserialize_any(OneOrMany)
}

fn optional_one_or_many<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Texts(#[serde(deserialize_with = "one_or_many")] Vec<String>);
    Ok(Option::<Texts>::deserialize(deserializer)?.map(|Texts(texts)| texts))
}

fn sorts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Sort>, D::Error> {
    let mut sorts = Vec::new();
    for text in one_or_many(deserializer)? {
        sorts.extend(Sort::parse_list(&text).map_err(de::Error::custom)?);
    }
    Ok(sorts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_takes_one_or_many_and_refuses_what_it_does_not_know() {
        let request: SearchRequest = serde_json::from_str(
            r#"{"q": "a", "tags": "x", "filter": ["b", "c"], "sort": "updated_at:desc,price",
                "fields": "title", "operator": "and"}"#,
        )
        .unwrap();
        assert_eq!(request.query, "a");
        assert_eq!(request.tags, ["x"]);
        assert_eq!(request.filter, ["b", "c"]);
        assert_eq!(request.fields, Some(vec!["title".to_owned()]));
        assert_eq!(request.operator, Operator::And);
        assert!(request.sort[0].descending && !request.sort[1].descending);
        assert_eq!(
            serde_json::from_str::<SearchRequest>("{}").unwrap(),
            SearchRequest::default()
        );
        let error = serde_json::from_str::<SearchRequest>(r#"{"querry": "a"}"#).unwrap_err();
        assert!(error.to_string().contains("querry"), "{error}");
        let error = serde_json::from_str::<SearchRequest>(r#"{"sort": "a:up"}"#).unwrap_err();
        assert!(error.to_string().contains("a:desc"), "{error}");
    }

    #[test]
    fn the_score_sorts_the_best_first() {
        assert!("_score".parse::<Sort>().unwrap().descending);
        assert!(!"_score:asc".parse::<Sort>().unwrap().descending);
        assert!(":desc".parse::<Sort>().is_err());
    }

    #[test]
    fn every_limit_is_checked() {
        let fits = SearchRequest {
            limit: limits::HITS,
            offset: limits::WINDOW - limits::HITS,
            ..SearchRequest::default()
        };
        fits.validate().unwrap();
        for wrong in [
            SearchRequest {
                limit: limits::HITS + 1,
                ..SearchRequest::default()
            },
            SearchRequest {
                offset: usize::MAX,
                ..SearchRequest::default()
            },
            SearchRequest {
                tags: vec![String::new(); limits::TAGS + 1],
                ..SearchRequest::default()
            },
            SearchRequest {
                filter: vec!["a".repeat(limits::QUERY_BYTES + 1)],
                ..SearchRequest::default()
            },
        ] {
            let error = wrong.validate().unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Invalid);
        }
    }
}
