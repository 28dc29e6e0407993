//! How queries are read: what people write, odd punctuation, the limits, and any text at all.

use std::ops::Bound;

use proptest::prelude::*;

use super::*;

fn is_field(name: &str) -> bool {
    matches!(
        name,
        "title" | "tags" | "price" | "updated_at" | "metadata.author"
    )
}

/// The query as fully bracketed text.
fn read(text: &str) -> String {
    read_with(text, Operator::Or)
}

fn read_with(text: &str, operator: Operator) -> String {
    match parse(text, operator, &is_field).unwrap() {
        Some(query) => query.to_string(),
        None => "nothing".to_owned(),
    }
}

#[test]
fn what_people_write_is_read_as_they_mean_it() {
    for (text, meaning) in [
        ("", "nothing"),
        ("   \u{3000} ", "nothing"),
        ("*", "*"),
        ("word", "word"),
        ("two words", "(two words)"),
        ("+a b -c", "(+a b -c)"),
        ("-a", "(-a)"),
        ("-a -b", "(-a -b)"),
        ("NOT a", "(-a)"),
        ("a NOT b", "(a -b)"),
        ("a AND b", "(+a +b)"),
        ("a AND NOT b", "(+a -b)"),
        ("a OR b AND c", "(a (+b +c))"),
        ("a OR -b", "(a (-b))"),
        ("(a OR b) AND c", "(+(a b) +c)"),
        ("x a AND b y", "(x (+a +b) y)"),
        ("-(a b)", "(-(a b))"),
        ("-\"a b\"", "(-\"a b\")"),
        ("\"a phrase\" word", "(\"a phrase\" word)"),
        ("\u{201c}smart quotes\u{201d}", "\"smart quotes\""),
        ("pre*", "pre*"),
        ("title:pre*", "title:pre*"),
        ("title:*", "title:*"),
        ("title:word", "title:word"),
        ("-tags:old", "(-tags:old)"),
        ("title:\"a b\"", "title:\"a b\""),
        ("title:(a b)", "(title:a title:b)"),
        ("title:(a AND \"b c\")", "(+title:a +title:\"b c\")"),
        ("price:[1 TO 5]", "price:[1 TO 5]"),
        ("price:{1 TO 5]", "price:{1 TO 5]"),
        ("price:[* TO 5}", "price:[* TO 5}"),
        ("price:[ TO 5]", "price:[* TO 5]"),
        ("price:>=5", "price:[5 TO *]"),
        ("price:>5", "price:{5 TO *]"),
        ("price:<5", "price:[* TO 5}"),
        ("price:<=5", "price:[* TO 5]"),
        (
            "updated_at:2024-01-01T00:00:00Z x",
            "(updated_at:2024-01-01T00:00:00Z x)",
        ),
        ("metadata.author:ann", "metadata.author:ann"),
    ] {
        assert_eq!(read(text), meaning, "{text}");
    }
}

#[test]
fn odd_punctuation_is_read_as_words() {
    for (text, meaning) in [
        ("\"never closed", "never closed".to_owned()),
        ("a \" b", "(a b)".to_owned()),
        ("AND", "AND".to_owned()),
        ("OR a", "(OR a)".to_owned()),
        ("a AND", "(a AND)".to_owned()),
        ("a AND OR b", "(a (AND b))".to_owned()),
        ("NOT", "NOT".to_owned()),
        ("a - b", "(a b)".to_owned()),
        ("--help", "--help".to_owned()),
        ("c++", "c++".to_owned()),
        (":", "nothing".to_owned()),
        (": a :", "a".to_owned()),
        ("title:", "title:".to_owned()),
        ("title: a", "(title: a)".to_owned()),
        ("nofield:a", "nofield:a".to_owned()),
        (
            "https://example.com/?q=(x)",
            "(https://example.com/?q= x)".to_owned(),
        ),
        ("price:[1 TO", "(price:[1 TO)".to_owned()),
        ("price:>", "price:>".to_owned()),
        ("(a", "a".to_owned()),
        ("a) b", "(a b)".to_owned()),
        ("()", "nothing".to_owned()),
        ("((((a))))", "a".to_owned()),
        ("\"\" \"!\"", "nothing".to_owned()),
        ("!?", "nothing".to_owned()),
    ] {
        let meaning = if meaning == "never closed" {
            "(never closed)".to_owned()
        } else {
            meaning
        };
        assert_eq!(read(text), meaning, "{text}");
    }
}

#[test]
fn the_operator_joins_what_stands_side_by_side() {
    assert_eq!(read_with("a b -c", Operator::And), "(+a +b -c)");
    assert_eq!(read_with("a b OR c", Operator::And), "(+a +(b c))");
}

#[test]
fn only_the_limits_fail() {
    let long = "a".repeat(limits::QUERY_BYTES + 1);
    let error = parse(&long, Operator::Or, &is_field).unwrap_err();
    assert!(error.to_string().contains("4097"), "{error}");
    let many = "a ".repeat(limits::CLAUSES + 1);
    let error = parse(&many, Operator::Or, &is_field).unwrap_err();
    assert!(error.to_string().contains("257"), "{error}");
    let brackets = "(".repeat(limits::QUERY_BYTES);
    assert_eq!(read(&brackets), "nothing");
    let nested = format!("{}a{}", "(".repeat(1000), ")".repeat(1000));
    assert_eq!(read(&nested), "a");
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("AND".to_owned()),
        Just("OR".to_owned()),
        Just("NOT".to_owned()),
        Just("TO".to_owned()),
        Just("title:".to_owned()),
        Just("price:[".to_owned()),
        "[-+\"():*<>=\\[\\]{}~^!\u{201c}\u{201d} ]",
        "[a-c東京]{1,3}",
        Just(" ".to_owned()),
        any::<char>().prop_map(|c| c.to_string()),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Queries whose text means the same again.
fn tree() -> impl Strategy<Value = Query> {
    let field = prop::option::of(Just("title".to_owned()));
    let word = "[a-z]{1,5}";
    let leaf = prop_oneof![
        (field.clone(), word).prop_map(|(field, text)| Query::Words { field, text }),
        (field.clone(), "[a-z]{1,3} [a-z]{1,3}")
            .prop_map(|(field, text)| Query::Phrase { field, text }),
        (field, word).prop_map(|(field, text)| Query::Prefix { field, text }),
        Just(Query::Exists {
            field: "tags".to_owned()
        }),
        ("[0-9]{1,3}", "[0-9]{1,3}").prop_map(|(from, to)| Query::Range {
            field: "price".to_owned(),
            from: Bound::Included(from),
            to: Bound::Excluded(to),
        }),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..3);
        (some(), some(), some()).prop_filter_map("empty", |(must, should, must_not)| {
            Bool {
                must,
                should,
                must_not,
                filter: Vec::new(),
            }
            .simplify()
        })
    })
}

proptest! {
    #[test]
    fn any_text_is_read(text in text()) {
        for operator in [Operator::Or, Operator::And] {
            let read = parse(&text, operator, &is_field);
            prop_assert!(read.is_ok() || text.len() > limits::QUERY_BYTES);
        }
    }

    #[test]
    fn what_a_query_prints_is_read_as_that_query(query in tree()) {
        let printed = query.to_string();
        prop_assert_eq!(parse(&printed, Operator::Or, &is_field).unwrap(), Some(query), "{}", printed);
    }
}
