//! Asynchronous invocation through the service's own client.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::DisplayErrorContext;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use lambda_runtime::BoxFuture;
use tokio::sync::OnceCell;

use super::{Handoff, HandoffError};
use crate::lambda::order::Order;

/// Tries of one invocation. Between them the client waits longer and longer, by chance up to 0.1, 0.2, 0.4 and 0.8
/// seconds: what fits before a request's answer.
const ATTEMPTS: u32 = 5;

/// The bound of the first wait.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Invokes one function. The client is made when it is first needed.
pub struct LambdaHandoff {
    function: String,
    client: OnceCell<Client>,
}

impl std::fmt::Debug for LambdaHandoff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LambdaHandoff")
            .field("function", &self.function)
            .finish_non_exhaustive()
    }
}

impl LambdaHandoff {
    /// Invokes `function`, a name or an ARN, with the credentials, in the region and at the endpoint that the
    /// environment gives.
    pub fn new(function: impl Into<String>) -> Self {
        Self {
            function: function.into(),
            client: OnceCell::new(),
        }
    }

    /// Invokes `function` through a client that is there already.
    pub fn with_client(function: impl Into<String>, client: Client) -> Self {
        Self {
            function: function.into(),
            client: OnceCell::new_with(Some(client)),
        }
    }

    /// How its client tries again, when throttled or when the service fails.
    pub fn retries() -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(ATTEMPTS)
            .with_initial_backoff(FIRST_WAIT)
    }

    async fn client(&self) -> &Client {
        let make = || async {
            let config = aws_config::defaults(BehaviorVersion::latest())
                .retry_config(Self::retries())
                .load()
                .await;
            Client::new(&config)
        };
        self.client.get_or_init(make).await
    }

    async fn send(&self, payload: Vec<u8>) -> Result<(), HandoffError> {
        let client = self.client().await;
        let sent = client
            .invoke()
            .function_name(&self.function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(payload))
            .send();
        match sent.await {
            Ok(_accepted) => Ok(()),
            Err(error) => Err(HandoffError::Refused {
                function: self.function.clone(),
                reason: DisplayErrorContext(error).to_string(),
            }),
        }
    }
}

impl Handoff for LambdaHandoff {
    fn invoke<'a>(
        &'a self,
        order: &'a Order,
        within: Duration,
    ) -> BoxFuture<'a, Result<(), HandoffError>> {
        Box::pin(async move {
            let payload = serde_json::to_vec(order)?;
            let sent = tokio::time::timeout(within, self.send(payload)).await;
            sent.unwrap_or_else(|_elapsed| {
                Err(HandoffError::Slow {
                    function: self.function.clone(),
                    within,
                })
            })
        })
    }
}
