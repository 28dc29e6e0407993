//! Checking an index: every checksum, every reference, every key once.

use std::collections::HashSet;
use std::error::Error as _;
use std::hash::{BuildHasher as _, RandomState};

use serde::Serialize;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet as _, Searcher, TERMINATED};

use crate::error::{Error, ErrorKind, Result, joined};
use crate::format::hot;
use crate::format::manifest::Manifest;
use crate::format::retired::RANGES_MAX;
use crate::inbox::Inbox;
use crate::layout::{self, INBOX, MANIFESTS};
use crate::mount::{FailureClass, Mount};
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
    pub version: u64,
    /// Documents in it.
    pub documents: u64,
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
}

/// Checks the newest version and everything beside it. Changes nothing.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no index. Damage is not an error but a [`Problem`].
pub fn check(follower: &Follower, inbox: &Inbox) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    check_head(follower, &mut report);
    check_manifests(follower, &mut report)?;
    check_inbox(follower, inbox, &mut report)?;
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

/// Every manifest that lies there, and that each one's mark leads to the next that is there.
fn check_manifests(follower: &Follower, report: &mut CheckReport) -> Result<()> {
    let names = follower.source().mount.list(MANIFESTS).map_err(|failure| {
        if failure.class() == FailureClass::Missing {
            return crate::snapshot::follow::no_index();
        }
        failure.into()
    })?;
    let mut versions: Vec<u64> = names
        .iter()
        .filter_map(|name| layout::parse_version_link(name))
        .collect();
    versions.sort_unstable();
    let mut expected = None;
    for version in versions {
        let path = layout::version_link(version);
        match follower.read_version(version) {
            Ok((manifest, page, _)) => {
                report.files += 1;
                let wrong = expected
                    .filter(|expected: &crate::format::mark::ManifestId| {
                        expected.version == version
                    })
                    .is_some_and(|expected| expected != manifest.id());
                if wrong {
                    let detail = "the mark of the version before names another manifest";
                    report.problems.push(Problem {
                        file: path,
                        detail: detail.into(),
                    });
                }
                expected = page.successor;
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => report.blame(&path, &error),
            // Collected meanwhile.
            Err(_) => {}
        }
    }
    Ok(())
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

/// What a manifest says that none should say.
fn wrong_in(manifest: &Manifest) -> Option<&'static str> {
    let body = &manifest.body;
    let retired = || body.retired.iter();
    let refers_ahead = body
        .segments
        .iter()
        .filter_map(|segment| segment.base())
        .any(|base| base.manifest.version > manifest.version);
    if refers_ahead {
        return Some("it refers to a bitmap of a later version");
    }
    if retired().any(|range| {
        range.from > range.to || range.since > range.until || range.until > manifest.version
    }) {
        return Some("a range of retired files is none, or was retired later");
    }
    if retired().len() > RANGES_MAX {
        return Some("it names more ranges of retired files than there may be");
    }
    None
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
    if let Some(detail) = wrong_in(snapshot.manifest()) {
        report.problems.push(Problem {
            file: snapshot.manifest().path(),
            detail: detail.into(),
        });
    }
    if whole && let Err(error) = check_keys(snapshot, report) {
        report.blame(&snapshot.manifest().path(), &error);
    }
}

/// Every live document has one key, and no two have the same; the records of the ledger likewise.
fn check_keys(snapshot: &Snapshot, report: &mut CheckReport) -> Result<()> {
    let file = snapshot.manifest().path();
    let documents = snapshot.searcher()?;
    let (live, keys) = count_keys(documents, snapshot.schema().key(), &file, report)?;
    report.documents = keys;
    let listed = snapshot.manifest().body.live_docs();
    if live != listed || live != keys {
        let detail =
            format!("the manifest counts {listed} documents, the segments {live}, the keys {keys}");
        let file = file.clone();
        report.problems.push(Problem { file, detail });
    }
    let schema = crate::writer::ledger_schema();
    if let Some(ledger) = snapshot.ledger(schema)? {
        count_keys(ledger, schema.key(), &file, report)?;
    }
    Ok(())
}

/// How many documents are live, and how many live documents the keys lead to.
fn count_keys(
    searcher: &Searcher,
    field: Field,
    file: &str,
    report: &mut CheckReport,
) -> Result<(u64, u64)> {
    let io = |error| Error::io(file, error);
    let hasher = RandomState::new();
    let mut seen = HashSet::new();
    let (mut live, mut count) = (0, 0);
    for reader in searcher.segment_readers() {
        live += u64::from(reader.num_docs());
        let index = reader.inverted_index(field)?;
        let mut terms = index.terms().stream().map_err(io)?;
        while terms.advance() {
            let mut postings = index
                .read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)
                .map_err(io)?;
            while postings.doc() != TERMINATED {
                if !reader.is_deleted(postings.doc()) {
                    count += 1;
                    if !seen.insert(hasher.hash_one(terms.key())) {
                        let key = String::from_utf8_lossy(terms.key()).into_owned();
                        let (file, detail) = (
                            file.to_owned(),
                            format!("two documents have the key `{key}`"),
                        );
                        report.problems.push(Problem { file, detail });
                    }
                }
                postings.advance();
            }
        }
    }
    Ok((live, count))
}
