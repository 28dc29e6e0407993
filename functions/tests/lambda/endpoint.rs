//! The service that invokes functions, as far as its client can tell: it writes down what it is asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aquifer_functions::lambda::handoff::LambdaHandoff;
use aquifer_functions::lambda::order::Order;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::Credentials;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;

/// One invocation that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    pub(crate) function: String,
    pub(crate) kind: String,
    pub(crate) payload: String,
}

impl Invocation {
    pub(crate) fn order(&self) -> Order {
        Order::read(&self.payload).unwrap()
    }
}

#[derive(Clone, Default)]
struct Shared {
    asked: Arc<Mutex<Vec<Invocation>>>,
    refusals: Arc<Mutex<Vec<(u16, &'static str)>>>,
}

/// The service, on a port of its own.
pub(crate) struct Endpoint {
    pub(crate) url: String,
    shared: Shared,
}

impl Endpoint {
    /// Answers the first invocations with `refusals`, a status and the name of an error each, and accepts the others.
    pub(crate) async fn refusing(refusals: &[(u16, &'static str)]) -> Self {
        let shared = Shared::default();
        *shared.refusals.lock().unwrap() = refusals.iter().rev().copied().collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let path = "/2015-03-31/functions/{function}/invocations";
        let router = Router::new()
            .route(path, post(invoke))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared }
    }

    pub(crate) async fn new() -> Self {
        Self::refusing(&[]).await
    }

    /// What was asked for so far, the refused tries too.
    pub(crate) fn asked(&self) -> Vec<Invocation> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// The real client, pointed here.
    pub(crate) fn handoff(&self) -> Arc<LambdaHandoff> {
        let config = aws_sdk_lambda::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .endpoint_url(&self.url)
            .retry_config(LambdaHandoff::retries().with_max_backoff(Duration::from_millis(50)))
            .build();
        let client = Client::from_conf(config);
        Arc::new(LambdaHandoff::with_client("reindexer", client))
    }
}

async fn invoke(
    State(shared): State<Shared>,
    Path(function): Path<String>,
    headers: HeaderMap,
    payload: Bytes,
) -> Response {
    let kind = headers.get("x-amz-invocation-type");
    shared.asked.lock().unwrap().push(Invocation {
        function,
        kind: kind.map_or("", |kind| kind.to_str().unwrap()).to_owned(),
        payload: String::from_utf8(payload.to_vec()).unwrap(),
    });
    match shared.refusals.lock().unwrap().pop() {
        None => StatusCode::ACCEPTED.into_response(),
        Some((status, name)) => {
            let status = StatusCode::from_u16(status).unwrap();
            let headers = [("x-amzn-errortype", name)];
            let body = r#"{"Type":"User","message":"not now"}"#;
            (status, headers, body).into_response()
        }
    }
}
