//! What a process in a client machine does.
//!
//! It makes itself ready, stops itself, does the work when it is let go on, prints how many microseconds that took, and
//! stops itself again.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use aquifer_indexer::config::Config;
use aquifer_indexer::document::Document;
use aquifer_indexer::mapping::IndexSchema;
use rustix::process::{Signal, getpid, kill_process};

use crate::corpus::{parse, small_source};
use crate::plain::{Plain, PlainSearch};
use crate::{posts, shared};

/// Posts before the one that counts: the first ones open what stays open.
const BEFORE: u64 = 3;

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["cold", "aquifer", root, query] => measured(|| {
            let index = shared::open_reader(Path::new(root))?;
            shared::search(&index, query)?;
            Ok(index)
        }),
        ["cold", "plain", folder, query] => {
            let schema = posts::schema()?;
            measured(|| {
                let plain = Plain::open(Path::new(folder), &schema)?;
                let search = PlainSearch::new(&plain, &schema)?;
                search.search(query)?;
                Ok((plain, search))
            })
        }
        [
            work @ ("again" | "refresh" | "news"),
            "aquifer",
            root,
            query,
        ] => {
            let index = shared::open_reader(Path::new(root))?;
            shared::search(&index, query)?;
            measured(|| match *work {
                "refresh" => Ok(index.snapshot().map(drop)?),
                _ => shared::search(&index, query).map(drop),
            })
        }
        [
            work @ ("again" | "refresh" | "news"),
            "plain",
            folder,
            query,
        ] => {
            let schema = posts::schema()?;
            let plain = Plain::open(Path::new(folder), &schema)?;
            let mut search = PlainSearch::new(&plain, &schema)?;
            search.search(query)?;
            measured(|| {
                // To see what was committed before a search, it has to look.
                search.refresh()?;
                match *work {
                    "refresh" => Ok(()),
                    _ => search.search(query).map(drop),
                }
            })
        }
        ["post", side, root, size] => {
            let (side, size, first) = (Poster::open(side, root)?, size.parse()?, unused());
            for post in 1..=BEFORE {
                side.post(numbers(first + post * size, size))?;
            }
            measured(|| side.post(numbers(first, size)))
        }
        ["many", side, root, count] => {
            let (side, count, first) = (Poster::open(side, root)?, count.parse()?, unused());
            side.post(numbers(first + count, 1))?;
            measured(|| side.at_once(first, count))
        }
        _ => anyhow::bail!("no such work: {arguments:?}"),
    }
}

/// Stops before and after the work; what it gives, open files above all, is kept for as long.
fn measured<T>(work: impl FnOnce() -> Result<T>) -> Result<()> {
    pause()?;
    let start = Instant::now();
    let kept = work()?;
    println!("{}", start.elapsed().as_micros());
    pause()?;
    drop(kept);
    Ok(())
}

/// Stops this process until it is told to go on.
fn pause() -> Result<()> {
    Ok(kill_process(getpid(), Signal::STOP)?)
}

/// The first of many numbers of documents that are not there yet: what is replaced has to be found first.
fn unused() -> u64 {
    u64::from(fastrand::u32(1..)) << 16
}

fn numbers(first: u64, size: u64) -> std::ops::Range<u64> {
    first..first + size
}

/// Who posts.
enum Poster {
    Aquifer(Arc<aquifer_indexer::index::Index>),
    Plain(std::path::PathBuf, Box<IndexSchema>),
}

impl Poster {
    fn open(side: &str, root: &str) -> Result<Self> {
        Ok(match side {
            "aquifer" => Self::Aquifer(shared::open(Path::new(root), Config::default())?),
            "plain" => Self::Plain(Path::new(root).to_owned(), Box::new(posts::schema()?)),
            _ => anyhow::bail!("no such side: {side}"),
        })
    }

    fn documents(&self, numbers: std::ops::Range<u64>) -> Result<Vec<Document>> {
        let schema = match self {
            Self::Aquifer(index) => index.schema()?,
            Self::Plain(_, schema) => {
                return numbers.map(|n| parse(&small_source(n), schema)).collect();
            }
        };
        numbers.map(|n| parse(&small_source(n), &schema)).collect()
    }

    fn post(&self, numbers: std::ops::Range<u64>) -> Result<()> {
        let documents = self.documents(numbers)?;
        match self {
            Self::Aquifer(index) => shared::post(index, documents).map(drop),
            Self::Plain(folder, schema) => Plain::post(folder, schema, &documents),
        }
    }

    /// So many posts of one document. A plain commit has the lock to itself; that threads of one process take turns
    /// before they ask for it spares them the kernel's slow looks at a lock that is taken.
    fn at_once(&self, first: u64, count: u64) -> Result<()> {
        match self {
            Self::Aquifer(index) => posts::aquifer(&[Arc::clone(index)], first, count).map(drop),
            Self::Plain(..) => {
                let turn = std::sync::Mutex::new(());
                posts::at_once(first, count, |number| {
                    let _turn = turn.lock().ok().context("a post panicked")?;
                    self.post(numbers(number, 1))
                })
                .map(drop)
            }
        }
    }
}
