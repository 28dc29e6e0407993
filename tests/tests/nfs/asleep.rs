//! A writer that is frozen, cut off or killed at each step of a commit, of a merge or of a job that builds the index
//! anew: the others go on, and when it comes back it can neither take back what they have acknowledged nor lie about
//! its own.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use aquifer_tests::lab::{Lab, Mounted, Plan, Process, Setting, State};
use aquifer_tests::{Answer, Client, Unanswered, eventually};
use serde_json::json;

use crate::scene::{View, batch, check};

/// One machine sleeps at each of them, on an index of its own.
const STEPS: [(char, &str); 4] = [
    ('A', "before-bundle"),
    ('B', "before-link"),
    ('C', "before-mark"),
    ('D', "before-head"),
];
/// The machine that goes on.
const OTHER: char = 'E';
/// The machine that only reads.
const READER: char = 'F';

/// Documents there before.
const BASE: u64 = 200;
/// Documents of the sleeper's batch.
const SLEEPERS: u64 = 150;
/// Documents that the other writer adds meanwhile.
const OTHERS: u64 = 3;
/// Small batches that a merge finds.
const SMALL: u64 = 12;
/// Bounds what must happen at all.
const PATIENCE: Duration = Duration::from_secs(600);

/// What befalls the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Frozen,
    Cut,
    Killed,
}

/// What it was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Post,
    Merge,
    /// Another carries the job on while it sleeps, to its end.
    Reindex,
}

pub(crate) fn frozen_while_it_posts(setting: Setting) {
    tell(setting, Trouble::Frozen, Work::Post);
}

pub(crate) fn cut_off_while_it_posts(setting: Setting) {
    tell(setting, Trouble::Cut, Work::Post);
}

pub(crate) fn killed_while_it_posts(setting: Setting) {
    tell(setting, Trouble::Killed, Work::Post);
}

pub(crate) fn frozen_while_it_merges(setting: Setting) {
    tell(setting, Trouble::Frozen, Work::Merge);
}

pub(crate) fn cut_off_while_it_merges(setting: Setting) {
    tell(setting, Trouble::Cut, Work::Merge);
}

pub(crate) fn killed_while_it_merges(setting: Setting) {
    tell(setting, Trouble::Killed, Work::Merge);
}

pub(crate) fn frozen_while_it_reindexes(setting: Setting) {
    tell(setting, Trouble::Frozen, Work::Reindex);
}

pub(crate) fn cut_off_while_it_reindexes(setting: Setting) {
    tell(setting, Trouble::Cut, Work::Reindex);
}

pub(crate) fn killed_while_it_reindexes(setting: Setting) {
    tell(setting, Trouble::Killed, Work::Reindex);
}

/// A writer that has stopped at its step.
struct Sleeper<'a> {
    step: &'static str,
    process: Process<'a>,
    /// Who posted, and waits; nobody waits for a merge.
    asked: Option<(Client, JoinHandle<Result<Answer, Unanswered>>)>,
}

fn tell(setting: Setting, trouble: Trouble, work: Work) {
    let lab = Lab::boot(Plan::new(setting, 6));
    for machine in lab.clients() {
        machine.mount(match machine.name() {
            READER => Mounted::ReadOnly,
            _ => Mounted::ReadWrite,
        });
    }
    let other = lab
        .client(OTHER)
        .serve()
        .with("--overtake-after", "1s")
        .with("--retention", "1s")
        .start();
    let reader = lab.client(READER).serve().read_only().start();
    let mut sleepers: Vec<Sleeper<'_>> = Vec::new();
    for (name, step) in STEPS {
        other.create_index(step);
        let [other, reader] = [&other, &reader].map(|serving| View::new(serving, step));
        other.post(&batch("base", 0..BASE));
        if work != Work::Post {
            for number in 0..SMALL {
                other.post(&batch("small", number..number + 1));
            }
        }
        assert_eq!(reader.count("base"), BASE, "{step}: before");
        if work == Work::Reindex {
            // Begun by one that does no more, so that the sleeper stops at a checkpoint.
            let (code, out, err) = lab
                .client(OTHER)
                .aquifer(&["reindex", "--index", step, "--within", "0"]);
            assert_eq!(code, Some(0), "{step}: {out}{err}");
        }
        sleepers.push(fall_asleep(&lab, name, step, work));
    }

    for sleeper in &sleepers {
        let machine = sleeper.process.machine();
        match trouble {
            Trouble::Frozen => machine.freeze(),
            Trouble::Cut => {
                machine.cut();
                // It goes on, and hangs at the next thing it wants from the server.
                sleeper.process.go_on();
            }
            Trouble::Killed => machine.crash(),
        }
    }
    // Nobody waits for the lease: the sleepers' locks are still theirs.
    for sleeper in &sleepers {
        go_on(
            &View::new(&other, sleeper.step),
            &View::new(&reader, sleeper.step),
            0,
            work,
        );
    }
    if trouble != Trouble::Killed {
        thread::sleep(lab.beyond_lease());
    }
    for sleeper in &sleepers {
        let step = sleeper.step;
        go_on(&View::new(&other, step), &View::new(&reader, step), 1, work);
        // What the sleeper began with is collected.
        let (code, out, err) =
            lab.client(OTHER)
                .aquifer(&["gc", "--index", step, "--retention", "1s"]);
        assert_eq!(code, Some(0), "{step}: {out}{err}");
        if work == Work::Reindex {
            let (code, out, err) = lab.client(OTHER).aquifer(&["reindex", "--index", step]);
            assert_eq!(code, Some(0), "{step}: {out}{err}");
            let job = newest_job(&View::new(&reader, step));
            assert_eq!(job["state"], "finished", "{step}: {job}");
        }
        go_on(&View::new(&other, step), &View::new(&reader, step), 2, work);
    }
    for sleeper in &sleepers {
        let machine = sleeper.process.machine();
        match trouble {
            Trouble::Frozen => {
                machine.thaw();
                sleeper.process.go_on();
            }
            Trouble::Cut => machine.mend(),
            Trouble::Killed => {}
        }
    }
    for sleeper in sleepers {
        awake(&lab, sleeper, trouble, &other, &reader);
    }
    for (_, step) in STEPS {
        check(lab.client(OTHER), step);
    }
}

/// Starts a writer in a machine, and has it stop at its step.
fn fall_asleep<'a>(lab: &'a Lab, name: char, step: &'static str, work: Work) -> Sleeper<'a> {
    let machine = lab.client(name);
    let (process, asked) = match work {
        Work::Post => {
            // Longer than it sleeps: the answer is to come from the fence, not from the clock.
            let serving = machine
                .serve()
                .with("--stop-at", step)
                .with("--deadline", "10m")
                .start();
            let (process, client) = serving.into_parts();
            let view = View::new(&client, step);
            let post = move || {
                view.client()
                    .try_post(&view.path("/documents"), &batch("sleeper", 0..SLEEPERS))
            };
            (process, Some((client, thread::spawn(post))))
        }
        Work::Merge | Work::Reindex => {
            let command = if work == Work::Merge {
                "merge"
            } else {
                "reindex"
            };
            let stop = [("AQUIFER_STOP_AT", step)];
            let process = machine.start_aquifer(command, &[command, "--index", step], &stop);
            (process, None)
        }
    };
    process.wait_until_stopped();
    Sleeper {
        step,
        process,
        asked,
    }
}

/// The other writer posts a document, and a reader that was there before finds all that was acknowledged.
#[track_caller]
fn go_on(other: &View, reader: &View, number: u64, work: Work) {
    other.post(&batch("other", number..number + 1));
    for view in [other, reader] {
        assert_eq!(view.count("other"), number + 1, "{view:?}");
        assert_eq!(view.count("base"), BASE, "{view:?}");
        if work != Work::Post {
            assert_eq!(view.count("small"), SMALL, "{view:?}");
        }
        let half = view.count("sleeper");
        assert!(
            [0, SLEEPERS].contains(&half),
            "half a batch, {half}: {view:?}"
        );
    }
}

/// The job that began last.
#[track_caller]
fn newest_job(view: &View) -> serde_json::Value {
    let jobs = view.client().get(&view.path("/jobs"));
    assert_eq!(jobs.status, 200, "{jobs:?}");
    jobs.body["jobs"][0].clone()
}

/// The sleeper has gone on: its answer is honest, and the others' history stands.
#[track_caller]
fn awake(lab: &Lab, sleeper: Sleeper<'_>, trouble: Trouble, other: &Client, reader: &Client) {
    let Sleeper {
        step,
        process,
        asked,
    } = sleeper;
    let (others, readers) = (View::new(other, step), View::new(reader, step));
    let mut sleepers = None;
    match (trouble, asked) {
        (Trouble::Killed, asked) => {
            // The connection of whoever asked died with the machine, or hangs for ever.
            drop(asked);
            let machine = process.machine();
            machine.boot();
            machine.wait_until_up();
            machine.mount(Mounted::ReadWrite);
        }
        (_, Some((own, asked))) => {
            sleepers = honest(step, asked, &others);
            // It serves and writes again, on top of what the others have done.
            let own = View::new(&own, step);
            own.post(&json!({"unique_key": "awake", "owner": "awake"}).to_string());
            assert_eq!(
                [&own, &others, &readers].map(|view| view.count("awake")),
                [1; 3],
                "{step}"
            );
        }
        (_, None) => {
            let ended = eventually(
                &format!("{step}: the work ends"),
                PATIENCE,
                || match process.state() {
                    State::Ended(code) => Some(code),
                    State::Running | State::Stopped => None,
                },
            );
            println!(
                "{trouble:?} {step}: {ended:?} {}{}",
                process.out(),
                process.log()
            );
            assert!(
                matches!(ended, Some(0 | 1)),
                "{step}: {ended:?} {}",
                process.log()
            );
        }
    }
    // Whether the batch of one that failed went in is settled with the next version.
    others.post(&json!({"unique_key": "after", "owner": "after"}).to_string());
    let sleepers = sleepers.unwrap_or_else(|| others.count("sleeper"));
    let cold = lab.client(READER).serve().named("cold").read_only().start();
    for view in [&others, &readers, &View::new(&cold, step)] {
        let counts = ["base", "other", "sleeper", "after"].map(|owner| view.count(owner));
        assert_eq!(counts, [BASE, OTHERS, sleepers, 1], "{step}: {view:?}");
    }
    cold.process().kill();
}

/// Waits for the sleeper's answer. Gives how many of its documents there must be, if it says.
#[track_caller]
fn honest(step: &str, asked: JoinHandle<Result<Answer, Unanswered>>, others: &View) -> Option<u64> {
    eventually(&format!("{step}: the sleeper answers"), PATIENCE, || {
        asked.is_finished().then_some(())
    });
    let answer = asked.join().unwrap();
    let answer = answer.unwrap_or_else(|error| panic!("{step}: no answer: {error:?}"));
    println!("{step}: the sleeper answers {}", answer.text);
    match answer.status {
        200 => Some(SLEEPERS),
        202 => {
            let url = answer.body["status_url"].as_str().unwrap();
            eventually(&format!("{step}: the batch is applied"), PATIENCE, || {
                // Whoever writes next applies what lies in the inbox.
                others.post(&json!({"unique_key": "again", "owner": "again"}).to_string());
                (others.client().get(url).body["state"] == "applied").then_some(())
            });
            Some(SLEEPERS)
        }
        status => {
            assert!(status >= 500, "{step}: {answer:?}");
            // Nobody is left to guess what became of the batch.
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(detail.contains("send it again"), "{step}: {answer:?}");
            None
        }
    }
}
