//! A folder, and the processes on it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::program;
use crate::server::Launch;

/// A root folder of its own, and the servers and commands that a test runs on it.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    program: PathBuf,
    variables: Vec<(String, String)>,
    started: AtomicUsize,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; none when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}

impl Cluster {
    /// An empty folder.
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        Self {
            folder,
            program: program::path().to_owned(),
            variables: Vec::new(),
            started: AtomicUsize::new(0),
        }
    }

    /// Runs the program within a limit of memory from now on.
    #[cfg(target_os = "linux")]
    pub fn confine(&mut self, confined: &crate::Confined) {
        self.program = confined.program(program::path());
    }

    /// Runs the program as it is again.
    pub fn set_free(&mut self) {
        self.program = program::path().to_owned();
    }

    /// Sets a variable of the environment of every program from now on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// A folder for files of the test, beside the root.
    pub fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    /// The folder of the index `default`.
    pub fn index(&self) -> PathBuf {
        self.root().join("default")
    }

    /// The root folder.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// A server that reads and writes.
    pub fn writer(&self) -> Launch<'_> {
        Launch::new(self, &self.name("writer"))
    }

    /// A server that only reads.
    pub fn reader(&self) -> Launch<'_> {
        Launch::new(self, &self.name("reader")).read_only()
    }

    fn name(&self, kind: &str) -> String {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        format!("{kind}-{number}")
    }

    /// Where logs of processes go.
    pub fn logs(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    /// The program on this root, with nothing of the environment's.
    pub(crate) fn command(&self, arguments: &[impl AsRef<str>]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments.iter().map(AsRef::as_ref))
            .current_dir(self.folder.path())
            .env("AQUIFER_ROOT", self.root())
            .env_remove("AQUIFER_STOP_AT")
            .env_remove("PORT")
            .env_remove("RUST_LOG")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// The same with so many descriptors at the most.
    pub(crate) fn limited_command(
        &self,
        descriptors: Option<u32>,
        arguments: &[impl AsRef<str>],
    ) -> Command {
        let plain = self.command(arguments);
        let Some(limit) = descriptors else {
            return plain;
        };
        let mut limited = Command::new("sh");
        limited
            .arg("-c")
            .arg(format!("ulimit -n {limit} && exec \"$0\" \"$@\""))
            .arg(plain.get_program())
            .args(plain.get_args())
            .stdin(Stdio::null());
        if let Some(folder) = plain.get_current_dir() {
            limited.current_dir(folder);
        }
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        limited
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().unwrap();
        Ended {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts a command and leaves it running.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&self, arguments: &[&str]) -> std::process::Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Expects that `aquifer check` finds nothing wrong.
    ///
    /// # Panics
    /// When it does.
    #[track_caller]
    pub fn check(&self) {
        let ended = self.run(&["check"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    /// The names in a folder of the index, in order.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.index().join(folder)).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> = entries
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        names
    }

    /// Makes what lies in the inbox look a day old, as if whoever has not finished writing it never will.
    pub fn age_inbox(&self) {
        let yesterday = SystemTime::now() - Duration::from_secs(24 * 60 * 60);
        for name in self.names("inbox") {
            let path = self.index().join("inbox").join(name);
            // It may be applied while it is looked at.
            if let Ok(file) = File::options().write(true).open(path) {
                file.set_modified(yesterday).unwrap();
            }
        }
    }

    /// How many files the index has, and how many bytes they take.
    pub fn usage(&self) -> (usize, u64) {
        usage(&self.index())
    }
}

fn usage(folder: &Path) -> (usize, u64) {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        // It may be collected while it is looked at.
        let Ok(entry) = entry else { continue };
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            let (below, size) = usage(&entry.path());
            files += below;
            bytes += size;
        } else {
            files += 1;
            bytes += metadata.len();
        }
    }
    (files, bytes)
}
