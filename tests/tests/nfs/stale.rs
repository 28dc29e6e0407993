//! What a reader holds goes stale in the middle of its searches: files that were collected, and whose server has
//! forgotten that somebody holds them.

use std::time::Duration;

use aquifer_tests::eventually;
use aquifer_tests::lab::{Lab, Plan, Serving, Setting, State};

use crate::account::{Account, Question, Refusals};
use crate::collected::{collect_everything, files};
use crate::scene::check;

/// Documents in a post, which makes a bundle of its own.
const BATCH: u64 = 1000;
/// Posts that are there before.
const BATCHES: u64 = 3;
/// Searches at once.
const SEARCHERS: usize = 8;
/// Milliseconds of each round trip: a search takes several, so that it is met in the middle.
const DELAY_MS: u32 = 10;
/// Attempts at meeting a search in the middle.
const ROUNDS: usize = 20;
/// Bounds what must happen at all.
const PATIENCE: Duration = Duration::from_secs(600);

/// How a search is told that a file is gone: EIO, EBADF, ESTALE.
const CODES: [&str; 3] = ["(os error 5)", "(os error 9)", "(os error 116)"];

pub(crate) fn files_are_unlinked_and_the_server_restarts(setting: Setting) {
    tell(setting, |lab, reader, unlink| {
        // The machine goes on, and recovers from the restart before the searches go on.
        reader.process().stop();
        unlink();
        lab.client('B').forget_files();
        lab.server().kill();
        lab.server().restart();
        reader.process().go_on();
    });
}

pub(crate) fn files_are_unlinked_and_the_lease_ends(setting: Setting) {
    tell(setting, |lab, _, unlink| {
        let began = std::time::Instant::now();
        lab.client('B').freeze();
        unlink();
        std::thread::sleep(lab.beyond_lease().saturating_sub(began.elapsed()));
        lab.server().forget(lab.client('B'));
        lab.client('B').thaw();
    });
}

fn tell(setting: Setting, happen: impl Fn(&Lab, &Serving<'_>, &dyn Fn())) {
    let lab = Lab::mounted(Plan::new(setting, 2));
    let (a, b) = (lab.client('A'), lab.client('B'));
    let account = Account::default();
    let writer = a.serve().start();
    for batch in 0..BATCHES {
        account.post(&writer, batch * BATCH..(batch + 1) * BATCH);
    }
    b.delay(DELAY_MS);
    // Without a cache each search reads what it needs.
    let reader = b.serve().read_only().with("--cache", "0").start();
    let readers = [reader.client()];
    account.under_searches(&readers, SEARCHERS, Refusals::Honest, |tally| {
        eventually("searches", PATIENCE, || (tally.right() >= 20).then_some(()));
        assert_eq!(tally.refused(), 0, "refused before anything happened");
        let mut next = BATCHES * BATCH;
        for _ in 0..ROUNDS {
            happen(&lab, &reader, &|| collect_everything(a, &files(a)));
            // Once for the searches that it met, and once for those that began before the last searcher was served again.
            for _ in 0..2 {
                let chapter = tally.begin_chapter();
                eventually("every searcher is served", PATIENCE, || {
                    assert!(!tally.is_over(), "a search was answered wrong");
                    tally.all_right_since(chapter).then_some(())
                });
            }
            let refused = tally.refused();
            let right = tally.right();
            eventually("more searches", PATIENCE, || {
                assert!(!tally.is_over(), "a search was answered wrong");
                (tally.right() >= right + 20).then_some(())
            });
            assert_eq!(tally.refused(), refused, "refused when all was well again");
            // It may have come just between two reads of each search.
            if met(&reader) > 0 {
                break;
            }
            account.post(&writer, next..next + BATCH);
            next += BATCH;
        }
        println!("{} searches were refused", tally.refused());
    });
    // Not a single search fails from now on.
    assert!(account.ask(&reader, Question::ALL, Refusals::Never));
    assert_eq!(reader.process().state(), State::Running);
    assert!(met(&reader) > 0, "no search met a stale file");
    check(a, "default");
}

/// How many searches were told that a file is gone, and started over.
fn met(reader: &Serving<'_>) -> usize {
    let log = reader.process().log();
    let restarts: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("starting over"))
        .collect();
    let count = |code: &str| restarts.iter().filter(|line| line.contains(code)).count();
    let met = CODES.map(|code| (code, count(code)));
    println!("starting over: {met:?}");
    met.iter().map(|(_, count)| count).sum()
}
