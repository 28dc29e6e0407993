//! Reindexing: jobs are started, followed and cancelled over HTTP, and worked on by somebody else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aquifer_functions::http::{Settings, WorkLeft};
use aquifer_functions::sources::ExternalSources;
use aquifer_indexer::config::Config;
use aquifer_indexer::index::{Aquifer, Index};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use insta::assert_snapshot;

use crate::{Answer, Service, answer};

/// Everything but what differs from run to run.
fn without_id(answer: &Answer) -> String {
    let json = answer.json();
    let job = json.get("job").unwrap_or(&json);
    let mut text = answer.to_string();
    for name in ["id", "started_ms", "updated_ms"] {
        let value = &job[name];
        let shown = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        text = text.replace(&shown, &format!("[{name}]"));
    }
    text
}

/// Another process, which works on what it finds.
fn index(service: &Service, name: &str) -> Arc<Index> {
    let aquifer = Aquifer::open(service.root.path(), Config::default()).unwrap();
    aquifer.index(name).unwrap()
}

fn work(service: &Service, name: &str) {
    let sources = ExternalSources::any(service.root.path());
    let until = Instant::now() + Duration::from_secs(300);
    let status = index(service, name).carry_on(&sources, until, &mut |_| {});
    assert!(!status.unwrap().unwrap().state.is_running());
}

async fn started(service: &Service, path: &str, body: &str) -> String {
    let started = service.post(path, body.to_owned()).await;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{started}");
    started.header("location").to_owned()
}

#[tokio::test]
async fn a_job_is_started_and_followed_to_its_end() {
    let service = Service::filled().await;
    let body = r#"{"definition": {"default_language": "ja"}}"#;
    let started = service.post("/reindex", body).await;
    assert_snapshot!(without_id(&started), @r#"
    202 Accepted
    content-type: application/json
    location: /jobs/[id]
    {
      "job": {
        "id": "[id]",
        "state": "building",
        "documents": 0,
        "total": 3,
        "done": 0,
        "replayed": 0,
        "refused": 0,
        "checkpoints": 0,
        "started_version": 3,
        "started_ms": [started_ms],
        "updated_ms": [started_ms]
      },
      "status_url": "/jobs/[id]"
    }
    "#);
    let url = started.header("location").to_owned();
    assert_eq!(started.json()["status_url"], url.as_str());
    assert_eq!(service.get(&url).await.json(), started.json()["job"]);
    service.post("/documents", r#"{"unique_key":"late"}"#).await;
    work(&service, "default");
    let ended = service.get(&url).await;
    assert_eq!(ended.json()["state"], "finished", "{ended}");
    assert_eq!(ended.json()["documents"], 4, "{ended}");
    assert_eq!(service.get("/search").await.json()["count"], 4);
    let described = service.get("/indexes/default").await;
    assert_eq!(described.json()["definition"]["default_language"], "ja");
    assert_eq!(service.get("/jobs").await.json()["jobs"][0], ended.json());
}

#[tokio::test]
async fn one_job_at_a_time_and_it_can_be_cancelled() {
    let service = Service::filled().await;
    assert_eq!(
        service.get("/jobs").await.json()["jobs"],
        serde_json::json!([])
    );
    let url = started(&service, "/reindex", "").await;
    let second = service.post("/reindex", "").await;
    assert_eq!(second.status, StatusCode::CONFLICT, "{second}");
    assert!(
        second.json()["detail"]
            .as_str()
            .unwrap()
            .contains("is running"),
        "{second}"
    );
    let cancelled = service.delete(&url).await;
    assert_eq!(cancelled.status, StatusCode::OK, "{cancelled}");
    assert_eq!(cancelled.json()["state"], "cancelled", "{cancelled}");
    assert_eq!(service.delete(&url).await.json(), cancelled.json());
    assert_eq!(service.get(&url).await.json(), cancelled.json());
    let next = started(&service, "/reindex", "{}").await;
    work(&service, "default");
    assert_eq!(service.get(&next).await.json()["state"], "finished");
    let jobs = service.get("/jobs").await.json();
    let states: Vec<_> = jobs["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["state"])
        .collect();
    assert_eq!(states, ["finished", "cancelled"]);
    assert_eq!(service.get("/search").await.json()["count"], 3);
}

#[tokio::test]
async fn a_job_belongs_to_its_index() {
    let service = Service::filled().await;
    service.put("/indexes/books", "").await;
    let url = started(&service, "/indexes/books/reindex", "").await;
    assert!(url.starts_with("/indexes/books/jobs/"), "{url}");
    assert_eq!(service.get(&url).await.status, StatusCode::OK);
    let elsewhere = url.trim_start_matches("/indexes/books");
    assert_eq!(service.get(elsewhere).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        service.delete(elsewhere).await.status,
        StatusCode::NOT_FOUND
    );
    let missing = service.post("/indexes/none/reindex", "").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND, "{missing}");
    assert_snapshot!(service.get("/jobs/nonsense").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "\"nonsense\" is no job: use the `id` that the answer to POST /reindex gave, or that GET /jobs lists"
    }
    "#);
    let unknown = service
        .get("/jobs/00000000-0000-4000-8000-000000000000")
        .await;
    assert_snapshot!(unknown, @r#"
    404 Not Found
    content-type: application/problem+json
    {
      "type": "/problems/not-found",
      "title": "There is no such thing",
      "status": 404,
      "detail": "no job 00000000-0000-4000-8000-000000000000 is known: `/jobs` lists the one that runs and the last that ended"
    }
    "#);
}

#[tokio::test]
async fn only_sources_that_are_listed_may_be_named() {
    let service = Service::filled().await;
    let body = r#"{"source": "s3://bucket/docs/"}"#;
    assert_snapshot!(service.post("/reindex", body).await, @r#"
    400 Bad Request
    content-type: application/problem+json
    {
      "type": "/problems/invalid-request",
      "title": "The request is wrong",
      "status": 400,
      "detail": "the source \"s3://bucket/docs/\" may not be read here: no external sources are configured"
    }
    "#);
    let sources = ExternalSources::listed(service.root.path(), "_sources").unwrap();
    let settings = Settings {
        sources: Arc::new(sources),
        ..Settings::default()
    };
    let router = Service::over(&service.root, settings);
    let post = async |body: &str| {
        let request = Request::post("/reindex").body(Body::from(body.to_owned()));
        answer(&router, request.unwrap()).await
    };
    for url in ["_sources/../default", "/etc", "s3://bucket/docs/"] {
        let refused = post(&serde_json::json!({ "source": url }).to_string()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused}");
    }
    let folder = service.root.path().join("_sources/books");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("one.json"), r#"{"title": "One"}"#).unwrap();
    let accepted = post(r#"{"source": "_sources/books"}"#).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{accepted}");
    assert_eq!(accepted.json()["job"]["source"], "_sources/books");
    work(&service, "default");
    let job = service.get(accepted.header("location")).await;
    assert_eq!(job.json()["state"], "finished", "{job}");
    assert_eq!(service.get("/search").await.keys(), ["one.json"]);
}

#[tokio::test]
async fn a_wrong_request_starts_nothing() {
    let service = Service::filled().await;
    for body in [
        r#"{"sauce": "x"}"#,
        r#"{"on_refused": "cry"}"#,
        r#"{"definition": {"mapping": {"fields": {"a": {"type": "none"}}}}}"#,
        "[",
    ] {
        let answer = service.post("/reindex", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {answer}");
    }
    let answer = service.post("/reindex?source=x", "").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer}");
    assert_eq!(
        service.get("/jobs").await.json()["jobs"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn a_server_that_only_reads_shows_jobs_and_changes_none() {
    let service = Service::filled().await;
    let url = started(&service, "/reindex", "").await;
    let reader = service.reader();
    let ask = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path);
        answer(&reader, request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(ask("GET", &url).await.json()["state"], "building");
    assert_eq!(ask("GET", "/jobs").await.status, StatusCode::OK);
    assert_eq!(ask("POST", "/reindex").await.status, StatusCode::FORBIDDEN);
    assert_eq!(ask("DELETE", &url).await.status, StatusCode::FORBIDDEN);
    assert_eq!(service.get(&url).await.json()["state"], "building");
}

/// Remembers who was said to have work left.
#[derive(Debug, Default)]
struct Told(Mutex<BTreeSet<String>>);

impl WorkLeft for Told {
    fn left(&self, index: &str) {
        self.0.lock().unwrap().insert(index.to_owned());
    }
}

#[tokio::test]
async fn work_that_outlives_its_request_is_announced() {
    let told = Arc::new(Told::default());
    let service = Service::with(Settings {
        left: Arc::clone(&told) as Arc<dyn WorkLeft>,
        ..Settings::default()
    });
    let take = || std::mem::take(&mut *told.0.lock().unwrap());
    service.put("/indexes/books", "").await;
    service.post("/documents", r#"{"unique_key":"k"}"#).await;
    assert_eq!(
        take(),
        BTreeSet::new(),
        "nothing is left of what was answered 200"
    );
    let body = r#"{"unique_key":"k"}"#;
    service
        .post("/indexes/books/documents?wait=durable", body)
        .await;
    assert_eq!(take(), BTreeSet::from(["books".to_owned()]));
    started(&service, "/reindex", "").await;
    assert_eq!(take(), BTreeSet::from(["default".to_owned()]));
    service.post("/reindex", "").await;
    assert_eq!(take(), BTreeSet::new(), "a job that was not started");
}
