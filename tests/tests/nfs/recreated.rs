//! A machine that is frozen or cut off while it creates or deletes an index, for longer than its lease. Others delete the
//! index, create it again and fill it: what they have acknowledged stays.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use aquifer_tests::lab::{Lab, Mounted, Plan, Process, Setting};
use aquifer_tests::{Answer, Client, Unanswered, eventually};

use crate::scene::{View, batch, check};

/// One machine sleeps at each of them, on an index of its own.
const STEPS: [(char, &str); 4] = [
    ('A', NEW_INDEX),
    ('B', "before-mark"),
    ('C', "before-remove"),
    ('D', "before-free"),
];
/// The step of a machine that creates an index; the others delete one.
const NEW_INDEX: &str = "before-name";
/// The machine that goes on.
const OTHER: char = 'E';
/// The machine that only reads.
const READER: char = 'F';
/// Documents of the first index, and of the one that is created meanwhile.
const OLD: u64 = 3;
const NEW: u64 = 20;
/// Bounds what must happen at all.
const PATIENCE: Duration = Duration::from_secs(600);

/// What befalls the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Frozen,
    Cut,
}

pub(crate) fn while_its_deleter_is_frozen(setting: Setting) {
    tell(setting, Trouble::Frozen);
}

pub(crate) fn while_its_deleter_is_cut_off(setting: Setting) {
    tell(setting, Trouble::Cut);
}

struct Sleeper<'a> {
    step: &'static str,
    process: Process<'a>,
    client: Client,
    asked: JoinHandle<Result<Answer, Unanswered>>,
}

fn tell(setting: Setting, trouble: Trouble) {
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
        .start();
    let reader = lab.client(READER).serve().read_only().start();
    let mut sleepers = Vec::new();
    for (name, step) in STEPS {
        if step != NEW_INDEX {
            other.create_index(step);
            View::new(&other, step).post(&batch("old", 0..OLD));
            assert_eq!(View::new(&reader, step).count("old"), OLD, "{step}");
        }
        sleepers.push(fall_asleep(&lab, name, step));
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
        }
    }
    for sleeper in &sleepers {
        create_again(&other, sleeper.step);
        look("while it sleeps", sleeper.step, &[&other, &reader]);
    }
    thread::sleep(lab.beyond_lease());
    for sleeper in &sleepers {
        let machine = sleeper.process.machine();
        match trouble {
            Trouble::Frozen => {
                machine.thaw();
                sleeper.process.go_on();
            }
            Trouble::Cut => machine.mend(),
        }
    }
    for sleeper in sleepers {
        let step = sleeper.step;
        eventually(&format!("{step}: the sleeper answers"), PATIENCE, || {
            sleeper.asked.is_finished().then_some(())
        });
        let answer = sleeper.asked.join().unwrap();
        println!("{trouble:?} {step}: {answer:?}");
        look(
            "after the awakening",
            step,
            &[&other, &reader, &sleeper.client],
        );
        let cold = lab.client(READER).serve().named("cold").read_only().start();
        look("for a cold reader", step, &[&cold]);
        cold.process().kill();
        check(lab.client(OTHER), step);
    }
}

/// Starts a server in a machine, and has it stop at its step.
fn fall_asleep<'a>(lab: &'a Lab, name: char, step: &'static str) -> Sleeper<'a> {
    let serving = lab
        .client(name)
        .serve()
        .with("--stop-at", step)
        .with("--deadline", "10m")
        .start();
    let (process, client) = serving.into_parts();
    let asking = client.clone();
    let asked = thread::spawn(move || {
        let path = format!("/indexes/{step}");
        match step {
            NEW_INDEX => asking.try_put(&path),
            _ => asking.try_delete(&path),
        }
    });
    process.wait_until_stopped();
    Sleeper {
        step,
        process,
        client,
        asked,
    }
}

/// The index is deleted, if it is still there, created again, and filled.
#[track_caller]
fn create_again(other: &Client, step: &str) {
    let path = format!("/indexes/{step}");
    let deleted = other.try_delete(&path).unwrap();
    assert!([204, 404].contains(&deleted.status), "{step}: {deleted:?}");
    let created = other.try_put(&path).unwrap();
    assert_eq!(created.status, 201, "{step}: {created:?}");
    View::new(other, step).post(&batch("new", 0..NEW));
}

#[track_caller]
fn look(when: &str, step: &str, clients: &[&Client]) {
    for client in clients {
        let view = View::new(client, step);
        let found = (view.count("new"), view.count("old"));
        assert_eq!(found, (NEW, 0), "{step}, {when}: {view:?}");
    }
}
