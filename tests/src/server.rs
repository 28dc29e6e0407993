//! One server as a process of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::client::Client;
use crate::cluster::Cluster;
use crate::patience::{eventually, within};

/// How long a server may take to start, to stop at a step, to end. Only a broken one takes that long.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long a request may take: longer than a busy machine needs for any that a test expects to succeed.
const DEADLINE: &str = "2m";

/// Lines of its log that are shown when a test fails.
const LOG_LINES: usize = 20;

/// A server that is about to be started.
#[derive(Debug)]
#[must_use]
pub struct Launch<'a> {
    cluster: &'a Cluster,
    name: String,
    arguments: Vec<String>,
    descriptors: Option<u32>,
    stderr: Option<Stdio>,
}

impl<'a> Launch<'a> {
    pub(crate) fn new(cluster: &'a Cluster, name: &str) -> Self {
        Self {
            cluster,
            name: name.to_owned(),
            arguments: ["serve", "--listen", "127.0.0.1:0", "--deadline", DEADLINE]
                .map(str::to_owned)
                .to_vec(),
            descriptors: None,
            stderr: None,
        }
    }

    pub(crate) fn read_only(mut self) -> Self {
        self.arguments.push("--read-only".into());
        self
    }

    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.arguments.extend([name.to_owned(), value.into()]);
        self
    }

    /// How long it keeps what no version names.
    pub fn retention(self, time: Duration) -> Self {
        self.with("--retention", milliseconds(time))
    }

    /// How often it merges and collects; zero is never.
    pub fn maintenance_interval(self, time: Duration) -> Self {
        self.with("--maintenance-interval", milliseconds(time))
    }

    /// How long a silent lock holder keeps it waiting.
    pub fn overtake_after(self, time: Duration) -> Self {
        self.with("--overtake-after", milliseconds(time))
    }

    /// The step of a commit at which it stops itself, once.
    pub fn stop_at(self, step: &str) -> Self {
        self.with("--stop-at", step)
    }

    /// How many files it may have open, now and ever.
    pub fn descriptors(mut self, limit: u32) -> Self {
        self.descriptors = Some(limit);
        self
    }

    /// Where its standard error goes, instead of into a file.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = Some(stderr.into());
        self
    }

    /// Starts it, and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn start(self) -> Server {
        let log = self.cluster.log(&self.name);
        let own = || File::create(&log).unwrap().into();
        let mut child = self
            .cluster
            .limited_command(self.descriptors, &self.arguments)
            .stdout(Stdio::piped())
            .stderr(self.stderr.unwrap_or_else(own))
            .spawn()
            .unwrap();
        let (heard, hears) = mpsc::channel();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            let mut line = String::new();
            let read = out.read_line(&mut line);
            // Whoever waited for it may have given up.
            drop(heard.send(read.map(|_| line)));
        });
        let mut server = Server {
            name: self.name,
            child,
            client: Client::new(""),
            log,
        };
        let line = hears.recv_timeout(PATIENCE);
        let Some(url) = line
            .as_ref()
            .ok()
            .and_then(|line| line.as_ref().ok())
            .and_then(|line| line.trim().strip_prefix("listening on "))
        else {
            panic!("{} does not listen: {line:?}", server.name);
        };
        server.client = Client::new(url);
        server
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

/// A running server. It is killed when it goes out of scope.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
    client: Client,
    log: PathBuf,
}

impl std::ops::Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Server {
    /// A client of this server for another thread.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Where it listens, for clients that are none of [`Client`]'s.
    ///
    /// # Panics
    /// When that is no address.
    pub fn address(&self) -> SocketAddr {
        let address = self.client.url().strip_prefix("http://").unwrap();
        address.parse().unwrap()
    }

    /// What it has logged so far.
    pub fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the process has stopped itself.
    ///
    /// # Panics
    /// When it does not, or ends instead.
    #[track_caller]
    pub fn wait_until_stopped(&mut self) {
        let what = format!("{} stops itself", self.name);
        eventually(&what, PATIENCE, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended: {status}", self.name);
            }
            let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            let pid = Pid::from_child(&self.child);
            waitid(WaitId::Pid(pid), options).unwrap()
        });
    }

    /// Bytes that the process holds in memory. What it held at most is forgotten.
    ///
    /// # Panics
    /// When the system does not say.
    #[track_caller]
    pub fn memory_from_now(&self) -> u64 {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        // proc(5): resets the peak of the resident set.
        fs::write(folder.join("clear_refs"), "5").unwrap();
        self.status("VmRSS:")
    }

    /// Bytes that it has held at most, since it began or [`Self::memory_from_now`] was asked.
    ///
    /// # Panics
    /// When the system does not say.
    #[track_caller]
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    #[track_caller]
    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kib.unwrap().trim().parse::<u64>().unwrap() * 1024
    }

    /// Stops the process wherever it is.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a stopped process go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to finish what it has accepted and to end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        // The process has not been waited for, so its number is still its own.
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end of a process that was asked to [`Self::terminate`].
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn ended(mut self) -> ExitStatus {
        self.wait()
    }

    #[track_caller]
    fn wait(&mut self) -> ExitStatus {
        let ended = within(PATIENCE, || self.child.try_wait().unwrap());
        ended.unwrap_or_else(|| panic!("{} does not end", self.name))
    }

    /// Asks it to end, and gives what it has logged until then.
    ///
    /// # Panics
    /// When it does not end, or complains.
    #[track_caller]
    pub fn end_and_log(mut self) -> String {
        self.terminate();
        let status = self.wait();
        assert!(status.success(), "{}: {status}", self.name);
        self.logged()
    }

    /// Asks it to end, and expects that it does so without complaint.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn end(self) {
        let name = self.name.clone();
        self.terminate();
        let status = self.ended();
        assert!(status.success(), "{name}: {status}");
    }

    fn show_log(&self) {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES);
        eprintln!("the last lines of {}:", self.name);
        for line in lines.iter().skip(from) {
            eprintln!("    {line}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended, which is just as well.
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking() {
            self.show_log();
        }
    }
}
