//! What a search may cost: one budget for all of it, whichever part is expensive.
//!
//! Time is a clock that moves on by a millisecond whenever somebody looks at it, so that the work after a deadline
//! is counted, whatever the machine does.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::ErrorKind;
use crate::clock::Clock;
use crate::error::Reason;
use crate::search::turns::Turns;
use crate::snapshot::cache::RangeCache;

/// How often a search may look at the clock after its deadline: once to see it, and once for its turn.
const LOOKS_AFTER: u64 = 2;

/// A clock that is a millisecond later at each look.
#[derive(Debug)]
struct Ticking {
    start: Instant,
    looks: AtomicU64,
    /// Set at a look.
    cancel_at: Mutex<Option<(u64, Arc<AtomicBool>)>>,
}

impl Clock for Ticking {
    fn now(&self) -> Instant {
        let look = self.looks.fetch_add(1, Ordering::SeqCst);
        if let Some((at, cancelled)) = &*self.cancel_at.lock().unwrap()
            && look == *at
        {
            cancelled.store(true, Ordering::SeqCst);
        }
        self.start + Duration::from_millis(look)
    }

    fn wall_ms(&self) -> u64 {
        0
    }

    fn sleep(&self, _pause: Duration) {}
}

/// Runs a search that has so many looks; gives what it came to and how often it looked.
fn run(
    index: &Small,
    request: &SearchRequest,
    looks: u64,
    cancel_at: Option<u64>,
) -> (Result<(u64, Vec<Hit>)>, u64) {
    let start = Instant::now();
    let allowance = Allowance::until(start + Duration::from_millis(looks));
    let cancel_at = cancel_at.map(|at| (at, Arc::clone(&allowance.cancelled)));
    let clock = Arc::new(Ticking {
        start,
        looks: AtomicU64::new(0),
        cancel_at: Mutex::new(cancel_at),
    });
    let turns = Arc::new(Turns::new(1));
    let result = Budget::begin_among(&turns, Arc::clone(&clock) as _, allowance, roomy())
        .and_then(|budget| index.run_within(request, &budget));
    (result, clock.looks.load(Ordering::SeqCst))
}

/// Two segments in which every part of a search has something to do.
fn busy() -> Small {
    let segment = |from: usize| -> Vec<String> {
        (from..from + 3000)
            .map(|n| {
                let words = (0..3).map(|w| format!("w{} ", n * 3 + w)).collect::<String>();
                format!(
                    r#"{{"unique_key":"{n}","title":"even and odd {n}","content":"{words}","n":{n},"s":"text {n}"}}"#
                )
            })
            .collect()
    };
    let (first, second) = (segment(0), segment(3000));
    let as_str = |segment: &'static [String]| -> Vec<&'static str> {
        segment.iter().map(String::as_str).collect()
    };
    let first: &'static [String] = Vec::leak(first);
    let second: &'static [String] = Vec::leak(second);
    Small::new("{}", &[&as_str(first), &as_str(second)])
}

/// Searches, and how often each looks at the clock at the least: once for each hit, for each text that is highlighted, and for
/// each [`limits::CHECK_EVERY`] words or documents that it goes through.
fn expensive() -> Vec<(&'static str, u64, SearchRequest)> {
    let by = |sort: &str| Sort::parse_list(sort).unwrap();
    let all = |query: &str| SearchRequest {
        limit: 1000,
        ..asking(query)
    };
    vec![
        ("words", 1020, all("even odd")),
        ("a prefix", 1060, all("w*")),
        ("prefixes", 1085, all("w1* w2* w3* w4* w5*")),
        ("a range of keys", 1020, all("unique_key:[1 TO 5]")),
        ("a range of numbers", 1010, all("n:[5 TO 5000]")),
        (
            "phrases",
            1030,
            all("\"even and\" \"and odd\" \"even odd\""),
        ),
        ("everything", 1010, all("")),
        (
            "a count",
            60,
            SearchRequest {
                limit: 0,
                ..all("w*")
            },
        ),
        (
            "a sort",
            20,
            SearchRequest {
                sort: by("s,n:desc"),
                limit: 10,
                offset: 5000,
                ..all("")
            },
        ),
        (
            "highlights",
            5000,
            SearchRequest {
                highlight: true,
                ..all("even w*")
            },
        ),
        (
            "fields",
            1010,
            SearchRequest {
                fields: Some(vec!["title".to_owned()]),
                ..all("odd")
            },
        ),
    ]
}

#[test]
fn a_search_ends_at_its_deadline_whatever_it_does_then() {
    let index = busy();
    for (what, least, request) in expensive() {
        // As read ahead once, so that each run looks as often as the one before.
        run(&index, &request, u64::MAX / 4096, None).0.unwrap();
        let (whole, looks) = run(&index, &request, u64::MAX / 4096, None);
        whole.unwrap();
        assert!(looks >= least, "{what} looked {looks} times");
        let step = usize::try_from(looks / 40).unwrap().max(1);
        for deadline in (0..looks - LOOKS_AFTER).step_by(step) {
            let (result, looked) = run(&index, &request, deadline, None);
            let error = result.err().map(|error| error.kind());
            assert_eq!(error, Some(ErrorKind::Deadline), "{what} at {deadline}");
            assert!(
                looked <= deadline + LOOKS_AFTER,
                "{what} went on after {deadline}: {looked}"
            );
        }
    }
}

#[test]
fn a_search_ends_when_nobody_waits_for_it_any_more() {
    let index = busy();
    for (what, _, request) in expensive() {
        let (whole, looks) = run(&index, &request, u64::MAX / 4096, None);
        whole.unwrap();
        for at in [0, looks / 2, looks.saturating_sub(8)] {
            let (result, looked) = run(&index, &request, u64::MAX / 4096, Some(at));
            let error = result.err().map(|error| error.kind());
            assert_eq!(
                error,
                Some(ErrorKind::Deadline),
                "{what} at {at} of {looks}"
            );
            assert!(
                looked <= at + 1 + LOOKS_AFTER,
                "{what} went on after {at}: {looked}"
            );
        }
    }
}

fn words_of(index: &Small, query: &str) -> (Result<u64>, u64) {
    let soon = Instant::now() + Duration::from_secs(600);
    let budget = Budget::begin(Arc::new(SystemClock), Allowance::until(soon), roomy()).unwrap();
    let result = index.run_within(&asking(query), &budget);
    (result.map(|(count, _)| count), budget.words())
}

#[test]
fn the_same_clause_many_times_is_one_and_counts_as_often_for_the_score() {
    let index = busy();
    let once = words_of(&index, "w1*");
    let often = words_of(&index, &"w1* ".repeat(limits::CLAUSES));
    assert_eq!(often.0.unwrap(), once.0.unwrap());
    assert_eq!(often.1, once.1);
    let score = |query: &str| index.run(&asking(query)).unwrap().1[0].score.unwrap();
    let twice = score("even even");
    assert!((twice - 2.0 * score("even")).abs() < 1e-4, "{twice}");
    let must = score("+even +even");
    assert!((must - twice).abs() < 1e-4, "{must}");
}

#[test]
fn all_prefixes_of_a_query_share_one_bound() {
    let words =
        |letter: char, n: u64| -> String { (0..n).map(|n| format!("{letter}{n} ")).collect() };
    let half = limits::PREFIX_WORDS / 2 + 1;
    let source = format!(
        r#"{{"unique_key":"1","content":"{}{}"}}"#,
        words('x', half),
        words('y', half)
    );
    let index = Small::new("{}", &[&[&source]]);
    index.finds_all("x*", &["1"]);
    index.finds_all("x* x*", &["1"]);
    index.finds_all("y*", &["1"]);
    for query in ["x* y*", "+x* +y*", "content:x* OR y*", "x* -y*"] {
        let error = index.run(&asking(query)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{query}");
        assert!(error.to_string().contains("`y*`"), "{error}");
    }
    let filtered = SearchRequest {
        filter: vec!["y*".to_owned()],
        ..asking("x*")
    };
    assert_eq!(index.run(&filtered).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_query_of_too_many_terms_in_too_many_fields_is_refused() {
    let fields: Vec<String> = (0..200)
        .map(|n| format!(r#""t{n}":{{"type":"text"}}"#))
        .collect();
    let definition = format!(r#"{{"mapping":{{"fields":{{{}}}}}}}"#, fields.join(","));
    let index = Small::new(&definition, &[&[r#"{"unique_key":"1","t7":"w1"}"#]]);
    let query = |words: usize| (0..words).map(|n| format!("w{n} ")).collect::<String>();
    index.finds_all(&query(20), &["1"]);
    let error = index.run(&asking(&query(250))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("fields"), "{error}");
    index.finds_all("t7:(w1 w2)", &["1"]);
}

/// So many documents of 900 KB.
fn large(count: usize) -> Small {
    let text = "lorem ipsum ".repeat(75_000);
    let sources: Vec<String> = (0..count)
        .map(|n| format!(r#"{{"unique_key":"{n}","title":"t{n}","content":"{text}"}}"#))
        .collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    Small::new("{}", &[&sources])
}

#[test]
fn an_answer_that_grows_too_large_ends_the_search_and_parts_of_large_documents_do_not() {
    let index = large(60);
    let ask = |answer_bytes: usize, request: &SearchRequest| {
        let soon = Instant::now() + Duration::from_secs(600);
        let allowance = Allowance {
            answer_bytes,
            ..Allowance::until(soon)
        };
        let budget = Budget::begin(Arc::new(SystemClock), allowance, roomy()).unwrap();
        index.run_within(request, &budget)
    };
    let all = SearchRequest {
        limit: 1000,
        ..asking("")
    };
    let error = ask(10_000_000, &all).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AnswerTooLarge);
    assert!(error.to_string().contains("fields"), "{error}");
    assert_eq!(ask(60_000_000, &all).unwrap().1.len(), 60);
    let titles = SearchRequest {
        fields: Some(vec!["title".to_owned()]),
        ..all
    };
    assert_eq!(ask(100_000, &titles).unwrap().1.len(), 60);
    let marked = SearchRequest {
        highlight: true,
        query: "ipsum".to_owned(),
        ..titles
    };
    let (_, hits) = ask(100_000, &marked).unwrap();
    assert_eq!(hits.len(), 60);
    assert_eq!(hits[0].highlight["content"].len(), limits::FRAGMENTS);
}

#[test]
fn rows_of_the_same_words_mark_each_place_once() {
    let text = "a ".repeat(100_000);
    let source = format!(r#"{{"unique_key":"1","content":"{text}"}}"#);
    let index = Small::new("{}", &[&[&source]]);
    let phrases: String = (1..60)
        .map(|words| format!("\"{}\" ", vec!["a"; words].join(" ")))
        .collect();
    let request = SearchRequest {
        highlight: true,
        ..asking(&phrases)
    };
    let (count, hits) = index.run(&request).unwrap();
    assert_eq!(count, 1);
    assert!(!hits[0].highlight["content"].is_empty());
}

#[test]
fn what_is_sorted_by_long_texts_is_bounded() {
    let long = "x".repeat(8000);
    let sources: Vec<String> = (0..5000)
        .map(|n| format!(r#"{{"unique_key":"{n}","s":"{n:04}{long}"}}"#))
        .collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let (first, second) = sources.split_at(2500);
    let index = Small::new(
        r#"{"mapping":{"fields":{"s":{"type":"keyword"}}}}"#,
        &[first, second],
    );
    let sorted = |offset| SearchRequest {
        sort: Sort::parse_list("s:desc").unwrap(),
        limit: 1,
        offset,
        ..asking("")
    };
    assert_eq!(index.keys(&sorted(100)), ["4899"]);
    let error = index.run(&sorted(4800)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("offset"), "{error}");
}

/// The least room in KiB that a search runs in; what it took is free again afterwards.
fn least_room(index: &Small, request: &SearchRequest) -> usize {
    const KIB: usize = 1024;
    let runs = |kib: usize| {
        let cache = Arc::new(RangeCache::new(0));
        let room = Arc::new(Room::new(kib * KIB, cache));
        let soon = Instant::now() + Duration::from_secs(60);
        let allowance = Allowance::until(soon);
        let budget = Budget::begin(Arc::new(SystemClock), allowance, Arc::clone(&room)).unwrap();
        let result = index.run_within(request, &budget);
        drop(budget);
        let all = kib * KIB - kib * KIB / 8;
        assert!(room.try_take(all).unwrap().is_some(), "{request:?}");
        match result {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Invalid);
                assert!(matches!(error.reason(), Reason::MemoryShort), "{error}");
                false
            }
        }
    };
    (1..).find(|kib| runs(*kib)).unwrap()
}

#[test]
fn everything_that_a_search_holds_takes_room() {
    // Words that are in half of the documents, without a pattern that compresses.
    let source = |n: u64| {
        let scattered = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let words = (0..8).filter(|word| scattered >> (40 + word) & 1 == 1);
        let words: String = words.map(|word| format!("w{word} ")).collect();
        format!(r#"{{"unique_key":"{n}","title":"{words}","n":{n},"s":"text {n}"}}"#)
    };
    let sources: Vec<String> = (0..3000).map(source).collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let index = Small::new("{}", &[&sources]);
    let least = |query: &str, sort: &str| {
        let request = SearchRequest {
            sort: Sort::parse_list(sort).unwrap(),
            ..asking(query)
        };
        least_room(&index, &request)
    };
    let more = |(query, sort): (&str, &str), than: (&str, &str), what: &str| {
        let (more, than) = (least(query, sort), least(than.0, than.1));
        assert!(more > than, "{what}: {more} KiB, {than} KiB");
    };
    more(("title:(x y z)", "n"), ("title:x", "n"), "terms");
    more(
        ("title:(w1 w2 w3)", "n"),
        ("title:(x y z)", "n"),
        "postings",
    );
    more(
        ("title:\"w1 w2\"", "n"),
        ("title:(w1 w2)", "n"),
        "positions",
    );
    more(("title:x", ""), ("title:x", "n"), "lengths");
    more(("", "n,s"), ("", "n"), "columns");
    more(
        ("title:(w0* w1* w2* w3*)", "n"),
        ("title:(x* y* z* u*)", "n"),
        "documents of a prefix",
    );
}

#[test]
fn a_search_waits_for_room_that_others_have() {
    let index = busy();
    let request = asking("even odd");
    let cache = Arc::new(RangeCache::new(0));
    let room = Arc::new(Room::new(1024 * 1024, cache));
    let all = room.try_take(1024 * 1024 * 7 / 8).unwrap();
    let until = |soon: Duration| {
        let allowance = Allowance::until(Instant::now() + soon);
        Budget::begin(Arc::new(SystemClock), allowance, Arc::clone(&room)).unwrap()
    };
    let in_vain = index.run_within(&request, &until(Duration::from_millis(50)));
    assert_eq!(in_vain.unwrap_err().kind(), ErrorKind::Deadline);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| index.run_within(&request, &until(Duration::from_secs(600))));
        drop(all);
        assert_eq!(waiting.join().unwrap().unwrap().0, 6000);
    });
}
