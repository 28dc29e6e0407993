//! Searches on a small index in memory.

use std::time::{Duration, Instant};

use tantivy::directory::RamDirectory;
use tantivy::{Index, IndexSettings, IndexWriter, Searcher};

use super::room::roomy;
use super::*;
use crate::clock::SystemClock;
use crate::document::Document;
use crate::mapping::Definition;

mod cost;

/// An index in memory, each list of documents a segment.
pub(super) struct Small {
    schema: IndexSchema,
    searcher: Searcher,
    known: KnownTerms,
}

impl Small {
    fn new(definition: &str, segments: &[&[&str]]) -> Self {
        let definition: Definition = serde_json::from_str(definition).unwrap();
        let schema = IndexSchema::compile(&definition).unwrap();
        let mut index = Index::create(
            RamDirectory::create(),
            schema.tantivy().clone(),
            IndexSettings::default(),
        )
        .unwrap();
        index.set_tokenizers(schema.tokenizers());
        index.set_fast_field_tokenizers(schema.tokenizers());
        let mut writer: IndexWriter = index.writer_with_num_threads(1, 20_000_000).unwrap();
        writer.set_merge_policy(Box::new(tantivy::merge_policy::NoMergePolicy));
        for documents in segments {
            for source in *documents {
                let document = Document::parse(source, &schema).unwrap();
                writer.add_document(schema.to_tantivy(&document)).unwrap();
            }
            writer.commit().unwrap();
        }
        let searcher = index.reader().unwrap().searcher();
        Self {
            schema,
            searcher,
            known: KnownTerms::beside(0),
        }
    }

    fn run(&self, request: &SearchRequest) -> Result<(u64, Vec<Hit>)> {
        let soon = Instant::now() + Duration::from_secs(600);
        let budget = Budget::begin(Arc::new(SystemClock), Allowance::until(soon), roomy())?;
        self.run_within(request, &budget)
    }

    fn run_within(&self, request: &SearchRequest, budget: &Arc<Budget>) -> Result<(u64, Vec<Hit>)> {
        execute(&self.searcher, &self.schema, &self.known, request, budget)
    }

    /// The keys found, in order.
    fn keys(&self, request: &SearchRequest) -> Vec<String> {
        let (count, hits) = self.run(request).unwrap();
        let keys: Vec<String> = hits.into_iter().map(|hit| hit.unique_key).collect();
        if request.offset == 0 && request.limit > keys.len() {
            assert_eq!(count, keys.len() as u64, "{request:?}");
        }
        keys
    }

    #[track_caller]
    fn finds(&self, query: &str, expected: &[&str]) {
        let request = asking(query);
        assert_eq!(self.keys(&request), expected, "{query}");
    }

    /// As [`Self::finds`], in whatever order.
    #[track_caller]
    fn finds_all(&self, query: &str, expected: &[&str]) {
        let mut keys = self.keys(&asking(query));
        keys.sort_unstable();
        assert_eq!(keys, expected, "{query}");
    }
}

fn sorted(mut keys: Vec<String>) -> Vec<String> {
    keys.sort_unstable();
    keys
}

fn asking(query: &str) -> SearchRequest {
    SearchRequest {
        query: query.to_owned(),
        ..SearchRequest::default()
    }
}

#[test]
fn documents_with_more_of_the_words_come_first_then_those_with_the_words_together() {
    let index = Small::new(
        r#"{"mapping":{"fields":{"title":{"type":"text","boost":2.0}}}}"#,
        &[&[
            r#"{"unique_key":"apart","content":"red things are here and there is somewhere among all of them also one more apple"}"#,
            r#"{"unique_key":"one","content":"an apple and an apple and some words to make it as long as the others more or less"}"#,
            r#"{"unique_key":"close","content":"here and there is somewhere among all of them also one more red apple in a box"}"#,
            r#"{"unique_key":"none","content":"nothing of that kind"}"#,
            r#"{"unique_key":"title","title":"red apple","content":"something"}"#,
        ]],
    );
    index.finds("red apple", &["title", "close", "apart", "one"]);
}

#[test]
fn every_word_must_match_in_some_field_with_the_operator_and() {
    let index = Small::new(
        "{}",
        &[
            &[
                r#"{"unique_key":"both","title":"red","content":"apple"}"#,
                r#"{"unique_key":"one","title":"red","content":"pear"}"#,
            ],
            &[r#"{"unique_key":"other","content":"an apple that is green"}"#],
        ],
    );
    let all = |query: &str| SearchRequest {
        operator: Operator::And,
        ..asking(query)
    };
    assert_eq!(index.keys(&all("red apple")), ["both"]);
    assert_eq!(index.keys(&all("green apples")), ["other"]);
    assert!(index.keys(&all("apple's red missing")).is_empty());
    index.finds_all("red apple", &["both", "one", "other"]);
    index.finds_all("+apple red", &["both", "other"]);
}

#[test]
fn phrases_exclusions_and_combinations_mean_what_they_say() {
    let index = Small::new(
        "{}",
        &[
            &[
                r#"{"unique_key":"1","title":"quick brown fox","content":"runs"}"#,
                r#"{"unique_key":"2","title":"brown quick fox","content":"running"}"#,
            ],
            &[r#"{"unique_key":"3","content":"the quick brown dog doesn't run"}"#],
        ],
    );
    index.finds_all("\"quick brown\"", &["1", "3"]);
    index.finds_all("title:\"quick brown\"", &["1"]);
    index.finds_all("brown -fox", &["3"]);
    index.finds_all("-fox", &["3"]);
    index.finds_all("-\"quick brown\"", &["2"]);
    index.finds_all("-fox -dog", &[]);
    index.finds_all("fox AND \"quick brown\"", &["1"]);
    index.finds_all("(dog OR title:fox) AND run", &["1", "2", "3"]);
    index.finds_all("dog NOT run", &[]);
    index.finds_all("doesn't", &["3"]);
    index.finds_all("+doesn't +dog", &["3"]);
    index.finds_all("bro*", &["1", "2", "3"]);
    index.finds_all("do*", &["3"]);
    index.finds_all("title:do*", &[]);
    index.finds_all("quick-bro*", &["1", "2", "3"]);
    index.finds_all("content:*", &["1", "2", "3"]);
    index.finds_all("-title:*", &["3"]);
    index.finds_all("!?", &[]);
    index.finds_all("", &["1", "2", "3"]);
    index.finds_all("*", &["1", "2", "3"]);
    index.finds_all("nofield:fox", &["1", "2"]);
}

const TYPED: &str = r#"{"mapping": {"fields": {"price": {"type": "float"}, "pages": {"type": "integer"},
    "sold": {"type": "boolean"}, "isbn": {"type": "keyword"}, "author": {"type": "object",
    "fields": {"name": {"type": "text"}}}}}}"#;

fn typed() -> Small {
    Small::new(
        TYPED,
        &[
            &[
                r#"{"unique_key":"a","price":1.5,"pages":100,"sold":true,"isbn":"X 1","tags":["red","blue"],
                "updated_at":"2024-03-05T10:00:00Z","author":{"name":"Ann Lee"},"metadata":{"author":"Bob Ray","year":1999,
                "ok":true,"seen":"2020-05-06T00:00:00Z","ratio":0.5}}"#,
                r#"{"unique_key":"b","price":20,"pages":-5,"sold":false,"isbn":"x 1","tags":["red"],
                "updated_at":"2025-06-30T23:59:59Z","metadata":{"author":"Ann Ray","year":2005,"ratio":2}}"#,
            ],
            // A segment without most of the fields.
            &[
                r#"{"unique_key":"418","title":"a teapot","updated_at":"2026-01-01T00:00:00.5Z","colour":"dark red"}"#,
            ],
        ],
    )
}

#[test]
fn every_kind_of_field_takes_values() {
    let index = typed();
    for (query, expected) in [
        ("unique_key:418", &["418"][..]),
        ("unique_key:4*", &["418"]),
        ("isbn:\"X 1\"", &["a"]),
        ("isbn:X*", &["a"]),
        ("tags:red", &["a", "b"]),
        ("tags:Red", &[]),
        ("tags:(red AND blue)", &["a"]),
        ("price:1.5", &["a"]),
        ("price:20.0", &["b"]),
        ("pages:-5", &["b"]),
        ("pages:many", &[]),
        ("price:cheap", &[]),
        ("pages:1.5", &[]),
        ("sold:true", &["a"]),
        ("sold:FALSE", &["b"]),
        ("sold:maybe", &[]),
        ("updated_at:2024", &["a"]),
        ("updated_at:2025-06", &["b"]),
        ("updated_at:2025-06-30", &["b"]),
        ("updated_at:2024-03-05T10:00:00Z", &["a"]),
        ("updated_at:soon", &[]),
        ("author.name:lee", &["a"]),
        ("author.name:*", &["a"]),
        ("author:*", &["a"]),
        ("metadata.author:\"Bob Ray\"", &["a"]),
        ("metadata.author:ray", &["a", "b"]),
        ("metadata.author:\"ray bob\"", &[]),
        ("metadata.author:Bo*", &["a"]),
        ("metadata.year:1999", &["a"]),
        ("metadata.ok:true", &["a"]),
        ("metadata.ratio:2", &["b"]),
        ("metadata.ratio:0.5", &["a"]),
        ("metadata.seen:2020-05", &["a"]),
        ("metadata.seen:2020-05-06T00:00:00Z", &["a"]),
        ("metadata.seen:*", &["a"]),
        ("colour:\"dark red\"", &["418"]),
        ("colour:RED", &["418"]),
    ] {
        index.finds_all(query, expected);
    }
}

#[test]
fn ranges_include_what_they_say() {
    let index = typed();
    for (query, expected) in [
        ("price:[1.5 TO 20]", &["a", "b"][..]),
        ("price:{1.5 TO 20]", &["b"]),
        ("price:[1.5 TO 20}", &["a"]),
        ("price:>1", &["a", "b"]),
        ("price:<=1.5", &["a"]),
        ("price:[a TO b]", &[]),
        ("pages:[-5 TO 99.5]", &["b"]),
        ("pages:>-5.5", &["a", "b"]),
        ("pages:>-5", &["a"]),
        ("pages:[* TO *]", &["a", "b"]),
        ("updated_at:[2024 TO 2025-06]", &["a", "b"]),
        ("updated_at:[2024 TO 2025-05]", &["a"]),
        ("updated_at:>2024", &["418", "b"]),
        ("updated_at:>=2025-06-30", &["418", "b"]),
        ("updated_at:<2025-06-30", &["a"]),
        ("updated_at:<=2026-01-01T00:00:00", &["418", "a", "b"]),
        ("isbn:[X TO Y]", &["a"]),
        ("tags:[blue TO green]", &["a"]),
        ("unique_key:[a TO b}", &["a"]),
        ("unique_key:>=a", &["a", "b"]),
        ("sold:[true TO true]", &["a"]),
        ("title:[a TO z]", &[]),
        ("metadata.year:[2000 TO 2010]", &["b"]),
        ("metadata.year:>=1999", &["a", "b"]),
        ("metadata.ratio:<1", &["a"]),
        ("metadata.ratio:[0.5 TO 2]", &["a", "b"]),
        ("metadata.seen:[2020-05 TO 2020-06}", &["a"]),
        ("metadata.author:[A TO B]", &["b"]),
        ("metadata.missing:[1 TO 2]", &[]),
    ] {
        index.finds_all(query, expected);
    }
}

#[test]
fn filters_and_tags_must_all_hold() {
    let index = typed();
    let filtered = |tags: &[&str], filter: &[&str]| {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let mut keys = index.keys(&SearchRequest {
            tags: texts(tags),
            filter: texts(filter),
            ..SearchRequest::default()
        });
        keys.sort_unstable();
        keys
    };
    assert_eq!(filtered(&["red"], &[]), ["a", "b"]);
    assert_eq!(filtered(&["red", "blue"], &[]), ["a"]);
    assert_eq!(filtered(&["red"], &["price:>10"]), ["b"]);
    assert_eq!(filtered(&[], &["price:>0", "-tags:blue"]), ["b"]);
    assert_eq!(filtered(&[], &["unheard_of:1"]), [""; 0]);
    let strict = Small::new(r#"{"mapping": {"dynamic": "strict"}}"#, &[]);
    let error = strict
        .run(&SearchRequest {
            filter: vec!["colour:red".to_owned()],
            ..SearchRequest::default()
        })
        .unwrap_err();
    assert!(error.to_string().contains("`colour`"), "{error}");
}

#[test]
fn hits_are_sorted_by_several_fields_with_missing_values_last() {
    let index = Small::new(
        TYPED,
        &[
            &[
                r#"{"unique_key":"1","price":5,"pages":1,"isbn":"b","n":1}"#,
                r#"{"unique_key":"2","price":5,"pages":2,"isbn":"a","n":2.5}"#,
                r#"{"unique_key":"3"}"#,
            ],
            &[
                r#"{"unique_key":"4","price":5,"pages":2,"isbn":"aa","n":"text"}"#,
                r#"{"unique_key":"5","price":-1,"sold":true,"n":-3,"updated_at":"2024-01-01T00:00:00Z"}"#,
            ],
        ],
    );
    let sorted = |sort: &str| {
        index.keys(&SearchRequest {
            sort: Sort::parse_list(sort).unwrap(),
            ..SearchRequest::default()
        })
    };
    assert_eq!(sorted("price,pages:desc"), ["5", "2", "4", "1", "3"]);
    assert_eq!(sorted("price:desc,pages"), ["1", "2", "4", "5", "3"]);
    assert_eq!(sorted("isbn"), ["2", "4", "1", "3", "5"]);
    assert_eq!(sorted("isbn:desc"), ["1", "4", "2", "3", "5"]);
    assert_eq!(sorted("n"), ["5", "1", "2", "4", "3"]);
    assert_eq!(sorted("n:desc"), ["4", "2", "1", "5", "3"]);
    assert_eq!(sorted("sold:desc,isbn"), ["5", "2", "4", "1", "3"]);
    assert_eq!(sorted("updated_at"), ["5", "1", "2", "3", "4"]);
    assert_eq!(sorted("missing,price"), ["5", "1", "2", "4", "3"]);
    let (count, hits) = index
        .run(&SearchRequest {
            sort: Sort::parse_list("price:desc,isbn").unwrap(),
            limit: 2,
            offset: 1,
            ..SearchRequest::default()
        })
        .unwrap();
    assert_eq!(count, 5);
    let keys: Vec<&str> = hits.iter().map(|hit| hit.unique_key.as_str()).collect();
    assert_eq!(keys, ["4", "1"]);
    assert_eq!(
        hits[0].sort,
        [serde_json::json!(5.0), serde_json::json!("aa")]
    );
    for wrong in ["title", "unique_key"] {
        let error = index
            .run(&SearchRequest {
                sort: Sort::parse_list(wrong).unwrap(),
                ..SearchRequest::default()
            })
            .unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Invalid);
    }
}

#[test]
fn pages_join_without_gaps_or_doubles() {
    let sources: Vec<String> = (0..500)
        .map(|n| {
            let filler = "filler ".repeat(n % 7);
            format!(r#"{{"unique_key":"{n}","content":"red {filler} apple"}}"#)
        })
        .collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let (first, second) = sources.split_at(300);
    let index = Small::new("{}", &[first, second]);
    let page = |offset, limit| {
        index.keys(&SearchRequest {
            limit,
            offset,
            ..asking("red apple")
        })
    };
    let whole = page(0, 500);
    let mut joined = Vec::new();
    for offset in (0..500).step_by(50) {
        joined.extend(page(offset, 50));
    }
    assert_eq!(joined, whole);
    let (_, hits) = index
        .run(&SearchRequest {
            limit: 500,
            ..asking("red apple")
        })
        .unwrap();
    assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
}

#[test]
fn runs_without_spaces_are_words_where_they_are_short() {
    let index = Small::new(
        "{}",
        &[&[
            r#"{"unique_key":"tokyo","lang":"ja","content":"東京に住む"}"#,
            r#"{"unique_key":"metropolis","lang":"ja","content":"これは東京都の話です"}"#,
            r#"{"unique_key":"kyoto","lang":"ja","content":"東京と京都"}"#,
            r#"{"unique_key":"full","lang":"ja","content":"ＡＢＣ　ﾃﾞｰﾀ"}"#,
            r#"{"unique_key":"ko","lang":"ko","content":"서울시는 크다"}"#,
        ]],
    );
    index.finds_all("東京都", &["metropolis"]);
    index.finds_all("東京", &["kyoto", "metropolis", "tokyo"]);
    index.finds_all("京", &["kyoto", "metropolis", "tokyo"]);
    index.finds_all("東*", &["kyoto", "metropolis", "tokyo"]);
    index.finds_all("\"東京都\"", &["metropolis"]);
    index.finds_all("abc データ", &["full"]);
    index.finds(
        "これは東京都の話のことですね",
        &["metropolis", "kyoto", "tokyo"],
    );
    index.finds_all("서울시의", &[]);
    index.finds_all("서울시의 크기", &["ko"]);
    let mut all = asking("東京 京都");
    all.operator = Operator::And;
    assert_eq!(sorted(index.keys(&all)), ["kyoto", "metropolis"]);
}

#[test]
fn a_document_in_another_language_is_found_beside_english_ones() {
    let index = Small::new(
        "{}",
        &[
            &[
                r#"{"unique_key":"en","lang":"en","content":"the horses were running"}"#,
                r#"{"unique_key":"de","lang":"de","content":"das running gag und horses"}"#,
            ],
            &[r#"{"unique_key":"only en","lang":"en","content":"a horse runs"}"#],
            &[r#"{"unique_key":"only de","lang":"de","content":"horses"}"#],
        ],
    );
    index.finds_all("horses", &["de", "en", "only de", "only en"]);
    index.finds_all("horse", &["en", "only en"]);
    index.finds_all("\"horses were run\"", &["en"]);
    index.finds_all("+horses +running", &["de", "en", "only en"]);
    let in_language = |lang: &str| {
        let mut keys = index.keys(&SearchRequest {
            lang: Some(lang.to_owned()),
            ..asking("horses")
        });
        keys.sort_unstable();
        keys
    };
    assert_eq!(in_language("en-GB"), ["de", "en", "only de", "only en"]);
    assert_eq!(in_language("de"), ["de", "en", "only de"]);
    let wrong = SearchRequest {
        lang: Some("no language".to_owned()),
        ..SearchRequest::default()
    };
    assert_eq!(
        index.run(&wrong).unwrap_err().kind(),
        crate::ErrorKind::Invalid
    );
}

#[test]
fn highlights_mark_the_original_text() {
    let long = "word ".repeat(200);
    let sources = [
        r#"{"unique_key":"1","title":"Running & <jumping>","content":"He ran. It's ＦＵＬＬ width and ﬁne \"quotes\""}"#.to_owned(),
        r#"{"unique_key":"2","lang":"ja","content":"これは東京都の話、京都ではない"}"#.to_owned(),
        format!(r#"{{"unique_key":"3","content":"{long} needle {long} needles"}}"#),
    ];
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let index = Small::new("{}", &[&sources]);
    let highlight = |query: &str| {
        let request = SearchRequest {
            highlight: true,
            ..asking(query)
        };
        let (_, hits) = index.run(&request).unwrap();
        serde_json::to_value(&hits[0].highlight).unwrap()
    };
    assert_eq!(
        highlight("run full fine"),
        serde_json::json!({
            "title": ["<em>Running</em> &amp; &lt;jumping&gt;"],
            "content": ["He ran. It&#39;s <em>ＦＵＬＬ</em> width and <em>ﬁne</em> &quot;quotes&quot;"],
        })
    );
    assert_eq!(
        highlight("jump*"),
        serde_json::json!({"title": ["Running &amp; &lt;<em>jumping</em>&gt;"]})
    );
    assert_eq!(
        highlight("東京都"),
        serde_json::json!({"content": ["これは<em>東京都</em>の話、京都ではない"]})
    );
    assert_eq!(
        highlight("title:run -missing"),
        serde_json::json!({"title": ["<em>Running</em> &amp; &lt;jumping&gt;"]})
    );
    let long = highlight("needle");
    let fragments = long["content"].as_array().unwrap();
    assert_eq!(fragments.len(), 2);
    for fragment in fragments {
        let fragment = fragment.as_str().unwrap();
        assert!(fragment.contains("<em>needle"), "{fragment}");
        assert!(
            fragment.chars().count() < limits::FRAGMENT_CHARS + 20,
            "{fragment}"
        );
    }
}

#[test]
fn the_source_comes_back_whole_or_by_fields() {
    let index = typed();
    let (_, hits) = index
        .run(&SearchRequest {
            fields: Some(vec!["price".to_owned(), "author.*".to_owned()]),
            ..asking("isbn:\"X 1\"")
        })
        .unwrap();
    assert_eq!(
        hits[0].source.get(),
        r#"{"price":1.5,"author":{"name":"Ann Lee"}}"#
    );
    assert!(hits[0].score.is_some());
}

#[test]
fn a_prefix_of_too_many_words_is_refused() {
    let words = |n: u64| (0..n).map(|n| format!("x{n} ")).collect::<String>();
    let source = format!(
        r#"{{"unique_key":"1","content":"{}"}}"#,
        words(limits::PREFIX_WORDS + 1)
    );
    let index = Small::new("{}", &[&[&source]]);
    let error = index.run(&asking("x*")).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Invalid);
    assert!(error.to_string().contains("`x*`"), "{error}");
    index.finds_all("x1*", &["1"]);
}

#[test]
fn an_empty_index_answers_everything() {
    let index = Small::new("{}", &[]);
    for query in [
        "",
        "a",
        "\"a b\"",
        "a*",
        "price:>1",
        "-a",
        "updated_at:2024",
        "東京都",
    ] {
        index.finds_all(query, &[]);
    }
}

mod any_text {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn is_answered(queries in prop::collection::vec(
            "([a-c東京서울]|[-+\"():*<>=\\[\\]{}~^! ]|AND |OR |NOT | TO |title:|price:\\[|updated_at:|metadata\\.x:|.){0,20}", 32))
        {
            let index = typed();
            for query in queries {
                let request = SearchRequest { highlight: true, ..asking(&query) };
                prop_assert!(index.run(&request).is_ok(), "{}", query);
                let request = SearchRequest { operator: Operator::And, ..request };
                prop_assert!(index.run(&request).is_ok(), "{}", query);
            }
        }
    }
}
