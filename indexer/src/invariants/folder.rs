//! Rules about the files that exist.

use std::collections::{BTreeSet, HashSet};

use super::{Past, Verdict, Violation, ensure};
use crate::error::Result;
use crate::format::damaged;
use crate::format::manifest::{ContainerId, Manifest};
use crate::layout::{self, BUNDLES, BatchId, INBOX, JOBS, MANIFESTS};
use crate::mount::{Access, FailureClass, Mount};

/// The files of an index, at a moment when its newest version was known.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// Paths of bundles, manifests, links, and what jobs have built.
    pub(super) paths: HashSet<String>,
    /// Batches in the inbox.
    pub(super) inbox: BTreeSet<BatchId>,
    /// Batches that any version on the mount has applied.
    pub(super) applied: HashSet<BatchId>,
    /// What the job of the newest version has built by its last checkpoint.
    pub(super) built: Option<Manifest>,
}

impl Folder {
    /// Looks at the files while `newest` is the newest version.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unavailable`]; [`crate::ErrorKind::Corrupt`] for a damaged checkpoint.
    pub(crate) fn look(mount: &dyn Mount, newest: &Manifest, past: &Past) -> Result<Self> {
        let list = |folder| match mount.list(folder) {
            // A copy of an index may lack folders that were empty.
            Err(failure) if failure.class() == FailureClass::Missing => Ok(Vec::new()),
            names => names,
        };
        let mut paths = HashSet::new();
        for folder in [BUNDLES, MANIFESTS, JOBS] {
            let names = list(folder)?.into_iter();
            paths.extend(names.map(|name| format!("{folder}/{name}")));
        }
        let built = match checkpoint(newest) {
            Some((path, len)) if paths.contains(&path) => Some(read(mount, &path, len)?),
            _ => None,
        };
        let batches = list(INBOX)?;
        Ok(Self {
            paths,
            inbox: batches
                .iter()
                .filter_map(|name| layout::parse_batch(name))
                .collect(),
            applied: past.applied.clone(),
            built,
        })
    }
}

fn read(mount: &dyn Mount, path: &str, len: u64) -> Result<Manifest> {
    let len = usize::try_from(len).map_err(|error| damaged(path, "the length").because(error))?;
    let file = mount.open(path, Access::Read)?;
    Manifest::decode(&file.read_range(0, len)?, path)
}

/// I7: the newest version names every applied batch whose file is still in the inbox. The next commit would apply any
/// other again.
pub(super) fn applied_batches_that_remain_are_named(newest: &Manifest, folder: &Folder) -> Verdict {
    let named: HashSet<_> = newest
        .body
        .applied
        .iter()
        .map(|entry| entry.batch)
        .collect();
    let mut remain = folder
        .inbox
        .iter()
        .filter(|batch| folder.applied.contains(batch));
    match remain.find(|batch| !named.contains(batch)) {
        None => Ok(()),
        Some(batch) => Err(Violation {
            file: layout::batch(*batch),
            ..Violation::of(
                "I7",
                newest,
                "it does not name this batch, which was applied",
            )
        }),
    }
}

/// I12: no file is removed that the newest version uses, and neither are its manifest and its link.
pub(super) fn files_of_the_newest_version_exist(newest: &Manifest, folder: &Folder) -> Verdict {
    let own = [newest.path(), layout::version_link(newest.version)];
    let used = newest.files().into_iter().map(|file| file.path());
    exist("I12", newest, folder, own.into_iter().chain(used))
}

/// I21: a job finds its last checkpoint, what that refers to, and the manifests whose touched keys it has yet to carry
/// over.
pub(super) fn files_of_the_job_exist(newest: &Manifest, folder: &Folder) -> Verdict {
    let Some(job) = newest.body.job.as_deref() else {
        return Ok(());
    };
    let checkpoint = checkpoint(newest).into_iter().map(|(path, _)| path);
    let links = job.replayed_to.later_up_to(newest.version);
    let links = links.map(layout::version_link);
    let bundles = folder.built.iter().flat_map(Manifest::files);
    let bundles = bundles.filter(|file| matches!(file, ContainerId::Bundle(_)));
    let bundles = bundles.map(|file| file.path());
    exist(
        "I21",
        newest,
        folder,
        checkpoint.chain(links).chain(bundles),
    )?;
    let identity = job
        .checkpoint
        .map(|named| (named.number, named.nonce, job.lineage));
    let built = folder.built.as_ref();
    let built = built.map(|built| (built.version.get(), built.nonce, built.lineage));
    ensure(
        identity == built,
        "I21",
        newest,
        || "the checkpoint of its job is another one",
    )
}

fn exist(
    rule: &'static str,
    newest: &Manifest,
    folder: &Folder,
    mut files: impl Iterator<Item = String>,
) -> Verdict {
    match files.find(|path| !folder.paths.contains(path)) {
        None => Ok(()),
        Some(file) => Err(Violation {
            file,
            ..Violation::of(rule, newest, "it needs this file, which does not exist")
        }),
    }
}

/// The file of the last checkpoint of the job that runs, and its length.
fn checkpoint(newest: &Manifest) -> Option<(String, u64)> {
    let job = newest.body.job.as_deref()?;
    let named = job.checkpoint.as_ref()?;
    let path = layout::checkpoint(job.status.id, named.number, named.nonce);
    Some((path, named.len))
}
