//! Taking invocations from Lambda's runtime interface, one after the other.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use aquifer_indexer::{Error, Result, descriptors};
use lambda_runtime::tower::layer::layer_fn;
use lambda_runtime::{Diagnostic, LambdaEvent, LambdaInvocation, Runtime, Service, service_fn};
use serde_json::value::RawValue;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;

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

/// A function: it starts with what `make` makes, answers invocations until the process is told to end, and gives its exit
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
    let turn = Arc::new(Mutex::new(()));
    let gate = Arc::clone(&turn);
    let layer = layer_fn(move |inner| Turn {
        inner,
        gate: Arc::clone(&gate),
    });
    let answer_and_log = |event| {
        let answered = answer(event);
        async move {
            let answered = answered.await;
            log::flush();
            answered.map_err(Failed)
        }
    };
    let runtime = Runtime::new(service_fn(answer_and_log)).layer(layer);
    tokio::select! {
        ended = runtime.run() => ended.map_err(|error| {
            Error::new(
                aquifer_indexer::ErrorKind::Unavailable,
                "the runtime interface does not answer any more",
            )
            .because(error)
        }),
        told = told_to_end(turn) => told,
    }
}

/// Waits for SIGTERM, and then for the invocation that runs.
async fn told_to_end(turn: Arc<Mutex<()>>) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())
        .map_err(|error| Error::internal("cannot listen for signals").because(error))?;
    terminate.recv().await;
    let _last = turn.lock().await;
    tracing::info!("told to end");
    Ok(())
}

/// Holds the turn from an invocation's arrival until its answer has been taken.
struct Turn<S> {
    inner: S,
    gate: Arc<Mutex<()>>,
}

impl<S> Service<LambdaInvocation> for Turn<S>
where
    S: Service<LambdaInvocation, Response = (), Error = lambda_runtime::Error>,
    S::Future: 'static,
{
    type Response = ();
    type Error = lambda_runtime::Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), Self::Error>>>>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        // Only whoever ends the process competes for it, and then there is no next invocation.
        let taken = Arc::clone(&self.gate).try_lock_owned().ok();
        let answered = self.inner.call(invocation);
        Box::pin(async move {
            let answered = answered.await;
            drop(taken);
            answered
        })
    }
}
