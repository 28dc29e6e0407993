//! Garbage is collected while readers are at work, or asleep.

use std::collections::BTreeSet;
use std::time::Duration;

use aquifer_tests::eventually;
use aquifer_tests::lab::{Lab, Machine, Plan, Setting};

use crate::account::{Account, Question, Refusals};
use crate::scene::check;

/// Documents in a large post, which makes a bundle of its own.
const BATCH: u64 = 1000;
/// Large posts that are there before.
const BATCHES: u64 = 3;
/// Documents in a small one.
const SMALL: u64 = 50;
/// Longer than any search takes, also one that is stopped for a while.
const RETENTION: &str = "20s";
/// Searches at once.
const SEARCHERS: usize = 4;
/// Bounds what must happen at all.
const PATIENCE: Duration = Duration::from_secs(600);

/// A reader that forgets what it has read, so that every search needs the files.
const FORGETFUL: (&str, &str) = ("--cache", "0");
/// Longer than a machine is frozen.
const LONG_DEADLINE: (&str, &str) = ("--deadline", "5m");

pub(crate) fn a_reader_that_was_frozen_across_it_answers_right(setting: Setting) {
    let lab = Lab::mounted(Plan::new(setting, 2));
    let (a, b) = (lab.client('A'), lab.client('B'));
    let account = Account::default();
    let writer = a.serve().start();
    for batch in 0..BATCHES {
        account.post(&writer, batch * BATCH..(batch + 1) * BATCH);
    }
    let reader = b.serve().read_only();
    let reader = reader.with(FORGETFUL.0, FORGETFUL.1);
    let reader = reader.with(LONG_DEADLINE.0, LONG_DEADLINE.1).start();
    let readers = [reader.client()];
    account.under_searches(&readers, SEARCHERS, Refusals::Never, |tally| {
        eventually("searches", PATIENCE, || (tally.right() > 20).then_some(()));
        b.freeze();
        // Neither its version nor the next one is left, so that no mark leads it on.
        for number in BATCHES * BATCH..BATCHES * BATCH + 2 {
            let before = files(a);
            account.post(&writer, number..number + 1);
            collect_everything(a, &before);
        }
        b.thaw();
        let right = tally.right();
        eventually("searches after the thaw", PATIENCE, || {
            assert!(!tally.is_over(), "a search was answered wrong");
            (tally.right() > right + 20).then_some(())
        });
    });
    assert!(account.ask(&reader, Question::ALL, Refusals::Never));
    let log = reader.process().log();
    assert!(log.contains("starting over"), "nothing was missed: {log}");
    check(a, "default");
}

pub(crate) fn searches_that_it_respects_never_fail(setting: Setting) {
    let lab = Lab::mounted(Plan::new(setting, 2));
    let (a, b) = (lab.client('A'), lab.client('B'));
    let account = Account::default();
    let writer = a.serve().start();
    account.post(&writer, 0..BATCH);
    let reader = b.serve().read_only();
    let reader = reader.with(FORGETFUL.0, FORGETFUL.1).start();
    let readers = [reader.client()];
    let mut next = BATCH;
    account.under_searches(&readers, SEARCHERS, Refusals::Never, |tally| {
        for generation in ["the first files", "what came after them"] {
            let doomed = files(a);
            eventually(&format!("{generation} are collected"), PATIENCE, || {
                assert!(!tally.is_over(), "a search was answered wrong");
                // Every time some searches are in the middle, and take as long as all this.
                reader.process().stop();
                account.post(&writer, next..next + SMALL);
                next += SMALL;
                aquifer(a, &["merge"]);
                aquifer(a, &["gc", "--retention", RETENTION]);
                reader.process().go_on();
                files(a).is_disjoint(&doomed).then_some(())
            });
        }
        println!("{} searches, {next} documents", tally.right());
    });
    assert!(account.ask(&reader, Question::ALL, Refusals::Never));
    let log = reader.process().log();
    let missed = log.lines().find(|line| line.contains("starting over"));
    assert_eq!(missed, None);
    check(a, "default");
}

/// The manifests and bundles of the index.
pub(crate) fn files(machine: &Machine) -> BTreeSet<String> {
    let folders = ["default/manifests", "default/bundles"];
    let names = |folder: &str| -> Vec<String> {
        let names = machine.names(folder).into_iter();
        names.map(|name| format!("{folder}/{name}")).collect()
    };
    folders.into_iter().flat_map(names).collect()
}

/// Compacts the index and collects, until none of these files is left.
pub(crate) fn collect_everything(machine: &Machine, files_before: &BTreeSet<String>) {
    aquifer(machine, &["merge"]);
    eventually("the old files are collected", PATIENCE, || {
        aquifer(machine, &["gc", "--retention", "1s"]);
        files(machine).is_disjoint(files_before).then_some(())
    });
}

#[track_caller]
fn aquifer(machine: &Machine, arguments: &[&str]) {
    let (code, out, err) = machine.aquifer(arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {out}{err}");
}
