//! Definitions that are taken and refused, what paths mean, and what is found in a segment.

use proptest::prelude::*;
use serde_json::{Value, json};
use tantivy::collector::Count;
use tantivy::directory::RamDirectory;
use tantivy::query::{PhraseQuery, Query, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{Index, Term};

use super::*;
use crate::document::Document;
use crate::{ErrorKind, Result};

fn read(definition: &Value) -> Result<Definition> {
    Definition::from_json(definition.to_string().as_bytes())
}

fn schema(definition: Value) -> IndexSchema {
    IndexSchema::compile(&read(&definition).unwrap()).unwrap()
}

#[test]
fn what_is_left_out_is_the_default() {
    for json in [
        "",
        " ",
        "{}",
        r#"{"mapping":{"dynamic":true,"fields":{}},"languages":["en"]}"#,
    ] {
        assert_eq!(
            Definition::from_json(json.as_bytes()).unwrap(),
            Definition::default()
        );
    }
}

#[track_caller]
fn refused(definition: Value, expected: &str) {
    let error = read(&definition).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn a_wrong_definition_is_refused_with_the_way_to_mend_it() {
    let field = |name: &str, field: Value| json!({"mapping": {"fields": {name: field}}});
    refused(json!([]), "invalid type: sequence, expected an object");
    refused(json!({"mapping": []}), "expected an object");
    refused(
        json!({"mapping": {"fields": {"a": ["text"]}}}),
        "expected an object",
    );
    refused(
        json!({"fields": {}}),
        "unknown field `fields`, expected one of `mapping`",
    );
    refused(
        json!({"mapping": {"dynamic": "perhaps"}}),
        "true, false or \"strict\"",
    );
    refused(json!({"languages": ["ja"]}), "`ja`, which has no analyser");
    refused(json!({"languages": ["en", "en-GB"]}), "twice");
    refused(json!({"default_language": "?"}), "BCP 47");
    refused(field("a", json!({})), "missing field `type`");
    refused(
        field("a", json!({"type": "string"})),
        "unknown variant `string`, expected one of `text`",
    );
    refused(
        field("a", json!({"type": "text", "analyser": "en"})),
        "expected one of",
    );
    refused(
        field("a", json!({"type": "text", "analyzer": "ja"})),
        "there is no analyser `ja`",
    );
    refused(
        field("a", json!({"type": "text", "boost": 0})),
        "more than 0",
    );
    refused(
        field("a", json!({"type": "text", "boost": 1e9})),
        "at most 1000",
    );
    refused(
        field("a", json!({"type": "date", "boost": 1})),
        "`boost` is for text",
    );
    refused(
        field("a", json!({"type": "date", "analyzer": "en"})),
        "`analyzer` is for text",
    );
    refused(
        field("a", json!({"type": "date", "fields": {}})),
        "`fields` is for objects",
    );
    refused(field("", json!({"type": "date"})), "empty");
    refused(field("a.b", json!({"type": "date"})), "dot");
    refused(field("_a", json!({"type": "date"})), "begin with");
    refused(field("a\n", json!({"type": "date"})), "control");
    refused(field("lang", json!({"type": "text"})), "built in");
    refused(field(&"a".repeat(256), json!({"type": "date"})), "255");
    let many: serde_json::Map<_, _> = (0..=MAX_FIELDS)
        .map(|n| (format!("f{n}"), json!({"type": "date"})))
        .collect();
    refused(
        json!({"mapping": {"fields": many}}),
        "more than 1000 fields",
    );
    let twice = br#"{"mapping":{"fields":{"a":{"type":"text"},"a":{"type":"date"}}}}"#;
    let error = Definition::from_json(twice).unwrap_err();
    assert!(
        error.to_string().contains("\"a\" is declared twice"),
        "{error}"
    );
}

/// What `path` means, in short.
fn meaning(schema: &IndexSchema, path: &str) -> String {
    match schema.resolve(path) {
        None => "nothing".to_owned(),
        Some(Resolved::Text(text)) => {
            assert_eq!(text.name, path);
            format!("text of {}", text.languages.len())
        }
        Some(Resolved::Dynamic { path: dynamic, .. }) => {
            assert_eq!(dynamic, path);
            "dynamic".to_owned()
        }
        Some(other) => format!("{other:?}").split('(').next().unwrap().to_owned(),
    }
}

#[test]
fn a_path_means_what_the_mapping_says() {
    let fields = json!({
        "tags": {"type": "text", "analyzer": "und"},
        "i": {"type": "integer"}, "f": {"type": "float"}, "b": {"type": "boolean"},
        "author": {"type": "object", "fields": {"name": {"type": "text", "boost": 3}}},
        "open": {"type": "object"},
    });
    let check = |dynamic: Value, meanings: &[(&str, &str)]| {
        let schema = schema(json!({"mapping": {"dynamic": dynamic, "fields": fields.clone()}}));
        for (path, expected) in meanings {
            assert_eq!(
                meaning(&schema, path),
                *expected,
                "{path}, dynamic {dynamic}"
            );
        }
    };
    let always = [
        ("unique_key", "Key"),
        ("lang", "Keyword"),
        ("title", "text of 1"),
        ("tags", "text of 0"),
        ("updated_at", "Date"),
        ("i", "Integer"),
        ("f", "Float"),
        ("b", "Boolean"),
        ("author.name", "text of 1"),
        ("metadata.x.y", "dynamic"),
        ("open.x", "dynamic"),
        ("$comment", "nothing"),
        ("", "nothing"),
    ];
    let undeclared = ["other", "author.age", "other.open.x"];
    for dynamic in [json!(true), json!(false), json!("strict")] {
        check(dynamic.clone(), &always);
        let expected = if dynamic == json!(true) {
            "dynamic"
        } else {
            "nothing"
        };
        check(dynamic, &undeclared.map(|path| (path, expected)));
    }
}

#[test]
fn title_and_content_come_first_and_a_title_counts_more() {
    let schema = schema(json!({"mapping": {"fields": {"abstract": {"type": "text"}}}}));
    let found: Vec<_> = schema
        .text_fields()
        .iter()
        .map(|text| (text.name.as_str(), text.boost))
        .collect();
    assert_eq!(
        found,
        [("title", TITLE_BOOST), ("content", 1.0), ("abstract", 1.0)]
    );
}

/// How many of the documents of one segment `query` finds.
fn count(schema: &IndexSchema, documents: &[Value], query: &dyn Query) -> usize {
    let mut writer = Index::builder()
        .schema(schema.tantivy().clone())
        .tokenizers(schema.tokenizers())
        .single_segment_index_writer(RamDirectory::create(), 15_000_000)
        .unwrap();
    for document in documents {
        let document = Document::parse(&document.to_string(), schema).unwrap();
        writer.add_document(schema.to_tantivy(&document)).unwrap();
    }
    let index = writer.finalize().unwrap();
    index
        .reader()
        .unwrap()
        .searcher()
        .search(query, &Count)
        .unwrap()
}

fn term(term: Term) -> TermQuery {
    TermQuery::new(term, IndexRecordOption::Basic)
}

#[test]
fn a_document_is_found_by_what_it_holds() {
    let schema = schema(json!({}));
    let documents = [
        json!({"unique_key": "a", "lang": "en", "title": "Running dogs", "tags": ["x", "y"],
            "metadata": {"n": 5, "when": "2024-05-17T00:00:00Z", "note": "two words"}}),
        json!({"unique_key": "b", "lang": "ja", "title": "全文検索 Running", "deep": {"er": "z"}}),
    ];
    let check = |query: &dyn Query, expected: usize| {
        assert_eq!(count(&schema, &documents, query), expected, "{query:?}");
    };
    let text = &schema.text_fields()[0];
    let json = |path: &str| Term::from_field_json_path(schema.special.json, path, true);
    check(&term(Term::from_field_text(schema.key(), "a")), 1);
    check(&term(Term::from_field_text(text.fallback, "running")), 2);
    check(&term(Term::from_field_text(text.fallback, "検索")), 1);
    check(&term(Term::from_field_text(text.languages[0].1, "run")), 1);
    check(&term(Term::from_field_text(schema.lang(), "ja")), 1);
    for (name, expected) in [
        ("title", 2),
        ("metadata", 1),
        ("metadata.n", 1),
        ("deep.er", 1),
        ("deep", 1),
        ("tags", 1),
        ("content", 0),
        ("unique_key", 2),
    ] {
        check(
            &term(Term::from_field_text(schema.present(), name)),
            expected,
        );
    }
    let mut number = json("metadata.n");
    number.append_type_and_fast_value(5_i64);
    check(&term(number), 1);
    let mut date = json("metadata.when");
    date.append_type_and_fast_value(crate::document::date::parse("2024-05-17").unwrap());
    check(&term(date), 1);
    let mut whole = json("metadata.note");
    whole.append_type_and_str("two words");
    check(&term(whole), 1);
    let words = ["two", "words"].map(|word| {
        let mut term = Term::from_field_json_path(schema.special.json_text, "metadata.note", true);
        term.append_type_and_str(word);
        term
    });
    check(&PhraseQuery::new(words.to_vec()), 1);
}

#[test]
fn a_fixed_analyser_reads_every_document() {
    let fields = json!({"body": {"type": "text", "analyzer": "en"}});
    let schema = schema(json!({"languages": [], "mapping": {"fields": fields}}));
    let documents = [json!({"unique_key": "a", "lang": "ja", "body": "Running"})];
    let Some(Resolved::Text(text)) = schema.resolve("body") else {
        panic!("body is a text");
    };
    let query = term(Term::from_field_text(text.languages[0].1, "run"));
    assert_eq!(count(&schema, &documents, &query), 1);
}

fn fields(depth: u32) -> BoxedStrategy<Fields> {
    let kind = prop::sample::select(vec![
        FieldType::Text,
        FieldType::Keyword,
        FieldType::Integer,
        FieldType::Float,
        FieldType::Boolean,
        FieldType::Date,
    ]);
    let leaf = kind.prop_map(FieldDefinition::new);
    let field = if depth == 0 {
        leaf.boxed()
    } else {
        let object = fields(depth - 1).prop_map(|fields| FieldDefinition {
            fields: Some(fields),
            ..FieldDefinition::new(FieldType::Object)
        });
        prop_oneof![3 => leaf, 1 => object].boxed()
    };
    prop::collection::btree_map("[a-z]{1,3}|title|tags|metadata", field, 0..6)
        .prop_map(Fields)
        .boxed()
}

proptest! {
    #[test]
    fn the_same_definition_gives_the_same_schema(fields in fields(2)) {
        let mut definition = Definition::default();
        definition.mapping.fields = fields;
        let json = serde_json::to_vec(&definition).unwrap();
        let again = Definition::from_json(&json).unwrap();
        prop_assert_eq!(&again, &definition);
        let texts = [&definition, &again].map(|definition| {
            let schema = IndexSchema::compile(definition).unwrap();
            serde_json::to_string(schema.tantivy()).unwrap()
        });
        prop_assert_eq!(&texts[0], &texts[1]);
    }

    #[test]
    fn any_text_is_a_definition_or_refused(text in "[\\[\\]{}\":,a-z ]{0,60}") {
        if let Err(error) = Definition::from_json(text.as_bytes()) {
            prop_assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }
}
