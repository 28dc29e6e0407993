//! Aquifer beside plain tantivy on a real NFS mount; started by `scripts/bench-nfs`.
//!
//! Both indexes are built on the host, in a folder that NFS-Ganesha exports to a client machine of the lab. There each
//! piece of work is a process of this program ([`work`]), which stops itself right before it and right after: what
//! the kernel's NFS client did in between is counted ([`scene`]). Nothing is asserted here.

mod report;
mod scene;
pub(crate) mod work;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use aquifer_tests::lab::{Lab, Plan, Proxy, Setting, namespace};
use serde::{Deserialize, Serialize};

use self::report::Report;
use self::scene::{Scene, Side};
use crate::bulk;
use crate::child;
use crate::corpus::Corpus;
use crate::operations;

/// Folders in the export: the indexes as they were built, and merged into as few segments as possible.
const BUILT: [&str; 2] = ["aquifer", "plain"];
const MERGED: [&str; 2] = ["aquifer-merged", "plain-merged"];

/// What the process inside the lab's namespaces has to know.
#[derive(Serialize, Deserialize)]
struct Task {
    export: PathBuf,
    documents: usize,
    /// What there is to ask: how many words, and which.
    queries: Vec<(usize, String)>,
    /// How many segments there are, as built and merged.
    segments: [usize; 2],
    corpus: String,
}

/// Builds the indexes and measures; prints the table.
pub(crate) fn run(documents: usize) -> Result<()> {
    if let Some(missing) = namespace::missing() {
        anyhow::bail!("no NFS lab here: {missing}");
    }
    let folder = tempfile::Builder::new().prefix("bench-nfs-").tempdir()?;
    let export = folder.path().to_owned();
    let corpus = Corpus::load()?;
    let [root, plain] = BUILT.map(|name| export.join(name));
    eprintln!("building both indexes");
    let built = bulk::build(&corpus, documents, &root, &plain)?;
    let queries = [1, 3].map(|words| Ok((words, operations::query(&corpus, &built, words)?)));
    let mut segments = [built.segments()?, 0];
    drop(built);
    eprintln!("merging copies of them");
    for (from, to) in BUILT.iter().zip(MERGED) {
        copy(&export.join(from), &export.join(to))?;
    }
    let [root, plain] = MERGED.map(|name| export.join(name));
    let merged = child::output(&["compact", &shown(&root), &shown(&plain)])?;
    if let Some(segments) = segments.last_mut() {
        *segments = merged.trim().parse().context("no number of segments")?;
    }
    let task = Task {
        export,
        documents,
        queries: queries.into_iter().collect::<Result<_>>()?,
        segments,
        corpus: corpus.description().to_owned(),
    };
    eprintln!("measuring in the lab");
    let printed = namespace::enter(&serde_json::to_string(&task)?);
    print!("{}", printed.map_err(anyhow::Error::msg)?);
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut copy = std::process::Command::new("cp");
    let copied = copy.arg("-a").arg(from).arg(to).status()?;
    anyhow::ensure!(copied.success(), "{} could not be copied", from.display());
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Inside the lab's namespaces: measures.
pub(crate) fn inside(task: &str) -> Result<()> {
    namespace::end_with_parent();
    let task: Task = serde_json::from_str(task)?;
    let mut plan = Plan::new(Setting::GANESHA, 2);
    plan.client_mib = 1024;
    plan.export = Some(task.export.clone());
    let lab = Lab::boot(plan);
    let proxy = Proxy::start();
    let scene = Scene::new(&lab, &proxy)?;
    let mut report = Report::default();
    let states = [(BUILT, "as bulk indexing leaves it"), (MERGED, "merged")];
    for ((folders, state), segments) in states.into_iter().zip(task.segments) {
        for (words, query) in &task.queries {
            let what = format!(
                "cold open and first query, {words} word{} (`{query}`), of an index {state}, {segments} segment{}",
                plural(*words),
                plural(segments),
            );
            let both = scene.work(Side::both(folders), "cold", query)?;
            report.add(&what, &both, "≤ 10 READs in 4 rounds; 5 times faster");
        }
    }
    let sides = Side::both(BUILT);
    let query = task.queries.last().map_or("", |(_, query)| query);
    report.add(
        "the same query again",
        &scene.work(sides, "again", query)?,
        "",
    );
    let nothing = scene.work(sides, "refresh", query)?;
    report.add("refresh without news", &nothing, "1 RPC");
    let news = scene.news(sides, query)?;
    report.add(
        "refresh with news (a small post), and the query again",
        &news,
        "",
    );
    let one = scene.work(sides, "post", "1")?;
    report.add("POST of 1 document", &one, "≤ 14 RPCs; 3 times faster");
    let hundred = scene.work(sides, "post", "100")?;
    report.add("POST of 100 documents", &hundred, "");
    let many = scene.many(sides)?;
    report.add(
        "64 concurrent POSTs of 1 document",
        &many,
        "20 times faster",
    );
    report.print(task.documents, &task.corpus);
    Ok(())
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
