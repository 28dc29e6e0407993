//! Invocations that nobody waits for: they are queued, and tried again where they fail.

use std::sync::Arc;
use std::time::Duration;

use super::function::{Function, Refused};

/// How often an invocation that failed is tried again; Lambda's own default.
const RETRIES: u32 = 2;
/// The pause after which one that was throttled is tried again; it doubles, up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Runs one invocation until it succeeds, has failed too often, or is older than `age_max`.
pub(super) async fn run(
    function: Arc<Function>,
    payload: Vec<u8>,
    retry_pause: Duration,
    age_max: Duration,
) {
    let name = function.spec().name.clone();
    let attempts = attempts(function, payload, retry_pause);
    if tokio::time::timeout(age_max, attempts).await.is_err() {
        eprintln!("{name}: an asynchronous invocation was given up after {age_max:?}");
    }
}

async fn attempts(function: Arc<Function>, payload: Vec<u8>, retry_pause: Duration) {
    let (mut failures, mut pause) = (0, PAUSE);
    loop {
        match function.invoke(payload.clone()).await {
            Ok(outcome) if !outcome.failed => return,
            Err(Refused::Throttled) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                continue;
            }
            Ok(outcome) => told(&function, &String::from_utf8_lossy(&outcome.payload)),
            Err(Refused::Broken(why)) => told(&function, &why),
        }
        failures += 1;
        if failures > RETRIES {
            return;
        }
        tokio::time::sleep(retry_pause * failures).await;
    }
}

fn told(function: &Function, why: &str) {
    let name = &function.spec().name;
    eprintln!("{name}: an asynchronous invocation failed: {why}");
}
