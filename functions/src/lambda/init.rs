//! Telling Lambda why a function cannot start.

use std::time::Duration;

use aquifer_indexer::Error;
use lambda_runtime::Diagnostic;
use lambda_runtime_api_client::Client;
use lambda_runtime_api_client::body::Body;
use serde_json::json;
use tokio::runtime::Builder;

use super::run::diagnostic;

/// Where the runtime interface takes it.
/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-initerror>
const PATH: &str = "/2018-06-01/runtime/init/error";

/// How long the runtime interface, which runs beside the function, may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reports `error`, so that whoever invokes the function reads it. What goes wrong here is logged: the function ends anyway.
pub(super) fn report(error: &Error) {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        return;
    }
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::warn!(%error, "the error cannot be reported");
            return;
        }
    };
    let sent =
        runtime.block_on(async { tokio::time::timeout(PATIENCE, send(diagnostic(error))).await });
    match sent {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the runtime interface did not take the error"),
        Err(_elapsed) => tracing::warn!("the runtime interface did not take the error in time"),
    }
}

async fn send(diagnostic: Diagnostic) -> Result<(), lambda_runtime::Error> {
    let Diagnostic {
        error_type,
        error_message,
    } = diagnostic;
    let body = json!({"errorMessage": error_message, "errorType": error_type, "stackTrace": []});
    let request = axum::http::Request::post(PATH)
        .header("content-type", "application/vnd.aws.lambda.error+json")
        .header("lambda-runtime-function-error-type", error_type)
        .body(Body::from(body.to_string()))?;
    Client::builder().build()?.call(request).await?;
    Ok(())
}
