//! An account of what was posted, and searches that are judged by it: every answer, from whichever reader.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;

use aquifer_tests::{Answer, Client};
use serde_json::{Value, json};

/// Words that make a document long, and hardly shrink.
const LONG: usize = 60;
/// Results that are looked at closely.
const LIMIT: usize = 5;
/// Remainders that documents are found by.
const MODULI: [u64; 3] = [1, 7, 100];

/// What was posted: documents that are known by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Account {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Sent at least once: they may be found.
    sent: BTreeSet<u64>,
    /// Answered 200 or 202: they must not be lost.
    durable: BTreeSet<u64>,
    /// Answered 200: they must be found.
    visible: BTreeSet<u64>,
}

/// What is looked for: documents whose number leaves this remainder, as a word or as a phrase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    modulus: u64,
    remainder: u64,
    phrase: bool,
}

/// How many searches ended in which way.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    right: AtomicU64,
    refused: AtomicU64,
    over: AtomicBool,
    /// The current chapter; a new one begins after each event of the story.
    chapter: AtomicU64,
    /// For each searcher, the chapter in which its latest right answer was asked for.
    latest: Vec<AtomicU64>,
}

/// What a post waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Visible,
    Durable,
}

/// Whether a search may be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusals {
    Never,
    /// Honestly: with 503 and a problem document that says why.
    Honest,
}

impl Question {
    /// Every document.
    pub(crate) const ALL: Self = Self {
        modulus: 1,
        remainder: 0,
        phrase: false,
    };

    pub(crate) fn any() -> Self {
        let modulus = MODULI[fastrand::usize(..MODULI.len())];
        Self {
            modulus,
            remainder: fastrand::u64(..modulus),
            phrase: fastrand::bool(),
        }
    }

    /// As it is asked.
    pub(crate) fn text(self) -> String {
        let word = word(self.modulus, self.remainder);
        if self.phrase {
            format!("\"number {word}\"")
        } else {
            word
        }
    }

    fn matches(self, number: u64) -> bool {
        number % self.modulus == self.remainder
    }

    fn count(self, numbers: &BTreeSet<u64>) -> u64 {
        let matching = numbers.iter().filter(|&&number| self.matches(number));
        matching.count() as u64
    }
}

fn word(modulus: u64, remainder: u64) -> String {
    format!("of{modulus}rest{remainder}")
}

/// Document `number`, of about 700 bytes.
fn document(number: u64) -> Value {
    let mut random = fastrand::Rng::with_seed(number);
    let known = MODULI.map(|modulus| format!("number {}", word(modulus, number % modulus)));
    let long = (0..LONG).map(|_| (0..10).map(|_| random.lowercase()).collect());
    let words: Vec<String> = known.into_iter().chain(long).collect();
    json!({"unique_key": number.to_string(), "lang": "en", "content": words.join(" ")})
}

impl Account {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Posts these documents in one request; enters them into the account as the answer says.
    #[track_caller]
    pub(crate) fn try_post(&self, writer: &Client, wait: Wait, numbers: Range<u64>) -> Answer {
        let documents: Vec<Value> = numbers.clone().map(document).collect();
        self.lock().sent.extend(numbers.clone());
        let path = match wait {
            Wait::Visible => "/documents",
            Wait::Durable => "/documents?wait=durable",
        };
        let answer = writer.post(path, &json!(documents).to_string());
        if [200, 202].contains(&answer.status) {
            let mut state = self.lock();
            state.durable.extend(numbers.clone());
            if answer.status == 200 {
                state.visible.extend(numbers);
            }
        }
        answer
    }

    /// Posts where nothing goes wrong.
    #[track_caller]
    pub(crate) fn post(&self, writer: &Client, numbers: Range<u64>) {
        let answer = self.try_post(writer, Wait::Visible, numbers);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Takes back that these were sent: they were refused, and must not be found.
    pub(crate) fn refused(&self, numbers: Range<u64>) {
        let mut state = self.lock();
        state.sent.retain(|number| !numbers.contains(number));
    }

    /// Everything that was answered 200 or 202 must be found from now on.
    pub(crate) fn settle(&self) {
        let mut state = self.lock();
        let durable = state.durable.clone();
        state.visible.extend(durable);
    }

    /// How many documents were answered 200 or 202.
    pub(crate) fn durable(&self) -> usize {
        self.lock().durable.len()
    }

    /// Asks, and judges the answer; gives whether it was 200.
    #[track_caller]
    pub(crate) fn ask(&self, reader: &Client, question: Question, refusals: Refusals) -> bool {
        let least = question.count(&self.lock().visible);
        let (text, limit) = (question.text(), LIMIT.to_string());
        let asked = reader.try_get("/search", &[("q", &text), ("limit", &limit)]);
        let answer = asked.unwrap_or_else(|died| panic!("the reader died: {died:?}"));
        if answer.status != 200 && refusals == Refusals::Honest {
            assert_refusal(&answer);
            return false;
        }
        assert_eq!(answer.status, 200, "{text}: {answer:?}");
        self.judge(question, least, &answer.body);
        true
    }

    /// Judges an answer: the count, and the documents that came with it.
    #[track_caller]
    pub(crate) fn judge(&self, question: Question, least: u64, body: &Value) {
        let most = question.count(&self.lock().sent);
        let count = body["count"].as_u64().unwrap();
        let results = body["result"].as_array().unwrap();
        assert!(
            (least..=most).contains(&count),
            "{question:?}: {count} documents, not {least} to {most}, at version {}",
            body["version"]
        );
        assert_eq!(results.len() as u64, count.min(LIMIT as u64), "{body}");
        for result in results {
            let number = result["unique_key"].as_str().unwrap().parse().unwrap();
            assert!(question.matches(number), "{question:?}: {result}");
            assert_eq!(result["content"], document(number)["content"], "{result}");
        }
    }

    /// What a search must find at the least, if it starts now.
    pub(crate) fn least(&self, question: Question) -> u64 {
        question.count(&self.lock().visible)
    }

    /// Searches `readers` from so many threads for each while `act` does something; every answer is judged.
    pub(crate) fn under_searches<T>(
        &self,
        readers: &[Client],
        threads: usize,
        refusals: Refusals,
        act: impl FnOnce(&Tally) -> T,
    ) -> T {
        let searchers = readers.len() * threads;
        let tally = Tally::new(searchers);
        thread::scope(|scope| {
            let readers = readers.iter().cycle().take(searchers);
            for (reader, latest) in readers.zip(&tally.latest) {
                let tally = &tally;
                scope.spawn(move || self.search_on(reader, refusals, tally, latest));
            }
            let _curtain = tally.curtain();
            act(&tally)
        })
    }

    fn search_on(&self, reader: &Client, refusals: Refusals, tally: &Tally, latest: &AtomicU64) {
        let _curtain = tally.curtain();
        while !tally.is_over() {
            let chapter = tally.chapter.load(Ordering::SeqCst);
            if self.ask(reader, Question::any(), refusals) {
                tally.right.fetch_add(1, Ordering::SeqCst);
                latest.store(chapter, Ordering::SeqCst);
            } else {
                tally.refused.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// Ends the searches with what they accompany, and all of it when one of them fails.
pub(crate) struct Curtain<'a>(&'a Tally);

impl Drop for Curtain<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

impl Tally {
    fn new(searchers: usize) -> Self {
        Self {
            latest: (0..searchers).map(|_| AtomicU64::new(0)).collect(),
            ..Self::default()
        }
    }

    /// Begins a new chapter. [`Self::all_right_since`] tells when it has reached every searcher.
    pub(crate) fn begin_chapter(&self) -> u64 {
        self.chapter.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Whether every searcher has asked in this chapter and was answered right. No search from before is
    /// under way then, however slow the machine is.
    pub(crate) fn all_right_since(&self, chapter: u64) -> bool {
        let reached = |latest: &AtomicU64| latest.load(Ordering::SeqCst) >= chapter;
        self.latest.iter().all(reached)
    }

    /// It is over when this goes out of scope.
    pub(crate) fn curtain(&self) -> Curtain<'_> {
        Curtain(self)
    }

    /// Whether the searches are over, because one of them was answered wrong or because nobody needs them any more.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Searches that were answered, right.
    pub(crate) fn right(&self) -> u64 {
        self.right.load(Ordering::SeqCst)
    }

    /// Searches that were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }
}

/// A refusal must be a problem document that says why.
#[track_caller]
pub(crate) fn assert_refusal(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.body["status"], 503, "{answer:?}");
    let text = |name: &str| answer.body[name].as_str().unwrap_or_default().to_owned();
    assert!(text("type").starts_with("/problems/"), "{answer:?}");
    assert!(!text("detail").is_empty(), "{answer:?}");
}
