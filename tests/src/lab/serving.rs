//! Processes in a machine, `aquifer serve` above all.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::time::Duration;

use rustix::process::Signal;

use super::ROOT;
use super::control::{Order, Report, State};
use super::machine::{LAST_LINES, Machine};
use crate::client::Client;
use crate::patience::eventually;

/// How long it may take to start, or to come to a step.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long an answer may take: longer than a story freezes a machine, and than a request may take.
const ANSWER: Duration = Duration::from_secs(300);
/// How long a request may take, unless a story says otherwise. On a busy machine a commit between virtual machines can
/// take longer than the program's own default, and a story that expects 200 must not depend on that.
const DEADLINE: &str = "4m";

/// A server process that is about to be started.
#[derive(Debug)]
#[must_use]
pub struct Serve<'a> {
    machine: &'a Machine,
    name: String,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
}

impl<'a> Serve<'a> {
    pub(super) fn new(machine: &'a Machine) -> Self {
        let listen = format!("{}:0", machine.address());
        let serve = Self {
            machine,
            name: "aquifer".into(),
            arguments: vec!["--create-root".into()],
            environment: BTreeMap::new(),
        };
        // Maintenance is started by the story that wants it.
        serve
            .with("--listen", &listen)
            .with("--root", ROOT)
            .with("--deadline", DEADLINE)
            .with("--maintenance-interval", "0")
    }

    /// What the machine calls the process, where it runs several.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// With this option.
    pub fn with(mut self, option: &str, value: &str) -> Self {
        // The last one counts, but the program refuses two.
        if let Some(at) = self
            .arguments
            .iter()
            .position(|argument| argument == option)
        {
            self.arguments.drain(at..at + 2);
        }
        self.arguments.extend([option.to_owned(), value.to_owned()]);
        self
    }

    /// With this in its environment.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Only for reading.
    pub fn read_only(mut self) -> Self {
        self.arguments.push("--read-only".into());
        self
    }

    /// Starts it, and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn start(self) -> Serving<'a> {
        let program = crate::program::path().display().to_string();
        let mut command = vec![program, "serve".into()];
        command.extend(self.arguments);
        let process = Process::start(self.machine, &self.name, command, self.environment);
        let what = format!("{} listens in {}", self.name, self.machine.name());
        let url = eventually(&what, PATIENCE, || {
            let state = process.state();
            assert!(
                !matches!(state, State::Ended(_)),
                "{what}: {state:?}: {}",
                process.log()
            );
            let printed = process.out();
            let url = printed.trim().strip_prefix("listening on ");
            url.map(str::to_owned)
        });
        Serving {
            process,
            client: Client::patient(&url, ANSWER),
        }
    }
}

/// A process in a machine.
#[derive(Debug)]
pub struct Process<'a> {
    machine: &'a Machine,
    name: String,
}

impl<'a> Process<'a> {
    #[track_caller]
    pub(super) fn start(
        machine: &'a Machine,
        name: &str,
        command: Vec<String>,
        environment: BTreeMap<String, String>,
    ) -> Self {
        let name = name.to_owned();
        let order = Order::Start {
            name: name.clone(),
            command,
            environment,
        };
        let report = machine.order(&order);
        assert!(matches!(report, Report::Is(State::Running)), "{report:?}");
        Self { machine, name }
    }

    /// The machine it runs in.
    pub fn machine(&self) -> &'a Machine {
        self.machine
    }

    /// What it does.
    #[track_caller]
    pub fn state(&self) -> State {
        match self.machine.order(&Order::State {
            name: self.name.clone(),
        }) {
            Report::Is(state) => state,
            other => panic!("{} in {}: {other:?}", self.name, self.machine.name()),
        }
    }

    /// Waits until it has stopped itself at the step it was told.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_until_stopped(&self) {
        let what = format!("{} in {} stops itself", self.name, self.machine.name());
        eventually(&what, PATIENCE, || {
            let state = self.state();
            assert!(
                !matches!(state, State::Ended(_)),
                "{what}: {state:?}: {}",
                self.log()
            );
            (state == State::Stopped).then_some(())
        });
    }

    /// Stops it where it is; the machine goes on.
    #[track_caller]
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after it was stopped.
    #[track_caller]
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// `kill -9`.
    #[track_caller]
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    #[track_caller]
    fn signal(&self, signal: Signal) {
        let order = Order::Signal {
            name: self.name.clone(),
            signal: signal.as_raw(),
        };
        let report = self.machine.order(&order);
        assert!(matches!(report, Report::Is(_)), "{report:?}");
    }

    /// What it has printed.
    #[track_caller]
    pub fn out(&self) -> String {
        self.machine
            .run(&["cat", &format!("/run/{}.out", self.name)])
    }

    /// What it has logged.
    #[track_caller]
    pub fn log(&self) -> String {
        self.machine
            .run(&["cat", &format!("/run/{}.log", self.name)])
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let file = format!("/run/{}.log", self.name);
            let lines = LAST_LINES.to_string();
            // The machine may be frozen, or off.
            let log = self.machine.glance(&["tail", "-n", &lines, &file]);
            let name = format!("{} in {}", self.name, self.machine.name());
            eprintln!(
                "the last lines of the log of {name}:\n{}",
                log.unwrap_or_default()
            );
        }
    }
}

/// A running server, and a client of it over the control network.
#[derive(Debug)]
pub struct Serving<'a> {
    process: Process<'a>,
    client: Client,
}

impl Deref for Serving<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl<'a> Serving<'a> {
    /// A client for another thread.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The process and its client, each for itself.
    pub fn into_parts(self) -> (Process<'a>, Client) {
        (self.process, self.client)
    }

    /// Its process.
    pub fn process(&self) -> &Process<'a> {
        &self.process
    }

    /// The machine it runs in.
    pub fn machine(&self) -> &'a Machine {
        self.process.machine()
    }
}
