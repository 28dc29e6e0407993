//! A client that posts and deletes, and looks at once for what was acknowledged as visible.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use aquifer_tests::{Client, Unanswered};
use fastrand::Rng;
use serde_json::{Value, json};

use super::Stage;
use super::account::{Account, End};

/// Keys of each poster, and as many that all of them share.
const KEYS: usize = 40;
const BATCH_MAX: usize = 20;
/// Letters of what is long in a document; they hardly shrink.
const LONG: usize = 10_000;
/// Before another server is asked, when one does not answer.
const PAUSE: Duration = Duration::from_millis(20);

/// How many posts ended in which way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) applied: u64,
    pub(super) durable: u64,
    pub(super) unanswered: u64,
    pub(super) failed: u64,
    /// The longest that an answer took.
    pub(super) slowest: Duration,
}

impl Figures {
    pub(super) fn add(&mut self, other: Self) {
        self.applied += other.applied;
        self.durable += other.durable;
        self.unanswered += other.unanswered;
        self.failed += other.failed;
        self.slowest = self.slowest.max(other.slowest);
    }
}

/// One of few words, so that searches find something.
pub(super) fn word(random: &mut Rng) -> &'static str {
    ["aquifer", "bedrock", "confluence", "delta"][random.usize(..4)]
}

/// Posts until it is over. Gives the account of its own keys.
pub(super) fn post(stage: &Stage, poster: usize, random: Rng) -> (Account, Figures) {
    let mut poster = Poster {
        stage,
        poster,
        number: 0,
        random,
        figures: Figures::default(),
    };
    let mut own = Account::default();
    while stage.goes_on() {
        if poster.random.u8(..4) == 0 {
            // Whoever has failed with it says why.
            let Ok(mut shared) = stage.shared.lock() else {
                break;
            };
            poster.turn("shared", &mut shared);
        } else {
            poster.turn(&format!("own{}", poster.poster), &mut own);
        }
    }
    (own, poster.figures)
}

struct Poster<'a> {
    stage: &'a Stage,
    poster: usize,
    number: u64,
    random: Rng,
    figures: Figures,
}

/// One post.
struct Post {
    keys: BTreeSet<String>,
    /// No other post has it.
    number: u64,
    /// A word that is in every document of this post and in no other.
    stamp: String,
    deletes: bool,
    durable: bool,
}

impl Poster<'_> {
    /// One post that concerns keys of `account` only, whose holder nobody else writes to.
    fn turn(&mut self, range: &str, account: &mut Account) {
        let post = self.next(range);
        let writer = self.stage.writer(&mut self.random);
        let end = self.send(&post, &writer);
        let state = (!post.deletes).then_some(post.number);
        let Some(visible) = end else {
            account.note(&post.keys, state, End::Unanswered);
            self.look_at_unanswered(&post);
            thread::sleep(PAUSE);
            return;
        };
        let Some(visible) = visible else {
            account.note(&post.keys, state, End::Failed);
            return;
        };
        account.note(&post.keys, state, End::Acknowledged);
        if visible {
            self.look_at_applied(&post);
        }
    }

    fn next(&mut self, range: &str) -> Post {
        self.number += 1;
        let wanted = self.random.usize(1..=BATCH_MAX);
        let key = |number: usize| format!("{range}-{number}");
        let keys = (0..wanted)
            .map(|_| key(self.random.usize(..KEYS)))
            .collect();
        // Numbers of different posters differ.
        let number = self.number * 100 + self.poster as u64;
        Post {
            keys,
            number,
            stamp: format!("stamp{number}"),
            deletes: self.random.u8(..4) == 0,
            durable: self.random.u8(..4) == 0,
        }
    }

    /// `None`: nobody answered; `Some(None)`: an error; otherwise whether it is visible.
    fn send(&mut self, post: &Post, writer: &Client) -> Option<Option<bool>> {
        let (path, body) = if post.deletes {
            ("/documents/delete", json!(post.keys))
        } else {
            // Long ones make bundles, which are collected in other ways than what a manifest holds.
            let letters = if self.random.u8(..4) == 0 { LONG } else { 0 };
            let document = |key| {
                let tail: String = (0..letters).map(|_| self.random.alphanumeric()).collect();
                let content = format!("{} {}", word(&mut self.random), post.stamp);
                json!({"unique_key": key, "number": post.number, "content": content, "tail": tail})
            };
            ("/documents", post.keys.iter().map(document).collect())
        };
        let wait = if post.durable { "?wait=durable" } else { "" };
        let began = Instant::now();
        let attempt = writer.try_post(&format!("{path}{wait}"), &body.to_string());
        self.figures.slowest = self.figures.slowest.max(began.elapsed());
        match attempt {
            Err(Unanswered(_)) => {
                self.figures.unanswered += 1;
                None
            }
            Ok(answer) => match answer.status {
                200 => {
                    self.figures.applied += 1;
                    let version = answer.body["version"].as_u64().unwrap();
                    self.stage.version.fetch_max(version, Ordering::SeqCst);
                    Some(Some(true))
                }
                202 => {
                    if !post.durable {
                        println!("only durable after {:?}", began.elapsed());
                    }
                    self.figures.durable += 1;
                    Some(Some(false))
                }
                // Send it again, it says, and does not know whether that is needed.
                503 => {
                    println!("{answer:?}");
                    self.figures.failed += 1;
                    Some(None)
                }
                _ => panic!("{answer:?}"),
            },
        }
    }

    /// The keys of the documents that have the stamp of `post`, each of which is there once.
    #[track_caller]
    fn stamped(&mut self, post: &Post) -> BTreeSet<String> {
        let reader = self.stage.reader(&mut self.random);
        let parameters = [("q", &*post.stamp), ("limit", "100")];
        let answer = self.stage.search(reader, &parameters);
        let documents = answer["result"].as_array().unwrap();
        assert!(
            documents
                .iter()
                .all(|document| document["number"] == post.number),
            "{answer}"
        );
        let key = |document: &Value| document["unique_key"].as_str().unwrap().to_owned();
        let keys: BTreeSet<String> = documents.iter().map(key).collect();
        assert_eq!(
            keys.len(),
            documents.len(),
            "a key is there twice: {answer}"
        );
        assert_eq!(answer["count"], keys.len(), "{answer}");
        keys
    }

    #[track_caller]
    fn look_at_applied(&mut self, post: &Post) {
        if post.deletes {
            let reader = self.stage.reader(&mut self.random);
            for key in &post.keys {
                let filter = format!("unique_key:\"{key}\"");
                let answer = self.stage.search(reader, &[("filter", &filter)]);
                assert_eq!(answer["count"], 0, "{key} was deleted: {answer}");
            }
        } else {
            assert_eq!(self.stamped(post), post.keys, "post {}", post.number);
        }
    }

    /// It may be there or not, or come yet, but never in parts.
    #[track_caller]
    fn look_at_unanswered(&mut self, post: &Post) {
        if !post.deletes {
            let found = self.stamped(post);
            assert!(
                found.is_empty() || found == post.keys,
                "half of post {}: {found:?}",
                post.number
            );
        }
    }
}
