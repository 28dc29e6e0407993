//! The server dies and comes back while everybody is at work.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use aquifer_tests::lab::{Lab, Mounted, Plan, Setting};
use aquifer_tests::{Client, eventually};

use crate::account::{Account, Question, Refusals, Tally, Wait, assert_refusal};
use crate::scene::check;

/// How long there is no server.
const AWAY: Duration = Duration::from_secs(3);
/// Clients of each writer.
const POSTERS: u64 = 2;
/// Documents of a post: some are embedded, and some make a bundle of their own.
const BATCHES: [u64; 2] = [1, 200];
/// Searches at once.
const SEARCHERS: usize = 3;
/// Bounds what must happen at all.
const PATIENCE: Duration = Duration::from_secs(600);
/// Numbers of documents between one client's and the next one's.
const ROOM: u64 = 1_000_000;

pub(crate) fn under_load(setting: Setting) {
    let lab = Lab::boot(Plan::new(setting, 3));
    lab.client('A').mount(Mounted::ReadWrite);
    lab.client('B').mount(Mounted::ReadWrite);
    lab.client('C').mount(Mounted::ReadOnly);
    let account = Account::default();
    let writers = ['A', 'B'].map(|name| lab.client(name).serve().start());
    let reader = lab.client('C').serve().read_only().start();
    let readers = [reader.client()];
    let posted = [AtomicU64::new(0), AtomicU64::new(0)];
    account.under_searches(&readers, SEARCHERS, Refusals::Honest, |tally| {
        thread::scope(|scope| {
            let _curtain = tally.curtain();
            for (at, (writer, posted)) in (0..).zip(writers.iter().zip(&posted)) {
                for poster in 0..POSTERS {
                    let (writer, account) = (writer.client(), &account);
                    let first = (at * POSTERS + poster) * ROOM;
                    scope.spawn(move || post(&writer, first, account, posted, tally));
                }
            }
            progress("before it dies", &posted, tally);
            lab.server().kill();
            thread::sleep(AWAY);
            lab.server().restart();
            progress("after it came back", &posted, tally);
            println!(
                "{} searches refused, {} right",
                tally.refused(),
                tally.right()
            );
        });
    });
    println!("{} documents", account.durable());
    // Whatever was only durable is applied with the next post.
    account.post(&writers[0].client(), 10 * ROOM..10 * ROOM + 1);
    eventually("the inbox is empty", PATIENCE, || {
        (reader.stats()["inbox"] == 0).then_some(())
    });
    account.settle();
    for server in [&writers[0], &writers[1], &reader] {
        assert!(account.ask(server, Question::ALL, Refusals::Never));
    }
    check(lab.client('A'), "default");
}

/// Waits until both writers and the reader have done something after another.
fn progress(when: &str, posted: &[AtomicU64; 2], tally: &Tally) {
    let now = || {
        let [a, b] = posted
            .each_ref()
            .map(|posted| posted.load(Ordering::SeqCst));
        [a, b, tally.right()]
    };
    let before = now();
    eventually(&format!("everybody goes on {when}"), PATIENCE, || {
        assert!(!tally.is_over(), "somebody was answered wrong");
        let all = now()
            .iter()
            .zip(before)
            .all(|(now, before)| *now >= before + 10);
        all.then_some(())
    });
}

/// Posts until it is over. What is refused or not answered may have had its effect, and is sent again.
fn post(writer: &Client, first: u64, account: &Account, posted: &AtomicU64, tally: &Tally) {
    let _curtain = tally.curtain();
    let mut next = first;
    for batch in BATCHES.into_iter().cycle() {
        loop {
            if tally.is_over() {
                return;
            }
            let answer = account.try_post(writer, Wait::Visible, next..next + batch);
            if [200, 202].contains(&answer.status) {
                break;
            }
            println!("a post was refused: {}", answer.text);
            assert_refusal(&answer);
        }
        next += batch;
        posted.fetch_add(1, Ordering::SeqCst);
    }
}
