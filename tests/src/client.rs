//! Requests to one server.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

/// Longer than any request may take: a server answers before, or it is dead.
const PATIENCE: Duration = Duration::from_secs(300);

/// Talks to one server, and keeps its connections: one that is started again at the same port gets another client.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    url: String,
}

/// What a server said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

/// A request that met a server which was dead, or died: it may have had its effect all the same.
#[derive(Debug)]
pub struct Unanswered(pub String);

type Attempt = Result<Answer, Unanswered>;

impl Client {
    /// A client of the server at `url`.
    pub fn new(url: &str) -> Self {
        Self::patient(url, PATIENCE)
    }

    /// A client that waits so long for an answer.
    pub(crate) fn patient(url: &str, patience: Duration) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(patience))
            .build();
        Self {
            agent: agent.into(),
            url: url.to_owned(),
        }
    }

    /// Where the server is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `GET path`.
    pub fn try_get(&self, path: &str, parameters: &[(&str, &str)]) -> Attempt {
        let request = self.agent.get(format!("{}{path}", self.url));
        let request = parameters
            .iter()
            .fold(request, |request, (name, value)| request.query(name, value));
        read(request.call())
    }

    /// `POST path` with a JSON body.
    pub fn try_post(&self, path: &str, body: &str) -> Attempt {
        let request = self.agent.post(format!("{}{path}", self.url));
        read(request.content_type("application/json").send(body))
    }

    /// `PUT path` without a body.
    pub fn try_put(&self, path: &str) -> Attempt {
        let request = self.agent.put(format!("{}{path}", self.url));
        read(request.send_empty())
    }

    /// `DELETE path`.
    pub fn try_delete(&self, path: &str) -> Attempt {
        read(self.agent.delete(format!("{}{path}", self.url)).call())
    }

    /// Creates an index with the default mapping, on a server that must be there.
    ///
    /// # Panics
    /// When it is not created.
    #[track_caller]
    pub fn create_index(&self, name: &str) {
        let answer = answered(self.try_put(&format!("/indexes/{name}")));
        assert!([200, 201].contains(&answer.status), "{answer:?}");
    }

    /// `GET path` of a server that must be there.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        answered(self.try_get(path, &[]))
    }

    /// `POST path` to a server that must be there.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn post(&self, path: &str, body: &str) -> Answer {
        answered(self.try_post(path, body))
    }

    /// The answer to a search, which must be 200.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn search(&self, parameters: &[(&str, &str)]) -> Value {
        let answer = answered(self.try_get("/search", parameters));
        assert_eq!(answer.status, 200, "{}: {answer:?}", self.url);
        answer.body
    }

    /// The numbers of the index.
    ///
    /// # Panics
    /// When the server does not give them.
    #[track_caller]
    pub fn stats(&self) -> Value {
        let answer = self.get("/stats");
        assert_eq!(answer.status, 200, "{}: {answer:?}", self.url);
        answer.body
    }
}

#[track_caller]
fn answered(attempt: Attempt) -> Answer {
    match attempt {
        Ok(answer) => answer,
        Err(Unanswered(why)) => panic!("a server did not answer: {why}"),
    }
}

fn read(response: Result<Response<ureq::Body>, ureq::Error>) -> Attempt {
    let unanswered = |error: ureq::Error| match error {
        ureq::Error::Timeout(_) => panic!("a server neither answers nor dies: {error}"),
        error => Unanswered(error.to_string()),
    };
    let mut response = response.map_err(unanswered)?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(u64::MAX);
    let text = body.read_to_string().map_err(unanswered)?;
    let body = match &*text {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|error| {
            panic!("{status} with a body that is no JSON ({error}): {text}")
        }),
    };
    Ok(Answer { status, body, text })
}
