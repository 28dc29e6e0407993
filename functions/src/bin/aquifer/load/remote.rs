//! Batches to a service, over HTTP.

use std::io::Write;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use ureq::Agent;
use ureq::http::{Response, StatusCode, header};

use super::Destination;
use super::outcome::{Item, Refusal, Sent};
use super::progress::Progress;

/// How often a batch is tried before the load is given up: over two minutes of waiting.
const ATTEMPTS: u32 = 9;

/// The first wait between two attempts; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest wait between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a request may take; a service answers within 30 seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);

/// Bytes of an answer that are read at the most.
const ANSWER_BYTES: u64 = 64 * 1024 * 1024;

/// A service as the destination of batches.
pub(crate) struct Remote {
    agent: Agent,
    documents: String,
}

/// The parts of an answer that matter here; a problem document has some of them too.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    accepted: u64,
    created: u64,
    updated: u64,
    batch: Option<String>,
    errors: Vec<AnswerError>,
    more_errors: usize,
    detail: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AnswerError {
    position: usize,
    unique_key: Option<String>,
    detail: String,
}

/// What to do after an attempt.
enum Next {
    Done(Sent),
    Halve,
    Again {
        reason: String,
        after: Option<Duration>,
    },
}

impl Remote {
    /// The service at `url`, its default index unless another one is named.
    pub(crate) fn new(url: &str, index: Option<&str>) -> Result<Self> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            bail!("{url:?} is no address of a service: it should begin with http:// or https://");
        }
        let base = url.trim_end_matches('/');
        let documents = match index {
            Some(index) => format!("{base}/indexes/{index}/documents"),
            None => format!("{base}/documents"),
        };
        let agent = Agent::config_builder()
            .timeout_global(Some(REQUEST_TIMEOUT))
            .http_status_as_error(false)
            .user_agent(concat!("aquifer/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: agent.into(),
            documents,
        })
    }

    fn attempt(&self, batch: &[Item], body: &[u8]) -> Result<Next> {
        let response = self
            .agent
            .post(&self.documents)
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .header(header::CONTENT_ENCODING, "gzip")
            .send(body);
        match response {
            Ok(response) => self.judge(batch, response),
            Err(error) if is_passing(&error) => Ok(Next::Again {
                reason: error.to_string(),
                after: None,
            }),
            Err(error) => Err(error).with_context(|| format!("cannot post to {}", self.documents)),
        }
    }

    fn judge(&self, batch: &[Item], mut response: Response<ureq::Body>) -> Result<Next> {
        let status = response.status();
        let after = retry_after(&response);
        let body = response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES)
            .read_to_vec();
        let body = match body {
            Ok(body) => body,
            Err(error) => {
                let reason = format!("the answer broke off: {error}");
                return Ok(Next::Again { reason, after });
            }
        };
        let answer: Answer = serde_json::from_slice(&body).unwrap_or_default();
        let detail = answer
            .detail
            .clone()
            .unwrap_or_else(|| "no reason given".to_owned());
        match status.as_u16() {
            200 | 202 | 207 => Ok(Next::Done(sent(batch, answer))),
            _ if !answer.errors.is_empty() && status.is_client_error() => {
                Ok(Next::Done(sent(batch, answer)))
            }
            413 if batch.len() > 1 => Ok(Next::Halve),
            413 => Ok(Next::Done(Sent {
                refusals: batch
                    .iter()
                    .map(|item| Refusal::new(item.origin.clone(), detail.clone()))
                    .collect(),
                ..Sent::default()
            })),
            408 | 429 | 500 | 502 | 503 | 504 => Ok(Next::Again {
                reason: format!("{status}: {detail}"),
                after,
            }),
            _ => bail!("{} answered {}: {detail}", self.documents, spelt(status)),
        }
    }
}

impl Destination for Remote {
    fn send(&self, batch: &[Item]) -> Result<Sent> {
        let body = packed(batch)?;
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            match self.attempt(batch, &body)? {
                Next::Done(sent) => return Ok(sent),
                Next::Halve => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    let mut sent = self.send(first)?;
                    sent.add(self.send(second)?);
                    return Ok(sent);
                }
                Next::Again { reason, after } => {
                    tracing::debug!(attempt, reason, "trying again");
                    last = reason;
                    if attempt + 1 < ATTEMPTS {
                        thread::sleep(after.unwrap_or_default().max(pause(attempt)));
                    }
                }
            }
        }
        Err(anyhow!(
            "{} did not take a batch in {ATTEMPTS} attempts, the last: {last}",
            self.documents
        ))
    }

    /// A service applies by itself what it accepted.
    fn finish(&self, _progress: &Progress) -> Result<()> {
        Ok(())
    }
}

/// A document a line, packed. Line breaks in a document only ever stand between its tokens.
fn packed(batch: &[Item]) -> Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    for item in batch {
        packer.write_all(item.text.replace(['\n', '\r'], " ").as_bytes())?;
        packer.write_all(b"\n")?;
    }
    Ok(packer.finish()?)
}

fn sent(batch: &[Item], answer: Answer) -> Sent {
    let refusal = |error: AnswerError| {
        let origin = &batch.get(error.position)?.origin;
        Some(Refusal::new(origin.clone(), error.detail).with_key(error.unique_key))
    };
    let last = answer
        .errors
        .last()
        .and_then(|error| batch.get(error.position));
    let unlisted = last.map(|item| {
        let detail = "others after this one were refused, too: the service lists only the first";
        let refusal = Refusal::new(item.origin.clone(), detail.to_owned());
        std::iter::repeat_n(refusal, answer.more_errors.min(batch.len()))
    });
    let pending = if answer.batch.is_some() {
        answer.accepted
    } else {
        0
    };
    Sent {
        created: answer.created,
        updated: answer.updated,
        pending,
        taken: 0,
        refusals: answer
            .errors
            .into_iter()
            .filter_map(refusal)
            .chain(unlisted.into_iter().flatten())
            .collect(),
    }
}

fn retry_after(response: &Response<ureq::Body>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    let asked = Duration::from_secs(seconds.trim().parse().ok()?);
    Some(asked.min(LONGEST_PAUSE))
}

/// The wait after an attempt, a part of it at random, so that lanes do not come back together.
fn pause(attempt: u32) -> Duration {
    let whole = FIRST_PAUSE
        .saturating_mul(1 << attempt.min(10))
        .min(LONGEST_PAUSE);
    let (_, random) = uuid::Uuid::new_v4().as_u64_pair();
    let thousandths = u32::try_from(random % 500).unwrap_or_default();
    whole / 1000 * (500 + thousandths)
}

/// Whether an attempt failed for a reason that may be gone at the next one.
fn is_passing(error: &ureq::Error) -> bool {
    matches!(
        error,
        ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Protocol(_)
    )
}

fn spelt(status: StatusCode) -> String {
    match status.as_u16() {
        404 => format!("{status} (is the address right, and does the index exist?)"),
        403 => format!("{status} (does this service write?)"),
        _ => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Origin;
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        for attempt in 0..40 {
            let pause = pause(attempt);
            assert!(
                pause <= LONGEST_PAUSE && pause >= FIRST_PAUSE / 2,
                "{attempt}: {pause:?}"
            );
        }
        assert!(pause(8) >= LONGEST_PAUSE / 2);
    }

    #[test]
    fn a_document_of_several_lines_becomes_one() {
        let text = "{\n\"a\":\r\n1}".to_owned();
        let batch = [Item {
            origin: Origin::Element(1),
            text,
        }];
        let mut unpacked = String::new();
        let packed = packed(&batch).unwrap();
        std::io::Read::read_to_string(
            &mut flate2::read::GzDecoder::new(packed.as_slice()),
            &mut unpacked,
        )
        .unwrap();
        assert_eq!(unpacked, "{ \"a\":  1}\n");
    }

    #[test]
    fn an_address_is_an_address() {
        assert!(Remote::new("localhost:8080", None).is_err());
        let remote = Remote::new("http://h:1/", Some("books")).unwrap();
        assert_eq!(remote.documents, "http://h:1/indexes/books/documents");
    }
}
