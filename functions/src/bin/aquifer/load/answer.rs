//! What a service answers to a batch.

use serde::Deserialize;

/// The parts of an answer that matter here; a problem document has some of them too.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    pub(super) accepted: u64,
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) batch: Option<String>,
    pub(super) errors: Vec<AnswerError>,
    pub(super) more_errors: usize,
    pub(super) detail: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AnswerError {
    pub(super) position: usize,
    pub(super) unique_key: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) detail: String,
}

impl Answer {
    /// Reads an answer; one that comes from elsewhere says nothing.
    pub(super) fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// Whether it says of each of so many documents what became of it.
    pub(super) fn accounts_for(&self, documents: usize) -> bool {
        let listed = self.errors.iter().all(|error| error.position < documents);
        let refused = self.errors.len().saturating_add(self.more_errors) as u64;
        let counted = self.created.checked_add(self.updated) == Some(self.accepted);
        listed
            && self.accepted.checked_add(refused) == Some(documents as u64)
            && (counted || self.batch.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: bool) {
        assert_eq!(
            Answer::read(body.as_bytes()).accounts_for(3),
            expected,
            "{body}"
        );
    }

    #[test]
    fn an_answer_accounts_for_every_document_or_is_none() {
        check(
            r#"{"accepted":3,"created":1,"updated":2,"errors":[]}"#,
            true,
        );
        check(r#"{"accepted":3,"batch":"b","errors":[]}"#, true);
        check(
            r#"{"accepted":1,"created":1,"errors":[{"position":2}],"more_errors":1}"#,
            true,
        );
        check(
            r#"{"detail":"no","errors":[{"position":0}],"more_errors":2}"#,
            true,
        );
        check(r#"{"accepted":3,"created":1,"updated":1}"#, false);
        check(r#"{"accepted":2,"created":2}"#, false);
        check(
            r#"{"accepted":2,"created":2,"errors":[{"position":3}]}"#,
            false,
        );
        check(r#"{"more_errors":18446744073709551615}"#, false);
        for foreign in ["", "<html>", "{}", "[]", "{\"accepted\":-1}"] {
            check(foreign, false);
        }
    }
}
