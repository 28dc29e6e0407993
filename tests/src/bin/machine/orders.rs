//! Takes orders from the test, each over a connection of its own.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};
use aquifer_tests::lab::{Order, PORT, Report, State};
use rustix::process::{Pid, Signal, kill_process};

use crate::files::Files;
use crate::machine::environment;

/// Processes that were started, by name.
type Started = Arc<Mutex<HashMap<String, Child>>>;

/// What outlives an order.
#[derive(Clone, Default)]
struct Kept {
    started: Started,
    files: Arc<Files>,
}

/// Takes orders for ever.
pub(crate) fn take(address: &str) -> Result<()> {
    let listener = TcpListener::bind((address, PORT))?;
    let kept = Kept::default();
    for stream in listener.incoming() {
        let stream = stream?;
        let kept = kept.clone();
        thread::spawn(move || {
            if let Err(error) = answer(stream, &kept) {
                eprintln!("an order could not be answered: {error}");
            }
        });
    }
    Ok(())
}

fn answer(mut stream: TcpStream, kept: &Kept) -> Result<()> {
    let mut order = Vec::new();
    stream.read_to_end(&mut order)?;
    let report = serde_json::from_slice(&order)
        .map_err(anyhow::Error::from)
        .and_then(|order| carry_out(order, kept))
        .unwrap_or_else(|error| Report::Failed(format!("{error:#}")));
    Ok(stream.write_all(&serde_json::to_vec(&report)?)?)
}

fn carry_out(order: Order, kept: &Kept) -> Result<Report> {
    let started = &kept.started;
    match order {
        Order::File(order) => kept.files.carry_out(order).map(Report::File),
        Order::Run { command } => {
            let output = prepare(&command)?
                .output()
                .with_context(|| command.join(" "))?;
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            Ok(Report::Ran {
                code: output.status.code(),
                out: text(output.stdout),
                err: text(output.stderr),
            })
        }
        Order::Start {
            name,
            command,
            environment,
        } => start(name, &command, environment, started),
        Order::State { name } => state(&name, started),
        Order::Signal { name, signal } => {
            let signal = Signal::from_named_raw(signal).context("no such signal")?;
            let processes = started.lock().unwrap_or_else(PoisonError::into_inner);
            let child = processes.get(&name).context("no such process")?;
            // It has not been waited for unless it was asked about, so the number is its own or nobody's.
            kill_process(Pid::from_child(child), signal)?;
            drop(processes);
            state(&name, started)
        }
    }
}

fn prepare(command: &[String]) -> Result<Command> {
    let (program, arguments) = command.split_first().context("an empty command")?;
    let mut prepared = Command::new(program);
    prepared
        .args(arguments)
        .env_clear()
        .envs(environment())
        .current_dir("/run")
        .stdin(Stdio::null());
    Ok(prepared)
}

fn start(
    name: String,
    command: &[String],
    environment: BTreeMap<String, String>,
    started: &Started,
) -> Result<Report> {
    let child = prepare(command)?
        .envs(environment)
        .stdout(File::create(format!("/run/{name}.out"))?)
        .stderr(
            File::options()
                .create(true)
                .append(true)
                .open(format!("/run/{name}.log"))?,
        )
        .spawn()
        .with_context(|| command.join(" "))?;
    let mut processes = started.lock().unwrap_or_else(PoisonError::into_inner);
    processes.insert(name, child);
    Ok(Report::Is(State::Running))
}

fn state(name: &str, started: &Started) -> Result<Report> {
    let mut processes = started.lock().unwrap_or_else(PoisonError::into_inner);
    let child = processes.get_mut(name).context("no such process")?;
    if let Some(status) = child.try_wait()? {
        return Ok(Report::Is(State::Ended(status.code())));
    }
    // The third field of proc(5)'s stat, after a name in parentheses that may hold anything.
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
    let (_, after) = stat.rsplit_once(')').context("no state")?;
    let stopped = after.trim_start().starts_with('T');
    Ok(Report::Is(if stopped {
        State::Stopped
    } else {
        State::Running
    }))
}
