//! What is accepted, what is refused and with which reason, and what holds for any text.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::mapping::Definition;

fn schema(definition: Value) -> IndexSchema {
    let definition = Definition::from_json(definition.to_string().as_bytes()).unwrap();
    IndexSchema::compile(&definition).unwrap()
}

fn parse(document: &Value) -> Result<Document, DocumentError> {
    Document::parse(&document.to_string(), &schema(json!({})))
}

/// Checks that the default index refuses `fields` beside a key, for this reason.
#[track_caller]
fn refused(fields: Value, kind: &str, detail: &str) {
    let mut document = json!({"unique_key": "k"});
    document
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let error = parse(&document).unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.detail.contains(detail), "{error}");
}

#[track_caller]
fn check_key(key: Value, expected: Result<&str, &str>) {
    let document = json!({"unique_key": key});
    let found = parse(&document);
    let found = found
        .as_ref()
        .map(Document::unique_key)
        .map_err(|error| error.kind);
    assert_eq!(found, expected);
    assert_eq!(
        Document::key_of(&document.to_string()).as_deref(),
        expected.ok()
    );
}

#[test]
fn a_key_is_a_string_or_a_whole_number() {
    check_key(json!("a/b c"), Ok("a/b c"));
    check_key(json!(42), Ok("42"));
    check_key(json!(u64::MAX), Ok("18446744073709551615"));
    check_key(json!("é".repeat(256)), Ok(&"é".repeat(256)));
    check_key(json!("é".repeat(257)), Err(kind::INVALID_UNIQUE_KEY));
    check_key(json!(""), Err(kind::INVALID_UNIQUE_KEY));
    check_key(json!("a\u{0}"), Err(kind::INVALID_UNIQUE_KEY));
    check_key(json!("a\n"), Err(kind::INVALID_UNIQUE_KEY));
    check_key(json!(1.5), Err(kind::INVALID_UNIQUE_KEY));
    check_key(json!(["a"]), Err(kind::INVALID_UNIQUE_KEY));
    check_key(json!(null), Err(kind::MISSING_UNIQUE_KEY));
}

#[test]
fn what_is_no_document_is_refused() {
    let schema = schema(json!({}));
    let check = |source: &str, kind: &str, detail: &str| {
        let error = Document::parse(source, &schema).unwrap_err();
        assert_eq!((error.kind, &error.unique_key), (kind, &None), "{error}");
        assert!(error.located(1).contains(detail), "{error}");
    };
    check("{", kind::INVALID_JSON, "line 1 column 1");
    check("{\"unique_key\":\"a\"} x", kind::INVALID_JSON, "column 20");
    check("[]", kind::NOT_AN_OBJECT, "JSON object");
    check("{}", kind::MISSING_UNIQUE_KEY, "unique_key");
    check(
        &format!("{{\"a\":{}", "[".repeat(40)),
        kind::TOO_MANY,
        "32 deep",
    );
    check(
        &format!("{{\"a\":{:?}}}", "x".repeat(1 << 20)),
        kind::TOO_LARGE,
        "1048576",
    );
}

#[test]
fn a_wrong_value_is_refused_with_the_way_to_mend_it() {
    refused(
        json!({"title": {"a": 1}}),
        kind::WRONG_TYPE,
        "`title` must be a string",
    );
    refused(json!({"content": 1.5}), kind::WRONG_TYPE, "the number 1.5");
    refused(json!({"tags": [["a"], {}]}), kind::WRONG_TYPE, "array");
    refused(json!({"tags": "x".repeat(9_000)}), kind::TOO_LARGE, "8192");
    refused(
        json!({"tags": vec!["x"; 1_001]}),
        kind::TOO_MANY,
        "1001 tags",
    );
    refused(json!({"metadata": "x"}), kind::WRONG_TYPE, "an object");
    refused(
        json!({"updated_at": "yesterday"}),
        kind::INVALID_DATE,
        "\"yesterday\"",
    );
    refused(
        json!({"updated_at": "x".repeat(999)}),
        kind::INVALID_DATE,
        "xxx\"...",
    );
    refused(json!({"updated_at": 5}), kind::WRONG_TYPE, "RFC 3339");
    refused(
        json!({"lang": "english please"}),
        kind::INVALID_LANGUAGE,
        "en",
    );
    refused(json!({"lang": 7}), kind::WRONG_TYPE, "language tag");
    refused(json!({"": 1}), kind::INVALID_FIELD_NAME, "empty");
    refused(
        json!({"a": {"b\u{1}": 1}}),
        kind::INVALID_FIELD_NAME,
        "control",
    );
    refused(json!({"x".repeat(600): 1}), kind::INVALID_FIELD_NAME, "512");
    let many: serde_json::Map<_, _> = (0..1_001).map(|n| (format!("f{n}"), json!(n))).collect();
    refused(Value::Object(many), kind::TOO_MANY, "1001 undeclared");
}

#[test]
fn an_error_names_the_document() {
    let error = parse(&json!({"unique_key": "k", "title": {}})).unwrap_err();
    assert_eq!(error.unique_key.as_deref(), Some("k"));
}

#[test]
fn a_document_of_the_default_mapping_is_taken() {
    let source = r#" {"unique_key":"k","lang":"EN-us","title":"A \"B\"","content":["x","y"],
        "tags":"one","metadata":{"n":1,"o":{"p":[true,null]}},"updated_at":"2024-05-17",
        "$schema":"s","$comment":{"":1},"other":1.5,"none":null} "#;
    let document = Document::parse(source, &schema(json!({}))).unwrap();
    assert_eq!(document.source(), source.trim());
    assert_eq!(document.lang().as_str(), "en");
    let declared: Vec<_> = document.declared().map(|(_, value)| value).collect();
    let date = date::parse("2024-05-17T00:00:00Z").unwrap();
    let expected = [
        Scalar::Str("A \"B\""),
        Scalar::Str("x"),
        Scalar::Str("y"),
        Scalar::Str("one"),
        Scalar::Date(date),
    ];
    assert_eq!(declared, expected);
    let undeclared: Vec<_> = document.undeclared().collect();
    let expected = [
        ("metadata.n", Scalar::I64(1)),
        ("metadata.o.p", Scalar::Bool(true)),
        ("other", Scalar::F64(1.5)),
    ];
    assert_eq!(undeclared, expected);
}

#[test]
fn of_a_repeated_key_the_last_counts() {
    let few = r#"{"unique_key":"a","x":1,"unique_key":"b","x":{"y":2,"y":3}}"#;
    let document = Document::parse(few, &schema(json!({}))).unwrap();
    assert_eq!(document.unique_key(), "b");
    assert_eq!(
        document.undeclared().collect::<Vec<_>>(),
        [("x.y", Scalar::I64(3))]
    );

    let members: String = (0..40).map(|n| format!(",\"f{}\":{n}", n % 20)).collect();
    let many = format!("{{\"unique_key\":\"a\"{members}}}");
    let document = Document::parse(&many, &schema(json!({}))).unwrap();
    let values: Vec<_> = document.undeclared().map(|(_, value)| value).collect();
    assert_eq!(values, (20..40).map(Scalar::I64).collect::<Vec<_>>());
}

#[test]
fn undeclared_fields_are_ignored_or_refused_where_the_mapping_says_so() {
    let source = r#"{"unique_key":"k","metadata":{"a":1},"o":{"p":"x","q":2},"other":3}"#;
    let mapping = |dynamic: Value| {
        let fields = json!({"o": {"type": "object", "fields": {"p": {"type": "keyword"}}}});
        schema(json!({"mapping": {"dynamic": dynamic, "fields": fields}}))
    };
    let paths = |schema: &IndexSchema| -> Vec<String> {
        let document = Document::parse(source, schema).unwrap();
        document
            .undeclared()
            .map(|(path, _)| path.to_owned())
            .collect()
    };
    assert_eq!(paths(&mapping(json!(true))), ["metadata.a", "o.q", "other"]);
    assert_eq!(paths(&mapping(json!(false))), ["metadata.a"]);
    let error = Document::parse(source, &mapping(json!("strict"))).unwrap_err();
    assert_eq!(error.kind, kind::UNKNOWN_FIELD);
    assert!(error.detail.contains("\"o.q\""), "{error}");
}

#[test]
fn typed_fields_take_their_type() {
    let fields = json!({"i": {"type": "integer"}, "f": {"type": "float"}, "b": {"type": "boolean"},
        "k": {"type": "keyword"}});
    let schema = schema(json!({"mapping": {"fields": fields}}));
    let value = |field: &str, value: Value| {
        let document = json!({"unique_key": "k", field: value});
        let document = Document::parse(&document.to_string(), &schema)?;
        Ok::<_, DocumentError>(format!("{:?}", document.declared().next().unwrap().1))
    };
    assert_eq!(value("i", json!(2.0)).unwrap(), "I64(2)");
    assert_eq!(
        value("i", json!(i64::MIN)).unwrap(),
        format!("I64({})", i64::MIN)
    );
    assert_eq!(value("f", json!(2)).unwrap(), "F64(2.0)");
    assert_eq!(value("b", json!(false)).unwrap(), "Bool(false)");
    assert_eq!(value("k", json!(978)).unwrap(), "Str(\"978\")");
    assert_eq!(value("k", json!(true)).unwrap(), "Str(\"true\")");
    for (field, wrong) in [
        ("i", json!(2.5)),
        ("i", json!(u64::MAX)),
        ("i", json!("2")),
        ("f", json!("2")),
        ("b", json!("true")),
        ("k", json!(1.5)),
    ] {
        assert_eq!(value(field, wrong).unwrap_err().kind, kind::WRONG_TYPE);
    }
}

#[test]
fn the_language_is_the_forced_one_its_own_the_detected_or_the_default() {
    let check = |definition: Value, fields: Value, lang: &str, language: &str| {
        let mut document = json!({"unique_key": "k"});
        document
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let document = Document::parse(&document.to_string(), &schema(definition)).unwrap();
        assert_eq!(
            (document.lang().as_str(), document.language().as_str()),
            (lang, language)
        );
    };
    let japanese = json!({"title": "Rust", "content": "全文検索を作る"});
    check(json!({}), japanese.clone(), "ja", "ja");
    check(
        json!({}),
        json!({"lang": "de", "content": "全文検索を作る"}),
        "de",
        "de",
    );
    check(json!({}), json!({"title": "Rust"}), "en", "en");
    check(
        json!({"default_language": "fr"}),
        json!({"title": "Rust"}),
        "fr",
        "fr",
    );
    check(json!({"force_language": "en"}), japanese, "en", "en");
    check(
        json!({"force_language": "en"}),
        json!({"lang": "ja"}),
        "ja",
        "en",
    );
}

/// The texts of a body and whether each is one at all.
fn parts(body: &[u8], format: BodyFormat) -> crate::Result<Vec<(Option<usize>, Option<&str>)>> {
    let parts = split(body, format)?;
    Ok(parts.map(|part| (part.line, part.text.ok())).collect())
}

#[test]
fn a_body_is_taken_apart() {
    let check = |body: &str, expected: &[(Option<usize>, Option<&str>)]| {
        assert_eq!(
            parts(body.as_bytes(), BodyFormat::Unknown).unwrap(),
            expected,
            "{body}"
        );
    };
    check("\u{FEFF} {\"a\": 1}\n", &[(None, Some("{\"a\": 1}"))]);
    check("{\n\"a\": 1\n}", &[(None, Some("{\n\"a\": 1\n}"))]);
    check(
        "[ {\"a\":1} ,2]",
        &[(None, Some("{\"a\":1}")), (None, Some("2"))],
    );
    check("[]", &[]);
    check(
        "{ \"documents\" : [{}, {\"b\":[]}] }",
        &[(None, Some("{}")), (None, Some("{\"b\":[]}"))],
    );
    let more = r#"{"documents":[{}],"x":1}"#;
    check(more, &[(None, Some(more))]);
    check(
        "{\"a\":1}\r\n\n {\"b\":2}",
        &[(Some(1), Some("{\"a\":1}")), (Some(3), Some("{\"b\":2}"))],
    );
    check(
        "{\"a\":1\n{\"b\":2}\n",
        &[(Some(1), Some("{\"a\":1")), (Some(2), Some("{\"b\":2}"))],
    );
}

#[test]
fn a_json_sequence_is_taken_apart_at_its_separators() {
    let format = BodyFormat::of_content_type("application/json-seq");
    let body = b"\x1e{\"a\":1}\n\x1e{\n\"b\":2\n}\n\x1e\n\x1enothing\n";
    let expected = [
        (Some(1), Some("{\"a\":1}")),
        (Some(2), Some("{\n\"b\":2\n}")),
        (Some(6), Some("nothing")),
    ];
    assert_eq!(parts(body, format).unwrap(), expected);
}

#[test]
fn every_content_type_that_is_known_is_read() {
    for (content_type, body) in [
        ("application/json", "[{\"a\":1}, {\"a\":1}]"),
        ("Application/X-NDJSON", "{\"a\":1}\n{\"a\":1}\n"),
        ("application/jsonl", "{\"a\":1}\n{\"a\":1}\n"),
        ("application/jsonlines", "{\"a\":1}\n{\"a\":1}\n"),
        ("application/json-lines", "{\"a\":1}\n{\"a\":1}\n"),
        ("application/json-seq", "\u{1e}{\"a\":1}\n\u{1e}{\"a\":1}\n"),
    ] {
        let format = BodyFormat::of_content_type(content_type);
        let texts: Vec<_> = split(body.as_bytes(), format)
            .unwrap()
            .map(|part| part.text.unwrap())
            .collect();
        assert_eq!(texts, ["{\"a\":1}"; 2], "{content_type}");
    }
}

#[test]
fn a_number_is_quoted_as_it_is_written() {
    let schema = schema(json!({"mapping": {"fields": {
        "n": {"type": "integer"}, "d": {"type": "date"}, "k": {"type": "keyword"}}}}));
    for (source, expected) in [
        (r#"{"unique_key":1.0}"#, "not the number 1.0"),
        (
            r#"{"unique_key":123456789012345678901}"#,
            "not the number 123456789012345678901",
        ),
        (
            r#"{"unique_key":"k","x":[1, 2.5],"n":1.50e0}"#,
            "not the number 1.50e0",
        ),
        (
            r#"{"unique_key":"k","n":7,"n":-0.10}"#,
            "not the number -0.10",
        ),
        (r#"{"unique_key":"k","d":[3, 1E2]}"#, "not the number 3"),
        (
            r#"{"unique_key":"1.5","k":["a", 1E2]}"#,
            "not the number 1E2",
        ),
        (
            r#"{"unique_key":"k","n":1e400}"#,
            "the number 1e400 is out of range",
        ),
    ] {
        let error = Document::parse(source, &schema).unwrap_err();
        assert!(error.detail.contains(expected), "{source}: {error}");
    }
}

#[test]
fn a_place_is_told_once_and_in_the_lines_of_the_input() {
    let error = Document::parse("{\"a\":\n 1e400}", &schema(json!({}))).unwrap_err();
    assert_eq!(error.place, Some((2, 2)));
    let told = error.located(7);
    assert!(
        told.ends_with("the number 1e400 is out of range at line 8 column 2"),
        "{told}"
    );
}

#[test]
fn a_bad_line_spoils_only_itself() {
    let body = b"{\"a\":1}\n{\"b\":\"\xFF\"}\nnothing\n{\"c\":1}";
    let expected = [
        (Some(1), Some("{\"a\":1}")),
        (Some(2), None),
        (Some(3), Some("nothing")),
        (Some(4), Some("{\"c\":1}")),
    ];
    let lines = BodyFormat::of_content_type("application/x-ndjson; charset=utf-8");
    assert_eq!(parts(body, lines).unwrap(), expected);
}

#[test]
fn a_body_that_is_no_json_is_refused_with_the_place() {
    let check = |body: &[u8], expected: &str| {
        let error = parts(body, BodyFormat::Unknown).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Invalid);
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(b"", "empty");
    check(b" \n", "empty");
    check(b"hello", "must begin with");
    check(b"[{},\n{]", "line 2 column 2");
    check(b"{\n \"a\": 1,\n}", "line 3 column 1");
    check(b"[\"\xFF\"]", "byte 2");
    let many = format!("[{}1]", "1,".repeat(limits::BATCH_DOCUMENTS));
    let error = parts(many.as_bytes(), BodyFormat::Json).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::TooLarge);
}

/// JSON of every shape, with the names of declared fields among others.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("2024-05-17T00:00:00Z")),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names(), inner), 0..5)
                .prop_map(|members| members.into_iter().collect::<Value>()),
        ]
    })
}

fn names() -> impl Strategy<Value = String> {
    let declared = prop::sample::select(vec![
        "title",
        "content",
        "tags",
        "metadata",
        "updated_at",
        "lang",
        "a.b",
        "$comment",
    ]);
    prop_oneof![
        declared.prop_map(str::to_owned),
        "[a-z.]{0,6}",
        any::<String>()
    ]
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in any::<String>(), members in "[\\[\\]{}\":,a1 ]{0,40}") {
        let schema = schema(json!({}));
        for source in [text, members] {
            let key = Document::parse(&source, &schema).ok().map(|d| d.unique_key().to_owned());
            prop_assert!(key.is_none() || key.as_deref() == Document::key_of(&source).as_deref());
            let parts = split(source.as_bytes(), BodyFormat::Unknown).into_iter().flatten();
            prop_assert!(parts.count() <= limits::BATCH_DOCUMENTS);
        }
    }

    #[test]
    fn an_accepted_document_keeps_its_text_and_reads_the_same_again(
        members in prop::collection::vec((names(), values()), 0..8),
        key in "[a-z]{1,5}",
    ) {
        let schema = schema(json!({}));
        let mut object: serde_json::Map<_, _> = members.into_iter().collect();
        object.insert("unique_key".to_owned(), key.into());
        let source = Value::Object(object).to_string();
        if let Ok(document) = Document::parse(&source, &schema) {
            prop_assert_eq!(document.source(), &source);
            prop_assert_eq!(&Document::parse(document.source(), &schema).unwrap(), &document);
            let indexed = schema.to_tantivy(&document);
            let stored = indexed.get_first(schema.source()).unwrap();
            let stored = tantivy::schema::Value::as_bytes(&stored);
            prop_assert_eq!(stored, Some(source.as_bytes()));
        }
    }

    #[test]
    fn an_array_and_its_lines_are_the_same_documents(
        documents in prop::collection::vec(values().prop_map(|value| json!({"v": value})), 2..5),
    ) {
        let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
        let array = format!("[{}]", texts.join(","));
        let wrapped = format!("{{\"documents\":{array}}}");
        let lines = texts.join("\n");
        for body in [array, wrapped, lines] {
            let parts = split(body.as_bytes(), BodyFormat::Unknown).unwrap();
            let found: Vec<_> = parts.map(|part| part.text.unwrap().to_owned()).collect();
            prop_assert_eq!(&found, &texts);
        }
    }
}
