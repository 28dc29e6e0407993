//! Many clients at once share few commits.

use std::thread;

use aquifer_tests::Cluster;

const SERVERS: usize = 4;
const CLIENTS: usize = 64;
const POSTS_EACH: usize = 5;

#[test]
fn posts_that_arrive_together_share_commits() {
    let cluster = Cluster::new();
    let servers: Vec<_> = (0..SERVERS).map(|_| cluster.writer().start()).collect();
    let before = version(&servers[0].stats());
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let server = &servers[client % SERVERS];
            scope.spawn(move || {
                for number in 0..POSTS_EACH {
                    let key = format!("{client}-{number}");
                    let document = format!(r#"{{"unique_key":"{key}","title":"many at once"}}"#);
                    let posted = server.post("/documents", &document);
                    assert_eq!(posted.status, 200, "{posted:?}");
                    assert_eq!(posted.body["created"], 1, "{posted:?}");
                }
            });
        }
    });
    let posts = CLIENTS * POSTS_EACH;
    for server in &servers {
        assert_eq!(server.search(&[])["count"], posts);
    }
    let versions = version(&servers[0].stats()) - before;
    println!("{posts} posts by {CLIENTS} clients to {SERVERS} servers made {versions} versions");
    assert!(
        versions * 2 < posts as u64,
        "{versions} versions for {posts} posts"
    );
    servers.into_iter().for_each(aquifer_tests::Server::end);
    cluster.check();
}

fn version(stats: &serde_json::Value) -> u64 {
    stats["version"].as_u64().unwrap()
}
