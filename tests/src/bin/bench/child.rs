//! Work that needs a process of its own: this program, started again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use aquifer_indexer::config::Config;

use crate::corpus::{parse, small_source};
use crate::plain::{Plain, PlainSearch};
use crate::{import, memory, nfs, posts, shared};

/// What a child says when it is ready, what it waits for then, and what it says at the end.
const READY: &str = "ready";
const GO: &str = "go";
const DONE: &str = "done";

/// A child that waits to be let go.
pub(crate) struct Waiting {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Runs a child to its end; gives what it printed.
pub(crate) fn output(arguments: &[&str]) -> Result<String> {
    let output = Command::new(std::env::current_exe()?)
        .arg("child")
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()?;
    anyhow::ensure!(output.status.success(), "a child failed: {arguments:?}");
    Ok(String::from_utf8(output.stdout)?)
}

impl Waiting {
    /// Starts a child and waits until it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("child")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let mut waiting = Self {
            child,
            input,
            output,
        };
        waiting.hear(READY)?;
        Ok(waiting)
    }

    /// Lets it go.
    pub(crate) fn go(&mut self) -> Result<()> {
        Ok(writeln!(self.input, "{GO}")?)
    }

    /// Waits until it has done its work.
    pub(crate) fn done(mut self) -> Result<()> {
        self.hear(DONE)?;
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "a child failed");
        Ok(())
    }

    fn hear(&mut self, word: &str) -> Result<()> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        anyhow::ensure!(line.trim() == word, "a child said `{line}`, not `{word}`");
        Ok(())
    }
}

/// Does what this process was started for.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["memory", root, cache] => {
            let [resident, anonymous, cached] = memory::read(Path::new(root), cache.parse()?)?;
            println!("{resident} {anonymous} {cached}");
        }
        ["compact", root, plain] => {
            let index = shared::open(Path::new(root), Config::default())?;
            let segments = index.compact(None)?.segments;
            Plain::open(Path::new(plain), &*index.schema()?)?.merge_to(segments)?;
            drop(index);
            shared::collect(Path::new(root))?;
            println!("{segments}");
        }
        ["posts", root, first, threads] => {
            let index = shared::open(Path::new(root), Config::default())?;
            println!("{READY}");
            std::io::stdin().read_line(&mut String::new())?;
            posts::aquifer(&[index], first.parse()?, threads.parse()?)?;
            println!("{DONE}");
        }
        ["aquifer-post", root, number] => {
            let index = shared::open(Path::new(root), Config::default())?;
            let document = parse(&small_source(number.parse()?), &*index.schema()?)?;
            shared::post(&index, vec![document])?;
        }
        ["aquifer-search", root, query] => {
            let index = shared::open_reader(Path::new(root))?;
            std::hint::black_box(shared::search(&index, query)?);
        }
        ["plain-post", folder, number] => {
            let schema = posts::schema()?;
            let document = parse(&small_source(number.parse()?), &schema)?;
            Plain::post(Path::new(folder), &schema, &[document])?;
        }
        ["plain-search", folder, query] => {
            let schema = posts::schema()?;
            let plain = Plain::open(Path::new(folder), &schema)?;
            std::hint::black_box(PlainSearch::new(&plain, &schema)?.search(query)?);
        }
        ["import", side, place, number] => import::child(side, place, number.parse()?)?,
        ["nfs", rest @ ..] => nfs::work::run(rest)?,
        _ => anyhow::bail!("no such work: {arguments:?}"),
    }
    Ok(())
}
