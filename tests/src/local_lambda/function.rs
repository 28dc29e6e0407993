//! A function: its environments, and who gets the next of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::environment::{Environment, Outcome};
use super::process::Process;

/// What a function is made of.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What it is invoked by.
    pub name: String,
    /// The program that an environment starts.
    pub program: PathBuf,
    /// What it finds in its environment beside what Lambda sets.
    pub variables: BTreeMap<String, String>,
    /// How long one invocation may take, in whole seconds.
    pub timeout: Duration,
    /// The memory that the function is told it has; nothing enforces it.
    pub memory_mib: u32,
    /// Environments at once; an invocation beyond that is throttled.
    pub environments_max: usize,
    /// Stop the function between two invocations, as production does.
    pub freezes: bool,
    /// Where its output and the emulator's go.
    pub log: PathBuf,
}

/// Why an invocation did not reach the function.
#[derive(Clone, Debug)]
pub enum Refused {
    /// Every environment is busy, and there may be no other.
    Throttled,
    /// The emulator does not work; why.
    Broken(String),
}

/// What a function has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Environments that were started.
    pub started: u64,
    /// Invocations that reached the function.
    pub invoked: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Invocations that were refused since every environment was busy.
    pub throttled: u64,
}

/// A function and its environments.
#[derive(Debug)]
pub(super) struct Function {
    emulator: PathBuf,
    spec: Spec,
    places: Arc<Semaphore>,
    /// The one used last is the next to be used, so that those in excess stay frozen.
    idle: Mutex<Vec<Environment>>,
    /// Every environment's processes, also of those that are at work.
    processes: Mutex<Vec<Weak<Process>>>,
    counted: Counted,
}

#[derive(Debug, Default)]
struct Counted {
    started: AtomicU64,
    invoked: AtomicU64,
    failed: AtomicU64,
    throttled: AtomicU64,
}

impl Function {
    pub(super) fn new(emulator: PathBuf, spec: Spec) -> Self {
        Self {
            emulator,
            places: Arc::new(Semaphore::new(spec.environments_max)),
            spec,
            idle: Mutex::default(),
            processes: Mutex::default(),
            counted: Counted::default(),
        }
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    pub(super) fn tally(&self) -> Tally {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        Tally {
            started: read(&self.counted.started),
            invoked: read(&self.counted.invoked),
            failed: read(&self.counted.failed),
            throttled: read(&self.counted.throttled),
        }
    }

    /// Runs one invocation in an environment that is free, or in a new one.
    pub(super) async fn invoke(self: &Arc<Self>, payload: Vec<u8>) -> Result<Outcome, Refused> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            add(&self.counted.throttled);
            return Err(Refused::Throttled);
        };
        let function = Arc::clone(self);
        let run = move || {
            let outcome = function.run(&payload);
            drop(place);
            outcome
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    fn run(&self, payload: &[u8]) -> Result<Outcome, Refused> {
        let idle = self.idle.lock().unwrap().pop();
        let mut environment = match idle {
            Some(environment) => environment,
            None => self.start().map_err(Refused::Broken)?,
        };
        add(&self.counted.invoked);
        // An emulator that does not answer is ended with its environment.
        let outcome = environment.invoke(payload).map_err(Refused::Broken)?;
        if outcome.failed {
            add(&self.counted.failed);
        }
        self.idle.lock().unwrap().push(environment);
        Ok(outcome)
    }

    fn start(&self) -> Result<Environment, String> {
        add(&self.counted.started);
        let environment = Environment::start(&self.emulator, &self.spec)?;
        let mut processes = self.processes.lock().unwrap();
        processes.retain(|process| process.strong_count() > 0);
        processes.push(Arc::downgrade(environment.process()));
        if self.places.is_closed() {
            return Err("everything is being ended".to_owned());
        }
        Ok(environment)
    }

    /// Idle environments whose function is stopped.
    pub(super) fn frozen(&self) -> usize {
        let idle = self.idle.lock().unwrap();
        idle.iter()
            .filter(|environment| environment.is_frozen())
            .count()
    }

    /// Ends every environment, and with it the invocation that it is at; no other begins.
    pub(super) fn end(&self) {
        self.places.close();
        let processes = std::mem::take(&mut *self.processes.lock().unwrap());
        // Each takes a moment, which they may take together.
        std::thread::scope(|scope| {
            for process in processes.iter().filter_map(Weak::upgrade) {
                scope.spawn(move || process.end());
            }
        });
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::SeqCst);
}
