//! Taking invocations from Lambda's runtime interface, one after the other.

use std::future::Future;
use std::process::ExitCode;

use aquifer_indexer::{Error, ErrorKind, Result, descriptors};
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde_json::value::RawValue;
use tokio::runtime::Builder;

use super::{init, log};
use crate::advice::advised;

/// What Lambda, or an emulator of it, tells every function.
const GIVEN: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
];

/// Threads for what waits for the file system: a function answers one request at a time, whose reads run on
/// threads of the library's own.
const BLOCKING_THREADS: usize = 8;

/// A function: it starts with what `make` makes, answers invocations as long as the runtime interface gives any, and returns its exit
/// status. Why it cannot start is logged, and reported to Lambda.
pub fn function<F, Fut>(make: impl FnOnce() -> Result<F>) -> ExitCode
where
    F: Fn(LambdaEvent<Box<RawValue>>) -> Fut + 'static,
    Fut: Future<Output = Result<Box<RawValue>>> + 'static,
{
    log::start();
    let answer = match check_given().and_then(|()| make()) {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(%error, "the function cannot start");
            init::report(&error);
            log::flush();
            return ExitCode::FAILURE;
        }
    };
    let ended = run(answer);
    if let Err(error) = &ended {
        tracing::error!(%error, "the function ends");
    }
    log::flush();
    if ended.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn check_given() -> Result<()> {
    match GIVEN
        .into_iter()
        .find(|name| std::env::var_os(name).is_none())
    {
        None => Ok(()),
        Some(name) => Err(Error::invalid(format!(
            "{name} is not set: this program is started by AWS Lambda or an emulator of it; \
             on a machine of your own use `aquifer serve`"
        ))),
    }
}

/// What whoever invokes the function reads of an error.
pub(super) fn diagnostic(error: &Error) -> Diagnostic {
    Diagnostic {
        error_type: format!("Aquifer.{:?}", error.kind()),
        error_message: advised(error),
    }
}

/// An invocation that failed.
#[derive(Debug)]
struct Failed(Error);

impl From<Failed> for Diagnostic {
    fn from(Failed(error): Failed) -> Self {
        diagnostic(&error)
    }
}

/// Answers invocations. One thread drives everything: between two invocations there is nothing to do, and a function that
/// has less than one processor would only pay for more.
fn run<F, Fut>(answer: F) -> Result<()>
where
    F: Fn(LambdaEvent<Box<RawValue>>) -> Fut + 'static,
    Fut: Future<Output = Result<Box<RawValue>>> + 'static,
{
    descriptors::raise_limit();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(|error| Error::internal("no thread can be started").because(error))?;
    let outcome = runtime.block_on(serve(answer));
    log::flush();
    // A commit that is cut off here is one that was not answered.
    runtime.shutdown_background();
    outcome
}

async fn serve<F, Fut>(answer: F) -> Result<()>
where
    F: Fn(LambdaEvent<Box<RawValue>>) -> Fut + 'static,
    Fut: Future<Output = Result<Box<RawValue>>> + 'static,
{
    let answer_and_log = |event| {
        let answered = answer(event);
        async move {
            let answered = answered.await;
            log::flush();
            answered.map_err(Failed)
        }
    };
    let ended = Runtime::new(service_fn(answer_and_log)).run().await;
    ended.map_err(|error| {
        Error::new(
            ErrorKind::Unavailable,
            "the runtime interface does not answer any more",
        )
        .because(error)
    })
}
