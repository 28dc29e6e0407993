//! What must be in the index, by what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use aquifer_tests::Client;
use serde_json::Value;

/// What a key holds: the number of the post that wrote it last, or nothing.
type State = Option<u64>;

/// The keys of one poster, or those that are shared; only one post concerns them at a time.
#[derive(Debug, Default)]
pub(super) struct Account {
    keys: BTreeMap<String, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    /// By the last post that was acknowledged.
    settled: State,
    /// By posts since that nobody answered: they may be applied or not. The next one that
    /// is acknowledged comes after them all.
    maybe: Vec<State>,
    /// By posts that a living server has refused to vouch for: they may come at any time.
    adrift: Vec<State>,
}

/// How a post ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Acknowledged,
    Unanswered,
    Failed,
}

impl Account {
    /// A post has left all of `keys` in `state`, or so it seems.
    pub(super) fn note(&mut self, keys: &BTreeSet<String>, state: State, end: End) {
        for key in keys {
            let entry = self.keys.entry(key.clone()).or_default();
            match end {
                End::Acknowledged => {
                    entry.settled = state;
                    entry.maybe.clear();
                }
                End::Unanswered => entry.maybe.push(state),
                End::Failed => entry.adrift.push(state),
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.keys.extend(other.keys);
    }

    /// Expects that `reader` finds what may be there: every key once and in a state it can have.
    #[track_caller]
    pub(super) fn verify(&self, reader: &Client) {
        let answer = reader.search(&[("filter", "number:*"), ("limit", "1000")]);
        let documents = answer["result"].as_array().unwrap();
        assert_eq!(
            answer["count"],
            documents.len(),
            "more keys than were posted"
        );
        let mut found: BTreeMap<&str, u64> = BTreeMap::new();
        for document in documents {
            let (key, number) = (text(document, "unique_key"), &document["number"]);
            let twice = found.insert(key, number.as_u64().unwrap());
            assert_eq!(twice, None, "{key} is there twice");
        }
        for (key, entry) in &self.keys {
            let state = found.remove(&**key);
            assert!(
                entry.may_be(state),
                "{key} is {state:?} and not as {entry:?}"
            );
            let document = reader.get(&format!("/documents/{key}"));
            match state {
                Some(number) => assert_eq!(document.body["number"], number, "{document:?}"),
                None => assert_eq!(document.status, 404, "{document:?}"),
            }
        }
        assert!(found.is_empty(), "nobody posted {found:?}");
    }
}

impl Entry {
    fn may_be(&self, state: State) -> bool {
        self.settled == state || self.maybe.contains(&state) || self.adrift.contains(&state)
    }
}

fn text<'a>(document: &'a Value, field: &str) -> &'a str {
    document[field].as_str().unwrap()
}
