//! A second process of this machine, which is ordered about over pipes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use aquifer_indexer::doctor::{CallFailure, Companion, Order, Partner, Yield};
use aquifer_indexer::{Error, ErrorKind, Result};

use super::{PARTNER, Reply};

/// A process that was started for an examination.
#[derive(Debug)]
pub struct SecondProcess(Mutex<Running>);

#[derive(Debug)]
struct Running {
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl SecondProcess {
    /// Starts `program`, which asks [`super::partner_if_asked`] first, to work below `root`.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the system does not start it.
    pub fn start(program: &Path, root: &Path) -> Result<Self> {
        let not_started =
            || Error::new(ErrorKind::Unavailable, "a second process was not started").at(program);
        let mut child = Command::new(program)
            .arg(PARTNER)
            .arg(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| not_started().because(error))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (orders, replies) = pipes.ok_or_else(not_started)?;
        Ok(Self(Mutex::new(Running {
            child,
            orders,
            replies: BufReader::new(replies),
        })))
    }
}

impl Running {
    fn ask(&mut self, order: &Order) -> std::io::Result<Reply> {
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        self.orders.write_all(line.as_bytes())?;
        self.orders.flush()?;
        let mut reply = String::new();
        self.replies.read_line(&mut reply)?;
        Ok(serde_json::from_str(&reply)?)
    }

    fn kill(&mut self) -> std::io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Partner for SecondProcess {
    fn name(&self) -> String {
        "another process of this machine".to_owned()
    }

    fn carry_out(&self, order: &Order) -> Result<Result<Yield, CallFailure>> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = running.ask(order).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the second process does not answer").because(error)
        })?;
        reply.into_result()
    }
}

impl Companion for SecondProcess {
    fn kill(&self) -> Result<()> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running
            .kill()
            .map_err(|error| Error::internal("the second process cannot be killed").because(error))
    }
}

impl Drop for SecondProcess {
    fn drop(&mut self) {
        let running = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = running.kill() {
            tracing::debug!(%error, "the second process has ended already");
        }
    }
}
