//! The answer to a search, written around the documents' own text.
//!
//! A document is not parsed on its way out: `score` (and `highlight` and `sort`, where they were
//! asked for) are put before its closing brace. These names are the answer's. A document's own
//! top-level field of such a name is left out of the answer; `GET /documents/{unique_key}` has it.

use aquifer_indexer::search::{Hit, SearchRequest, SearchResponse};
use serde::Serialize;

use crate::object::Object;

/// Which of the answer's own fields a search asks for.
#[derive(Clone, Copy, Debug)]
struct Shape {
    highlight: bool,
    sort: bool,
}

impl Shape {
    fn of(request: &SearchRequest) -> Self {
        Self {
            highlight: request.highlight,
            sort: !request.sort.is_empty(),
        }
    }

    fn takes(self, name: &str) -> bool {
        name == "score" || (self.highlight && name == "highlight") || (self.sort && name == "sort")
    }
}

/// How long the answer will be, but for escapes in what the hits do not take from their documents.
pub(crate) fn answer_bytes(response: &SearchResponse) -> usize {
    let hit = |hit: &Hit| {
        let fragments = hit.highlight.iter().map(|(field, fragments)| {
            let texts: usize = fragments.iter().map(|text| text.len() + 3).sum();
            field.len() + 6 + texts
        });
        hit.source.get().len() + fragments.sum::<usize>() + 64
    };
    response.hits.iter().map(hit).sum::<usize>() + 128
}

/// Writes `{"count","result":[{...document..., "score"}],"version","took_ms"}`. Each hit is let go of as soon as it is
/// written, so that the answer is not in memory twice.
///
/// # Errors
/// A hit's source is not a JSON object.
pub fn search_answer(
    request: &SearchRequest,
    response: SearchResponse,
    took_ms: u64,
) -> Result<Vec<u8>, serde_json::Error> {
    let shape = Shape::of(request);
    let mut out = Vec::with_capacity(answer_bytes(&response));
    out.extend_from_slice(b"{\"count\":");
    serde_json::to_writer(&mut out, &response.count)?;
    out.extend_from_slice(b",\"result\":[");
    for (at, hit) in response.hits.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_hit(&mut out, &hit, shape)?;
    }
    out.push(b']');
    write_field(&mut out, "version", &response.version)?;
    write_field(&mut out, "took_ms", &took_ms)?;
    out.push(b'}');
    Ok(out)
}

fn write_hit(out: &mut Vec<u8>, hit: &Hit, shape: Shape) -> Result<(), serde_json::Error> {
    let source = hit.source.get().trim();
    let mentions = |name: &str| shape.takes(name) && source.contains(&format!("\"{name}\""));
    let empty = if ["score", "highlight", "sort"].into_iter().any(mentions) {
        Object::read(source)?.write_open(out, |name| !shape.takes(name))?
    } else {
        let open = source.strip_suffix('}').unwrap_or(source).trim_end();
        out.extend_from_slice(open.as_bytes());
        open.ends_with('{')
    };
    if empty {
        out.extend_from_slice(b"\"score\":");
        serde_json::to_writer(&mut *out, &hit.score)?;
    } else {
        write_field(out, "score", &hit.score)?;
    }
    if shape.highlight {
        write_field(out, "highlight", &hit.highlight)?;
    }
    if shape.sort {
        write_field(out, "sort", &hit.sort)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_field<T: Serialize>(
    out: &mut Vec<u8>,
    name: &str,
    value: &T,
) -> Result<(), serde_json::Error> {
    out.push(b',');
    serde_json::to_writer(&mut *out, name)?;
    out.push(b':');
    serde_json::to_writer(out, value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::value::RawValue;

    use super::*;

    fn check(source: &str, shape: Shape, expected: &str) {
        let hit = Hit {
            unique_key: "k".to_owned(),
            score: Some(1.5),
            source: RawValue::from_string(source.to_owned()).unwrap(),
            highlight: BTreeMap::from([("t".to_owned(), vec!["<em>x</em>".to_owned()])]),
            sort: vec![3.into()],
        };
        let mut out = Vec::new();
        write_hit(&mut out, &hit, shape).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    const BARE: Shape = Shape {
        highlight: false,
        sort: false,
    };
    const FULL: Shape = Shape {
        highlight: true,
        sort: true,
    };

    #[test]
    fn the_text_of_a_document_is_kept_as_it_is() {
        check(
            r#"{"a": 1.50, "b":[ 1 ]}"#,
            BARE,
            r#"{"a": 1.50, "b":[ 1 ],"score":1.5}"#,
        );
        check("{\"a\":\"}\"\n}", BARE, r#"{"a":"}","score":1.5}"#);
        check("{ }", BARE, r#"{"score":1.5}"#);
        let full = r#"{"a":1,"score":1.5,"highlight":{"t":["<em>x</em>"]},"sort":[3]}"#;
        check(r#"{"a":1}"#, FULL, full);
    }

    #[test]
    fn the_fields_of_the_answer_win_over_the_documents_own() {
        let own = r#"{"score": 7, "a": {"score": 1.0}, "sort": 2, "n": 123456789012345678901}"#;
        check(
            own,
            BARE,
            r#"{"a":{"score": 1.0},"sort":2,"n":123456789012345678901,"score":1.5}"#,
        );
        check(r#"{"score":7}"#, BARE, r#"{"score":1.5}"#);
        check(r#"{"a":"score"}"#, BARE, r#"{"a":"score","score":1.5}"#);
        check(
            r#"{"sort":2,"highlight":3}"#,
            FULL,
            r#"{"score":1.5,"highlight":{"t":["<em>x</em>"]},"sort":[3]}"#,
        );
    }
}
