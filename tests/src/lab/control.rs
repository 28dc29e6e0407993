//! Orders to a machine, over the control network: one connection each, JSON both ways.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where a machine takes orders.
pub const PORT: u16 = 7000;

/// An order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Run a command to its end, and report what it printed.
    Run {
        /// Program and arguments.
        command: Vec<String>,
    },
    /// Start a process that goes on; what it prints goes into `/run/NAME.out` and `/run/NAME.log`.
    Start {
        /// What later orders call it.
        name: String,
        /// Program and arguments.
        command: Vec<String>,
        /// Environment, beside the machine's own.
        environment: BTreeMap<String, String>,
    },
    /// Tell what a process does.
    State {
        /// Its name.
        name: String,
    },
    /// Make a call of the index's own file layer, on the mount.
    File(FileOrder),
    /// Send a process a signal.
    Signal {
        /// Its name.
        name: String,
        /// The signal's number.
        signal: i32,
    },
}

/// A call of [`aquifer_indexer::mount`] on [`super::MOUNT_POINT`]. Files stay open in the machine, under a name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FileOrder {
    /// Open `path` and keep it as `file`.
    Open {
        /// The descriptor's name.
        file: String,
        /// The path.
        path: String,
        /// How.
        access: FileAccess,
    },
    /// Read the first bytes, up to a zero.
    Read {
        /// The descriptor's name.
        file: String,
    },
    /// Overwrite the first page durably, with text and zeros.
    Write {
        /// The descriptor's name.
        file: String,
        /// The text.
        text: String,
    },
    /// Close a file.
    Close {
        /// The descriptor's name.
        file: String,
    },
    /// Create a symbolic link.
    Symlink {
        /// Its text.
        text: String,
        /// Its name.
        path: String,
    },
    /// The text of a symbolic link.
    ReadLink {
        /// The link.
        path: String,
    },
    /// Remove a name.
    Unlink {
        /// The name.
        path: String,
    },
    /// Make a folder.
    MakeDir {
        /// The folder.
        folder: String,
    },
    /// List a folder: names in order, a line each.
    List {
        /// The folder.
        folder: String,
    },
    /// Try to take a lock, and keep it under the file's path: `held` or `taken`.
    TryLock {
        /// The file.
        path: String,
    },
    /// Let go of a lock.
    Unlock {
        /// The file.
        path: String,
    },
}

/// [`aquifer_indexer::mount::Access`], as an order.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum FileAccess {
    /// Bytes that never change.
    Read,
    /// Pages that others overwrite.
    CoherentRead,
    /// Pages that this machine overwrites too.
    CoherentUpdate,
    /// Overwriting, created when missing.
    Update,
    /// A new file.
    CreateNew,
    /// A new file under a name that is used once, with pages that this machine overwrites.
    CoherentNew,
}

/// What came of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Report {
    /// A command ended.
    Ran {
        /// Its exit status; `None` when a signal ended it.
        code: Option<i32>,
        /// Its standard output.
        out: String,
        /// Its standard error.
        err: String,
    },
    /// A process was started, or signalled, or does this.
    Is(State),
    /// A file operation gave this text, or failed with this `errno`.
    File(Result<String, i32>),
    /// The order could not be carried out.
    Failed(String),
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It runs, or waits for something.
    Running,
    /// It was stopped by a signal.
    Stopped,
    /// It ended, with this status unless a signal ended it.
    Ended(Option<i32>),
}

/// How long connecting may take; a frozen machine does not answer at all.
const CONNECT: Duration = Duration::from_secs(2);

/// Gives an order to the machine at `address`, and waits for the report.
pub(super) fn give(address: &str, order: &Order, patience: Duration) -> io::Result<Report> {
    let address = format!("{address}:{PORT}");
    let address = address.parse().map_err(io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&address, CONNECT)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(&serde_json::to_vec(order)?)?;
    stream.shutdown(Shutdown::Write)?;
    let mut report = Vec::new();
    stream.read_to_end(&mut report)?;
    Ok(serde_json::from_slice(&report)?)
}
