//! The programs themselves, under a runtime interface as Lambda's.

use std::fs::File;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{sleep, timeout};

use crate::endpoint::Endpoint;
use crate::senders::{Asked, http_v2};
use crate::server::{ACCESS_KEY, SECRET_KEY, Server};

/// For whatever has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// An invocation on its way to a program.
struct Event {
    id: String,
    payload: String,
    left: Duration,
}

#[derive(Clone)]
struct Api {
    events: Arc<Mutex<mpsc::Receiver<Event>>>,
    taken: mpsc::Sender<()>,
    answers: mpsc::Sender<(String, String)>,
}

/// A program, the interface that it takes its events from, and what it has written.
pub(crate) struct Function {
    child: Child,
    files: TempDir,
    events: mpsc::Sender<Event>,
    taken: mpsc::Receiver<()>,
    answers: mpsc::Receiver<(String, String)>,
}

impl Function {
    pub(crate) async fn start(program: &str, root: &TempDir, variables: &[(&str, &str)]) -> Self {
        let (events, received) = mpsc::channel(8);
        let (took, taken) = mpsc::channel(8);
        let (answer, answers) = mpsc::channel(8);
        let api = Api {
            events: Arc::new(Mutex::new(received)),
            taken: took,
            answers: answer,
        };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/{outcome}",
                post(outcome),
            )
            .route("/2018-06-01/runtime/init/{outcome}", post(unstarted))
            .with_state(api);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let files = TempDir::new().unwrap();
        let file = |name: &str| File::create(files.path().join(name)).unwrap();
        let child = Command::new(program)
            .env_clear()
            .env("AQUIFER_ROOT", root.path())
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "under-test")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .envs(variables.iter().copied())
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap();
        Self {
            child,
            files,
            events,
            taken,
            answers,
        }
    }

    /// Hands an event over and waits until it has been taken.
    pub(crate) async fn send(&mut self, id: &str, payload: impl Into<String>, left: Duration) {
        let (id, payload) = (id.to_owned(), payload.into());
        self.events.send(Event { id, payload, left }).await.unwrap();
        timeout(PATIENCE, self.taken.recv()).await.unwrap().unwrap();
    }

    /// The next answer: `response` or `error`, and its payload.
    pub(crate) async fn answer(&mut self) -> (String, Value) {
        let answered = timeout(PATIENCE, self.answers.recv()).await;
        let (outcome, payload) = answered.unwrap().unwrap();
        (outcome, serde_json::from_str(&payload).unwrap())
    }

    pub(crate) async fn ask(&mut self, id: &str, payload: impl Into<String>) -> Value {
        self.send(id, payload, PATIENCE).await;
        let (outcome, answer) = self.answer().await;
        assert_eq!(outcome, "response", "{answer}");
        answer
    }

    async fn ended(&mut self) -> ExitStatus {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, ended).await.unwrap()
    }

    /// Waits for a line of the log.
    async fn wrote(&self, is_it: impl Fn(&Value) -> bool) {
        let written = async {
            loop {
                let text = self.text("err");
                let mut lines = text
                    .lines()
                    .filter_map(|line| serde_json::from_str(line).ok());
                if lines.any(|line| is_it(&line)) {
                    return;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, written).await.unwrap();
    }

    /// What it has written to `out` or `err`.
    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.files.path().join(name)).unwrap()
    }

    pub(crate) fn lines(&self, name: &str) -> Vec<Value> {
        let text = self.text(name);
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        text.lines().map(parse).collect()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // It has ended already, or is of no use any more.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn next(State(api): State<Api>) -> Response {
    let Some(event) = api.events.lock().await.recv().await else {
        return std::future::pending().await;
    };
    let deadline = (SystemTime::now() + event.left).duration_since(SystemTime::UNIX_EPOCH);
    let headers = [
        ("lambda-runtime-aws-request-id", event.id),
        (
            "lambda-runtime-deadline-ms",
            deadline.unwrap().as_millis().to_string(),
        ),
        ("lambda-runtime-trace-id", "Root=1-abc;Sampled=1".to_owned()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:::function".to_owned(),
        ),
    ];
    api.taken.send(()).await.unwrap();
    (headers, event.payload).into_response()
}

async fn outcome(
    State(api): State<Api>,
    Path((_id, outcome)): Path<(String, String)>,
    body: String,
) -> Response {
    api.answers.send((outcome, body)).await.unwrap();
    axum::http::StatusCode::ACCEPTED.into_response()
}

async fn unstarted(State(api): State<Api>, headers: HeaderMap, body: String) -> Response {
    let kind = headers["lambda-runtime-function-error-type"]
        .to_str()
        .unwrap();
    api.answers
        .send((format!("init {kind}"), body))
        .await
        .unwrap();
    axum::http::StatusCode::ACCEPTED.into_response()
}

pub(crate) const WRITER: &str = env!("CARGO_BIN_EXE_aquifer-writer");
pub(crate) const SEARCH: &str = env!("CARGO_BIN_EXE_aquifer-search");
pub(crate) const REINDEX: &str = env!("CARGO_BIN_EXE_aquifer-reindex");

#[tokio::test]
async fn an_invocation_writes_its_log_and_its_metrics() {
    let root = TempDir::new().unwrap();
    let mut writer = Function::start(WRITER, &root, &[]).await;
    for id in ["first", "second"] {
        let answer = writer.ask(id, json!({"unique_key": id}).to_string()).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
    }
    for line in writer.lines("err") {
        assert_eq!(line["xrayTraceId"], "1-abc", "{line}");
        assert!(line["requestId"].is_string(), "{line}");
    }
    let metrics = writer.lines("out");
    assert_eq!(metrics.len(), 2, "{metrics:?}");
    for (line, id) in metrics.iter().zip(["first", "second"]) {
        assert_eq!(line["requestId"], id, "{line}");
        assert_eq!(line["FunctionName"], "under-test", "{line}");
        for (name, value) in [
            ("Documents", 1.0),
            ("Commits", 1.0),
            ("BatchesPerCommit", 1.0),
        ] {
            assert_eq!(line[name], value, "{line}");
        }
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        for metric in directive["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            assert!(line[name].is_number(), "{name}: {line}");
        }
    }
    assert_eq!(metrics[0]["ColdStart"], 1.0, "{metrics:?}");
    assert_eq!(metrics[1]["ColdStart"], Value::Null, "{metrics:?}");
}

#[tokio::test]
async fn what_others_wrote_is_found_and_counted_as_a_refresh() {
    let root = TempDir::new().unwrap();
    let mut writer = Function::start(WRITER, &root, &[]).await;
    let mut search = Function::start(SEARCH, &root, &[]).await;
    for (id, count) in [("a", 1), ("b", 2)] {
        writer.ask(id, json!({"unique_key": id}).to_string()).await;
        let answer = search.ask(id, "{}").await;
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["count"], count, "{answer}");
    }
    let metrics = search.lines("out");
    assert_eq!(metrics[0]["Refreshes"], Value::Null, "{metrics:?}");
    assert_eq!(metrics[1]["Refreshes"], 1.0, "{metrics:?}");
    assert_eq!(metrics[1]["Hits"], 2.0, "{metrics:?}");
    assert!(metrics[1]["SearchTime"].is_number(), "{metrics:?}");
}

#[tokio::test]
async fn the_writer_hands_over_where_its_environment_says() {
    let (root, endpoint) = (TempDir::new().unwrap(), Endpoint::new().await);
    let variables = [
        ("AQUIFER_REINDEX_FUNCTION", "tender"),
        ("AWS_ENDPOINT_URL_LAMBDA", endpoint.url.as_str()),
        ("AWS_REGION", "eu-west-3"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let mut writer = Function::start(WRITER, &root, &variables).await;
    let mut asked = Asked::new("POST", "/documents?wait=durable");
    asked.body = br#"{"unique_key":"1"}"#.to_vec();
    let answer = writer.ask("one", http_v2(&asked).to_string()).await;
    assert_eq!(answer["statusCode"], 202, "{answer}");
    let invocations = endpoint.asked();
    assert_eq!(invocations.len(), 1, "{}", writer.text("err"));
    assert_eq!(invocations[0].function, "tender");
    assert_eq!(writer.lines("out")[0]["HandedOver"], 1.0);

    let mut reindex = Function::start(REINDEX, &root, &variables).await;
    let report = reindex.ask("two", invocations[0].payload.clone()).await;
    assert_eq!(report["indexes"][0]["drained"], 1, "{report}");
    reindex
        .send("three", r#"{"tasks":["clean"]}"#, PATIENCE)
        .await;
    let (outcome, error) = reindex.answer().await;
    assert_eq!(outcome, "error", "{error}");
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.contains("unknown variant `clean`"), "{error}");
    assert_eq!(error["errorType"], "Aquifer.Invalid", "{error}");
    reindex.ask("four", "{}").await;
    let lines = reindex.lines("err");
    let errors: Vec<&Value> = lines
        .iter()
        .filter(|line| line["level"] == "ERROR")
        .collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0]["requestId"], "three", "{errors:?}");
    assert_eq!(errors[0]["xrayTraceId"], "1-abc", "{errors:?}");
}

#[tokio::test]
async fn what_there_is_no_time_for_is_left_to_the_schedule_without_an_error() {
    let root = TempDir::new().unwrap();
    let mut writer = Function::start(WRITER, &root, &[]).await;
    writer.ask("fill", r#"{"unique_key":"1"}"#).await;
    let mut reindex = Function::start(REINDEX, &root, &[]).await;
    // Its time is over before it begins.
    reindex.send("late", "{}", Duration::ZERO).await;
    let (outcome, report) = reindex.answer().await;
    assert_eq!(outcome, "response", "{report}");
    assert_eq!(report["unreached"], json!(["default"]), "{report}");
    assert_eq!(reindex.lines("out")[0]["Left"], 1.0, "{report}");
    let lines = reindex.lines("err");
    let left = |line: &&Value| line["message"] == "the rest is left to the next schedule or order";
    let told = lines.iter().find(left).unwrap();
    assert_eq!(told["level"], "INFO", "{lines:?}");
    let failed = lines.iter().filter(|line| line["level"] == "ERROR");
    assert_eq!(failed.count(), 0, "{lines:?}");
}

#[tokio::test]
async fn the_reindex_function_examines_its_mount_with_a_second_process() {
    let root = TempDir::new().unwrap();
    let mut reindex = Function::start(REINDEX, &root, &[]).await;
    let report = reindex.ask("one", r#"{"tasks":["doctor"]}"#).await;
    let seen_from = &report["doctor"]["seen_from"];
    assert_eq!(seen_from, "another process of this machine", "{report}");
    assert_eq!(report["doctor"]["latencies"][0]["count"], 20, "{report}");
    let findings = report["doctor"]["findings"].as_array().unwrap().len();
    let lines = reindex.lines("err");
    let logged = lines.iter().filter(|line| line["check"].is_string());
    assert_eq!(logged.count(), findings, "{lines:?}");
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_search_function_reads_an_index_that_is_in_a_bucket() {
    let root = TempDir::new().unwrap();
    let mut writer = Function::start(WRITER, &root, &[]).await;
    writer
        .ask("a", json!({"unique_key": "a"}).to_string())
        .await;
    let server = Server::start();
    copy_folder(root.path(), &server.bucket().join("indexes"));
    drop(root);

    let temporary = TempDir::new().unwrap();
    let of_nobody = temporary.path().join("aquifer-copy-4294967295");
    std::fs::create_dir(&of_nobody).unwrap();
    let mut variables = server.variables(ACCESS_KEY, SECRET_KEY).to_vec();
    variables.push(("AQUIFER_ROOT", "s3://bucket/indexes"));
    variables.push(("TMPDIR", temporary.path().to_str().unwrap()));
    let elsewhere = TempDir::new().unwrap();
    let mut search = Function::start(SEARCH, &elsewhere, &variables).await;
    for id in ["b", "c"] {
        let answer = search.ask(id, "{}").await;
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["count"], 1, "{answer}");
    }
    assert!(!of_nobody.exists(), "the copy of a process that is no more");

    let mut refused = Function::start(WRITER, &elsewhere, &variables).await;
    refused
        .send("d", json!({"unique_key": "d"}).to_string(), PATIENCE)
        .await;
    let (_, answer) = refused.answer().await;
    let told = answer.to_string();
    assert!(
        told.contains("only the search function reads indexes from S3"),
        "{told}"
    );
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn a_program_that_is_not_told_where_it_is_says_what_is_missing() {
    for (program, name, value) in [
        (SEARCH, "AQUIFER_ROOT", ""),
        (WRITER, "AQUIFER_CACHE_MIB", "lots"),
        (REINDEX, "AQUIFER_RETENTION", "for ever"),
        (REINDEX, "AQUIFER_SOURCES", "ftp://somewhere"),
    ] {
        let root = TempDir::new().unwrap();
        let mut function = Function::start(program, &root, &[(name, value)]).await;
        assert!(!function.ended().await.success(), "{name}");
        let (outcome, error) = function.answer().await;
        assert_eq!(outcome, "init Aquifer.Invalid", "{error}");
        assert_eq!(error["errorType"], "Aquifer.Invalid", "{error}");
        assert!(
            error["errorMessage"].as_str().unwrap().contains(name),
            "{error}"
        );
        let lines = function.lines("err");
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0]["error"].as_str().unwrap().contains(name),
            "{lines:?}"
        );
    }
    let alone = Command::new(SEARCH)
        .env_clear()
        .env("AQUIFER_ROOT", "/")
        .output()
        .unwrap();
    let said = String::from_utf8(alone.stderr).unwrap();
    assert!(
        said.contains("AWS_LAMBDA_RUNTIME_API") && said.contains("aquifer serve"),
        "{said}"
    );
}

#[tokio::test]
async fn what_is_refused_is_logged_with_the_names_of_its_request_and_counted() {
    let root = TempDir::new().unwrap();
    let mut writer = Function::start(WRITER, &root, &[("AQUIFER_METRICS", "function")]).await;
    let mut event = http_v2(&Asked::new("POST", "/documents"));
    event["body"] = "no base64!".into();
    event["isBase64Encoded"] = true.into();
    let answer = writer.ask("first", event.to_string()).await;
    assert_eq!(answer["statusCode"], 400, "{answer}");
    let refused = json!([{"unique_key": "1", "lang": 7}, {"unique_key": "2", "lang": 7}]);
    let refused = refused.to_string();
    let answer = writer.ask("second", refused).await;
    assert_eq!(answer["statusCode"], 422, "{answer}");
    writer.wrote(|line| line["requestId"] == "second").await;
    let lines = writer.lines("err");
    let line = lines.iter().find(|line| line["requestId"] == "first");
    let line = line.unwrap_or_else(|| panic!("{lines:?}"));
    assert_eq!(line["message"], "refused", "{line}");
    assert_eq!(
        (&line["status"], &line["problem"]),
        (&400.into(), &"/problems/invalid-request".into()),
        "{line}"
    );
    assert_eq!(line["apiRequestId"], "id", "{line}");
    let metrics = writer.lines("out");
    assert_eq!(metrics[1]["Refused"], 2.0, "{metrics:?}");
    assert_eq!(metrics[1]["Index"], "default", "{metrics:?}");
    let dimensions = &metrics[1]["_aws"]["CloudWatchMetrics"][0]["Dimensions"];
    assert_eq!(*dimensions, json!([["FunctionName"]]), "{metrics:?}");

    let mut silent = Function::start(WRITER, &root, &[("AQUIFER_METRICS", "off")]).await;
    silent.ask("third", r#"{"unique_key":"1"}"#).await;
    assert_eq!(silent.text("out"), "");
}
