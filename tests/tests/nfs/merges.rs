//! Merges, jobs and garbage collection while everything else goes on and goes wrong.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use aquifer_tests::lab::{Lab, Mounted, Plan, Setting};

use crate::scene::{View, batch, check};

/// Documents in a post: enough that a few posts are worth a merge.
const DOCUMENTS: u64 = 20;
/// How long each trouble lasts; the server's lease is 10 s.
const TROUBLE: Duration = Duration::from_secs(3);
/// Bounds what must happen at all.
const PATIENCE: Duration = Duration::from_secs(600);
/// Longer than the lease.
const LONG_TROUBLE: Duration = Duration::from_secs(23);

pub(crate) fn under_load_and_faults(setting: Setting) {
    let lab = Lab::boot(Plan::new(setting, 3));
    for (name, how) in [
        ('A', Mounted::ReadWrite),
        ('B', Mounted::ReadWrite),
        ('C', Mounted::ReadOnly),
    ] {
        lab.client(name).mount(how);
    }
    let serve = |name| {
        let serve = lab
            .client(name)
            .serve()
            .with("--maintenance-interval", "500ms");
        // Longer than a request, as it must be.
        serve
            .with("--retention", "60s")
            .with("--overtake-after", "1s")
            .start()
    };
    let writers = ['A', 'B'].map(serve);
    let reader = lab.client('C').serve().read_only().start();
    let reader = View::new(&reader, "default");
    let [a, b] = [&writers[0], &writers[1]].map(|writer| View::new(writer, "default"));
    let over = AtomicBool::new(false);
    let posted = [AtomicU64::new(0), AtomicU64::new(0)];
    thread::scope(|scope| {
        for ((name, writer), posted) in [("A", &a), ("B", &b)].into_iter().zip(&posted) {
            let (reader, over) = (&reader, &over);
            scope.spawn(move || post(name, writer, reader, posted, over));
        }
        let progress = |what: &str| {
            // Everybody goes on after it, not only those it did not befall.
            let before = posted
                .each_ref()
                .map(|posted| posted.load(Ordering::SeqCst));
            aquifer_tests::eventually(what, PATIENCE, || {
                let now = posted.iter().zip(before);
                now.into_iter()
                    .all(|(now, before)| now.load(Ordering::SeqCst) > before)
                    .then_some(())
            });
        };
        progress("before any trouble");
        reindex(&b);
        lab.client('A').freeze();
        thread::sleep(TROUBLE);
        lab.client('A').thaw();
        progress("after a short freeze");
        reindex(&a);
        lab.client('B').cut();
        thread::sleep(LONG_TROUBLE);
        lab.client('B').mend();
        progress("after a long cut");
        reindex(&b);
        lab.server().kill();
        thread::sleep(TROUBLE);
        lab.server().restart();
        progress("after the server's restart");
        reindex(&a);
        lab.client('A').freeze();
        thread::sleep(LONG_TROUBLE);
        lab.client('A').thaw();
        progress("after a long freeze");
        over.store(true, Ordering::SeqCst);
    });
    let jobs = aquifer_tests::eventually("the last job ends", PATIENCE, || {
        let jobs = reader.client().get("/jobs").body["jobs"].clone();
        let running = |job: &serde_json::Value| !job["ended_version"].is_u64();
        (!jobs.as_array().unwrap().iter().any(running)).then_some(jobs)
    });
    println!("{jobs}");
    let jobs = jobs.as_array().unwrap();
    assert!(
        jobs.iter().all(|job| job["state"] == "finished"),
        "{jobs:?}"
    );
    assert!(!jobs.is_empty(), "none was ever begun");
    let posted = posted
        .each_ref()
        .map(|posted| posted.load(Ordering::SeqCst) * DOCUMENTS);
    for view in [&a, &b, &reader] {
        assert_eq!(
            ["A", "B"].map(|owner| view.count(owner)),
            posted,
            "{view:?}"
        );
    }
    let stats = reader.client().get("/stats").body;
    println!("{posted:?} documents, {stats}");
    let segments = stats["segments"].as_array().map_or_else(
        || stats["segments"].as_u64().unwrap(),
        |all| all.len() as u64,
    );
    assert!(segments < 30, "the segments were not merged: {stats}");
    check(lab.client('A'), "default");
}

/// Begins a job, unless one runs; maintenance carries it on, wherever.
fn reindex(view: &View) {
    let answer = view.client().try_post(&view.path("/reindex"), "");
    let answer = answer.unwrap_or_else(|error| panic!("a job was not begun: {error:?}"));
    assert!([202, 409, 503].contains(&answer.status), "{answer:?}");
    println!("reindex: {}", answer.text);
}

/// Posts until it is over. What fails or is not answered is posted again, until it is acknowledged.
fn post(name: &str, writer: &View, reader: &View, posted: &AtomicU64, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        let number = posted.load(Ordering::SeqCst) * DOCUMENTS;
        let body = batch(name, number..number + DOCUMENTS);
        let answer = writer.client().try_post(&writer.path("/documents"), &body);
        match answer {
            Ok(answer) if answer.status == 200 => {
                posted.fetch_add(1, Ordering::SeqCst);
                assert_eq!(reader.count(name), number + DOCUMENTS, "{name}");
            }
            Ok(answer) => {
                assert!([202, 409, 503].contains(&answer.status), "{answer:?}");
                println!("{name}: {}", answer.text);
            }
            Err(error) => println!("{name}: {error:?}"),
        }
    }
}
