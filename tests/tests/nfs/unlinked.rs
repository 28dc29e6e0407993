//! A reader of a version whose link is gone, and then its manifest too: one that holds the version, and one that HEAD leads
//! to it.

use aquifer_tests::lab::{Lab, Machine, Plan, ROOT, Serving, Setting};

use crate::account::{Account, Question, Refusals};
use crate::collected::{collect_everything, files};
use crate::scene::check;

/// Documents of a post that makes a bundle of its own.
const BATCH: u64 = 300;
/// HEAD as it was at the version that loses its link.
const KEPT: &str = "/mnt/efs/kept-head";
/// What the log of a reader says that cannot go on from what it holds.
const STARTS_OVER: &str = "starting over";

pub(crate) fn a_version_is_read_without_its_link_and_without_its_manifest(setting: Setting) {
    let lab = Lab::mounted(Plan::new(setting, 2));
    let (a, b) = (lab.client('A'), lab.client('B'));
    let account = Account::default();
    let writer = a.serve().start();
    account.post(&writer, 0..BATCH);
    // Without a cache each search reads what it needs.
    let holder = b.serve().read_only().with("--cache", "0").start();
    assert!(account.ask(&holder, Question::ALL, Refusals::Never));
    let version = holder.stats()["version"].as_u64().unwrap();
    a.run(&["cp", &head(), KEPT]);

    // A collection that dies in the middle has removed the links alone, of the version that is held and of the next one. The
    // marks lead over both.
    holder.process().stop();
    for number in BATCH..BATCH + 2 {
        account.post(&writer, number..number + 1);
    }
    for version in [version, version + 1] {
        a.run(&["rm", &format!("{ROOT}/default/manifests/{version:020}")]);
    }
    set_head_back(a);
    holder.process().go_on();
    assert!(account.ask(&holder, Question::ALL, Refusals::Never));
    from_head(b, &account);
    assert!(!log(&holder).contains(STARTS_OVER), "{}", log(&holder));

    // Then it is collected whole, and so is the version that the reader holds by now.
    holder.process().stop();
    let before = files(a);
    account.post(&writer, BATCH + 2..BATCH + 3);
    collect_everything(a, &before);
    b.forget_files();
    set_head_back(a);
    holder.process().go_on();
    assert!(account.ask(&holder, Question::ALL, Refusals::Never));
    from_head(b, &account);
    check(a, "default");
}

fn head() -> String {
    format!("{ROOT}/default/HEAD")
}

/// Overwrites HEAD in place with what it was.
fn set_head_back(machine: &Machine) {
    machine.run(&["cp", KEPT, &head()]);
}

/// Asks in a process of its own, which begins with HEAD.
#[track_caller]
fn from_head(machine: &Machine, account: &Account) {
    let least = account.least(Question::ALL);
    let (code, out, err) = machine.aquifer(&["search", "--json", "--limit", "5"]);
    assert_eq!(code, Some(0), "{out}{err}");
    account.judge(Question::ALL, least, &serde_json::from_str(&out).unwrap());
}

fn log(serving: &Serving<'_>) -> String {
    serving.process().log()
}
