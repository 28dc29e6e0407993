//! The functions that answer HTTP: the writer and the search.

mod events;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use aquifer_indexer::Error;
use aquifer_indexer::index::Counted;
use aquifer_indexer::reindex::Sources;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::value::RawValue;
use tokio::sync::OnceCell;
use tower::ServiceExt as _;
use tracing::Instrument as _;

use super::environment::Environment;
use super::event::{Event, Shape};
use super::feed::{NoObjectReader, ObjectReader};
use super::handoff::{HandOver, Handed, Handoff};
use super::metrics::{ALL, Metrics, Unit};
use super::role::Role;
use super::root::Root;
use super::{answer, bare, log, ping, request, time};
use crate::http::{self, AnswerBytes, AppState, Deadline, Measured, Problem, Settings};

/// A function that answers HTTP.
pub struct Front {
    role: Role,
    environment: Environment,
    root: Root,
    router: OnceCell<Router>,
    sources: Arc<dyn Sources>,
    objects: Arc<dyn ObjectReader>,
    hand_over: Option<HandOver>,
    warm: AtomicBool,
}

/// A request on its way to the router.
struct Asked {
    shape: Shape,
    request: Result<Request<Body>, Problem>,
}

/// What is remembered of a request for the metrics.
struct About {
    index: String,
    method: Method,
    deadline: Instant,
}

impl About {
    /// The name under which the request is counted. Each name costs whoever pays for the metrics, so a client may not
    /// make new ones.
    fn shown_index(&self, response: &Response) -> &str {
        // A batch that was refused was read with the index at hand.
        let known = response.extensions().get::<Measured>().is_some();
        if response.status().is_client_error() && !known {
            ALL
        } else {
            &self.index
        }
    }
}

impl Front {
    /// A function as `environment` says; nothing is opened yet. A reindex may name `sources`, and what takes long goes
    /// to `handoff`.
    pub fn new(
        environment: Environment,
        role: Role,
        sources: Arc<dyn Sources>,
        handoff: Option<Arc<dyn Handoff>>,
    ) -> Self {
        Self {
            role,
            root: Root::new(&environment, role == Role::Search),
            environment,
            router: OnceCell::new(),
            sources,
            objects: Arc::new(NoObjectReader),
            hand_over: handoff.map(HandOver::new),
            warm: AtomicBool::new(false),
        }
    }

    /// Reads the objects that events name out of `objects`.
    #[must_use]
    pub fn with_objects(mut self, objects: Arc<dyn ObjectReader>) -> Self {
        self.objects = objects;
        self
    }

    /// Answers one invocation. What goes wrong with an HTTP request is an answer too, with the status that says so.
    ///
    /// # Errors
    /// The invocation has failed: an event could not be indexed, a bare request could not be carried out, or the payload is
    /// not understood.
    pub async fn answer(&self, event: LambdaEvent<Box<RawValue>>) -> Result<Box<RawValue>, Error> {
        let (payload, context) = event.into_parts();
        let span = log::invocation(&context);
        let answered = async {
            if ping::is_ping(payload.get()) {
                return ping::answer(&self.root, &self.environment.index).await;
            }
            match self.fed(&payload) {
                Some(kind) => self.feed(kind, payload, &context).await,
                None => self.answer_within(&payload, &context).await,
            }
        };
        answered
            .instrument(span.clone())
            .await
            .inspect_err(|error| span.in_scope(|| tracing::error!(%error, "not answered")))
    }

    async fn answer_within(
        &self,
        payload: &RawValue,
        context: &Context,
    ) -> Result<Box<RawValue>, Error> {
        let started = Instant::now();
        let before = self.counted();
        let cold = !self.warm.swap(true, Ordering::Relaxed);
        let Asked { shape, request } = self
            .read(payload.get())
            .inspect_err(|_error| self.not_understood(context))?;
        tracing::debug!(?shape, cold, "asked");
        let mut metrics;
        let response = match request {
            Err(problem) => {
                metrics = self.metrics(&self.environment.index, context);
                let response = problem.into_response();
                http::log_answer(&response, time::millis_since(started));
                response
            }
            Ok(mut request) => {
                if !http::accepts_gzip(request.headers()) {
                    // What is larger as it stands is larger as it travels, with its escapes.
                    let most = AnswerBytes(answer::limit(shape));
                    request.extensions_mut().insert(most);
                }
                let about = self.prepare(&mut request, context);
                let response = self.route(request).await;
                let routed_ms = time::millis_since(started);
                let handed = self.hand_over(&about, &response).await;
                metrics = self.metrics(about.shown_index(&response), context);
                measure(&mut metrics, &response, routed_ms);
                measure_handed(&mut metrics, handed);
                response
            }
        };
        metrics.add_counted(self.counted().since(before));
        self.measure_inbox(&mut metrics);
        let status = response.status();
        let failed = shape == Shape::Bare && status.is_server_error();
        let failure = failed.then(|| answer::failure(&response));
        let answer = answer::write(shape, response).await?;
        metrics.add("ColdStart", Unit::Count, cold.then_some(1));
        metrics.add("Requests", Unit::Count, 1);
        metrics.add("Failures", Unit::Count, u64::from(status.is_server_error()));
        metrics.add("AnswerBytes", Unit::Bytes, answer.get().len() as u64);
        metrics.add("Time", Unit::Milliseconds, time::millis_since(started));
        metrics.emit();
        failure.map_or(Ok(answer), Err)
    }

    fn read(&self, payload: &str) -> Result<Asked, Error> {
        let Some(event) = Event::http(payload) else {
            return Ok(Asked {
                shape: Shape::Bare,
                request: Ok(bare::request(self.role, payload)?),
            });
        };
        tracing::Span::current().record("apiRequestId", event.sender_request_id());
        Ok(Asked {
            shape: event.shape(),
            request: request::http(&event, &self.environment.doors, self.role),
        })
    }

    /// Counts a payload that fails its invocation.
    fn not_understood(&self, context: &Context) {
        let mut metrics = self.metrics(ALL, context);
        metrics.add("Requests", Unit::Count, 1);
        metrics.add("Failures", Unit::Count, 1);
        metrics.emit();
    }

    /// Gives the request its deadline, and the invocation's identity where the client gave it none.
    fn prepare(&self, request: &mut Request<Body>, context: &Context) -> About {
        let deadline = time::request_deadline(context);
        request.extensions_mut().insert(Deadline(deadline));
        if let Ok(id) = HeaderValue::from_str(&context.request_id)
            && !id.is_empty()
        {
            request.headers_mut().entry("x-request-id").or_insert(id);
        }
        let index = request
            .uri()
            .path()
            .strip_prefix("/indexes/")
            .and_then(|rest| rest.split('/').next());
        About {
            index: index.unwrap_or(&self.environment.index).to_owned(),
            method: request.method().clone(),
            deadline,
        }
    }

    async fn route(&self, request: Request<Body>) -> Response {
        let make = || async {
            let aquifer = Arc::clone(self.root.get().await?);
            let doors = &self.environment.doors;
            let settings = Settings {
                default_index: self.environment.index.clone(),
                served: doors.served.clone(),
                origins: doors.origins.clone(),
                cache_control: doors.cache_control.clone(),
                read_only: self.role == Role::Search,
                request_bytes: self.environment.config(true).budget.request_bytes(),
                sources: Arc::clone(&self.sources),
                ..Settings::default()
            };
            Ok(http::router(AppState::new(aquifer, settings)))
        };
        match self.router.get_or_try_init(make).await {
            Ok(router) => match router.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            Err(error) => {
                let error: Error = error;
                tracing::error!(%error, "the indexes cannot be opened");
                Problem::from(error).into_response()
            }
        }
    }

    /// Hands over what a request left undone that changed something.
    async fn hand_over(&self, about: &About, response: &Response) -> Handed {
        let read = about.method.is_safe() || is_search(response);
        match (&self.hand_over, self.root.opened()) {
            (Some(hand_over), Some(aquifer)) if !read && response.status().is_success() => {
                let certain = response.status() == StatusCode::ACCEPTED;
                hand_over
                    .after(aquifer, &about.index, certain, about.deadline)
                    .await
            }
            _ => Handed::default(),
        }
    }

    fn counted(&self) -> Counted {
        let opened = self.root.opened();
        opened.map(|aquifer| aquifer.counters()).unwrap_or_default()
    }

    /// Measures how long the oldest batch has waited, as far as the inbox was listed. What only searches lists none.
    fn measure_inbox(&self, metrics: &mut Metrics) {
        if self.role == Role::Writer {
            let opened = self.root.opened();
            let age_ms = opened.and_then(|aquifer| aquifer.take_inbox_age_ms());
            metrics.add("InboxAge", Unit::Milliseconds, age_ms);
        }
    }

    fn metrics(&self, index: &str, context: &Context) -> Metrics {
        let Environment {
            metrics, function, ..
        } = &self.environment;
        Metrics::new(*metrics, function, index, &context.request_id)
    }
}

/// Whether a search was answered, under whichever path.
fn is_search(response: &Response) -> bool {
    let measured = response.extensions().get::<Measured>();
    measured.is_some_and(|measured| measured.hits.is_some())
}

fn measure(metrics: &mut Metrics, response: &Response, routed_ms: u64) {
    metrics.add(
        "SearchTime",
        Unit::Milliseconds,
        is_search(response).then_some(routed_ms),
    );
    if let Some(measured) = response.extensions().get::<Measured>() {
        metrics.add("Hits", Unit::Count, measured.hits);
        if measured.hits.is_none() {
            metrics.add("Documents", Unit::Count, measured.documents as u64);
            metrics.add("Refused", Unit::Count, measured.refused as u64);
        }
    }
}

fn measure_handed(metrics: &mut Metrics, handed: Handed) {
    let some = |count: u64| (count > 0).then_some(count);
    metrics.add("HandedOver", Unit::Count, some(handed.accepted));
    metrics.add("NotHandedOver", Unit::Count, some(handed.failed));
}
