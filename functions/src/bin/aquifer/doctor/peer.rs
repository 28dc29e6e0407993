//! The other machine of an examination, as this one sees it.

use std::time::Duration;

use anyhow::{Result, bail};
use aquifer_functions::doctor::Reply;
use aquifer_indexer::doctor::{CallFailure, Order, Partner, Yield};
use aquifer_indexer::{Error, ErrorKind};
use ureq::Agent;
use ureq::http::{StatusCode, header};

/// How long an order may take: a contest makes some hundred calls, each of which a busy server may delay.
const ORDER_TIMEOUT: Duration = Duration::from_secs(120);

/// Bytes of a reply that are read at the most. A page is the longest part of one.
const REPLY_BYTES: u64 = 64 * 1024;

/// `aquifer doctor --listen` on another machine.
#[derive(Debug)]
pub(super) struct Peer {
    agent: Agent,
    url: String,
    authorization: String,
}

impl Peer {
    /// The peer at `url`. It is not asked anything yet.
    pub(super) fn new(url: &str, token: &str) -> Result<Self> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            bail!(
                "{url:?} is no address of a peer: write it as `aquifer doctor --listen` prints it, http://HOST:PORT"
            );
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(ORDER_TIMEOUT))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("aquifer/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: agent.into(),
            url: url.to_owned(),
            authorization: format!("Bearer {token}"),
        })
    }

    fn ask(&self, order: &Order) -> Result<Reply, Error> {
        let written = serde_json::to_string(order)
            .map_err(|error| Error::internal("an order is no JSON").because(error))?;
        let sent = self
            .agent
            .post(&self.url)
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .send(written);
        let mut response = sent.map_err(|error| {
            self.unavailable("the peer does not answer: check the address, and that `aquifer doctor --listen` runs there")
                .because(error)
        })?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                let advice =
                    "the peer refuses the token: set AQUIFER_DOCTOR_TOKEN to what it has printed";
                return Err(self.unavailable(advice));
            }
            status => {
                let answer =
                    format!("the peer answers {status}: is that `aquifer doctor --listen`?");
                return Err(self.unavailable(&answer));
            }
        }
        let body = response.body_mut().with_config().limit(REPLY_BYTES);
        let no_reply = |error: Box<dyn std::error::Error + Send + Sync>| {
            self.unavailable(
                "the peer's answer is no reply to an order: use the same release on both sides",
            )
            .because(error)
        };
        let bytes = body.read_to_vec().map_err(|error| no_reply(error.into()))?;
        serde_json::from_slice(&bytes).map_err(|error| no_reply(error.into()))
    }

    fn unavailable(&self, text: &str) -> Error {
        Error::new(ErrorKind::Unavailable, text).at(&self.url)
    }
}

impl Partner for Peer {
    fn name(&self) -> String {
        format!("another machine, {}", self.url)
    }

    fn carry_out(&self, order: &Order) -> aquifer_indexer::Result<Result<Yield, CallFailure>> {
        self.ask(order)?.into_result()
    }
}
