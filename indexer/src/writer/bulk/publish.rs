//! How the segments of a load become visible.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use roaring::RoaringBitmap;
use tantivy::DocAddress;
use uuid::Uuid;

use super::super::age::may_be_collected;
use super::super::history::{Maintained, Proposal};
use super::super::queue::{Outcome, Wait};
use super::super::resolve::locate_in;
use super::keys::replaced;
use super::pile::Part;
use super::{BATCH_BYTES, BulkReport, Load};
use crate::document::Document;
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::Cause;
use crate::inbox::{Batch, Operation};
use crate::numbers::{DocCount, Version};
use crate::snapshot::Snapshot;
use crate::snapshot::sources::sources;

/// How long publishing waits for the lock. Nobody waits at the other end of a connection.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often an ordinary commit is tried that other writers got in the way of, and the pause between two attempts.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// Keys that are looked for in the index at once, a few megabytes of them.
const KEYS: usize = 65_536;
/// Documents that are read back at once.
const READ: u32 = 256;

/// The documents of the index whose keys the load has, by segment: a segment never changes.
#[derive(Default)]
struct Located(HashMap<Uuid, RoaringBitmap>);

impl Load {
    /// Publishes what is ready, in order.
    pub(super) fn publish_ready(&self) -> Result<()> {
        let mut state = self.lock();
        while state.publishing {
            state = self.wait(state);
        }
        let parts = state.pile.take_ready();
        if parts.is_empty() {
            return Ok(());
        }
        state.publishing = true;
        drop(state);
        let done = self.publish(&parts);
        let mut state = self.lock();
        state.publishing = false;
        self.changed.notify_all();
        state.report.add(done?);
        Ok(())
    }

    fn publish(&self, parts: &[Part]) -> Result<BulkReport> {
        let built = self.open(parts)?;
        let mut keys = DocCount::ZERO;
        let replaced = replaced(&built, |_| {
            keys += DocCount::ONE;
            Ok(())
        })?;
        // Most of the looking happens before the lock is taken.
        let mut located = Located::default();
        located.look(&built, &*self.history.follower.newest()?)?;
        let published = self.publish_version(parts, &built, &replaced, located)?;
        let Some((version, existing)) = published else {
            return self.commit_parts(parts, &built);
        };
        drop(built);
        for (position, part) in parts.iter().enumerate() {
            if !part.lives(replaced.get(&position)) {
                self.remove(std::slice::from_ref(part));
            }
        }
        let documents: DocCount = parts.iter().map(|part| part.documents).sum();
        let created = keys.without(existing);
        Ok(BulkReport {
            version,
            publications: 1,
            created,
            updated: documents.without(created),
            pending: DocCount::ZERO,
        })
    }

    /// The version, and the documents of the index that were replaced in it. `None` where ordinary commits have to do it: a
    /// job runs that has to learn of every key, or the mapping was changed.
    fn publish_version(
        &self,
        parts: &[Part],
        built: &Snapshot,
        replaced: &BTreeMap<usize, RoaringBitmap>,
        mut located: Located,
    ) -> Result<Option<(Version, DocCount)>> {
        let history = &*self.history;
        let deadline = history.clock.now() + PATIENCE;
        let lineage = self.empty.manifest().lineage;
        let published = history.maintain(Cause::Commit, deadline, |mut draft| {
            let tip = Arc::clone(draft.base());
            if tip.manifest().lineage != lineage || tip.manifest().body.job.is_some() {
                return Ok(Proposal::Nothing(()));
            }
            for part in parts {
                if may_be_collected(history, &self.began, &tip, &part.path())? {
                    return Err(collected());
                }
            }
            located.look(built, &tip)?;
            let mut existing = DocCount::ZERO;
            for (position, segment) in tip.manifest().body.segments.iter().enumerate() {
                if let Some(docs) = located.0.get(&segment.id)
                    && !docs.is_empty()
                {
                    existing += DocCount::new((docs - tip.deletes(segment)?).len());
                    draft.delete(position, docs)?;
                }
            }
            for (position, part) in parts.iter().enumerate() {
                let deletes = replaced.get(&position);
                if part.lives(deletes) {
                    let deletes = deletes.cloned().unwrap_or_default();
                    draft.add(part.packed.clone(), vec![deletes]);
                }
            }
            let version = draft.version();
            Ok(Proposal::Version(draft, (version, existing)))
        })?;
        Ok(match published {
            Maintained::Published(done) => Some(done),
            Maintained::Nothing(()) => None,
        })
    }

    /// Commits what was gathered as an ordinary batch. One thread at a time, so that the order stays.
    pub(super) fn commit_gathered(&self) -> Result<()> {
        let mut state = self.lock();
        while state.publishing {
            state = self.wait(state);
        }
        let documents = state.take_gathered();
        if documents.is_empty() {
            return Ok(());
        }
        state.publishing = true;
        drop(state);
        let done = self.commit(documents);
        let mut state = self.lock();
        state.publishing = false;
        self.changed.notify_all();
        state.report.add(done?);
        Ok(())
    }

    fn commit(&self, documents: Vec<Document>) -> Result<BulkReport> {
        let clock = &self.history.clock;
        let count = DocCount::of_len(documents.len());
        let operations: Vec<Operation> = documents.into_iter().map(Operation::Upsert).collect();
        let batch = Batch { operations };
        let mut attempts = 1;
        loop {
            let deadline = clock.now() + PATIENCE;
            match self.commits.submit(batch.clone(), Wait::Visible, deadline) {
                Err(error)
                    if attempts < ATTEMPTS
                        && matches!(error.kind(), ErrorKind::Busy | ErrorKind::Fenced) =>
                {
                    attempts += 1;
                    clock.sleep(PAUSE);
                }
                outcome => {
                    return Ok(match outcome? {
                        Outcome::Applied { version, counts } => BulkReport {
                            version,
                            created: counts.created,
                            updated: counts.updated,
                            ..BulkReport::default()
                        },
                        Outcome::Durable { .. } => BulkReport {
                            pending: count,
                            ..BulkReport::default()
                        },
                    });
                }
            }
        }
    }

    /// Reads the documents back and commits them as ordinary batches, by whatever the mapping is now.
    fn commit_parts(&self, parts: &[Part], built: &Snapshot) -> Result<BulkReport> {
        let schema = self.history.follower.newest()?.intake()?;
        let mut report = BulkReport::default();
        let mut documents = Vec::new();
        let mut bytes = 0;
        let mut committed = DocCount::ZERO;
        for (position, segment) in built.manifest().body.segments.iter().enumerate() {
            let docs: Vec<u32> = (0..segment.max_doc).collect();
            for some in docs.chunks(READ as usize) {
                let addresses: Vec<DocAddress> = some
                    .iter()
                    .map(|&doc| built.address(position, doc))
                    .collect::<Result<_>>()?;
                for text in sources(built.searcher()?, schema.source(), &addresses)? {
                    let key = Document::key_of(&text).ok_or_else(|| {
                        Error::internal("a document that was accepted has no key")
                    })?;
                    bytes += text.len();
                    documents.push(Document::accepted(&key, &text, &schema));
                }
                if bytes >= BATCH_BYTES {
                    bytes = 0;
                    committed += DocCount::of_len(documents.len());
                    report.add(self.commit(std::mem::take(&mut documents))?);
                }
            }
        }
        if !documents.is_empty() {
            committed += DocCount::of_len(documents.len());
            report.add(self.commit(documents)?);
        }
        // Those that were replaced before they were anywhere.
        let all: DocCount = parts.iter().map(|part| part.documents).sum();
        report.updated += all.without(committed);
        self.remove(parts);
        Ok(report)
    }
}

impl BulkReport {
    fn add(&mut self, other: Self) {
        self.version = self.version.max(other.version);
        self.publications += other.publications;
        self.created += other.created;
        self.updated += other.updated;
        self.pending += other.pending;
    }
}

impl Located {
    /// Looks into the segments of `tip` that it has not looked into yet.
    fn look(&mut self, built: &Snapshot, tip: &Snapshot) -> Result<()> {
        let segments = &tip.manifest().body.segments;
        let new: Vec<Uuid> = segments
            .iter()
            .map(|segment| segment.id)
            .filter(|id| !self.0.contains_key(id))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        for id in &new {
            self.0.insert(*id, RoaringBitmap::new());
        }
        let mut keys: Vec<String> = Vec::new();
        let mut take = |keys: &mut Vec<String>| -> Result<()> {
            let sorted: Vec<&str> = keys.iter().map(String::as_str).collect();
            let (searcher, field) = (tip.searcher()?, tip.schema().key());
            let located = locate_in(tip, searcher, field, &sorted, |id| new.contains(&id))?;
            for &(position, doc) in located.values() {
                let segment = segments.get(position);
                let docs = segment.and_then(|segment| self.0.get_mut(&segment.id));
                docs.map(|docs| docs.insert(doc));
            }
            keys.clear();
            Ok(())
        };
        replaced(built, |key| {
            keys.push(key.to_owned());
            if keys.len() >= KEYS {
                take(&mut keys)?;
            }
            Ok(())
        })?;
        take(&mut keys)
    }
}

fn collected() -> Error {
    let message = "this process was halted for so long that what it had built may have been removed: what was published \
                   is in the index, so import the rest again";
    Error::new(ErrorKind::Fenced, message)
}
