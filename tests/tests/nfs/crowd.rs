//! Many readers that all begin at once.

use std::time::Duration;

use aquifer_tests::eventually;
use aquifer_tests::lab::{Lab, Plan, Process, Setting, State};

use crate::account::{Account, Question};

/// Readers on one machine.
const PROCESSES: usize = 20;
/// Machines.
const MACHINES: u8 = 8;
/// Readers on each of several machines.
const PROCESSES_EACH: usize = 3;
/// Documents in a post, which makes a bundle of its own.
const BATCH: u64 = 1000;
/// Posts.
const BATCHES: u64 = 4;
/// Bounds what must happen at all.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) fn twenty_on_one_machine(setting: Setting) {
    tell(setting, 2, 1, PROCESSES);
}

pub(crate) fn on_eight_machines(setting: Setting) {
    tell(setting, MACHINES, MACHINES, PROCESSES_EACH);
}

/// The first machine writes, and then the last so many read from so many processes each.
fn tell(setting: Setting, machines: u8, readers: u8, processes: usize) {
    let lab = Lab::mounted(Plan::new(setting, machines));
    let account = Account::default();
    let readers = &lab.clients()[usize::from(machines - readers)..];
    let (process, client) = lab.client('A').serve().start().into_parts();
    for batch in 0..BATCHES {
        account.post(&client, batch * BATCH..(batch + 1) * BATCH);
    }
    process.kill();
    let mut asked: Vec<(Question, Process<'_>)> = Vec::new();
    for number in 0..processes {
        for machine in readers {
            let question = Question::any();
            let name = format!("search{number}");
            let search = ["search", "--json", "--limit", "5", &question.text()];
            asked.push((question, machine.start_aquifer(&name, &search, &[])));
        }
    }
    for (question, process) in &asked {
        let what = format!("a reader in {}", process.machine().name());
        let code = eventually(&what, PATIENCE, || match process.state() {
            State::Ended(code) => Some(code),
            _ => None,
        });
        assert_eq!(code, Some(0), "{what}: {}", process.log());
        let answer = serde_json::from_str(&process.out()).unwrap();
        account.judge(*question, account.least(*question), &answer);
    }
}
