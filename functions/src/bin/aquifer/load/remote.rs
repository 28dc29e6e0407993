//! Batches to a service, over HTTP.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use aquifer_indexer::document::{Document, kind};
use aquifer_indexer::mapping::{Definition, IndexSchema};
use aquifer_indexer::quote::quoted;
use aquifer_indexer::world::World;
use flate2::Compression;
use flate2::write::GzEncoder;
use ureq::Agent;
use ureq::http::{Response, StatusCode, header};

use super::Destination;
use super::answer::{Answer, AnswerError};
use super::attempts::{ATTEMPTS, is_passing, pause, retry_after};
use super::outcome::{Item, Refusal, Sent};
use super::progress::Progress;

/// How long a request may take; a service answers within 30 seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);

/// What is told of a refused document that an answer only counts.
const UNLISTED: &str = "others after this one were refused, too: the service lists only the first";

/// Bytes of an answer that are read at the most.
const ANSWER_BYTES: u64 = 64 * 1024 * 1024;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A service as the destination of batches.
pub(crate) struct Remote {
    agent: Agent,
    documents: String,
    progress: Progress,
    world: World,
    /// By which a document that is no JSON is looked at once more: the service sees it as one line.
    schema: IndexSchema,
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
    /// The service at `url`, its default index unless another one is named. Attempts that fail are shown in `progress`.
    pub(crate) fn new(url: &str, index: Option<&str>, progress: Progress) -> Result<Self> {
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
            .timeout_connect(Some(CONNECT_TIMEOUT))
            // A redirected post becomes a GET, which posts nothing.
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("aquifer/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: agent.into(),
            documents,
            progress,
            world: World::default(),
            schema: IndexSchema::compile(&Definition::default())?,
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
        let location = response.headers().get(header::LOCATION);
        let location = location.and_then(|to| Some(to.to_str().ok()?.to_owned()));
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
        let answer = Answer::read(&body);
        if let Some(sent) = self.sent(batch, status, &answer) {
            return Ok(Next::Done(sent));
        }
        let detail = answer.detail.unwrap_or_else(|| beginning(&body));
        match status.as_u16() {
            413 if batch.len() > 1 => Ok(Next::Halve),
            413 => Ok(Next::Done(Sent {
                refusals: batch
                    .iter()
                    .map(|item| Refusal::new(&item.origin, None, detail.clone()))
                    .collect(),
                ..Sent::default()
            })),
            408 | 429 | 500 | 502 | 503 | 504 => Ok(Next::Again {
                reason: format!("{status}: {detail}"),
                after,
            }),
            _ => bail!(
                "{} answered {}: {detail}",
                self.documents,
                spelt(status, location.as_deref())
            ),
        }
    }

    /// What became of a batch, where the answer accounts for each of its documents.
    fn sent(&self, batch: &[Item], status: StatusCode, answer: &Answer) -> Option<Sent> {
        let taken = matches!(status.as_u16(), 200 | 202 | 207);
        let refused = status.is_client_error() && !answer.errors.is_empty();
        if !(taken || refused) || !answer.accounts_for(batch.len()) {
            return None;
        }
        let refusal = |error: &AnswerError| {
            let item = batch.get(error.position)?;
            let again = match error.kind.as_str() {
                kind::INVALID_JSON => Document::parse(&item.text, &self.schema).err(),
                _ => None,
            };
            Some(match again {
                Some(again) if again.kind == kind::INVALID_JSON => Refusal::of(&item.origin, again),
                _ => Refusal::new(&item.origin, None, error.detail.as_str())
                    .with_key(error.unique_key.clone()),
            })
        };
        let mut refusals: Vec<_> = answer.errors.iter().filter_map(refusal).collect();
        if let Some(last) = answer
            .errors
            .last()
            .and_then(|error| batch.get(error.position))
        {
            let unlisted = Refusal::new(&last.origin, None, UNLISTED);
            refusals.extend(std::iter::repeat_n(unlisted, answer.more_errors));
        }
        Some(Sent {
            created: answer.created,
            updated: answer.updated,
            pending: match answer.batch {
                Some(_) => answer.accepted,
                None => 0,
            },
            taken: 0,
            refusals,
        })
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
                    let left = ATTEMPTS - attempt - 1;
                    if left > 0 {
                        let pause = after
                            .unwrap_or_default()
                            .max(pause(attempt, &*self.world.ids));
                        self.progress.note(&format!(
                            "{}: {reason}; trying again in {:.1} s, {left} attempts are left",
                            self.documents,
                            pause.as_secs_f64()
                        ));
                        self.world.clock.sleep(pause);
                    }
                    last = reason;
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

fn spelt(status: StatusCode, location: Option<&str>) -> String {
    match (status.as_u16(), location) {
        (404, _) => format!("{status} (is the address right, and does the index exist?)"),
        (403, _) => format!("{status} (does this service write?)"),
        (200..=299, _) => {
            format!("{status}, but does not account for the documents (is it an Aquifer service?)")
        }
        (300..=399, Some(location)) => format!(
            "{status}, which leads to {} (posts are not redirected: give the service's own address)",
            quoted(location)
        ),
        _ => status.to_string(),
    }
}

/// What an answer says that is no problem document.
fn beginning(body: &[u8]) -> String {
    match String::from_utf8_lossy(body).trim() {
        "" => "no reason given".to_owned(),
        text => quoted(text),
    }
}

#[cfg(test)]
mod tests {
    use aquifer_functions::texts::Place;

    use super::super::outcome::Origin;
    use super::*;

    #[test]
    fn a_document_of_several_lines_becomes_one() {
        let text = "{\n\"a\":\r\n1}".to_owned();
        let batch = [Item {
            origin: Origin::new(None, Place::Line(1)),
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
        let new = |url, index| Remote::new(url, index, Progress::new(None));
        assert!(new("localhost:8080", None).is_err());
        let remote = new("http://h:1/", Some("books")).unwrap();
        assert_eq!(remote.documents, "http://h:1/indexes/books/documents");
    }
}
