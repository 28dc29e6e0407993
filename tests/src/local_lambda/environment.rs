//! One environment: an emulator, and the function that it runs, one invocation after the other.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use ureq::Agent;

use super::function::Spec;
use super::process::{Process, stat};
use crate::patience::within;

/// How long an emulator may take to listen. Only a broken one takes that long.
const START: Duration = Duration::from_secs(120);
/// What the emulator takes beyond the time a function has: starting it, and starting it again.
const MARGIN: Duration = Duration::from_secs(120);
/// How long a function may take to stop: each of its threads has to be woken for it.
const STOP: Duration = Duration::from_secs(60);
/// How often another address is tried where a port is taken.
const ATTEMPTS: u32 = 5;
/// The ports on which emulators listen as AWS documents them; a server that listens on every address of the machine may have one.
const FRONT_PORT: u16 = 8080;
const BACK_PORT: u16 = 9001;
/// Addresses of one process: the last byte of an address is neither 0 nor 255. An address comes round again when this many
/// other environments have been started.
const ADDRESSES: u32 = 254;

/// What came of an invocation that reached a function.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it answered, or the error as JSON.
    pub payload: Vec<u8>,
    /// The function failed, ran out of time or died.
    pub failed: bool,
}

/// A running environment. It is ended when it goes out of scope.
#[derive(Debug)]
pub(super) struct Environment {
    emulator: Arc<Process>,
    url: String,
    agent: Agent,
    function: Option<Pid>,
    freezes: bool,
}

impl Environment {
    /// Starts the emulator; the function itself is started by its first invocation, as in production.
    pub(super) fn start(emulator: &Path, spec: &Spec) -> Result<Self, String> {
        for _ in 0..ATTEMPTS {
            if let Some(environment) = Self::attempt(emulator, spec)? {
                return Ok(environment);
            }
        }
        Err(format!("no emulator for {} comes up", spec.name))
    }

    fn attempt(emulator: &Path, spec: &Spec) -> Result<Option<Self>, String> {
        let [front, back] = addresses();
        let mut command = Command::new(emulator);
        command
            .args(["--runtime-interface-emulator-address", &front.to_string()])
            .args(["--runtime-api-address", &back.to_string()])
            .arg(&spec.program)
            .env_remove("AQUIFER_ROOT")
            .env("AWS_LAMBDA_FUNCTION_NAME", &spec.name)
            .env(
                "AWS_LAMBDA_FUNCTION_TIMEOUT",
                spec.timeout.as_secs().to_string(),
            )
            .env(
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                spec.memory_mib.to_string(),
            )
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_SESSION_TOKEN", "local")
            .envs(&spec.variables)
            // A Ctrl-C of the terminal is for whoever started it, who ends it then.
            .process_group(0)
            .stdin(Stdio::null());
        let log = || {
            fs::File::options()
                .create(true)
                .append(true)
                .open(&spec.log)
        };
        match (log(), log()) {
            (Ok(out), Ok(err)) => command.stdout(out).stderr(err),
            (Err(error), _) | (_, Err(error)) => {
                return Err(format!("{}: {error}", spec.log.display()));
            }
        };
        let emulator = Process::start(&mut command)
            .map_err(|error| format!("{}: {error}", emulator.display()))?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(spec.timeout + MARGIN))
            .build();
        let environment = Self {
            emulator: Arc::new(emulator),
            url: format!("http://{front}/2015-03-31/functions/function/invocations"),
            agent: agent.into(),
            function: None,
            freezes: spec.freezes,
        };
        // A function that starts quickly would find nobody at the second one, which the emulator opens last.
        let listens = within(START, || {
            let ended = environment.emulator.has_ended();
            let connects = |address| TcpStream::connect(address).is_ok();
            (ended || connects(front) && connects(back)).then_some(!ended)
        });
        Ok(listens.unwrap_or(false).then_some(environment))
    }

    /// Runs one invocation to its end; between two of them the function is stopped where the pool freezes.
    pub(super) fn invoke(&mut self, payload: &[u8]) -> Result<Outcome, String> {
        self.signal(Signal::CONT);
        let answer = self.agent.post(&self.url).send(payload);
        let mut answer = answer.map_err(|error| format!("the emulator: {error}"))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(u64::MAX);
        let payload = body
            .read_to_vec()
            .map_err(|error| format!("the emulator: {error}"))?;
        if self.freezes {
            self.freeze();
        }
        Ok(outcome(status, payload))
    }

    /// Its processes, for whoever has to end them in the middle of an invocation.
    pub(super) fn process(&self) -> &Arc<Process> {
        &self.emulator
    }

    /// Whether the function is stopped now.
    pub(super) fn is_frozen(&self) -> bool {
        let state = |pid: Pid| stat(pid.as_raw_nonzero().get());
        self.function
            .and_then(state)
            .is_some_and(|(state, _)| state == 'T')
    }

    /// Stops the function, wherever it is, and waits until it has stopped or is gone.
    fn freeze(&mut self) {
        if !self.function.is_some_and(|pid| self.emulator.runs(pid)) {
            self.function = self.emulator.function();
        }
        self.signal(Signal::STOP);
        within(STOP, || {
            let gone = !self.function.is_some_and(|pid| self.emulator.runs(pid));
            (gone || self.is_frozen()).then_some(())
        });
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.function.filter(|&pid| self.emulator.runs(pid)) {
            // It may end at this very moment.
            kill_process(pid, signal).unwrap_or_default();
        }
    }
}

/// Where an emulator listens: two ports of a loopback address that no other environment of this machine has, since the number
/// of this process is in it. No socket is bound to find free ports. A process that another thread starts at that moment would
/// inherit it, and take a connection in the emulator's place.
fn addresses() -> [SocketAddr; 2] {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let started = STARTED.fetch_add(1, Ordering::Relaxed);
    let [.., last] = (started % ADDRESSES + 1).to_be_bytes();
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, high | 0x80, low, last);
    let ports = [FRONT_PORT, BACK_PORT];
    ports.map(|port| SocketAddr::from((address, port)))
}

/// The emulator says 200 to a function that failed, and tells so in the body: the error as the function wrote it, or
/// a sentence where the time was over.
fn outcome(status: u16, payload: Vec<u8>) -> Outcome {
    let value: Option<Value> = serde_json::from_slice(&payload).ok();
    match value {
        Some(value) => Outcome {
            failed: status != 200 || is_error(&value),
            payload,
        },
        None if payload.is_empty() && status == 200 => Outcome {
            payload: b"null".to_vec(),
            failed: false,
        },
        None => {
            let message = String::from_utf8_lossy(&payload);
            let kind = if message.starts_with("Task timed out") {
                "Sandbox.Timedout"
            } else {
                "Runtime.Unknown"
            };
            let error = serde_json::json!({"errorType": kind, "errorMessage": message});
            Outcome {
                payload: error.to_string().into_bytes(),
                failed: true,
            }
        }
    }
}

/// What a runtime sends for an error has these fields and no others.
fn is_error(value: &Value) -> bool {
    let Value::Object(fields) = value else {
        return false;
    };
    let known = ["errorMessage", "errorType", "stackTrace"];
    fields.contains_key("errorMessage")
        && fields.contains_key("errorType")
        && fields.keys().all(|name| known.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, payload: &str, failed: bool, expected: &str) {
        let outcome = outcome(status, payload.as_bytes().to_vec());
        assert_eq!(outcome.failed, failed, "{payload}");
        assert_eq!(String::from_utf8_lossy(&outcome.payload), expected);
    }

    #[test]
    fn an_error_is_told_from_an_answer() {
        let error = r#"{"errorType":"Bad","errorMessage":"no"}"#;
        check(200, error, true, error);
        let answer = r#"{"errorType":"Bad","errorMessage":"no","statusCode":200}"#;
        check(200, answer, false, answer);
        check(200, "\"text\"", false, "\"text\"");
        check(200, "", false, "null");
        check(502, "{}", true, "{}");
        check(
            200,
            "Task timed out after 3.00 seconds",
            true,
            r#"{"errorType":"Sandbox.Timedout","errorMessage":"Task timed out after 3.00 seconds"}"#,
        );
    }
}
