//! Checking an index: every checksum, and every rule of [`crate::invariants`].

use std::collections::HashSet;
use std::error::Error as _;
use std::hash::{BuildHasher as _, RandomState};

use serde::Serialize;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet as _, Searcher, TERMINATED};

use crate::error::{Error, ErrorKind, Result, joined};
use crate::format::hot;
use crate::format::manifest::Manifest;
use crate::inbox::Inbox;
use crate::invariants::{self, Folder, Found, History, Keys, Past, Violation};
use crate::layout::{self, INBOX, MANIFESTS};
use crate::mount::{FailureClass, Mount};
use crate::numbers::{DocCount, Version};
use crate::snapshot::Snapshot;
use crate::snapshot::follow::Follower;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, relative to the folder of the index.
    pub file: String,
    /// What is wrong with it.
    pub detail: String,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// The version that was checked.
    pub version: Version,
    /// Documents in it.
    pub documents: DocCount,
    /// Files that were read whole.
    pub files: usize,
    /// Batches that are accepted and not yet applied.
    pub inbox: usize,
    /// What is wrong; empty when all is well.
    pub problems: Vec<Problem>,
}

impl CheckReport {
    fn blame(&mut self, file: &str, error: &Error) {
        let file = error
            .path()
            .map_or_else(|| file.to_owned(), |path| path.display().to_string());
        self.problems.push(Problem {
            file,
            detail: joined(error.message().to_owned(), error.source()),
        });
    }

    fn violated(&mut self, violation: Violation) {
        let detail = violation.to_string();
        let file = violation.file;
        self.problems.push(Problem { file, detail });
    }
}

/// Checks every version that is there, and everything that the newest one uses. Changes nothing.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no index. Damage is not an error but a [`Problem`].
pub fn check(follower: &Follower, inbox: &Inbox) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    check_head(follower, &mut report);
    let newest = follower.newest();
    let manifest = newest.as_deref().ok().map(Snapshot::manifest);
    let history = check_versions(follower, manifest, &mut report)?;
    check_inbox(follower, inbox, &mut report)?;
    if let Some(newest) = manifest {
        check_folder(follower, newest, history.past(), &mut report);
    }
    // Others may have published since, and collected what the version before has used.
    match follower.newest() {
        Ok(snapshot) => {
            report.version = snapshot.version();
            check_snapshot(&*follower.source().mount, &snapshot, &mut report);
        }
        Err(error) if error.is_index_gone() => return Err(error),
        Err(error) => report.blame(MANIFESTS, &error),
    }
    report.problems.dedup();
    Ok(report)
}

fn check_head(follower: &Follower, report: &mut CheckReport) {
    match follower.read_head() {
        Ok(head) if head.has_copy && head.manifest.is_none() => {
            let detail = "the copy of the manifest is damaged: the next commit mends it; until then \
                          cold readers take one read more";
            report.problems.push(Problem {
                file: layout::HEAD.into(),
                detail: detail.into(),
            });
        }
        Ok(head) if !head.is_whole() => {
            let detail = "a section in it is damaged: the next commit of another process writes it again; until \
                          then cold readers fetch it from where it belongs";
            report.problems.push(Problem {
                file: layout::HEAD.into(),
                detail: detail.into(),
            });
        }
        Ok(_) => report.files += 1,
        // A new index has none before its first commit.
        Err(error) if error.kind() == ErrorKind::Unavailable => {}
        Err(error) => report.blame(layout::HEAD, &error),
    }
}

/// Every version that is linked: that it can be read, and that it keeps the rules.
fn check_versions(
    follower: &Follower,
    newest: Option<&Manifest>,
    report: &mut CheckReport,
) -> Result<History> {
    let names = follower.source().mount.list(MANIFESTS).map_err(|failure| {
        if failure.class() == FailureClass::Missing {
            return crate::snapshot::follow::no_index();
        }
        failure.into()
    })?;
    let links = names.iter();
    let mut versions: Vec<Version> = links
        .filter_map(|name| layout::parse_version_link(name))
        .collect();
    versions.sort_unstable();
    let mut history = History::new(newest.map(Manifest::id));
    for version in versions {
        match follower.read_version(version) {
            Ok((manifest, page, _)) => {
                report.files += 1;
                for violation in history.visit(manifest, &page) {
                    report.violated(violation);
                }
            }
            Err(error) => {
                history.pass_over();
                // Any other was collected meanwhile.
                if error.kind() == ErrorKind::Corrupt {
                    report.blame(&layout::version_link(version), &error);
                }
            }
        }
    }
    Ok(history)
}

/// The files that the newest version needs. Where others publish versions at the same time, what is missing may have been
/// collected, and the next check tells.
fn check_folder(follower: &Follower, newest: &Manifest, past: &Past, report: &mut CheckReport) {
    let looked = Folder::look(&*follower.source().mount, newest, past);
    let again = follower.newest();
    if !again.is_ok_and(|again| again.version() == newest.version) {
        return;
    }
    match looked {
        Ok(folder) => {
            for violation in invariants::check_folder(newest, &folder) {
                report.violated(violation);
            }
        }
        Err(error) => report.blame(MANIFESTS, &error),
    }
}

fn check_inbox(follower: &Follower, inbox: &Inbox, report: &mut CheckReport) -> Result<()> {
    for id in inbox.list()? {
        match inbox.read(id) {
            Ok(_) => report.inbox += 1,
            Err(error) => report.blame(&layout::batch(id), &error),
        }
    }
    let names = follower.source().mount.list(INBOX)?;
    for id in names
        .iter()
        .filter_map(|name| layout::parse_damaged_batch(name))
    {
        let detail = "a damaged batch that was laid aside: its documents must be sent again; then \
                      remove the file";
        report.problems.push(Problem {
            file: layout::damaged_batch(id),
            detail: detail.into(),
        });
    }
    Ok(())
}

fn check_snapshot(mount: &dyn Mount, snapshot: &Snapshot, report: &mut CheckReport) {
    let mut whole = true;
    for container in snapshot.containers() {
        report.files += 1;
        if let Err(error) = container.verify() {
            report.blame(container.path(), &error);
            whole = false;
        }
    }
    for (segment, container) in snapshot
        .manifest()
        .body
        .segments
        .iter()
        .zip(snapshot.segment_containers())
    {
        let section = container.read_raw(segment.hot);
        if let Err(error) = section.and_then(|bytes| hot::decode(&bytes, container.path())) {
            report.blame(container.path(), &error);
            whole = false;
        }
        if let Some(base) = segment.base()
            && let Err(error) = crate::snapshot::fetch_bitmap(mount, base)
        {
            report.blame(&base.section().id.file.path(), &error);
            whole = false;
        }
    }
    if whole && let Err(error) = check_keys(snapshot, report) {
        report.blame(&snapshot.manifest().path(), &error);
    }
}

/// Every live document has one key, and no two have the same; the records of the ledger likewise.
fn check_keys(snapshot: &Snapshot, report: &mut CheckReport) -> Result<()> {
    let file = snapshot.manifest().path();
    let documents = find_keys(snapshot.searcher()?, snapshot.schema().key(), &file)?;
    report.documents = documents.keyed;
    let schema = crate::writer::ledger_schema();
    let records = match snapshot.ledger(schema)? {
        Some(ledger) => find_keys(ledger, schema.key(), &file)?,
        None => Found::default(),
    };
    let keys = Keys { documents, records };
    for violation in invariants::check_keys(snapshot.manifest(), &keys) {
        report.violated(violation);
    }
    Ok(())
}

/// How many documents are live, and how many live documents the keys lead to.
fn find_keys(searcher: &Searcher, field: Field, file: &str) -> Result<Found> {
    let io = |error| Error::io(file, error);
    let hasher = RandomState::new();
    let mut seen = HashSet::new();
    let mut found = Found::default();
    for reader in searcher.segment_readers() {
        found.live += reader.num_docs().into();
        let index = reader.inverted_index(field)?;
        let mut terms = index.terms().stream().map_err(io)?;
        while terms.advance() {
            let mut postings = index
                .read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)
                .map_err(io)?;
            while postings.doc() != TERMINATED {
                if !reader.is_deleted(postings.doc()) {
                    found.keyed += DocCount::ONE;
                    if !seen.insert(hasher.hash_one(terms.key())) {
                        let key = String::from_utf8_lossy(terms.key());
                        found.twice.get_or_insert_with(|| key.into_owned());
                    }
                }
                postings.advance();
            }
        }
    }
    Ok(found)
}
