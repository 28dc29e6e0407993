//! What the writer hands over, through the real client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aquifer_functions::lambda::front::Front;
use aquifer_functions::lambda::handoff::Handoff;
use aquifer_functions::lambda::order::{Order, Task};
use aquifer_functions::lambda::role::Role;
use aquifer_indexer::config::Config;
use aquifer_indexer::index::Aquifer;
use aquifer_indexer::reindex::ReindexRequest;
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::senders::{Asked, http_v2};
use crate::{Answer, LONG, Place, environment, invoke, no_sources};

const THROTTLED: (u16, &str) = (429, "TooManyRequestsException");
const BROKEN: (u16, &str) = (500, "ServiceException");
const MISSING: (u16, &str) = (404, "ResourceNotFoundException");

fn writer(place: &Place, endpoint: &Endpoint) -> Front {
    let environment = environment(&place.root, &[]);
    Front::new(
        environment,
        Role::Writer,
        no_sources(),
        Some(endpoint.handoff()),
    )
}

async fn post(writer: &Front, uri: &str) -> Answer {
    let mut asked = Asked::new("POST", uri);
    asked.body = json!({"unique_key": "k", "title": "t"})
        .to_string()
        .into_bytes();
    Answer::of(&invoke(writer, http_v2(&asked).to_string(), LONG).await)
}

#[tokio::test]
async fn a_batch_that_is_left_behind_is_handed_over_once() {
    let (place, endpoint) = (Place::filled().await, Endpoint::new().await);
    let writer = writer(&place, &endpoint);
    for _ in 0..3 {
        let answer = post(&writer, "/documents?wait=durable").await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    let asked = endpoint.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(
        (&*asked[0].function, &*asked[0].kind),
        ("reindexer", "Event")
    );
    let order = asked[0].order();
    assert_eq!(order.indexes.as_deref(), Some(&["default".to_owned()][..]));
    assert_eq!(order.tasks(), [Task::Drain]);
}

#[tokio::test]
async fn what_is_applied_leaves_nothing_to_hand_over() {
    let (place, endpoint) = (Place::filled().await, Endpoint::new().await);
    let writer = writer(&place, &endpoint);
    assert_eq!(post(&writer, "/documents").await.status, 200);
    assert_eq!(endpoint.asked().len(), 0);
}

#[tokio::test]
async fn a_job_that_runs_is_handed_over_by_the_next_write() {
    let (place, endpoint) = (Place::filled().await, Endpoint::new().await);
    let aquifer = Aquifer::open(place.root.path(), Config::default()).unwrap();
    let index = aquifer.index("default").unwrap();
    let deadline = Instant::now() + LONG;
    index
        .start_reindex(&ReindexRequest::default(), deadline)
        .unwrap();
    assert_eq!(
        post(&writer(&place, &endpoint), "/documents").await.status,
        200
    );
    let asked = endpoint.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].order().tasks(), [Task::Reindex]);
}

#[tokio::test]
async fn a_job_that_is_started_is_handed_over_at_once() {
    let (place, endpoint) = (Place::filled().await, Endpoint::new().await);
    let writer = writer(&place, &endpoint);
    assert_eq!(post(&writer, "/documents").await.status, 200);
    let reindex = http_v2(&Asked::new("POST", "/reindex")).to_string();
    let started = Answer::of(&invoke(&writer, reindex, LONG).await);
    assert_eq!(started.status, 202, "{started:?}");
    assert!(started.location.unwrap().starts_with("/prod/jobs/"));
    let asked = endpoint.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].order().tasks(), [Task::Reindex]);
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let endpoint = Endpoint::refusing(&[THROTTLED, BROKEN, THROTTLED]).await;
    let order = Order::default();
    endpoint.handoff().invoke(&order, LONG).await.unwrap();
    let asked = endpoint.asked();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert!(asked.iter().all(|one| one.order() == order), "{asked:?}");
}

#[tokio::test]
async fn what_cannot_be_handed_over_fails_no_request() {
    let place = Place::filled().await;
    for (refusals, tries) in [(vec![BROKEN; 9], 5), (vec![MISSING; 9], 1)] {
        let endpoint = Endpoint::refusing(&refusals).await;
        let writer = writer(&place, &endpoint);
        let answer = post(&writer, "/documents?wait=durable").await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(endpoint.asked().len(), tries);
        // It was not accepted, so the next request tries again.
        post(&writer, "/documents?wait=durable").await;
        assert!(endpoint.asked().len() > tries);
    }
}

#[tokio::test]
async fn nobody_who_listens_is_given_up_in_time() {
    // It accepts connections and never answers.
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut endpoint = Endpoint::new().await;
    endpoint.url = format!("http://{}", deaf.local_addr().unwrap());
    let handoff: Arc<dyn Handoff> = endpoint.handoff();
    let order = Order::default();
    let invoked = handoff.invoke(&order, Duration::from_millis(100));
    let invoked = tokio::time::timeout(Duration::from_secs(20), invoked).await;
    let error = invoked.unwrap().unwrap_err().to_string();
    assert!(
        error.contains("100ms") && error.contains("reindexer"),
        "{error}"
    );
}
