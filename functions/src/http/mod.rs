//! The routes, and what is common to all of them.
//!
//! | path (each also under `/indexes/{index}`) | method | |
//! |---|---|---|
//! | `/documents` | POST | documents to add or to replace |
//! | `/documents/{unique_key}` | GET, DELETE | one document; its key may hold slashes |
//! | `/documents/delete` | POST | keys to delete |
//! | `/search` | GET, POST | |
//! | `/stats` | GET | numbers |
//! | `/batches/{batch}` | GET | what became of a 202 |
//! | `/reindex` | POST | starts a job |
//! | `/jobs`, `/jobs/{job}` | GET | the jobs; how far one is |
//! | `/jobs/{job}` | DELETE | cancels it |
//!
//! and without the prefix `GET /health`, `GET /indexes`, and `PUT`, `GET`, `DELETE
//! /indexes/{index}`.
//!
//! Every request is bounded: its body by [`limits`], its time by a deadline, its turn by a queue. The memory of all bodies and
//! answers together is bounded by a budget.
//! Every failure is a problem document. The router starts nothing, listens to nothing and keeps no
//! time of its own beyond the request, so that a function can hold it as well as a server.

mod answer;
mod body;
mod budget;
mod caching;
mod compression;
mod counted;
mod documents;
mod error;
mod health;
mod hosts;
mod indexes;
mod keys;
mod left;
pub mod limits;
mod measured;
mod origins;
mod pages;
mod parameters;
mod paths;
mod reindex;
mod request;
mod search;
mod served;
mod state;
mod submission;
mod target;
mod turnstile;
mod versions;

use aquifer_indexer::quote::{quoted, shortened};
use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower::util::MapRequest;
use tower_http::catch_panic::CatchPanicLayer;

pub use answer::search_answer;
pub use error::DocumentProblem;
pub use hosts::{AllowedHosts, host_name};
pub use left::{Unannounced, WorkLeft};
pub use origins::AllowedOrigins;
pub use request::{AnswerBytes, Deadline, Prefix};
pub use served::ServedIndexes;
pub use state::{AppState, DEFAULT_CACHE_CONTROL, Settings};

pub(crate) use compression::accepts_gzip;
pub(crate) use error::{Failure, Problem, Sort};
pub(crate) use measured::Measured;
pub(crate) use paths::is_known;
pub(crate) use request::write_line as log_answer;

/// Everything that Aquifer answers over HTTP.
pub fn router(state: AppState) -> Router {
    // A layer of the routes themselves would see a path only after its route was looked up.
    Router::new().fallback_service(MapRequest::new(routes(state), paths::in_order))
}

fn routes(state: AppState) -> Router {
    let index = get(indexes::describe)
        .put(indexes::create)
        .delete(indexes::delete);
    let guard_pages = middleware::from_fn_with_state(state.clone(), pages::guard_pages);
    let guard_hosts = middleware::from_fn_with_state(state.clone(), pages::guard_hosts);
    let observe = middleware::from_fn_with_state(state.clone(), request::observe);
    let guarded = Router::new()
        .route("/health", get(health::get))
        .route("/health/ready", get(health::ready))
        .route("/indexes", get(indexes::list))
        .route("/indexes/{index}", index)
        .nest("/indexes/{index}", of_an_index())
        .merge(of_an_index())
        .fallback(no_route)
        .method_not_allowed_fallback(other_method)
        .layer(CatchPanicLayer::custom(Problem::from_panic))
        .layer(guard_pages);
    let shared = match state.settings().origins.layer() {
        Some(cors) => guarded.layer(cors),
        None => guarded,
    };
    shared.layer(guard_hosts).layer(observe).with_state(state)
}

/// The routes that exist for the default index and for each named one.
fn of_an_index() -> Router<AppState> {
    let document = get(documents::get).delete(documents::delete);
    Router::new()
        .route("/documents", post(documents::post))
        .route(
            "/documents/delete",
            document.clone().post(documents::delete_many),
        )
        .route("/documents/{*unique_key}", document)
        .route("/search", get(search::get).post(search::post))
        .route("/stats", get(indexes::stats))
        .route("/batches/{batch}", get(indexes::batch))
        .route("/reindex", post(reindex::start))
        .route("/jobs", get(reindex::list))
        .route("/jobs/{job}", get(reindex::status).delete(reindex::cancel))
}

async fn no_route(uri: Uri) -> Problem {
    Problem::new(
        Sort::NotFound,
        format!(
            "nothing is at {}: there are /documents, /search, /stats, /batches, /reindex, /jobs, \
             /indexes and /health",
            quoted(uri.path())
        ),
    )
}

/// Answers OPTIONS, and refuses what a path does not know; the router adds `Allow` to either.
async fn other_method(method: Method, uri: Uri) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let detail = format!(
        "{} does not apply to {}: the header Allow says what does",
        shortened(method.as_str()),
        quoted(uri.path())
    );
    Problem::new(Sort::MethodNotAllowed, detail).into_response()
}
