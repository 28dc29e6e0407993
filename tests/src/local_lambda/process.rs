//! The process of an emulator, and that of the function below it.

use std::fs;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::patience::within;

/// How long an emulator may take to end, before it is killed.
const END: Duration = Duration::from_secs(30);

/// A running emulator. It is ended when it goes out of scope.
#[derive(Debug)]
pub(super) struct Process {
    child: Mutex<Child>,
    /// The number of the emulator's process, which is its own until [`Self::end`] has waited for it.
    number: u32,
}

impl Process {
    pub(super) fn start(command: &mut Command) -> std::io::Result<Self> {
        let child = command.spawn()?;
        Ok(Self {
            number: child.id(),
            child: Mutex::new(child),
        })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_some()
    }

    /// The function's process, if there is one: it is started by the first invocation, and again after it has died.
    pub(super) fn function(&self) -> Option<Pid> {
        let processes = fs::read_dir("/proc").ok()?;
        processes
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .find(|&pid| stat(pid).is_some_and(|(_, parent)| parent == self.number))
            .and_then(Pid::from_raw)
    }

    /// Whether `pid` is the function's process.
    pub(super) fn runs(&self, pid: Pid) -> bool {
        let known = stat(pid.as_raw_nonzero().get());
        known.is_some_and(|(_, parent)| parent == self.number)
    }

    /// Ends the emulator and its function, whatever they are at.
    pub(super) fn end(&self) {
        let mut child = self.child.lock().unwrap();
        if child.try_wait().unwrap().is_some() {
            return;
        }
        // A stopped process would not see anything else, and without its function the emulator ends at once.
        if let Some(function) = self.function() {
            kill_process(function, Signal::KILL).unwrap_or_default();
        }
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap_or_default();
        if within(END, || child.try_wait().unwrap()).is_none() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The state of a process as one letter, and its parent: the first fields after the name, which stands in brackets and
/// may hold anything.
pub(super) fn stat(pid: i32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}
