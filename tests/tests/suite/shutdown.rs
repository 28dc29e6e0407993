//! A server that is asked to end keeps what it has promised.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use aquifer_tests::{Client, Cluster, eventually};

const CLIENTS: usize = 8;
/// Posts that are answered before the server is asked to end.
const ANSWERED_BEFORE: usize = 40;
/// More than any server answers before it ends.
const POSTS_MAX: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(300);

/// Posts one document after the other until nobody answers; gives the keys that were acknowledged.
fn post_until_the_end(client: &Client, own: usize, answered: &AtomicUsize) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0..POSTS_MAX {
        let key = format!("{own}-{number}");
        // Every third only has to be durable.
        let durable = number % 3 == 2;
        let path = if durable {
            "/documents?wait=durable"
        } else {
            "/documents"
        };
        let Ok(answer) = client.try_post(path, &format!(r#"{{"unique_key":"{key}"}}"#)) else {
            return acknowledged;
        };
        let expected = if durable { 202 } else { 200 };
        assert_eq!(answer.status, expected, "{answer:?}");
        acknowledged.push(key);
        answered.fetch_add(1, Ordering::SeqCst);
    }
    panic!("the server answers for ever");
}

#[test]
fn a_server_that_is_asked_to_end_finishes_what_it_has_accepted() {
    let cluster = Cluster::new();
    let server = cluster.writer().start();
    let answered = AtomicUsize::new(0);
    let mut keys = Vec::new();
    thread::scope(|scope| {
        let (client, answered) = (server.client(), &answered);
        let posting: Vec<_> = (0..CLIENTS)
            .map(|own| {
                let client = client.clone();
                scope.spawn(move || post_until_the_end(&client, own, answered))
            })
            .collect();
        eventually("posts are answered", PATIENCE, || {
            (answered.load(Ordering::SeqCst) >= ANSWERED_BEFORE).then_some(())
        });
        server.terminate();
        for posting in posting {
            keys.extend(posting.join().unwrap());
        }
    });
    let status = server.ended();
    assert!(status.success(), "{status}");
    println!("{} posts were answered", keys.len());

    let next = cluster
        .writer()
        .maintenance_interval(Duration::from_millis(100))
        .start();
    eventually("the inbox is empty", PATIENCE, || {
        (next.stats()["inbox"] == 0).then_some(())
    });
    for key in &keys {
        let answer = next.get(&format!("/documents/{key}"));
        assert_eq!(answer.status, 200, "{key}: {answer:?}");
    }
    // A post that was not answered may be there or not.
    let count = next.search(&[])["count"].as_u64().unwrap();
    assert!(
        (keys.len() as u64..=(keys.len() + CLIENTS) as u64).contains(&count),
        "{count}"
    );
    next.end();
    cluster.check();
}
