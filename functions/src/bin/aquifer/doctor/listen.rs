//! The other machine of an examination: orders over HTTP.
//!
//! An order is carried out only for somebody who knows the token, and reaches nothing but a scratch folder of the
//! examination that goes on.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use aquifer_functions::doctor::Reply;
use aquifer_indexer::doctor::Performer;
use aquifer_indexer::ids::{Ids as _, RandomIds};
use aquifer_indexer::mount::RootFolder;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// Where it listens that is told nothing: to this machine only.
pub(super) const DEFAULT_ADDRESS: &str = "127.0.0.1:8089";

/// How long it takes orders: one that was forgotten ends by itself.
const LISTEN_FOR: Duration = Duration::from_secs(60 * 60);

/// Bytes of an order. Its names and texts are short.
const ORDER_BYTES: usize = 4096;

/// What a request is answered with.
struct Listener {
    authorization: String,
    performer: Mutex<Performer>,
}

/// Takes orders until a signal comes, or for an hour.
pub(super) fn listen(root: RootFolder, address: &str, token: Option<String>) -> Result<()> {
    let token = token.unwrap_or_else(|| RandomIds.next().simple().to_string());
    let state = Arc::new(Listener {
        authorization: format!("Bearer {token}"),
        performer: Mutex::new(Performer::new(root)),
    });
    let router = Router::new()
        .route("/", post(answer))
        .layer(DefaultBodyLimit::max(ORDER_BYTES))
        .with_state(state);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| {
            format!("cannot listen on {address}: choose another address with --listen HOST:PORT")
        })?;
        announce(listener.local_addr()?, &token)?;
        let server = async { axum::serve(listener, router).await };
        tokio::select! {
            served = server => served.context("the listener failed"),
            ended = tokio::signal::ctrl_c() => ended.context("cannot listen for signals"),
            () = tokio::time::sleep(LISTEN_FOR) => Ok(()),
        }
    })
}

/// Says what to run on the other machine.
fn announce(address: SocketAddr, token: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on http://{address}")?;
    writeln!(
        out,
        "Within an hour, run on the other machine, with its own path to this folder:"
    )?;
    writeln!(
        out,
        "  AQUIFER_DOCTOR_TOKEN={token} aquifer doctor --root FOLDER --peer http://{address}"
    )?;
    out.flush()
}

async fn answer(State(state): State<Arc<Listener>>, headers: HeaderMap, order: Bytes) -> Response {
    let given = headers.get(header::AUTHORIZATION);
    if !given.is_some_and(|given| is_same(given.as_bytes(), state.authorization.as_bytes())) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let carry_out = move || {
        let mut performer = state
            .performer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Reply::to(&order, &mut performer)
    };
    match tokio::task::spawn_blocking(carry_out).await {
        Ok(reply) => Json(reply).into_response(),
        Err(_panicked) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Compares in a time that does not tell where the difference is.
fn is_same(given: &[u8], expected: &[u8]) -> bool {
    let differ = given
        .iter()
        .zip(expected)
        .fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == expected.len() && differ == 0
}
