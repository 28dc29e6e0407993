//! Invocations by Amazon's own client.

use std::time::Duration;

use aquifer_tests::local_lambda::{LocalLambda, READS, REINDEX, Trio, WRITES};
use aquifer_tests::{Cluster, eventually};
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_lambda::operation::invoke::{InvokeError, InvokeOutput};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::lambda;

/// Attempts that the client makes in all.
const ATTEMPTS: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(300);

struct Sdk {
    runtime: Runtime,
    client: Client,
}

impl Sdk {
    fn of(lambda: &LocalLambda) -> Self {
        let config = aws_sdk_lambda::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "test"))
            .endpoint_url(lambda.endpoint())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .build();
        Self {
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
            client: Client::from_conf(config),
        }
    }

    fn invoke(
        &self,
        name: &str,
        kind: InvocationType,
        payload: &Value,
    ) -> Result<InvokeOutput, Box<InvokeError>> {
        let invocation = self
            .client
            .invoke()
            .function_name(name)
            .invocation_type(kind)
            .payload(Blob::new(payload.to_string()))
            .send();
        let outcome = self.runtime.block_on(invocation);
        outcome.map_err(|error| Box::new(error.into_service_error()))
    }
}

fn payload(output: &InvokeOutput) -> Value {
    serde_json::from_slice(output.payload().unwrap().as_ref()).unwrap()
}

#[test]
fn functions_are_invoked_and_fail_as_in_production() {
    let cluster = Cluster::new();
    let Some(lambda) = lambda(&cluster, Trio::default()) else {
        return;
    };
    let sdk = Sdk::of(&lambda);
    let wait = InvocationType::RequestResponse;

    let document = json!({"unique_key": "1", "content": "found by a client"});
    let posted = sdk.invoke(WRITES, wait.clone(), &document).unwrap();
    assert_eq!((posted.status_code(), posted.function_error()), (200, None));
    assert_eq!(payload(&posted)["statusCode"], 200, "{posted:?}");
    let arn = format!("arn:aws:lambda:us-east-1:123456789012:function:{READS}");
    let query = json!({"query": "client"});
    let found = payload(&sdk.invoke(&arn, wait.clone(), &query).unwrap());
    let answer: Value = serde_json::from_str(found["body"].as_str().unwrap()).unwrap();
    assert_eq!(answer["count"], 1, "{found}");

    let refused = sdk
        .invoke(REINDEX, wait.clone(), &json!({"tasks": ["dance"]}))
        .unwrap();
    assert_eq!(refused.function_error(), Some("Unhandled"), "{refused:?}");
    let message = payload(&refused)["errorMessage"].to_string();
    assert!(message.contains("unknown variant `dance`"), "{message}");
    let failed = sdk.invoke("nobody", wait, &query).unwrap_err();
    assert!(failed.is_resource_not_found_exception(), "{failed:?}");
    let dry = sdk.invoke(READS, InvocationType::DryRun, &query).unwrap();
    assert_eq!(dry.status_code(), 204);
}

#[test]
fn nobody_waits_for_an_event_and_a_failed_one_is_tried_again() {
    let cluster = Cluster::new();
    let trio = Trio {
        retry_pause: Duration::ZERO,
        ..Trio::default()
    };
    let Some(lambda) = lambda(&cluster, trio) else {
        return;
    };
    let sdk = Sdk::of(&lambda);
    let document = json!({"unique_key": "1", "content": "posted by an event"});
    let accepted = sdk
        .invoke(WRITES, InvocationType::Event, &document)
        .unwrap();
    assert_eq!(accepted.status_code(), 202);
    eventually("it is applied", PATIENCE, || {
        let outcome = lambda.invoke(READS, r#"{"query":"event"}"#).unwrap();
        let answer: Value = serde_json::from_slice(&outcome.payload).unwrap();
        let found = answer["body"].as_str().unwrap().contains("\"count\":1");
        found.then_some(())
    });
    let nonsense = json!({"tasks": ["dance"]});
    let accepted = sdk
        .invoke(REINDEX, InvocationType::Event, &nonsense)
        .unwrap();
    assert_eq!(accepted.status_code(), 202);
    eventually("it has failed three times", PATIENCE, || {
        (lambda.tally(REINDEX).failed == 3).then_some(())
    });
    // An event that cannot be indexed fails as often, and so does what is no event at all.
    for nonsense in [
        json!({"source": "shop", "detail-type": "t", "detail": {"title": "no key"}}),
        json!({"temperature": 20}),
    ] {
        let before = lambda.tally(WRITES).failed;
        let accepted = sdk
            .invoke(WRITES, InvocationType::Event, &nonsense)
            .unwrap();
        assert_eq!(accepted.status_code(), 202);
        eventually("it has failed three times", PATIENCE, || {
            (lambda.tally(WRITES).failed == before + 3).then_some(())
        });
    }
}

#[test]
fn a_throttled_client_tries_again_and_is_told() {
    let cluster = Cluster::new();
    let trio = Trio {
        environments_max: 0,
        ..Trio::default()
    };
    let Some(lambda) = lambda(&cluster, trio) else {
        return;
    };
    let sdk = Sdk::of(&lambda);
    let refused = sdk.invoke(READS, InvocationType::RequestResponse, &json!({}));
    let refused = refused.unwrap_err();
    assert!(refused.is_too_many_requests_exception(), "{refused:?}");
    assert_eq!(lambda.tally(READS).throttled, u64::from(ATTEMPTS));
}
