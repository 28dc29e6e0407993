//! How long a function takes to start: one process, and the runtime API it asks, which notes when.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Spec;

/// How long one start may take. Only a broken function takes that long.
const PATIENCE: Duration = Duration::from_secs(300);

/// Times of one start, each from the start of the process.
#[derive(Clone, Debug)]
pub struct Startup {
    /// Until it asked for its first invocation.
    pub ready: Duration,
    /// Until it had answered it.
    pub answered: Duration,
    /// What it answered.
    pub answer: Vec<u8>,
}

/// What the runtime API is asked.
enum Told {
    Ready(Instant),
    Answered(Instant, Bytes),
    Failed(Bytes),
}

#[derive(Clone)]
struct Api {
    heard: UnboundedSender<Told>,
    payload: String,
    timeout: Duration,
}

/// Starts the function, hands it `payload`, and ends it.
///
/// # Errors
/// It did not start, or failed: what it said.
///
/// # Panics
/// When no port can be listened to.
pub fn time(spec: &Spec, payload: &str) -> Result<Startup, String> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, hears) = unbounded_channel();
        let api = Api {
            heard,
            payload: payload.to_owned(),
            timeout: spec.timeout,
        };
        tokio::spawn(async move { axum::serve(listener, router(api)).await });
        let began = Instant::now();
        let child = start(spec, address)?;
        let outcome = tokio::time::timeout(PATIENCE, follow(hears, began)).await;
        end(child);
        outcome.unwrap_or_else(|_| Err(format!("{} does not answer", spec.name)))
    })
}

fn router(api: Api) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route(
            "/2018-06-01/runtime/invocation/{id}/response",
            post(answered),
        )
        .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
        .route("/2018-06-01/runtime/init/error", post(failed))
        .with_state(api)
}

async fn next(State(api): State<Api>) -> Response {
    // Whoever listens may have heard enough.
    drop(api.heard.send(Told::Ready(Instant::now())));
    let deadline = SystemTime::now() + api.timeout;
    let deadline = deadline.duration_since(UNIX_EPOCH).unwrap().as_millis();
    let headers = [
        ("lambda-runtime-aws-request-id", "first".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:measured".to_owned(),
        ),
    ];
    (headers, api.payload).into_response()
}

async fn answered(State(api): State<Api>, body: Bytes) -> StatusCode {
    drop(api.heard.send(Told::Answered(Instant::now(), body)));
    StatusCode::ACCEPTED
}

async fn failed(State(api): State<Api>, body: Bytes) -> StatusCode {
    drop(api.heard.send(Told::Failed(body)));
    StatusCode::ACCEPTED
}

async fn follow(mut hears: UnboundedReceiver<Told>, began: Instant) -> Result<Startup, String> {
    let mut ready = None;
    while let Some(told) = hears.recv().await {
        match told {
            Told::Ready(at) => drop(ready.get_or_insert(at)),
            Told::Failed(error) => return Err(String::from_utf8_lossy(&error).into_owned()),
            Told::Answered(at, answer) => {
                return Ok(Startup {
                    ready: ready.unwrap_or(at) - began,
                    answered: at - began,
                    answer: answer.to_vec(),
                });
            }
        }
    }
    Err("the function did not ask for an invocation".to_owned())
}

fn start(spec: &Spec, address: SocketAddr) -> Result<Child, String> {
    Command::new(&spec.program)
        .env_remove("RUST_LOG")
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", &spec.name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env(
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            spec.memory_mib.to_string(),
        )
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "local")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .envs(&spec.variables)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}", spec.program.display()))
}

fn end(mut child: Child) {
    // Both fail when it has ended, which is just as well.
    drop(child.kill());
    drop(child.wait());
}
