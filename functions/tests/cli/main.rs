//! What the program does at the command line, with its own binary in folders of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test does not expect is to fail it"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test reads the time of day, and waits for other processes"
)]

mod create_index;
mod doctor;
mod errors;
mod hostile;
mod import;
mod numbers;
mod pages;
mod reindex;
mod remote;
mod resources;
mod search;
mod serve;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with an index in it, and whatever files a test puts there.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self::in_folder(TempDir::new().unwrap())
    }

    /// In memory where the system has room for files there: for thousands of them.
    fn in_memory() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| TempDir::new());
        Self::in_folder(folder.unwrap())
    }

    fn in_folder(folder: TempDir) -> Self {
        fs::create_dir(folder.path().join("root")).unwrap();
        Self { folder }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The program, with its root in this folder and nothing of the environment's.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aquifer"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("AQUIFER_ROOT", self.path("root"))
            .env_remove("AQUIFER_SOURCES")
            .env_remove("PORT")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        Ended::new(self.command(arguments).output().unwrap())
    }

    fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        Ended::new(child.wait_with_output().unwrap())
    }

    /// The keys that a search finds.
    fn search(&self, arguments: &[&str]) -> Vec<String> {
        let ended = self.run(&[&["search", "--json"], arguments].concat());
        let answer: Value = serde_json::from_str(&ended.succeeded()).unwrap();
        let documents = answer["result"].as_array().unwrap();
        documents
            .iter()
            .map(|document| document["unique_key"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// What a program left behind.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    #[track_caller]
    fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        self.err
    }
}

/// A summary without the time, which differs.
fn without_time(summary: &str) -> &str {
    let (counts, _) = summary
        .trim_end()
        .rsplit_once(" in ")
        .unwrap_or((summary, ""));
    counts
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
