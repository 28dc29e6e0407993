//! Many requests at once, each of one document.

use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use aquifer_indexer::index::Index;
use aquifer_indexer::mapping::{Definition, IndexSchema};
use tantivy::IndexWriter;

use crate::child::Waiting;
use crate::corpus::{Corpus, parse, small_source};
use crate::plain::Plain;
use crate::shared;
use crate::table::Table;

/// Documents in the index that is posted to.
const DOCUMENTS: usize = 100_000;
const BATCH: usize = 20_000;
/// Requests at once.
const POSTS: u64 = 64;
const PROCESSES: u64 = 4;
/// Rounds of requests on each side; their times are summed.
const ROUNDS: u64 = 5;

/// The default mapping, compiled.
pub(crate) fn schema() -> Result<IndexSchema> {
    Ok(IndexSchema::compile(&Definition::default())?)
}

pub(crate) fn measure(corpus: &Corpus, folder: &Path, table: &mut Table) -> Result<()> {
    let schema = schema()?;
    let (root, plain) = (folder.join("posts"), folder.join("posts-plain"));
    let index = build(corpus, &root, &plain, &schema)?;
    let before = index.stats()?.version;
    let mut ours = Duration::ZERO;
    let mut theirs = Duration::ZERO;
    for round in 0..ROUNDS {
        ours += aquifer(&[Arc::clone(&index)], round * POSTS, POSTS)?;
        theirs += one_by_one(&plain, &schema, round * POSTS)?;
    }
    let commits = index.stats()?.version.since(before);
    let posts = ROUNDS * POSTS;
    table.faster(
        &format!("{ROUNDS} times {POSTS} concurrent posts from the threads of one process: speed"),
        ours,
        theirs,
        "≥ 20",
    );
    let aquifer_commits = commits.to_string();
    let what = format!("commits for these {posts} posts");
    let ratio = ratio(posts, commits);
    table.add([&what, &aquifer_commits, &posts.to_string(), &ratio, ""]);

    let before = index.stats()?.version;
    let mut ours = Duration::ZERO;
    for round in ROUNDS..2 * ROUNDS {
        ours += processes(&root, round * POSTS)?;
    }
    let commits = index.stats()?.version.since(before);
    table.faster(
        &format!("{ROUNDS} times {POSTS} concurrent posts from {PROCESSES} processes: speed"),
        ours,
        theirs,
        "≥ 20",
    );
    let aquifer_commits = commits.to_string();
    let what = format!("commits for these {posts} posts from {PROCESSES} processes");
    let ratio = self::ratio(posts, commits);
    table.add([&what, &aquifer_commits, &posts.to_string(), &ratio, ""]);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn ratio(posts: u64, commits: u64) -> String {
    format!("{:.0} posts a commit", posts as f64 / commits as f64)
}

fn build(corpus: &Corpus, root: &Path, plain: &Path, schema: &IndexSchema) -> Result<Arc<Index>> {
    let index = shared::create(root)?;
    let plain = Plain::create(plain, schema)?;
    let mut writer: IndexWriter = plain.index.writer(128 << 20)?;
    for first in (0..DOCUMENTS).step_by(BATCH) {
        let documents = (first..first + BATCH)
            .map(|number| corpus.document(number, schema))
            .collect::<Result<Vec<_>>>()?;
        for document in &documents {
            writer.add_document(schema.to_tantivy(document))?;
        }
        shared::post(&index, documents)?;
    }
    writer.commit()?;
    writer.wait_merging_threads()?;
    index.merge(None)?;
    Ok(index)
}

/// `count` requests at once, which share the indexes; gives how long they all took.
pub(crate) fn aquifer(indexes: &[Arc<Index>], first: u64, count: u64) -> Result<Duration> {
    at_once(first, count, |number| {
        let position = usize::try_from(number)? % indexes.len();
        let Some(index) = indexes.get(position) else {
            anyhow::bail!("no index");
        };
        let document = parse(&small_source(number), &*index.schema()?)?;
        shared::post(index, vec![document]).map(drop)
    })
}

/// As many requests from several processes, which have opened the index before.
fn processes(root: &Path, first: u64) -> Result<Duration> {
    let threads = POSTS / PROCESSES;
    let mut children = Vec::new();
    for process in 0..PROCESSES {
        let first = (first + process * threads).to_string();
        let (root, threads) = (root.to_string_lossy(), threads.to_string());
        children.push(Waiting::start(&["posts", &root, &first, &threads])?);
    }
    let start = Instant::now();
    for child in &mut children {
        child.go()?;
    }
    for child in children {
        child.done()?;
    }
    Ok(start.elapsed())
}

/// As many requests that each make a commit of their own.
fn one_by_one(folder: &Path, schema: &IndexSchema, first: u64) -> Result<Duration> {
    at_once(first, POSTS, |number| {
        let document = parse(&small_source(number), schema)?;
        Plain::post(folder, schema, &[document])
    })
}

/// `count` posts, each in a thread of its own; gives how long they all took.
pub(crate) fn at_once(
    first: u64,
    count: u64,
    post: impl Fn(u64) -> Result<()> + Sync,
) -> Result<Duration> {
    let barrier = Barrier::new(usize::try_from(count)? + 1);
    thread::scope(|scope| {
        let (barrier, post) = (&barrier, &post);
        let threads: Vec<_> = (first..first + count)
            .map(|number| {
                scope.spawn(move || {
                    barrier.wait();
                    post(number)
                })
            })
            .collect();
        barrier.wait();
        let start = Instant::now();
        for thread in threads {
            match thread.join() {
                Ok(posted) => posted?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(start.elapsed())
    })
}
