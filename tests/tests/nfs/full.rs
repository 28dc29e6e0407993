//! The exported file system is full.

use std::ops::Range;
use std::time::Duration;

use aquifer_tests::lab::{Lab, Machine, Plan, Setting};
use aquifer_tests::{Answer, eventually};

use crate::account::{Account, Question, Refusals, Wait, assert_refusal};
use crate::scene::check;

/// The size of the export.
const EXPORT_MIB: u32 = 64;
/// Documents that are there before.
const BEFORE: u64 = 2000;
/// Posts of a document that a manifest carries, of some that make a bundle, and of some that go into the inbox.
const POSTS: [(Wait, u64); 3] = [
    (Wait::Visible, 1),
    (Wait::Visible, 300),
    (Wait::Durable, 300),
];
/// Posts of each sort that are refused.
const REFUSALS: usize = 3;
/// Searches at once.
const SEARCHERS: usize = 2;
/// What is left for posts when the filler ends.
const LEFT_KIB: u64 = 700;
/// Bounds what must happen at all.
const PATIENCE: Duration = Duration::from_secs(600);

const FILLER: &str = "/mnt/efs/filler";

pub(crate) fn posts_are_refused_and_searches_go_on(setting: Setting) {
    let mut plan = Plan::new(setting, 2);
    plan.export_mib = EXPORT_MIB;
    let lab = Lab::mounted(plan);
    let (a, b) = (lab.client('A'), lab.client('B'));
    let account = Account::default();
    let writer = a.serve().start();
    account.post(&writer, 0..BEFORE);
    let reader = b.serve().read_only().with("--cache", "0").start();
    let servers = [writer.client(), reader.client()];
    let mut next = BEFORE;
    account.under_searches(&servers, SEARCHERS, Refusals::Never, |tally| {
        fill(a);
        let mut refused: Vec<(usize, Range<u64>)> = Vec::new();
        for (sort, (wait, size)) in POSTS.into_iter().enumerate().cycle() {
            assert!(!tally.is_over(), "a search was answered wrong");
            let numbers = next..next + size;
            next += size;
            let answer = account.try_post(&writer, wait, numbers.clone());
            if ![200, 202].contains(&answer.status) {
                assert_full(&answer);
                refused.push((sort, numbers));
            }
            let refusals = |sort| refused.iter().filter(|(of, _)| *of == sort).count();
            if (0..POSTS.len()).all(|sort| refusals(sort) >= REFUSALS) {
                break;
            }
        }
        // Nothing of them was applied: they are not found again.
        println!("{} posts were refused", refused.len());
        refused
            .into_iter()
            .for_each(|(_, numbers)| account.refused(numbers));
        let right = tally.right();
        eventually("searches go on", PATIENCE, || {
            (tally.right() >= right + 20).then_some(())
        });
        cold(b, &account);
        // Neither a merge nor a job has room, and both say so.
        for command in [&["merge"][..], &["reindex"]] {
            let (code, out, err) = a.aquifer(command);
            assert_eq!(code, Some(1), "{command:?}: {out}{err}");
            assert!(err.contains("file system is full"), "{command:?}: {err}");
        }
        a.run(&["rm", FILLER]);
        eventually("there is room again", PATIENCE, || {
            let answer = account.try_post(&writer, Wait::Visible, next..next + 300);
            if answer.status != 200 {
                // The server may take a while to give it back.
                assert_full(&answer);
            }
            (answer.status == 200).then_some(())
        });
    });
    eventually("the inbox is empty", PATIENCE, || {
        (reader.stats()["inbox"] == 0).then_some(())
    });
    let (code, out, err) = a.aquifer(&["reindex"]);
    assert_eq!(code, Some(0), "with room again: {out}{err}");
    account.settle();
    println!("{} documents, the last one {next}", account.durable());
    for server in servers {
        assert!(account.ask(&server, Question::ALL, Refusals::Never));
    }
    cold(b, &account);
    check(a, "default");
}

/// Leaves little room.
fn fill(machine: &Machine) {
    let room = machine.run(&["df", "--output=avail", "-k", "/mnt/efs"]);
    let room: u64 = room.lines().last().unwrap().trim().parse().unwrap();
    let count = format!("count={}", room.saturating_sub(LEFT_KIB));
    let of = format!("of={FILLER}");
    machine.run(&["dd", "if=/dev/zero", &of, "bs=1k", &count, "conv=fsync"]);
}

#[track_caller]
fn assert_full(answer: &Answer) {
    assert_refusal(answer);
    assert!(answer.text.contains("file system is full"), "{answer:?}");
}

/// A reader that begins now finds everything.
#[track_caller]
fn cold(machine: &Machine, account: &Account) {
    let least = account.least(Question::ALL);
    let (code, out, err) = machine.aquifer(&["search", "--json", "--limit", "5"]);
    assert_eq!(code, Some(0), "{out}{err}");
    account.judge(Question::ALL, least, &serde_json::from_str(&out).unwrap());
}
