//! Bodies that take long to unpack and to read must not keep others waiting.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use aquifer_tests::Cluster;

use super::{MIB, gzip, send_gzip, status_of};

const CLIENTS: usize = 8;
/// Bodies that are read in full meanwhile.
const BODIES: usize = 12;

#[test]
fn health_is_answered_while_eight_clients_send_bodies_that_unpack_to_16_mebibytes() {
    let cluster = Cluster::new();
    let server = cluster.writer().start();
    server.post("/documents", r#"{"unique_key":"k"}"#);
    let keys = gzip("[\"k\"", ",\"k\"", 4 * MIB - 16, "]");
    let json = gzip("{\"query\":\"", "x", 16 * MIB - 16, "\"}");
    assert!(keys.len() < 20_000 && json.len() < 20_000);
    let address = server.address();
    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for at in 0..CLIENTS {
            let (keys, json, stop, sent) = (&keys, &json, &stop, &sent);
            let ask = move || {
                while !stop.load(Ordering::Relaxed) {
                    let (method, path, body) = match at % 4 {
                        0 => ("POST", "/search", json),
                        1 => ("PUT", "/indexes/books", json),
                        2 => ("POST", "/reindex", json),
                        _ => ("POST", "/documents/delete", keys),
                    };
                    let answer = send_gzip(address, method, path, body);
                    let status = status_of(&answer);
                    assert!([413, 503].contains(&status), "{answer}");
                    if at % 4 == 3 {
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                }
            };
            scope.spawn(ask);
        }
        while sent.load(Ordering::Relaxed) < 2 {
            thread::yield_now();
        }
        let before = sent.load(Ordering::Relaxed);
        let mut healthy = 0;
        while sent.load(Ordering::Relaxed) < before + BODIES {
            assert_eq!(server.get("/health").status, 200);
            healthy += 1;
        }
        stop.store(true, Ordering::Relaxed);
        println!("/health was answered {healthy} times while {BODIES} bodies were read");
        // On the threads that serve connections several of these bodies would come before each answer.
        assert!(healthy > 4 * BODIES, "{healthy}");
    });
    server.end();
}
